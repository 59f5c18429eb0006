//! What this process becomes, ready to run.

use std::os::fd::OwnedFd;

use oci_spec::runtime::Process;

use super::request::{Payload, Received};
use super::{InitError, guest, native, wait};

/// Ready to run.
pub enum Prepared {
    /// A pod sandbox: it only waits.
    Sandbox,
    /// The virtual kernel with its first program.
    Guest(Box<guest::Program>),
    /// A native program.
    Native(Box<native::Program>),
}

impl Prepared {
    /// Loads what is to run. Runs with the rights of the container's creator, in the container's
    /// root.
    pub fn new(
        payload: Payload,
        process: &Process,
        passed: Vec<OwnedFd>,
        received: &mut Received,
    ) -> Result<Self, InitError> {
        Ok(match payload {
            Payload::Sandbox => Self::Sandbox,
            Payload::Guest(guest) => Self::Guest(Box::new(guest::Program::new(
                guest, process, passed, received,
            )?)),
            Payload::Native(native) => {
                Self::Native(Box::new(native::Program::new(native, process, passed)?))
            }
        })
    }

    /// Looks the program up as running it will, so that create can say what is wrong with it.
    pub fn check(&self) -> Result<(), InitError> {
        match self {
            Self::Sandbox => Ok(()),
            Self::Guest(program) => Ok(program.check()?),
            Self::Native(program) => Ok(program.check()?),
        }
    }

    /// Runs to the end. Returns the exit code. Who waits at the other end of `started` waits for
    /// it to be closed.
    pub fn run(self, started: Option<OwnedFd>) -> u8 {
        match self {
            Self::Sandbox => {
                drop(started);
                wait::as_sandbox()
            }
            Self::Guest(program) => {
                drop(started);
                program.run()
            }
            // Closed by the exec.
            Self::Native(program) => program.run(),
        }
    }
}
