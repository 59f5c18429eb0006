//! How the program starts and ends.
//!
//! What the standard library does before `main` takes 0.07 ms, most of it to find the main thread's
//! guard page for a message when the stack overflows. Every command is a process of its own, and
//! three or four of them make a container's life. So C's `main` is here, and does what matters of
//! it: the three standard descriptors are open, and a reader that has gone is an error of `write`.

use std::ffi::{c_char, c_int};
use std::panic::catch_unwind;

use crate::sys::{fds, signals};

/// Of a program that panicked, as the standard library has it.
const PANICKED: u8 = 101;

// SAFETY: the name is C's for what the start files call, once, with arguments that are not used:
// the standard library gets its own from the C library's list of initialisers. No other function
// of that name is linked, since the crate has `no_main`.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn main(_: c_int, _: *const *const c_char) -> c_int {
    if fds::open_standard().is_err() || signals::ignore(libc::SIGPIPE).is_err() {
        // There is nobody to tell.
        return c_int::from(PANICKED);
    }
    let code = catch_unwind(crate::run).unwrap_or(PANICKED);
    // Writes what the buffer of the standard output still holds.
    std::process::exit(code.into())
}
