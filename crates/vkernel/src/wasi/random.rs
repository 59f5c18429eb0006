//! `random_get`.

use rustix::rand::{GetRandomFlags, getrandom};

use crate::host::HostLinker;
use crate::host_fn;
use crate::process::HostResult;
use crate::wasi::HostCx;

/// Offers this family's function.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(linker, RandomGet, random_get(buffer: u32, len: u32));
    Ok(())
}

/// How much one system call gives at most without being cut short by a signal on every kernel.
const CHUNK: usize = 1 << 20;

fn random_get(cx: &mut HostCx<'_>, buffer: u32, len: u32) -> HostResult {
    let kill = &cx.proc.kill;
    let mut rest = cx.mem.slice_mut(buffer, len)?;
    while !rest.is_empty() {
        let want = rest.len().min(CHUNK);
        let got = kill.interruptible(|| {
            getrandom(&mut rest[..want], GetRandomFlags::empty()).map_err(Into::into)
        })?;
        // A guest can ask for gigabytes at a time: it can be killed between two chunks.
        kill.check()?;
        rest = &mut rest[got..];
    }
    Ok(())
}
