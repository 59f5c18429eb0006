//! The text of the virtual files, as a read-only descriptor of its own.
//!
//! What comes from the host's procfs is the machine's, not the kernel process's, and is read
//! here and copied: a guest's descriptor is never one of a procfs.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, OFlags, SealFlags};

use super::Result;
use super::vfs::{Context, Vfs};
use super::vnode::Text;

/// A command name as Linux cuts it.
const COMM: usize = 15;

impl Vfs {
    /// Makes the text of `file` and gives it as a sealed file open for reading.
    pub(super) fn open_text(&self, file: Text, ctx: &Context<'_>) -> Result<OwnedFd> {
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

    fn text(&self, file: Text, ctx: &Context<'_>) -> Result<Vec<u8>> {
        let proc = self.proc_fd();
        Ok(match file {
            Text::Cpuinfo => proc.system_file(c"cpuinfo")?,
            Text::Loadavg => proc.system_file(c"loadavg")?,
            Text::Meminfo => proc.system_file(c"meminfo")?,
            Text::Uptime => proc.system_file(c"uptime")?,
            Text::Version => proc.system_file(c"version")?,
            // The real table names directories of the host: say only what holds in here.
            Text::Mounts => b"rootfs / rootfs rw 0 0\nproc /proc proc ro 0 0\n".to_vec(),
            Text::Cmdline => {
                let mut line = Vec::new();
                for argument in ctx.argv {
                    line.extend_from_slice(argument);
                    line.push(0);
                }
                line
            }
            Text::Comm => [comm(ctx), b"\n"].concat(),
            Text::Stat => {
                let head = format!("{} (", ctx.pid).into_bytes();
                let zeros = " 0".repeat(48);
                let tail = format!(") R{zeros}\n").into_bytes();
                [head, comm(ctx).to_vec(), tail].concat()
            }
            Text::Status => {
                let uid = rustix::process::geteuid().as_raw();
                let gid = rustix::process::getegid().as_raw();
                let pid = ctx.pid;
                let rest = format!(
                    "\nState:\tR (running)\nTgid:\t{pid}\nPid:\t{pid}\n\
                     Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\n\
                     FDSize:\t{}\nThreads:\t1\n",
                    ctx.fds.limit()
                );
                [b"Name:\t", comm(ctx), rest.as_bytes()].concat()
            }
        })
    }
}

/// The last component of the program's name, cut.
fn comm<'a>(ctx: &Context<'a>) -> &'a [u8] {
    let name = ctx.argv.first().map_or(&b""[..], Vec::as_slice);
    let base = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
    &base[..base.len().min(COMM)]
}

#[cfg(test)]
mod tests {
    use super::comm;
    use crate::descriptor::FdTable;
    use crate::fs::Context;

    #[test]
    fn the_command_name_is_the_last_component_cut_to_fifteen() {
        let fds = FdTable::default();
        for (argv0, expected) in [
            ("/usr/bin/ls", "ls"),
            ("a-very-long-program-name", "a-very-long-pro"),
            ("", ""),
        ] {
            let argv = [argv0.as_bytes().to_vec()];
            let ctx = Context {
                fds: &fds,
                pid: 1,
                argv: &argv,
                cwd: b"/",
                umask: 0,
            };
            assert_eq!(comm(&ctx), expected.as_bytes());
        }
    }
}
