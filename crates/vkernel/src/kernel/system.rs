//! A process's place among the kernel's processes.

use std::sync::Arc;

use super::Kernel;
use super::child::Deferred;
use super::prepare::Process;
use crate::kill::KillToken;
use crate::table::{Processes, Reached};

/// How a process reaches its kernel and the other processes of its table.
pub struct System {
    pub(super) kernel: Kernel,
    pub(super) processes: Arc<Processes>,
    /// How many processes its host thread runs below it.
    pub(super) depth: u32,
    /// The child it made last, while that has not run.
    pub(super) deferred: Option<Deferred>,
    /// The program it goes on as, once it ends with `End::Exec`.
    pub(super) next: Option<Box<Process>>,
}

impl System {
    pub(super) fn new(kernel: Kernel, processes: Arc<Processes>) -> System {
        System {
            kernel,
            processes,
            depth: 0,
            deferred: None,
            next: None,
        }
    }

    /// The table it is in.
    #[must_use]
    pub fn processes(&self) -> &Arc<Processes> {
        &self.processes
    }

    /// Interrupts processes until they have noticed what they were sent.
    pub fn reach(&self, reached: Reached) {
        self.kernel.0.caretaker.reach(reached);
    }

    /// Sets the timer of the process with this number and token.
    pub fn set_timer(
        &self,
        pid: u32,
        token: &KillToken,
        first: Option<std::time::Duration>,
        interval: Option<std::time::Duration>,
    ) -> Option<super::TimerLeft> {
        let caretaker = &self.kernel.0.caretaker;
        caretaker.set_timer(&self.processes, pid, token, first, interval)
    }

    /// Starts the child that was made last, if it has not run.
    pub fn start_deferred(&mut self) {
        self.deferred = None;
    }
}
