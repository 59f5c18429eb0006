//! Where this kernel and `wasmtime-wasi` differ on purpose: the one list, with reasons.

use vkernel::errno::Errno;

/// Calls that both refuse, with different errors: function, ours, the reference's, and why.
const REFUSALS: &[(&str, Errno, Errno, &str)] = &[
    (
        "fd_read",
        Errno::ISDIR,
        Errno::BADF,
        "a directory: Linux's answer",
    ),
    (
        "fd_pread",
        Errno::ISDIR,
        Errno::BADF,
        "a directory: Linux's answer",
    ),
    (
        "fd_readdir",
        Errno::NOTDIR,
        Errno::BADF,
        "a file: Linux's answer",
    ),
    (
        "fd_filestat_set_size",
        Errno::INVAL,
        Errno::BADF,
        "a directory: Linux's answer",
    ),
    (
        "path_open",
        Errno::NOTDIR,
        Errno::LOOP,
        "a link opened as a directory, not followed: Linux's answer",
    ),
];

/// Whether both sides gave the same, or differ in a way that is listed.
pub fn alike<T: PartialEq>(
    function: &str,
    ours: &Result<T, u16>,
    reference: &Result<T, u16>,
) -> bool {
    if ours == reference {
        return true;
    }
    let (Err(ours), Err(reference)) = (ours, reference) else {
        return false;
    };
    REFUSALS.iter().any(|(name, own, other, _)| {
        *name == function && own.raw() == *ours && other.raw() == *reference
    })
}
