//! `clock_*`: the four clocks of preview 1.

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

use crate::errno::Errno;
use crate::host::HostLinker;
use crate::host_fn;
use crate::process::HostResult;
use crate::wasi::HostCx;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    host_fn!(linker, ClockResGet, clock_res_get(id: u32, resolution: u32));
    host_fn!(linker, ClockTimeGet, clock_time_get(id: u32, precision: u64, time: u32));
    Ok(())
}

/// Linux's clock for a preview 1 clock id, or `EINVAL`.
///
/// The processor-time clocks are those of the calling thread: a virtual process runs on one host
/// thread of its own, so the thread's time is the process's, and no other process's time shows.
pub fn host_clock(id: u32) -> Result<ClockId, Errno> {
    match id {
        0 => Ok(ClockId::Realtime),
        1 => Ok(ClockId::Monotonic),
        2 | 3 => Ok(ClockId::ThreadCPUTime),
        _ => Err(Errno::INVAL),
    }
}

fn nanoseconds(time: Timespec) -> Result<u64, Errno> {
    u64::try_from(time.tv_sec)
        .ok()
        .and_then(|seconds| seconds.checked_mul(1_000_000_000))
        .and_then(|seconds| seconds.checked_add(u64::try_from(time.tv_nsec).ok()?))
        .ok_or(Errno::OVERFLOW)
}

fn clock_res_get(cx: &mut HostCx<'_>, id: u32, resolution: u32) -> HostResult {
    let value = nanoseconds(clock_getres(host_clock(id)?))?;
    Ok(cx.mem.write_u64(resolution, value)?)
}

fn clock_time_get(cx: &mut HostCx<'_>, id: u32, _precision: u64, time: u32) -> HostResult {
    let value = nanoseconds(clock_gettime(host_clock(id)?))?;
    Ok(cx.mem.write_u64(time, value)?)
}
