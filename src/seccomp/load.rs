//! Gives a compiled filter to the kernel.

use std::os::fd::{FromRawFd, OwnedFd};

use super::{Program, SeccompError};

/// Loads the filter for the calling thread and what it starts later.
///
/// Needs no_new_privs or CAP_SYS_ADMIN in the process's user namespace; it
/// cannot be taken back. Returns the descriptor for the agent, where one decides some calls.
pub fn load(program: &Program) -> Result<Option<OwnedFd>, SeccompError> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.instructions.len())
            .expect("a program has at most 4096 instructions"),
        filter: program
            .instructions
            .as_ptr()
            .cast::<libc::sock_filter>()
            .cast_mut(),
    };
    // SAFETY: `filter` points to `len` instructions with the layout of
    // `struct sock_filter` (repr(C): u16, u8, u8, u32) that outlive the call;
    // the kernel copies them and writes nothing.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            program.flags,
            &raw const filter,
        )
    };
    match i32::try_from(result) {
        Ok(0) => Ok(None),
        // SAFETY: a new descriptor, which the kernel closes on exec and nobody else knows.
        Ok(fd @ 1..) => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) })),
        _ => Err(SeccompError::Load(std::io::Error::last_os_error())),
    }
}
