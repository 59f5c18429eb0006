//! From what the engine says to how a process ended.

use std::fmt::Write as _;

use wasmtime::{ThrownException, Trap, WasmBacktrace};

use super::ExitStatus;
use crate::process::{End, Program};

/// The most frames a trap's message shows.
const MAX_FRAMES: usize = 32;

/// The status of a process whose `_dispatch` returned or did not.
pub fn status(result: Result<i32, wasmtime::Error>, program: &Program) -> ExitStatus {
    match result {
        Ok(0) => ExitStatus::Code(0),
        // The plan named the digest, so this code is not that plan's.
        Ok(other) => ExitStatus::Trap(format!(
            "{}: the megabinary does not know the digest of its own manifest (_dispatch gave {other})",
            program.path
        )),
        Err(error) => match error.downcast_ref::<End>() {
            Some(End::Exit(code)) => ExitStatus::Code(*code),
            Some(End::Signal(signal)) => ExitStatus::Signal(*signal),
            // Who ends so is run again before anybody asks for its status.
            Some(End::Exec) => ExitStatus::Trap(format!("{}: lost its next program", program.path)),
            None => ExitStatus::Trap(trap_message(&error, program)),
        },
    }
}

fn trap_message(error: &wasmtime::Error, program: &Program) -> String {
    let mut text = match error.downcast_ref::<Trap>() {
        Some(trap) => format!("{}: trap: {trap}", program.path),
        None if error.is::<ThrownException>() => {
            format!("{}: an exception that it does not catch", program.path)
        }
        None => format!("{}: failed: {}", program.path, error.root_cause()),
    };
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return text;
    };
    let frames = backtrace.frames();
    for frame in frames.iter().take(MAX_FRAMES) {
        // A String takes everything.
        let _ = match frame.func_name() {
            Some(name) => write!(text, "\n    at {name}"),
            None => write!(text, "\n    at function {}", frame.func_index()),
        };
    }
    if frames.len() > MAX_FRAMES {
        let _ = write!(text, "\n    and {} more", frames.len() - MAX_FRAMES);
    }
    text
}
