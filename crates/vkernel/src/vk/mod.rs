//! The functions of module `vkernel` (`runtime-spec/vkernel-abi.md`), one file per family.
//!
//! They are host functions as those of [`crate::wasi`]: they return an error number and write
//! results where the guest says. Signal numbers, wait statuses and terminal modes are Linux's.

mod access;
pub(crate) mod control;
mod cwd;
mod exec;
mod fds;
mod files;
mod fork;
mod ids;
mod machine;
mod request;
mod signals;
mod sockets;
pub(crate) mod tty;
mod wait;

use crate::errno::Errno;
use crate::host::HostLinker;
use crate::kernel::System;
use crate::process::ProcState;

pub use megabinary::capability::VKERNEL_MODULE as MODULE;

/// Offers every function of every family to guests.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    access::register(linker)?;
    cwd::register(linker)?;
    exec::register(linker)?;
    fds::register(linker)?;
    files::register(linker)?;
    fork::register(linker)?;
    ids::register(linker)?;
    machine::register(linker)?;
    signals::register(linker)?;
    sockets::register(linker)?;
    tty::register(linker)?;
    wait::register(linker)
}

/// The process's place among others; `ENOSYS` where it has none.
fn system(proc: &ProcState) -> Result<&System, Errno> {
    proc.system.as_ref().ok_or(Errno::NOSYS)
}
