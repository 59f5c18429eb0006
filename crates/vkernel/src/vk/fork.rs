//! `fork`.

use wasmtime::Caller;

use super::MODULE;
use crate::errno::Errno;
use crate::host::HostLinker;
use crate::kernel::fork;
use crate::process::{ForkCall, ProcState, Winding};
use crate::rights::HostCall;
use crate::wasi::deliver;
use crate::wasi::memory::GuestMem;

/// Offers this family's functions.
pub fn register(linker: &mut HostLinker<'_>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "fork",
        |mut caller: Caller<'_, ProcState>, buffer: u32, pid: u32| {
            call(&mut caller, ForkCall { buffer, pid })
        },
    )?;
    Ok(())
}

/// Bytes of Asyncify's own at the start of a buffer: where it goes on, and where it ends.
const BUFFER_HEAD: u32 = 8;

/// It is called twice for each fork: when the stack is to go to memory, and, in parent and child,
/// when it has come back.
fn call(caller: &mut Caller<'_, ProcState>, call: ForkCall) -> wasmtime::Result<i32> {
    let state = caller.data_mut();
    let errno = match state.winding {
        Winding::No => {
            if !state.rights.contains(HostCall::VkFork) {
                return Ok(i32::from(state.denied(HostCall::VkFork).raw()));
            }
            if !memory(caller, |mem| {
                mem.slice(call.buffer, BUFFER_HEAD).is_ok() && mem.slice(call.pid, 4).is_ok()
            }) {
                return Ok(i32::from(Errno::FAULT.raw()));
            }
            match fork::unwind(caller, call)? {
                // Nobody sees this: the caller returns to its own caller.
                None => return Ok(0),
                Some(errno) => Some(errno),
            }
        }
        Winding::Out(_) => {
            return Err(wasmtime::Error::msg(
                "fork: code that Asyncify has not instrumented went on",
            ));
        }
        Winding::Back(call, made) => {
            fork::rewound(caller)?;
            match made {
                Ok(number) => {
                    memory(caller, |mem| mem.write_u32(call.pid, number).is_ok());
                    None
                }
                Err(errno) => Some(errno),
            }
        }
    };
    if caller.data().kill.attention() {
        deliver::pending(caller)?;
    }
    Ok(errno.map_or(0, |errno| i32::from(errno.raw())))
}

fn memory(
    caller: &mut Caller<'_, ProcState>,
    work: impl FnOnce(&mut GuestMem<'_>) -> bool,
) -> bool {
    let Some(memory) = caller.data().memory else {
        return false;
    };
    let (bytes, _) = memory.data_and_store_mut(caller);
    work(&mut GuestMem::new(bytes))
}
