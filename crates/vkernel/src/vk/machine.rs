//! What a process may use and what it has used, and what the machine is called.

use std::time::Duration;

use super::{MODULE, system};
use crate::errno::Errno;
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::HostResult;
use crate::rlimits::{Resource, Rlimit};
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(MODULE, linker, VkGetrlimit, getrlimit(resource: u32, limit: u32));
    host_fn!(MODULE, linker, VkSetrlimit, setrlimit(resource: u32, limit: u32));
    host_fn!(MODULE, linker, VkGetrusage, getrusage(who: i32, usage: u32));
    host_fn!(MODULE, linker, VkUname, uname(names: u32));
    Ok(())
}

fn getrlimit(cx: &mut HostCx<'_>, resource: u32, limit: u32) -> HostResult {
    let found = cx.proc.rlimits.get(Resource::from_linux(resource)?);
    let mut out = [0u8; 16];
    out[..8].copy_from_slice(&found.soft.to_le_bytes());
    out[8..].copy_from_slice(&found.hard.to_le_bytes());
    Ok(cx.mem.write(limit, &out)?)
}

fn setrlimit(cx: &mut HostCx<'_>, resource: u32, limit: u32) -> HostResult {
    let resource = Resource::from_linux(resource)?;
    let bytes: [u8; 16] = cx.mem.array(limit)?;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    let wanted = Rlimit {
        soft: word(0),
        hard: word(8),
    };
    cx.proc.rlimits.set(resource, wanted)?;
    if resource == Resource::Descriptors {
        let soft = u32::try_from(wanted.soft).unwrap_or(u32::MAX);
        cx.proc.fds.set_limit(soft);
    }
    Ok(())
}

/// Processor time of the caller (0) or of the children it has waited for (-1), in nanoseconds. What
/// passes in host calls is the program's too.
fn getrusage(cx: &mut HostCx<'_>, who: i32, usage: u32) -> HostResult {
    let used = match who {
        0 => cx.proc.kill.thread_and_time().1,
        -1 => system(cx.proc)?.processes().waited(cx.proc.pid)?,
        _ => return Err(Errno::INVAL.into()),
    };
    Ok(cx.mem.write(usage, &self::usage(used))?)
}

/// Time in the program, and otherwise.
pub(super) fn usage(used: Duration) -> [u8; 16] {
    let mut out = [0u8; 16];
    let nanoseconds = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
    out[..8].copy_from_slice(&nanoseconds.to_le_bytes());
    out
}

/// Bytes of each name of `uname`, its NUL included.
const NAME: usize = 65;

/// The host's names but for the machine, which is WebAssembly's.
fn uname(cx: &mut HostCx<'_>, names: u32) -> HostResult {
    let host = rustix::system::uname();
    let mut out = [0u8; 6 * NAME];
    let texts = [
        host.sysname(),
        host.nodename(),
        host.release(),
        host.version(),
        c"wasm32",
        host.domainname(),
    ];
    for (slot, text) in out.chunks_exact_mut(NAME).zip(texts) {
        let text = text.to_bytes();
        let len = text.len().min(NAME - 1);
        slot[..len].copy_from_slice(&text[..len]);
    }
    Ok(cx.mem.write(names, &out)?)
}
