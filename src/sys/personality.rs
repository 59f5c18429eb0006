//! The execution domain (personality(2)): which kind of Linux a process sees.

use oci_spec::runtime::LinuxPersonalityDomain;
use rustix::io::Errno;

use super::clone::last_errno;

/// From linux/personality.h; the libc crate has neither for this target.
const PER_LINUX: libc::c_ulong = 0;
const PER_LINUX32: libc::c_ulong = 8;

/// Sets the domain of the calling process and what it executes.
pub fn set(domain: LinuxPersonalityDomain) -> Result<(), Errno> {
    let persona = match domain {
        LinuxPersonalityDomain::PerLinux => PER_LINUX,
        LinuxPersonalityDomain::PerLinux32 => PER_LINUX32,
    };
    // SAFETY: the call takes a number; neither of the two changes how this process's memory is laid
    // out or how its calls work, only what uname(2) tells.
    match unsafe { libc::personality(persona) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}
