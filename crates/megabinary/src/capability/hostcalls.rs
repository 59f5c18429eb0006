//! Every host call a guest can make, with the names that permit it: the table of
//! `runtime-spec/capabilities.md`. A test compares the two.

use std::fmt;

use super::HostCallSet;
use super::syscalls::{Syscall, SyscallSet, table_set};

/// Import module of WASI preview 1.
pub const WASI_MODULE: &str = "wasi_snapshot_preview1";
/// Import module of the virtual kernel's own functions.
pub const VKERNEL_MODULE: &str = "vkernel";

struct Row {
    module: &'static str,
    function: &'static str,
    operation: &'static str,
    names: &'static [&'static [&'static str]],
    any_of: &'static [SyscallSet],
    signature: &'static str,
}

/// One line per call: `Variant module "function" "operation" [[names, any of which] and [..]] "signature"`.
/// The first name of each group is the preferred one, which `needed` gives out.
macro_rules! host_calls {
    ($($variant:ident $module:ident $function:literal $operation:literal [$([$($name:literal)*])*] $signature:literal)*) => {
        /// A call a guest can make to the host. Functions whose rights depend on their arguments
        /// have one variant for each operation.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[rustfmt::skip]
        pub enum HostCall {
            $(
                #[doc = concat!("`", stringify!($module), ".", $function, "` ", $operation)]
                $variant,
            )*
        }

        impl HostCall {
            /// Every call, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        const TABLE: &[Row] = &[$(Row {
            module: $module,
            function: $function,
            operation: $operation,
            names: &[$(&[$($name),*]),*],
            any_of: &[$(table_set(&[$($name),*])),*],
            signature: $signature,
        }),*];
    };
}

#[rustfmt::skip]
host_calls! {
    ArgsGet WASI_MODULE "args_get" "" [] "ii>i"
    ArgsSizesGet WASI_MODULE "args_sizes_get" "" [] "ii>i"
    EnvironGet WASI_MODULE "environ_get" "" [] "ii>i"
    EnvironSizesGet WASI_MODULE "environ_sizes_get" "" [] "ii>i"
    ClockResGet WASI_MODULE "clock_res_get" "" [["clock_getres"]] "ii>i"
    ClockTimeGet WASI_MODULE "clock_time_get" "" [["clock_gettime" "gettimeofday" "time"]] "iIi>i"
    FdAdvise WASI_MODULE "fd_advise" "" [["fadvise64"]] "iIIi>i"
    FdAllocate WASI_MODULE "fd_allocate" "" [["fallocate"]] "iII>i"
    FdClose WASI_MODULE "fd_close" "" [["close" "close_range"]] "i>i"
    FdDatasync WASI_MODULE "fd_datasync" "" [["fdatasync" "fsync"]] "i>i"
    FdFdstatGet WASI_MODULE "fd_fdstat_get" "" [] "ii>i"
    FdFdstatSetFlags WASI_MODULE "fd_fdstat_set_flags" "" [["fcntl"]] "ii>i"
    FdFdstatSetRights WASI_MODULE "fd_fdstat_set_rights" "" [] "iII>i"
    FdFilestatGet WASI_MODULE "fd_filestat_get" "" [["fstat" "newfstatat" "statx"]] "ii>i"
    FdFilestatSetSize WASI_MODULE "fd_filestat_set_size" "" [["ftruncate"]] "iI>i"
    FdFilestatSetTimes WASI_MODULE "fd_filestat_set_times" "" [["utimensat" "futimesat" "utimes" "utime"]] "iIIi>i"
    FdPread WASI_MODULE "fd_pread" "" [["pread64" "preadv" "preadv2"]] "iiiIi>i"
    FdPrestatGet WASI_MODULE "fd_prestat_get" "" [] "ii>i"
    FdPrestatDirName WASI_MODULE "fd_prestat_dir_name" "" [] "iii>i"
    FdPwrite WASI_MODULE "fd_pwrite" "" [["pwrite64" "pwritev" "pwritev2"]] "iiiIi>i"
    FdRead WASI_MODULE "fd_read" "" [["read" "readv"]] "iiii>i"
    FdReaddir WASI_MODULE "fd_readdir" "" [["getdents64" "getdents"]] "iiiIi>i"
    FdRenumber WASI_MODULE "fd_renumber" "" [["dup2" "dup3"]] "ii>i"
    FdSeek WASI_MODULE "fd_seek" "" [["lseek"]] "iIii>i"
    FdSync WASI_MODULE "fd_sync" "" [["fsync"]] "i>i"
    FdTell WASI_MODULE "fd_tell" "" [["lseek"]] "ii>i"
    FdWrite WASI_MODULE "fd_write" "" [["write" "writev"]] "iiii>i"
    PathCreateDirectory WASI_MODULE "path_create_directory" "" [["mkdirat" "mkdir"]] "iii>i"
    PathFilestatGet WASI_MODULE "path_filestat_get" "" [["newfstatat" "stat" "lstat" "statx"]] "iiiii>i"
    PathFilestatSetTimes WASI_MODULE "path_filestat_set_times" "" [["utimensat" "futimesat" "utimes" "utime"]] "iiiiIIi>i"
    PathLink WASI_MODULE "path_link" "" [["linkat" "link"]] "iiiiiii>i"
    PathOpen WASI_MODULE "path_open" "any" [["openat" "open" "openat2"]] "iiiiiIIii>i"
    PathOpenWrite WASI_MODULE "path_open" "write" [["openat" "open" "openat2"] ["creat" "write" "writev" "pwrite64" "pwritev" "pwritev2"]] "iiiiiIIii>i"
    PathOpenCreate WASI_MODULE "path_open" "create" [["openat" "open" "openat2"] ["creat" "mknod" "mknodat" "write" "writev" "pwrite64" "pwritev" "pwritev2"]] "iiiiiIIii>i"
    PathOpenTruncate WASI_MODULE "path_open" "truncate" [["openat" "open" "openat2"] ["creat" "truncate" "ftruncate" "write" "writev" "pwrite64" "pwritev" "pwritev2"]] "iiiiiIIii>i"
    PathReadlink WASI_MODULE "path_readlink" "" [["readlinkat" "readlink"]] "iiiiii>i"
    PathRemoveDirectory WASI_MODULE "path_remove_directory" "" [["rmdir" "unlinkat"]] "iii>i"
    PathRename WASI_MODULE "path_rename" "" [["renameat2" "renameat" "rename"]] "iiiiii>i"
    PathSymlink WASI_MODULE "path_symlink" "" [["symlinkat" "symlink"]] "iiiii>i"
    PathUnlinkFile WASI_MODULE "path_unlink_file" "" [["unlinkat" "unlink"]] "iii>i"
    PollClock WASI_MODULE "poll_oneoff" "clock" [["poll" "ppoll" "select" "pselect6" "epoll_wait" "epoll_pwait" "epoll_pwait2" "nanosleep" "clock_nanosleep"]] "iiii>i"
    PollFd WASI_MODULE "poll_oneoff" "descriptor" [["poll" "ppoll" "select" "pselect6" "epoll_wait" "epoll_pwait" "epoll_pwait2"]] "iiii>i"
    ProcExit WASI_MODULE "proc_exit" "" [] "i>"
    ProcRaise WASI_MODULE "proc_raise" "" [["tgkill" "tkill" "kill"]] "i>i"
    RandomGet WASI_MODULE "random_get" "" [["getrandom"]] "ii>i"
    SchedYield WASI_MODULE "sched_yield" "" [] ">i"
    SockAccept WASI_MODULE "sock_accept" "" [["accept4" "accept"]] "iii>i"
    SockRecv WASI_MODULE "sock_recv" "" [["recvfrom" "recvmsg" "recvmmsg"]] "iiiiii>i"
    SockSend WASI_MODULE "sock_send" "" [["sendto" "sendmsg" "sendmmsg"]] "iiiii>i"
    SockShutdown WASI_MODULE "sock_shutdown" "" [["shutdown"]] "ii>i"
    VkExec VKERNEL_MODULE "exec" "" [["execve" "execveat"]] "i>i"
    VkSpawn VKERNEL_MODULE "spawn" "" [["clone" "clone3" "fork" "vfork"] ["execve" "execveat"]] "ii>i"
    VkFork VKERNEL_MODULE "fork" "" [["clone" "clone3" "fork" "vfork"]] "ii>i"
    VkWait VKERNEL_MODULE "wait" "" [["wait4" "waitid"]] "iiii>i"
    VkKill VKERNEL_MODULE "kill" "" [["kill" "tkill" "tgkill"]] "ii>i"
    VkGetPid VKERNEL_MODULE "getpid" "" [["getpid"]] "i>i"
    VkGetPpid VKERNEL_MODULE "getppid" "" [["getppid"]] "i>i"
    VkGetPgid VKERNEL_MODULE "getpgid" "" [["getpgid" "getpgrp"]] "ii>i"
    VkSetPgid VKERNEL_MODULE "setpgid" "" [["setpgid"]] "ii>i"
    VkGetSid VKERNEL_MODULE "getsid" "" [["getsid"]] "ii>i"
    VkSetSid VKERNEL_MODULE "setsid" "" [["setsid"]] "i>i"
    VkPipe VKERNEL_MODULE "pipe" "" [["pipe2" "pipe"]] "ii>i"
    VkDup VKERNEL_MODULE "dup" "" [["dup" "fcntl"]] "ii>i"
    VkDup2 VKERNEL_MODULE "dup2" "" [["dup2" "dup3"]] "iii>i"
    VkFcntl VKERNEL_MODULE "fcntl" "" [["fcntl"]] "iiii>i"
    VkIsatty VKERNEL_MODULE "isatty" "" [["ioctl"]] "i>i"
    VkTcgetattr VKERNEL_MODULE "tcgetattr" "" [["ioctl"]] "ii>i"
    VkTcsetattr VKERNEL_MODULE "tcsetattr" "" [["ioctl"]] "iii>i"
    VkTcgetwinsize VKERNEL_MODULE "tcgetwinsize" "" [["ioctl"]] "ii>i"
    VkTcsetwinsize VKERNEL_MODULE "tcsetwinsize" "" [["ioctl"]] "ii>i"
    VkTcgetpgrp VKERNEL_MODULE "tcgetpgrp" "" [["ioctl"]] "ii>i"
    VkTcsetpgrp VKERNEL_MODULE "tcsetpgrp" "" [["ioctl"]] "ii>i"
    VkChdir VKERNEL_MODULE "chdir" "" [["chdir"]] "ii>i"
    VkFchdir VKERNEL_MODULE "fchdir" "" [["fchdir"]] "i>i"
    VkGetcwd VKERNEL_MODULE "getcwd" "" [["getcwd"]] "iii>i"
    VkUmask VKERNEL_MODULE "umask" "" [["umask"]] "ii>i"
    VkOpen VKERNEL_MODULE "open" "any" [["openat" "open" "openat2"]] "iiiiii>i"
    VkOpenWrite VKERNEL_MODULE "open" "write" [["openat" "open" "openat2"] ["creat" "write" "writev" "pwrite64" "pwritev" "pwritev2"]] "iiiiii>i"
    VkOpenCreate VKERNEL_MODULE "open" "create" [["openat" "open" "openat2"] ["creat" "mknod" "mknodat" "write" "writev" "pwrite64" "pwritev" "pwritev2"]] "iiiiii>i"
    VkOpenTruncate VKERNEL_MODULE "open" "truncate" [["openat" "open" "openat2"] ["creat" "truncate" "ftruncate" "write" "writev" "pwrite64" "pwritev" "pwritev2"]] "iiiiii>i"
    VkStat VKERNEL_MODULE "stat" "" [["newfstatat" "stat" "lstat" "statx"]] "iiiii>i"
    VkFstat VKERNEL_MODULE "fstat" "" [["fstat" "newfstatat" "statx"]] "ii>i"
    VkAccess VKERNEL_MODULE "access" "" [["faccessat2" "faccessat" "access"]] "iiiii>i"
    VkChmod VKERNEL_MODULE "chmod" "" [["fchmodat" "fchmodat2" "chmod"]] "iiiii>i"
    VkFchmod VKERNEL_MODULE "fchmod" "" [["fchmod"]] "ii>i"
    VkChown VKERNEL_MODULE "chown" "" [["fchownat" "chown" "lchown"]] "iiiiii>i"
    VkFchown VKERNEL_MODULE "fchown" "" [["fchown"]] "iii>i"
    VkStatfs VKERNEL_MODULE "statfs" "" [["statfs" "fstatfs"]] ""
    VkFlock VKERNEL_MODULE "flock" "" [["flock"]] ""
    VkMkdir VKERNEL_MODULE "mkdir" "" [["mkdirat" "mkdir"]] "iiii>i"
    VkMkfifo VKERNEL_MODULE "mkfifo" "" [["mknodat" "mknod"]] "iiii>i"
    VkSigaction VKERNEL_MODULE "sigaction" "" [["rt_sigaction"]] "iii>i"
    VkSigprocmask VKERNEL_MODULE "sigprocmask" "" [["rt_sigprocmask"]] "iIi>i"
    VkSigpending VKERNEL_MODULE "sigpending" "" [["rt_sigpending"]] "i>i"
    VkSigsuspend VKERNEL_MODULE "sigsuspend" "" [["rt_sigsuspend" "pause"]] "I>i"
    VkSetitimer VKERNEL_MODULE "setitimer" "" [["setitimer" "alarm"]] "IIi>i"
    VkSocket VKERNEL_MODULE "socket" "" [["socket"]] "iiii>i"
    VkSocketpair VKERNEL_MODULE "socketpair" "" [["socketpair"]] "iiii>i"
    VkBind VKERNEL_MODULE "bind" "" [["bind"]] "iii>i"
    VkAccept VKERNEL_MODULE "accept" "" [["accept4" "accept"]] "iiiii>i"
    VkListen VKERNEL_MODULE "listen" "" [["listen"]] "ii>i"
    VkConnect VKERNEL_MODULE "connect" "" [["connect"]] "iii>i"
    VkGetsockname VKERNEL_MODULE "getsockname" "" [["getsockname"]] "iii>i"
    VkGetpeername VKERNEL_MODULE "getpeername" "" [["getpeername"]] "iii>i"
    VkGetsockopt VKERNEL_MODULE "getsockopt" "" [["getsockopt"]] "iiiii>i"
    VkSetsockopt VKERNEL_MODULE "setsockopt" "" [["setsockopt"]] "iiiii>i"
    VkSendto VKERNEL_MODULE "sendto" "" [["sendto" "sendmsg" "sendmmsg"]] "iiiiiii>i"
    VkRecvfrom VKERNEL_MODULE "recvfrom" "" [["recvfrom" "recvmsg" "recvmmsg"]] "iiiiiii>i"
    VkGetuid VKERNEL_MODULE "getuid" "" [["getuid" "geteuid"]] "i>i"
    VkGetgid VKERNEL_MODULE "getgid" "" [["getgid" "getegid"]] "i>i"
    VkGetgroups VKERNEL_MODULE "getgroups" "" [["getgroups"]] ""
    VkGetrlimit VKERNEL_MODULE "getrlimit" "" [["prlimit64" "getrlimit"]] "ii>i"
    VkSetrlimit VKERNEL_MODULE "setrlimit" "" [["prlimit64" "setrlimit"]] "ii>i"
    VkGetrusage VKERNEL_MODULE "getrusage" "" [["getrusage" "times"]] "ii>i"
    VkUname VKERNEL_MODULE "uname" "" [["uname"]] "i>i"
}

impl HostCall {
    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The calls behind an import; `None` where neither import module has that function.
    pub fn from_import(module: &str, function: &str) -> Option<HostCallSet> {
        let calls: HostCallSet = Self::ALL
            .iter()
            .copied()
            .filter(|call| call.module() == module && call.function() == function)
            .collect();
        (!calls.is_empty()).then_some(calls)
    }

    /// The import module it belongs to.
    pub fn module(self) -> &'static str {
        self.row().module
    }

    /// The imported function's name.
    pub fn function(self) -> &'static str {
        self.row().function
    }

    /// The operation of that function, empty where the function has only one.
    pub fn operation(self) -> &'static str {
        self.row().operation
    }

    /// The names that permit it: at least one of each group must be granted. No group: always
    /// allowed.
    pub fn names(self) -> &'static [&'static [&'static str]] {
        self.row().names
    }

    /// [`HostCall::names`] as sets.
    pub(super) fn requirement(self) -> &'static [SyscallSet] {
        self.row().any_of
    }

    /// The preferred name of each group.
    pub(super) fn preferred(self) -> impl Iterator<Item = Syscall> {
        self.names().iter().map(|group| {
            Syscall::from_name(group[0]).expect("the table was checked when it was compiled")
        })
    }

    /// Its WebAssembly type: `i` and `I` for each i32 and i64 parameter, `>`, and the results.
    /// `None` for names of the `vkernel` module that are reserved: their types come with the
    /// version that provides them.
    pub fn signature(self) -> Option<&'static str> {
        Some(self.row().signature).filter(|signature| !signature.is_empty())
    }
}

impl fmt::Display for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation() {
            "" => f.write_str(self.function()),
            operation => write!(f, "{} ({operation})", self.function()),
        }
    }
}

impl fmt::Debug for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
