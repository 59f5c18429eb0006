//! Gives a compiled filter to the kernel.

use super::{Program, SeccompError};

/// Loads the filter for the calling thread and what it starts later.
///
/// Needs no_new_privs or CAP_SYS_ADMIN in the process's user namespace; it
/// cannot be taken back.
pub fn load(program: &Program) -> Result<(), SeccompError> {
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
    if result != 0 {
        return Err(SeccompError::Load(std::io::Error::last_os_error()));
    }
    Ok(())
}
