//! Names of the uts namespace.

use rustix::io::Errno;

use super::clone::last_errno;

/// Sets the NIS domain name.
pub fn set_domain(name: &str) -> Result<(), Errno> {
    // SAFETY: the pointer and the length are of the same string, which the call only reads.
    let done = unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
