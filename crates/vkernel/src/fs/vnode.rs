//! The virtual tree: what guests see in place of a procfs, and of what a plain directory used
//! as a root lacks in `/dev`.
//!
//! It is a closed list. Whatever is not named here does not exist: no `mem`, `exe`, `root`,
//! `cwd`, `ns`, `map_files`; of other processes only what `ps` shows, nothing that can be written.

use super::vfs::Context;

/// An object of the virtual tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VNode {
    /// A directory with nothing in it: stands where a control file system is mounted.
    Empty,
    /// `/proc`.
    Proc,
    /// `/proc/self`, a link to the process's own directory.
    ProcSelf,
    /// `/proc/thread-self`; a virtual process has one thread.
    ThreadSelf,
    /// `/proc/<pid>`.
    Process(u32),
    /// `/proc/<own pid>/fd`.
    Fds,
    /// `/proc/<own pid>/fd/<n>`, a link to what the process's descriptor is open on.
    Fd(u32),
    /// A file with text made when it is opened.
    Text(Text),
    /// The same of a process.
    Of(u32, PidText),
    /// `/proc/vkernel`, by which a program asks for processes.
    Control,
    /// `/dev`, where the root has none.
    Dev,
    /// A device node that the root lacks.
    Device(Device),
    /// A link in `/dev` that the root lacks.
    DevLink(DevLink),
}

/// Files of the virtual `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// `/proc/mounts` and `/proc/self/mounts`
    Mounts,
    /// `/proc/cpuinfo`
    Cpuinfo,
    /// `/proc/loadavg`
    Loadavg,
    /// `/proc/meminfo`
    Meminfo,
    /// `/proc/stat`
    Stat,
    /// `/proc/uptime`
    Uptime,
    /// `/proc/version`
    Version,
}

/// Files of `/proc/<pid>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PidText {
    /// `cmdline`
    Cmdline,
    /// `comm`
    Comm,
    /// `stat`
    Stat,
    /// `statm`
    Statm,
    /// `status`
    Status,
}

/// Devices that every Linux program may count on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// `/dev/null`
    Null,
    /// `/dev/zero`
    Zero,
    /// `/dev/full`
    Full,
    /// `/dev/random`
    Random,
    /// `/dev/urandom`
    Urandom,
    /// `/dev/tty`
    Tty,
}

/// Links that `/dev` has in every container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DevLink {
    /// `/dev/fd`
    Fd,
    /// `/dev/stdin`
    Stdin,
    /// `/dev/stdout`
    Stdout,
    /// `/dev/stderr`
    Stderr,
}

/// How an object of the virtual tree behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VKind {
    /// Can be listed and passed through.
    Directory,
    /// Can be read.
    File,
    /// Is followed.
    Link,
    /// Opens the host's device of that number.
    Device,
}

const PROC: &[(&str, VNode)] = &[
    ("self", VNode::ProcSelf),
    ("thread-self", VNode::ThreadSelf),
    ("cpuinfo", VNode::Text(Text::Cpuinfo)),
    ("loadavg", VNode::Text(Text::Loadavg)),
    ("meminfo", VNode::Text(Text::Meminfo)),
    ("mounts", VNode::Text(Text::Mounts)),
    ("stat", VNode::Text(Text::Stat)),
    ("uptime", VNode::Text(Text::Uptime)),
    ("version", VNode::Text(Text::Version)),
    ("vkernel", VNode::Control),
];

const PROCESS: &[(&str, PidText)] = &[
    ("cmdline", PidText::Cmdline),
    ("comm", PidText::Comm),
    ("stat", PidText::Stat),
    ("statm", PidText::Statm),
    ("status", PidText::Status),
];

/// What is in a process's own directory besides.
const OWN: &[(&str, VNode)] = &[("fd", VNode::Fds), ("mounts", VNode::Text(Text::Mounts))];

const DEV: &[(&str, VNode)] = &[
    ("fd", VNode::DevLink(DevLink::Fd)),
    ("stdin", VNode::DevLink(DevLink::Stdin)),
    ("stdout", VNode::DevLink(DevLink::Stdout)),
    ("stderr", VNode::DevLink(DevLink::Stderr)),
    ("null", VNode::Device(Device::Null)),
    ("zero", VNode::Device(Device::Zero)),
    ("full", VNode::Device(Device::Full)),
    ("random", VNode::Device(Device::Random)),
    ("urandom", VNode::Device(Device::Urandom)),
    ("tty", VNode::Device(Device::Tty)),
];

fn find<T: Copy>(list: &[(&str, T)], name: &[u8]) -> Option<T> {
    list.iter()
        .find(|(entry, _)| entry.as_bytes() == name)
        .map(|(_, node)| *node)
}

/// A decimal number as the kernel writes it: no sign, no leading zero.
fn number(name: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(name).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if plain && (text == "0" || !text.starts_with('0')) {
        text.parse().ok()
    } else {
        None
    }
}

impl VNode {
    /// How it behaves.
    #[must_use]
    pub fn kind(self) -> VKind {
        match self {
            VNode::Empty | VNode::Proc | VNode::Process(_) | VNode::Fds | VNode::Dev => {
                VKind::Directory
            }
            VNode::ProcSelf | VNode::ThreadSelf | VNode::Fd(_) | VNode::DevLink(_) => VKind::Link,
            VNode::Text(_) | VNode::Of(..) | VNode::Control => VKind::File,
            VNode::Device(_) => VKind::Device,
        }
    }

    /// The entry `name` of this directory.
    #[must_use]
    pub fn lookup(self, name: &[u8], ctx: &Context<'_>) -> Option<VNode> {
        match self {
            VNode::Proc => match number(name) {
                Some(pid) => ctx.sees(pid).then_some(VNode::Process(pid)),
                None => find(PROC, name),
            },
            VNode::Process(pid) if !ctx.sees(pid) => None,
            VNode::Process(pid) => match find(PROCESS, name) {
                Some(text) => Some(VNode::Of(pid, text)),
                None if pid == ctx.pid => find(OWN, name),
                None => None,
            },
            VNode::Fds => {
                let fd = number(name)?;
                ctx.fds.get(fd).ok().map(|_| VNode::Fd(fd))
            }
            VNode::Dev => find(DEV, name),
            _ => None,
        }
    }

    /// The device or link that stands in for a missing entry of `/dev`.
    #[must_use]
    pub fn device(name: &[u8]) -> Option<VNode> {
        find(DEV, name)
    }

    /// Everything in this directory but `.` and `..`.
    #[must_use]
    pub fn list(self, ctx: &Context<'_>) -> Vec<(Vec<u8>, VNode)> {
        let fixed = |list: &[(&str, VNode)]| -> Vec<(Vec<u8>, VNode)> {
            list.iter()
                .map(|(name, node)| (name.as_bytes().to_vec(), *node))
                .collect()
        };
        match self {
            VNode::Proc => {
                let mut entries = fixed(PROC);
                let pids = match ctx.processes {
                    Some(processes) => processes.pids(),
                    None => vec![ctx.pid],
                };
                let named = |pid: u32| (pid.to_string().into_bytes(), VNode::Process(pid));
                entries.extend(pids.into_iter().map(named));
                entries
            }
            VNode::Process(pid) if !ctx.sees(pid) => Vec::new(),
            VNode::Process(pid) => {
                let texts = (PROCESS.iter())
                    .map(|(name, text)| (name.as_bytes().to_vec(), VNode::Of(pid, *text)));
                let own = if pid == ctx.pid { OWN } else { &[] };
                texts.chain(fixed(own)).collect()
            }
            VNode::Fds => ctx
                .fds
                .iter()
                .map(|(fd, _)| (fd.to_string().into_bytes(), VNode::Fd(fd)))
                .collect(),
            VNode::Dev => fixed(DEV),
            _ => Vec::new(),
        }
    }

    /// The directory it is in, for the process with this number; nothing for those right below the
    /// root.
    #[must_use]
    pub fn parent(self, own: u32) -> Option<VNode> {
        match self {
            VNode::Empty | VNode::Proc | VNode::Dev => None,
            VNode::ProcSelf
            | VNode::ThreadSelf
            | VNode::Process(_)
            | VNode::Control
            | VNode::Text(_) => Some(VNode::Proc),
            VNode::Fds => Some(VNode::Process(own)),
            VNode::Fd(_) => Some(VNode::Fds),
            VNode::Of(pid, _) => Some(VNode::Process(pid)),
            VNode::Device(_) | VNode::DevLink(_) => Some(VNode::Dev),
        }
    }

    /// What a link says; empty for everything else, and for [`VNode::Fd`], whose text is where
    /// the descriptor's file is.
    #[must_use]
    pub fn target(self, pid: u32) -> Vec<u8> {
        match self {
            VNode::ProcSelf | VNode::ThreadSelf => pid.to_string().into_bytes(),
            VNode::DevLink(DevLink::Fd) => b"/proc/self/fd".to_vec(),
            VNode::DevLink(DevLink::Stdin) => b"/proc/self/fd/0".to_vec(),
            VNode::DevLink(DevLink::Stdout) => b"/proc/self/fd/1".to_vec(),
            VNode::DevLink(DevLink::Stderr) => b"/proc/self/fd/2".to_vec(),
            _ => Vec::new(),
        }
    }

    /// Its absolute path, as `/proc/self/fd` shows it.
    #[must_use]
    pub fn path(self, pid: u32) -> Vec<u8> {
        match self {
            VNode::Process(pid) => format!("/proc/{pid}").into_bytes(),
            VNode::Fds => format!("/proc/{pid}/fd").into_bytes(),
            VNode::Dev => b"/dev".to_vec(),
            VNode::Empty => b"/sys".to_vec(),
            _ => b"/proc".to_vec(),
        }
    }

    /// An inode number: the same for the same object, different for different ones.
    #[must_use]
    pub fn inode(self) -> u64 {
        match self {
            VNode::Empty => 0x1000,
            VNode::Proc => 1,
            VNode::ProcSelf => 0x1001,
            VNode::ThreadSelf => 0x1002,
            VNode::Fds => 0x1004,
            VNode::Dev => 0x1005,
            VNode::Control => 0x1006,
            VNode::Text(text) => 0x1100 + text as u64,
            VNode::Device(device) => 0x1200 + device as u64,
            VNode::DevLink(link) => 0x1300 + link as u64,
            VNode::Fd(fd) => 0x1_0000_0000 + u64::from(fd),
            VNode::Process(pid) => 0x2_0000_0000 + u64::from(pid) * 16,
            VNode::Of(pid, text) => 0x2_0000_0001 + u64::from(pid) * 16 + text as u64,
        }
    }
}

impl Device {
    /// Where the host has it, and its major and minor number, which are checked.
    #[must_use]
    pub fn host(self) -> (&'static std::ffi::CStr, (u32, u32)) {
        match self {
            Device::Null => (c"/dev/null", (1, 3)),
            Device::Zero => (c"/dev/zero", (1, 5)),
            Device::Full => (c"/dev/full", (1, 7)),
            Device::Random => (c"/dev/random", (1, 8)),
            Device::Urandom => (c"/dev/urandom", (1, 9)),
            Device::Tty => (c"/dev/tty", (5, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Text, VKind, VNode};
    use crate::descriptor::{Descriptor, FdTable, OpenFile};
    use crate::fs::Context;

    #[test]
    fn only_the_process_itself_and_its_descriptors_exist() {
        let mut fds = FdTable::default();
        fds.insert_at(5, Descriptor::new(OpenFile::Virtual(VNode::Empty)))
            .unwrap();
        let ctx = Context {
            fds: &fds,
            pid: 7,
            processes: None,
            argv: &[],
            cwd: b"/",
            umask: 0,
        };
        let look = |node: VNode, name: &str| node.lookup(name.as_bytes(), &ctx);
        assert_eq!(look(VNode::Proc, "7"), Some(VNode::Process(7)));
        for other in [
            "1",
            "07",
            "+7",
            "8",
            "sys",
            "kcore",
            "keys",
            "",
            "sysrq-trigger",
        ] {
            assert_eq!(look(VNode::Proc, other), None, "{other}");
        }
        for secret in [
            "mem",
            "exe",
            "root",
            "cwd",
            "ns",
            "maps",
            "map_files",
            "environ",
            "task",
        ] {
            assert_eq!(look(VNode::Process(7), secret), None, "{secret}");
        }
        assert_eq!(look(VNode::Fds, "5"), Some(VNode::Fd(5)));
        assert_eq!(look(VNode::Fds, "0"), None);
        assert_eq!(look(VNode::Empty, "kernel"), None);
    }

    #[test]
    fn what_is_listed_can_be_looked_up() {
        let mut fds = FdTable::default();
        fds.insert(Descriptor::new(OpenFile::Virtual(VNode::Proc)))
            .unwrap();
        let ctx = Context {
            fds: &fds,
            pid: 3,
            processes: None,
            argv: &[],
            cwd: b"/",
            umask: 0,
        };
        let mut todo = vec![VNode::Proc, VNode::Dev];
        while let Some(dir) = todo.pop() {
            for (name, node) in dir.list(&ctx) {
                assert_eq!(dir.lookup(&name, &ctx), Some(node));
                // `mounts` is one file in two places.
                assert!(node.parent(3) == Some(dir) || node == VNode::Text(Text::Mounts));
                if node.kind() == VKind::Directory {
                    todo.push(node);
                }
            }
        }
    }
}
