//! The capability filter: manifests speak Linux system call names, guests call host functions, and
//! one table says which names permit which call (`runtime-spec/capabilities.md`).

mod hostcalls;
mod sets;
mod syscalls;

pub use hostcalls::{HostCall, VKERNEL_MODULE, WASI_MODULE};
pub use sets::HostCallSet;
pub use syscalls::{SYSCALL_NAMES, Syscall, SyscallSet, UnknownSyscall};

/// `oflags` and rights bits of WASI preview 1's `path_open` that decide what it needs.
pub mod wasi {
    /// `oflags`: create the file if it does not exist.
    pub const OFLAGS_CREAT: u16 = 1 << 0;
    /// `oflags`: fail if it is not a directory.
    pub const OFLAGS_DIRECTORY: u16 = 1 << 1;
    /// `oflags`: cut the file to size 0.
    pub const OFLAGS_TRUNC: u16 = 1 << 3;
    /// The right that asks for write access: `fd_write`.
    pub const RIGHTS_WRITE: u64 = 1 << 6;
}

/// The host calls that `syscalls` permit, with those that are always allowed.
pub fn permitted(syscalls: &SyscallSet) -> HostCallSet {
    HostCall::ALL
        .iter()
        .copied()
        .filter(|call| {
            call.requirement()
                .iter()
                .all(|any_of| any_of.intersects(syscalls))
        })
        .collect()
}

/// The host calls that need no system call name.
pub fn always_allowed() -> HostCallSet {
    permitted(&SyscallSet::EMPTY)
}

/// The smallest set of names, by the table's order of preference, that permits everything the
/// import can do. `None` for a function that neither `wasi_snapshot_preview1` nor `vkernel` has.
pub fn needed(module: &str, function: &str) -> Option<SyscallSet> {
    let calls = HostCall::from_import(module, function)?;
    let mut names = SyscallSet::EMPTY;
    for any_of in calls.iter().flat_map(HostCall::preferred) {
        names.insert(any_of);
    }
    Some(names)
}

/// What one `path_open` needs, exactly (`runtime-spec/capabilities.md`, "path_open"): every call in
/// the returned set must be permitted.
///
/// - always [`HostCall::PathOpen`];
/// - O_CREAT: [`HostCall::PathOpenCreate`], whether or not the file exists;
/// - O_TRUNC: [`HostCall::PathOpenTruncate`], also where the descriptor is read-only;
/// - the right [`wasi::RIGHTS_WRITE`] and no O_DIRECTORY: [`HostCall::PathOpenWrite`]. With
///   O_DIRECTORY that right is ignored and the descriptor is read-only.
pub fn path_open_needs(oflags: u16, rights_base: u64) -> HostCallSet {
    let has = |flag| oflags & flag != 0;
    let mut calls = HostCallSet::of(HostCall::PathOpen);
    if has(wasi::OFLAGS_CREAT) {
        calls.insert(HostCall::PathOpenCreate);
    }
    if has(wasi::OFLAGS_TRUNC) {
        calls.insert(HostCall::PathOpenTruncate);
    }
    if path_open_writes(oflags, rights_base) {
        calls.insert(HostCall::PathOpenWrite);
    }
    calls
}

/// Whether a `path_open` with these arguments asks for write access to the file.
pub fn path_open_writes(oflags: u16, rights_base: u64) -> bool {
    rights_base & wasi::RIGHTS_WRITE != 0 && oflags & wasi::OFLAGS_DIRECTORY == 0
}

#[cfg(test)]
mod tests;
