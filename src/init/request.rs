//! What the runtime asks of the process it made. Travels as a memory file through the channel,
//! with every descriptor that the process gets.

use std::ffi::CString;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;

use oci_spec::runtime::{Hook, LinuxPersonalityDomain, Process};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::sandbox::devices::Device;
use crate::sandbox::mounts::Step;
use crate::sandbox::rootfs::MountNamespace;
use rustix::io::Errno;

/// A descriptor that is handed over: which of them it is.
#[derive(Debug, Serialize, Deserialize)]
pub enum Handed {
    /// Of those that go with the request.
    Now(usize),
    /// Of those that follow it, when the container's cgroups are made.
    Later(usize),
}

/// Opens what does not exist yet.
type Opening = Box<dyn FnOnce() -> Result<OwnedFd, Failure>>;

/// The parent's side: keeps what is handed over open until it is sent.
#[derive(Default)]
pub struct Handing {
    given: Vec<OwnedFd>,
    later: Vec<Opening>,
}

impl Handing {
    /// Hands a descriptor to the child.
    pub fn give(&mut self, fd: OwnedFd) -> Handed {
        self.given.push(fd);
        Handed::Now(self.given.len() - 1)
    }

    /// Hands over what can be opened when the container's cgroups are made.
    pub fn give_later(
        &mut self,
        open: impl FnOnce() -> Result<OwnedFd, Failure> + 'static,
    ) -> Handed {
        self.later.push(Box::new(open));
        Handed::Later(self.later.len() - 1)
    }

    /// What goes with the request.
    pub fn take_given(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.given)
    }

    /// What follows it.
    pub fn open_later(self) -> Result<Vec<OwnedFd>, Failure> {
        self.later.into_iter().map(|open| open()).collect()
    }
}

/// The child's side: what has come.
#[derive(Debug, Default)]
pub struct Received {
    now: Vec<Option<OwnedFd>>,
    later: Vec<Option<OwnedFd>>,
}

impl Received {
    /// All that came with the request, in the order in which it was handed over.
    pub fn new(now: impl Iterator<Item = OwnedFd>) -> Self {
        Self {
            now: now.map(Some).collect(),
            later: Vec::new(),
        }
    }

    /// What has followed.
    pub fn followed(&mut self, later: Vec<OwnedFd>) {
        self.later = later.into_iter().map(Some).collect();
    }

    /// Takes one of them over. Each is taken once.
    pub fn take(&mut self, handed: &Handed, what: &str) -> Result<OwnedFd, Failure> {
        let fd = match handed {
            Handed::Now(at) => self.now.get_mut(*at),
            Handed::Later(at) => self.later.get_mut(*at),
        };
        let fd = fd.and_then(Option::take);
        fd.ok_or_else(|| Failure::new(format!("taking over {what}"), Errno::BADF))
    }
}

/// The whole request.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// The `tasks` files of its v1 cgroups, which it writes itself into.
    pub cgroups: Vec<Handed>,
    /// How the child comes to be in the container.
    pub entry: Entry,
    /// What it becomes there.
    pub process: ProcessRequest,
}

/// The two ways into a container.
#[derive(Debug, Serialize, Deserialize)]
pub enum Entry {
    /// Builds the container around itself, then waits for `start`.
    Build(Box<Build>),
    /// Joins an existing one.
    Join(Join),
}

/// What there is to build, in the namespaces that the clone made.
#[derive(Debug, Serialize, Deserialize)]
pub struct Build {
    /// The fifo on which to wait for `start`.
    pub fifo: Handed,
    /// Namespaces to join: their `CLONE_NEW*` flag.
    pub join: Vec<(u32, Handed)>,
    /// Make a cgroup namespace, now that the process is in its cgroup.
    pub new_cgroup_namespace: bool,
    /// Bring up the loopback interface of a new network namespace.
    pub loopback: bool,
    /// Whose its mounts are.
    pub mount_namespace: MountNamespace,
    /// The root file system, detached.
    pub rootfs: Handed,
    /// Its path on the host.
    pub rootfs_path: PathBuf,
    /// `linux.rootfsPropagation`: `MS_*` and whether recursive.
    pub rootfs_propagation: Option<(u64, bool)>,
    /// Whether the root is changed by pivot_root; else it is moved over the old one.
    pub pivot: bool,
    /// `root.readonly`.
    pub rootfs_read_only: bool,
    /// Mounts, in order.
    pub mounts: Vec<Step>,
    /// Device nodes; none where config.json binds a `/dev` of its own.
    pub devices: Option<Vec<Device>>,
    /// `linux.maskedPaths`.
    pub masked: Vec<PathBuf>,
    /// `linux.readonlyPaths`.
    pub read_only: Vec<PathBuf>,
    /// `hostname`.
    pub hostname: Option<String>,
    /// `domainname`.
    pub domainname: Option<String>,
    /// `linux.sysctl`, checked.
    pub sysctl: Vec<(String, String)>,
    /// Whether the creator has something to do when all is mounted.
    pub tells_mounted: bool,
    /// `createContainer` hooks.
    pub hooks: Vec<Hook>,
    /// The state document for them.
    pub state: String,
}

/// The container to join.
#[derive(Debug, Serialize, Deserialize)]
pub struct Join {
    /// A pidfd of its process.
    pub pidfd: Handed,
    /// Its root directory: that of its mount namespace can be another, where the runtime runs in a chroot.
    pub root: Handed,
    /// Which of its namespaces differ from the runtime's own: `CLONE_NEW*` flags.
    pub namespaces: u32,
}

/// What the child becomes.
#[derive(Debug, Serialize, Deserialize)]
pub struct ProcessRequest {
    /// config.json's process, or exec's.
    pub config: Process,
    /// `linux.seccomp`, compiled.
    pub filter: Option<Handed>,
    /// Where to send the terminal's master side.
    pub console: Option<Handed>,
    /// `linux.personality`.
    pub personality: Option<LinuxPersonalityDomain>,
    /// Which descriptors it gets besides its standard ones.
    pub preserved: Vec<RawFd>,
    /// Whether it keeps its creator's supplementary groups instead of config.json's.
    pub keeps_groups: bool,
    /// What it runs.
    pub payload: Payload,
}

/// What there is to run.
#[derive(Debug, Serialize, Deserialize)]
pub enum Payload {
    /// Nothing: a pod sandbox only waits.
    Sandbox,
    /// Verified code, in the virtual kernel.
    Guest(Guest),
    /// A program of the root file system, where the node allows that.
    Native(Native),
}

/// What a native program needs besides config.json's process.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Native {
    /// `startContainer` hooks; none for `exec`.
    pub hooks: Vec<Hook>,
    /// The state document for them.
    pub state: String,
}

/// The verified code and how to run it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Guest {
    /// The plan, encoded.
    pub plan: Handed,
    /// The compiled code.
    pub artifact: Handed,
    /// The audit trail to append to.
    pub audit: Option<Handed>,
    /// The socket at which to tell who runs in the kernel.
    pub asked: Handed,
    /// The container's id, for audit records.
    pub container: String,
    /// The most linear memory of one virtual process, in bytes.
    pub process_memory: u64,
    /// An agent tool by name, instead of a program by `process.args[0]`.
    pub tool: Option<String>,
}

/// Variable that makes this program the process inside a container: the number of its end of the
/// channel. The arguments are free for what lists of processes show: the guest's own.
pub const VARIABLE: &str = "_MEGARUN_INIT";

/// Most bytes of the guest's arguments that lists of processes show.
const LONGEST_TITLE: usize = 4096;

/// The environment of the process inside, and its arguments: those of `process`.
pub fn command_line(channel: RawFd, process: &[String]) -> (CString, Vec<CString>) {
    let mut length = 0;
    let mut title: Vec<CString> = process
        .iter()
        .take_while(|arg| {
            length += arg.len() + 1;
            length <= LONGEST_TITLE
        })
        .map_while(|arg| CString::new(arg.as_str()).ok())
        .collect();
    if title.is_empty() {
        title.push(c"megarun".to_owned());
    }
    let variable = CString::new(format!("{VARIABLE}={channel}"));
    (
        variable.expect("a name and a number hold no zero byte"),
        title,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_is_taken_once() {
        let file = || std::fs::File::open("/dev/null").unwrap().into();
        let mut handing = Handing::default();
        let (first, second) = (handing.give(file()), handing.give(file()));
        let later = handing.give_later(move || Ok(file()));
        let mut received = Received::new(handing.take_given().into_iter());
        assert!(received.take(&second, "it").is_ok() && received.take(&first, "it").is_ok());
        assert!(received.take(&later, "it").is_err());
        received.followed(handing.open_later().unwrap());
        assert!(received.take(&later, "it").is_ok());
        let message = received.take(&first, "the plan").unwrap_err().to_string();
        assert!(message.starts_with("taking over the plan"), "{message}");
        assert!(Received::default().take(&first, "it").is_err());
    }

    #[test]
    fn lists_show_the_guests_arguments_as_far_as_they_fit() {
        let line = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            let (variable, title) = command_line(7, &args);
            assert_eq!(variable.to_str(), Ok("_MEGARUN_INIT=7"));
            let text = |arg: &CString| arg.to_str().unwrap().to_owned();
            title.iter().map(text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line(&["ls", "-l", ""]), "ls -l ");
        assert_eq!(line(&[]), "megarun");
        assert_eq!(line(&["echo", &"x".repeat(LONGEST_TITLE)]), "echo");
        assert_eq!(line(&[&"x".repeat(LONGEST_TITLE)]), "megarun");
    }
}
