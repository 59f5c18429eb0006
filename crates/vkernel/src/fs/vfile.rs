//! The text of the virtual files, as a read-only descriptor of its own.
//!
//! What comes from the host's procfs is the machine's, not the kernel process's, and is read
//! here and copied: a guest's descriptor is never one of a procfs.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, OFlags, SealFlags};

use super::Result;
use super::vfs::{Context, Vfs};
use super::vnode::{PidText, Text, VNode};
use crate::errno::Errno;
use crate::ps::{self, Info};
use crate::table::Entry;

impl Vfs {
    /// Makes the text of `file` and gives it as a sealed file open for reading.
    pub(super) fn open_text(&self, file: VNode, ctx: &Context<'_>) -> Result<OwnedFd> {
        let text = self.text(file, ctx)?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = rustix::fs::memfd_create(c"text", flags)?;
        let mut rest = &text[..];
        while !rest.is_empty() {
            let written = rustix::io::write(&memory, rest)?;
            rest = &rest[written..];
        }
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&memory, seals)?;
        // A second open, so that it is read-only for the host's kernel as well.
        self.proc_fd().reopen(memory.as_fd(), OFlags::RDONLY)
    }

    fn text(&self, file: VNode, ctx: &Context<'_>) -> Result<Vec<u8>> {
        let proc = self.proc_fd();
        let text = match file {
            VNode::Of(pid, text) => return self.text_of(pid, text, ctx),
            VNode::Text(text) => text,
            _ => return Err(Errno::ACCES),
        };
        Ok(match text {
            Text::Cpuinfo => proc.system_file(c"cpuinfo")?,
            Text::Loadavg => proc.system_file(c"loadavg")?,
            Text::Meminfo => proc.system_file(c"meminfo")?,
            // What the machine's processors did. Its interrupts would tell when somebody types.
            Text::Stat => lines(&proc.system_file(c"stat")?, &[b"cpu", b"btime "]),
            Text::Uptime => proc.system_file(c"uptime")?,
            Text::Version => proc.system_file(c"version")?,
            // The real table names directories of the host: say only what holds in here.
            Text::Mounts => b"rootfs / rootfs rw 0 0\nproc /proc proc ro 0 0\n".to_vec(),
        })
    }

    /// What is known of a process; `ESRCH` if it is no more.
    fn text_of(&self, pid: u32, text: PidText, ctx: &Context<'_>) -> Result<Vec<u8>> {
        let own = pid == ctx.pid;
        if own && text == PidText::Cmdline {
            let ended = ctx.argv.iter().flat_map(|text| [&text[..], b"\0"]);
            return Ok(ended.flatten().copied().collect());
        }
        let entry = match ctx.processes {
            Some(processes) => processes.entry(pid).ok_or(Errno::SRCH)?,
            None if own => Entry::alone(pid),
            None => return Err(Errno::SRCH),
        };
        let info = Info::of(entry, self, own);
        let info = match (&info.about, own) {
            (None, true) => info.called(ctx.argv),
            _ => info,
        };
        Ok(match text {
            PidText::Cmdline => info.arguments().to_vec(),
            PidText::Comm => [ps::comm(info.arguments()), b"\n"].concat(),
            PidText::Stat => ps::text::stat(&info),
            PidText::Statm => ps::text::statm(),
            PidText::Status => ps::text::status(&info, ctx.fds.limit()),
        })
    }
}

/// The lines that begin so.
fn lines(text: &[u8], beginnings: &[&[u8]]) -> Vec<u8> {
    let wanted = |line: &&[u8]| beginnings.iter().any(|with| line.starts_with(with));
    let kept = text.split_inclusive(|byte| *byte == b'\n').filter(wanted);
    kept.flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn only_the_lines_that_are_named_are_told() {
        let text = b"cpu  1 2\ncpu0 1 2\nintr 5 6\nctxt 7\nbtime 8\nsoftirq 9";
        let kept = lines(text, &[b"cpu", b"btime "]);
        assert_eq!(kept, b"cpu  1 2\ncpu0 1 2\nbtime 8\n");
    }
}
