//! `bpf`: loading a cgroup device program and attaching it to a cgroup v2 directory.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::clone::last_errno;

/// One eBPF instruction in the kernel's encoding.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Class, operation and source.
    pub code: u8,
    /// Destination register in the low half, source register in the high half.
    pub registers: u8,
    /// Jump distance in instructions, or an offset in bytes.
    pub offset: i16,
    /// The constant operand.
    pub immediate: i32,
}

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// An ancestor's program stays in force beside this one: a device needs the consent of both.
const ALLOW_MULTI: u32 = 2;

/// The head of `union bpf_attr` for `BPF_PROG_LOAD`, as far as it is used; the kernel takes the
/// rest as zero.
#[repr(C)]
struct Load {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// `union bpf_attr` for `BPF_PROG_ATTACH`.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Loads a program of the type `BPF_PROG_TYPE_CGROUP_DEVICE`.
pub fn load_device_program(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    let attr = Load {
        kind: PROG_TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: `attr` is laid out as the kernel's and of the size passed; the instructions and the
    // terminated licence it points to outlive the call, which only reads them.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const attr, size_of::<Load>()) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0);
    // SAFETY: the call made the descriptor and nobody else has it.
    fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
        .ok_or_else(last_errno)
}

/// Attaches a device program to the cgroup v2 directory that `cgroup` is open on. It goes when the
/// directory does.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: &OwnedFd) -> Result<(), Errno> {
    let number = |fd: BorrowedFd<'_>| u32::try_from(fd.as_raw_fd()).map_err(|_| Errno::BADF);
    let attr = Attach {
        target: number(cgroup)?,
        program: number(program.as_fd())?,
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: `attr` is laid out as the kernel's and of the size passed; it holds no pointers.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_ATTACH,
            &raw const attr,
            size_of::<Attach>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
