//! Calling a program's signal handlers.
//!
//! A program that catches signals exports a function which is called with the signal's number on
//! the process's own thread: when a host call returns, and between two instructions of code that
//! makes none.

use wasmtime::AsContextMut;

use crate::process::{End, Fail, ProcState, Winding};
use crate::signal::Posted;

/// Does what the process's signals demand before it goes on: ends it, stops it until it is
/// continued, calls handlers. Says whether a call that was interrupted starts again.
pub fn pending(context: &mut impl AsContextMut<Data = ProcState>) -> wasmtime::Result<bool> {
    let mut restart = true;
    loop {
        let proc = context.as_context_mut();
        let kill = proc.data().kill.clone();
        match kill.check() {
            Ok(()) => return Ok(restart),
            Err(Fail::End(end)) => return Err(wasmtime::Error::new(end)),
            // Its stack is not where a handler could run on top of it.
            _ if proc.data().winding != Winding::No => return Ok(restart),
            Err(Fail::Interrupted | Fail::Errno(_)) => {}
        }
        let Some(delivery) = kill.signals(|signals| signals.next_delivery()) else {
            continue;
        };
        // Catching needs the export: a program without one has nothing to deliver.
        let Some(handler) = proc.data().deliver.clone() else {
            return Err(wasmtime::Error::new(End::Signal(delivery.signal)));
        };
        restart &= delivery.restart;
        context.as_context_mut().data_mut().handlers += 1;
        let handled = handler.call(&mut *context, delivery.signal);
        context.as_context_mut().data_mut().handlers -= 1;
        handled?;
        let posted = kill.signals(|signals| signals.set_mask(delivery.mask_after));
        context.as_context_mut().data_mut().unmasked(posted);
    }
}

impl ProcState {
    /// Tells the parent where a change of the process's own mask stopped it.
    pub fn unmasked(&mut self, posted: Posted) {
        if let (Posted::Stopped(signal), Some(system)) = (posted, &self.system) {
            system.processes().stopped(self.pid, signal);
        }
    }
}
