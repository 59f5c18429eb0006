//! The host calls a process may make.

macro_rules! host_calls {
    ($($variant:ident => $module:literal $name:literal,)*; $($sub:ident of $parent:literal,)*) => {
        /// A function the kernel offers, or an operation of one whose rights depend on arguments.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum HostCall {
            $(#[doc = concat!("`", $module, ".", $name, "`")] $variant,)*
            $(#[doc = concat!("an operation of `", $parent, "`")] $sub,)*
        }

        impl HostCall {
            /// Every host call, in the order of the bitmap.
            pub const ALL: &[HostCall] = &[$(HostCall::$variant,)* $(HostCall::$sub,)*];

            /// The function's name as imported; an operation shows as `Function:Operation`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(HostCall::$variant => $name,)*
                    $(HostCall::$sub => concat!($parent, ":", stringify!($sub)),)*
                }
            }
        }
    };
}

host_calls! {
    ArgsGet => "wasi_snapshot_preview1" "args_get",
    ArgsSizesGet => "wasi_snapshot_preview1" "args_sizes_get",
    EnvironGet => "wasi_snapshot_preview1" "environ_get",
    EnvironSizesGet => "wasi_snapshot_preview1" "environ_sizes_get",
    ClockResGet => "wasi_snapshot_preview1" "clock_res_get",
    ClockTimeGet => "wasi_snapshot_preview1" "clock_time_get",
    FdAdvise => "wasi_snapshot_preview1" "fd_advise",
    FdAllocate => "wasi_snapshot_preview1" "fd_allocate",
    FdClose => "wasi_snapshot_preview1" "fd_close",
    FdDatasync => "wasi_snapshot_preview1" "fd_datasync",
    FdFdstatGet => "wasi_snapshot_preview1" "fd_fdstat_get",
    FdFdstatSetFlags => "wasi_snapshot_preview1" "fd_fdstat_set_flags",
    FdFdstatSetRights => "wasi_snapshot_preview1" "fd_fdstat_set_rights",
    FdFilestatGet => "wasi_snapshot_preview1" "fd_filestat_get",
    FdFilestatSetSize => "wasi_snapshot_preview1" "fd_filestat_set_size",
    FdFilestatSetTimes => "wasi_snapshot_preview1" "fd_filestat_set_times",
    FdPread => "wasi_snapshot_preview1" "fd_pread",
    FdPrestatGet => "wasi_snapshot_preview1" "fd_prestat_get",
    FdPrestatDirName => "wasi_snapshot_preview1" "fd_prestat_dir_name",
    FdPwrite => "wasi_snapshot_preview1" "fd_pwrite",
    FdRead => "wasi_snapshot_preview1" "fd_read",
    FdReaddir => "wasi_snapshot_preview1" "fd_readdir",
    FdRenumber => "wasi_snapshot_preview1" "fd_renumber",
    FdSeek => "wasi_snapshot_preview1" "fd_seek",
    FdSync => "wasi_snapshot_preview1" "fd_sync",
    FdTell => "wasi_snapshot_preview1" "fd_tell",
    FdWrite => "wasi_snapshot_preview1" "fd_write",
    PathCreateDirectory => "wasi_snapshot_preview1" "path_create_directory",
    PathFilestatGet => "wasi_snapshot_preview1" "path_filestat_get",
    PathFilestatSetTimes => "wasi_snapshot_preview1" "path_filestat_set_times",
    PathLink => "wasi_snapshot_preview1" "path_link",
    PathOpen => "wasi_snapshot_preview1" "path_open",
    PathReadlink => "wasi_snapshot_preview1" "path_readlink",
    PathRemoveDirectory => "wasi_snapshot_preview1" "path_remove_directory",
    PathRename => "wasi_snapshot_preview1" "path_rename",
    PathSymlink => "wasi_snapshot_preview1" "path_symlink",
    PathUnlinkFile => "wasi_snapshot_preview1" "path_unlink_file",
    ProcExit => "wasi_snapshot_preview1" "proc_exit",
    ProcRaise => "wasi_snapshot_preview1" "proc_raise",
    RandomGet => "wasi_snapshot_preview1" "random_get",
    SchedYield => "wasi_snapshot_preview1" "sched_yield",
    SockAccept => "wasi_snapshot_preview1" "sock_accept",
    SockRecv => "wasi_snapshot_preview1" "sock_recv",
    SockSend => "wasi_snapshot_preview1" "sock_send",
    SockShutdown => "wasi_snapshot_preview1" "sock_shutdown",
    ;
    PathOpenWrite of "path_open",
    PathOpenCreate of "path_open",
    PathOpenTruncate of "path_open",
    PollClock of "poll_oneoff",
    PollFd of "poll_oneoff",
}

/// A set of host calls: one bit each, tested on every call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostCallSet(u128);

impl HostCallSet {
    /// Nothing allowed.
    pub const EMPTY: HostCallSet = HostCallSet(0);

    /// Every host call.
    #[must_use]
    pub fn all() -> Self {
        HostCall::ALL.iter().copied().collect()
    }

    /// Whether `call` is in the set.
    #[inline]
    #[must_use]
    pub fn contains(self, call: HostCall) -> bool {
        self.0 & (1 << call as u8) != 0
    }

    /// Adds `call`; true if it was not in the set.
    pub fn insert(&mut self, call: HostCall) -> bool {
        let new = !self.contains(call);
        self.0 |= 1 << call as u8;
        new
    }
}

impl FromIterator<HostCall> for HostCallSet {
    fn from_iter<I: IntoIterator<Item = HostCall>>(calls: I) -> Self {
        let mut set = HostCallSet::EMPTY;
        for call in calls {
            set.insert(call);
        }
        set
    }
}

const _: () = assert!(
    HostCall::ALL.len() <= 128,
    "the bitmap holds 128 host calls"
);
