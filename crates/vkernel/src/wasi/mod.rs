//! The functions a guest can import, one file per family.
//!
//! A host function is a plain function of a [`HostCx`] and the guest's arguments that returns a
//! [`HostResult`]: reading arguments out of guest memory and writing results back is its only
//! own work; what it does to files or descriptors lives beside those. A family's `register` names
//! each with [`host_fn!`], which puts the capability filter in front: one bitmap test per call,
//! and a denied call is `ENOTCAPABLE`, counted, and reported once per process and function.

pub mod args_env;
pub mod clock;
pub mod deliver;
pub mod dir;
pub mod fd_meta;
pub mod fd_rw;
pub mod memory;
pub mod path_meta;
pub mod path_open;
pub(crate) mod paths;
pub mod poll;
pub mod prestat;
pub mod proc;
pub mod random;
pub mod sock;

use wasmtime::Caller;

use crate::errno::Errno;
use crate::host::HostLinker;
use crate::process::{Fail, HostResult, ProcState};
use crate::rights::HostCall;
use memory::GuestMem;

/// Import module of WASI preview 1.
pub const PREVIEW1: &str = "wasi_snapshot_preview1";

/// What a host function works on: the caller's memory and the caller.
///
/// They are separate borrows, so bytes of the guest can be handed to the host while the
/// descriptor table is in use.
pub struct HostCx<'a> {
    /// The caller's linear memory.
    pub mem: GuestMem<'a>,
    /// The calling process.
    pub proc: &'a mut ProcState,
}

/// Offers every function of every family to guests.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    args_env::register(linker)?;
    clock::register(linker)?;
    dir::register(linker)?;
    fd_meta::register(linker)?;
    fd_rw::register(linker)?;
    path_meta::register(linker)?;
    path_open::register(linker)?;
    poll::register(linker)?;
    prestat::register(linker)?;
    proc::register(linker)?;
    random::register(linker)?;
    sock::register(linker)?;
    Ok(())
}

/// Filters a host call, runs it, and turns its outcome into what the guest or the engine sees.
#[inline]
pub fn enter(
    caller: &mut Caller<'_, ProcState>,
    call: HostCall,
    body: impl FnMut(&mut HostCx<'_>) -> HostResult,
) -> wasmtime::Result<i32> {
    let state = caller.data_mut();
    if !state.rights.contains(call) {
        return Ok(i32::from(state.denied(call).raw()));
    }
    enter_judging(caller, body)
}

/// As [`enter`], for a function whose every right depends on its arguments: the body itself
/// asks [`ProcState::require`] before it does anything.
#[inline]
pub fn enter_judging(
    caller: &mut Caller<'_, ProcState>,
    mut body: impl FnMut(&mut HostCx<'_>) -> HostResult,
) -> wasmtime::Result<i32> {
    loop {
        let state = caller.data_mut();
        // An entry point cannot run before its memory is known: see `ProcState::memory`.
        let Some(memory) = state.memory else {
            return Ok(i32::from(Errno::FAULT.raw()));
        };
        let (bytes, proc) = memory.data_and_store_mut(&mut *caller);
        let result = body(&mut HostCx {
            mem: GuestMem::new(bytes),
            proc,
        });
        let errno = match result {
            Ok(()) => 0,
            Err(Fail::Errno(errno)) => errno.raw(),
            Err(Fail::Interrupted) => Errno::INTR.raw(),
            Err(Fail::End(end)) => return Err(wasmtime::Error::new(end)),
        };
        if caller.data().kill.attention() {
            let restart = deliver::pending(caller)?;
            if restart && result == Err(Fail::Interrupted) {
                continue;
            }
        }
        return Ok(i32::from(errno));
    }
}

/// Declares one preview 1 function: `host_fn!(linker, FdWrite, fd_write(fd: u32, …))` registers
/// the function `fd_write` in scope under its own name, behind the filter for
/// `HostCall::FdWrite`. Arguments are `u32`, `i32`, `u64` or `i64`; the guest gets an `i32` errno.
/// With `judging` in the call's place there is no filter in front: see [`enter_judging`].
#[macro_export]
macro_rules! host_fn {
    ($linker:expr, $call:ident, $function:ident($($arg:ident: $type:ty),* $(,)?)) => {
        $crate::host_fn!($crate::wasi::PREVIEW1, $linker, $call, $function($($arg: $type),*))
    };
    ($module:path, $linker:expr, judging, $function:ident($($arg:ident: $type:ty),* $(,)?)) => {
        $linker.func_wrap(
            $module,
            stringify!($function),
            |mut caller: wasmtime::Caller<'_, $crate::process::ProcState>, $($arg: $type),*| {
                $crate::wasi::enter_judging(&mut caller, |cx| $function(cx, $($arg),*))
            },
        )?
    };
    ($module:path, $linker:expr, $call:ident, $function:ident($($arg:ident: $type:ty),* $(,)?)) => {
        $linker.func_wrap(
            $module,
            stringify!($function),
            |mut caller: wasmtime::Caller<'_, $crate::process::ProcState>, $($arg: $type),*| {
                $crate::wasi::enter(
                    &mut caller,
                    $crate::rights::HostCall::$call,
                    |cx| $function(cx, $($arg),*),
                )
            },
        )?
    };
}
