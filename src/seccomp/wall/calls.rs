//! The system calls that the virtual kernel's process makes once its container is built, and for
//! what. A call that is not here, or whose arguments no rule describes, kills the process: somebody
//! has broken out of WebAssembly.
//!
//! Whoever makes a host call that needs another system call adds it here, with the narrowest
//! arguments that serve. In a test the host's log names the call that was missing:
//! `dmesg | grep type=1326`.

use crate::seccomp::policy::{Condition, Op};

/// What a call is for, and so what becomes of it where config.json's profile denies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// The kernel cannot go on without it: create refuses a profile that denies it.
    Kernel,
    /// The kernel's libraries do without it when it fails, but it must not be the end of all
    /// guests: create refuses a profile that kills for it.
    Libraries,
    /// Made on behalf of guests: what the profile answers, they are told.
    Guests,
}

/// Conditions that hold together.
pub type Arguments = &'static [Condition];

/// One line of the table.
#[derive(Debug)]
pub struct Call {
    /// The system calls, by name. Those of other architectures are passed over.
    pub names: &'static [&'static str],
    /// What they are for.
    pub purpose: For,
    /// The arguments they may have, as alternatives; none for any.
    pub arguments: &'static [Arguments],
}

const fn any(purpose: For, names: &'static [&'static str]) -> Call {
    with(purpose, names, &[])
}

const fn with(
    purpose: For,
    names: &'static [&'static str],
    arguments: &'static [Arguments],
) -> Call {
    Call {
        names,
        purpose,
        arguments,
    }
}

const fn is(index: u8, value: u64) -> Condition {
    let op = Op::Eq;
    Condition { index, op, value }
}

const fn at_most(index: u8, value: u64) -> Condition {
    let op = Op::Le;
    Condition { index, op, value }
}

const fn at_least(index: u8, value: u64) -> Condition {
    let op = Op::Ge;
    Condition { index, op, value }
}

/// None of `bits` is set.
const fn without(index: u8, bits: u64) -> Condition {
    let (op, value) = (Op::MaskedEq(bits), 0);
    Condition { index, op, value }
}

/// Of `mask`'s bits exactly those of `value` are set.
const fn masked(index: u8, mask: u64, value: u64) -> Condition {
    let op = Op::MaskedEq(mask);
    Condition { index, op, value }
}

/// What the C library gives a thread: everything of the process, no namespace, no signal to a
/// parent. Nothing else is ever cloned, so there is never another process.
pub const THREAD: u64 = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID) as u64;

const EXECUTABLE: u64 = libc::PROT_EXEC as u64;
/// Set-user-id, set-group-id and sticky: nothing is made with them.
const SPECIAL_MODE: u64 = 0o7000;
/// Set-user-id and set-group-id: nothing gets them later either.
const SET_ID: u64 = 0o6000;
/// Answers an `ioctl` writes back carry the size; this is `PAGEMAP_SCAN` of a 96 byte argument.
const PAGEMAP_SCAN: u64 = 0xc060_6610;
/// The kind of a socket, without the flags that come with it.
const SOCKET_KIND: u64 = 0xf;

const fn family(family: i32, kind: i32) -> [Condition; 2] {
    [is(0, family as u64), masked(1, SOCKET_KIND, kind as u64)]
}

const SOCKETS: &[Arguments] = &[
    &family(libc::AF_UNIX, libc::SOCK_STREAM),
    &family(libc::AF_UNIX, libc::SOCK_DGRAM),
    &family(libc::AF_UNIX, libc::SOCK_SEQPACKET),
    &family(libc::AF_INET, libc::SOCK_STREAM),
    &family(libc::AF_INET, libc::SOCK_DGRAM),
    &family(libc::AF_INET6, libc::SOCK_STREAM),
    &family(libc::AF_INET6, libc::SOCK_DGRAM),
];

/// Levels and names of socket options: the ordinary ones, no filters, marks, key material or
/// protocol modules.
const SOCKET_OPTIONS: &[Arguments] = &[
    &[is(1, libc::SOL_SOCKET as u64), at_most(2, 21)],
    &[
        is(1, libc::SOL_SOCKET as u64),
        is(2, libc::SO_ACCEPTCONN as u64),
    ],
    &[
        is(1, libc::SOL_SOCKET as u64),
        is(2, libc::SO_PROTOCOL as u64),
    ],
    &[
        is(1, libc::SOL_SOCKET as u64),
        is(2, libc::SO_DOMAIN as u64),
    ],
    &[
        is(1, libc::IPPROTO_TCP as u64),
        at_most(2, libc::TCP_QUICKACK as u64),
    ],
    &[
        is(1, libc::IPPROTO_TCP as u64),
        is(2, libc::TCP_USER_TIMEOUT as u64),
    ],
    &[
        is(1, libc::IPPROTO_TCP as u64),
        is(2, libc::TCP_FASTOPEN as u64),
    ],
    &[
        is(1, libc::IPPROTO_IP as u64),
        at_most(2, libc::IP_TTL as u64),
    ],
    &[
        is(1, libc::IPPROTO_IP as u64),
        is(2, libc::IP_MTU_DISCOVER as u64),
    ],
    &[
        is(1, libc::IPPROTO_IP as u64),
        at_least(2, libc::IP_MULTICAST_IF as u64),
        at_most(2, libc::IP_DROP_MEMBERSHIP as u64),
    ],
    &[
        is(1, libc::IPPROTO_IPV6 as u64),
        at_least(2, libc::IPV6_UNICAST_HOPS as u64),
        at_most(2, libc::IPV6_V6ONLY as u64),
    ],
    &[
        is(1, libc::IPPROTO_IPV6 as u64),
        is(2, libc::IPV6_TCLASS as u64),
    ],
];

/// The whole table.
pub const CALLS: &[Call] = &[
    // Memory. Never executable: compiled code was mapped before the wall stood.
    with(For::Kernel, &["mmap"], &[&[without(2, EXECUTABLE)]]),
    with(For::Kernel, &["mprotect"], &[&[without(2, EXECUTABLE)]]),
    any(For::Kernel, &["munmap", "madvise"]),
    any(For::Libraries, &["brk", "mremap"]),
    // Threads, of this process alone.
    with(For::Kernel, &["clone"], &[&[is(0, THREAD)]]),
    any(
        For::Kernel,
        &["futex", "exit", "exit_group", "gettid", "getpid"],
    ),
    any(
        For::Libraries,
        &[
            "set_robust_list",
            "rseq",
            "sched_yield",
            "sched_getaffinity",
            "membarrier",
        ],
    ),
    with(
        For::Libraries,
        &["prctl"],
        &[&[is(0, libc::PR_SET_NAME as u64)], &[is(0, PR_SET_VMA)]],
    ),
    // Reading limits, the process's own: none is ever set again.
    with(For::Libraries, &["prlimit64"], &[&[is(0, 0), is(2, 0)]]),
    any(For::Libraries, &["getrlimit"]),
    // The end of the creation: the death signal is taken back, and config.json's filter comes on
    // top. Either can only take more away.
    with(
        For::Kernel,
        &["prctl"],
        &[&[is(0, libc::PR_SET_PDEATHSIG as u64), is(1, 0)]],
    ),
    with(
        For::Libraries,
        &["seccomp"],
        &[&[is(0, libc::SECCOMP_SET_MODE_FILTER as u64)]],
    ),
    // Signals. `tgkill` reaches threads of this process only: see `policy`.
    any(
        For::Kernel,
        &[
            "rt_sigaction",
            "rt_sigprocmask",
            "rt_sigreturn",
            "sigaltstack",
            "signalfd4",
        ],
    ),
    any(For::Kernel, &["restart_syscall"]),
    // A sandbox reaps what its pod leaves.
    any(For::Kernel, &["wait4"]),
    // Time and chance.
    any(
        For::Kernel,
        &["clock_gettime", "clock_nanosleep", "nanosleep", "getrandom"],
    ),
    any(
        For::Libraries,
        &["clock_getres", "gettimeofday", "time", "getcpu"],
    ),
    // Descriptors.
    any(
        For::Kernel,
        &[
            "read",
            "write",
            "close",
            "poll",
            "ppoll",
            "eventfd2",
            "lseek",
            "fstat",
            "newfstatat",
            "openat",
            "memfd_create",
        ],
    ),
    any(
        For::Guests,
        &[
            "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "pipe2", "dup", "dup3",
        ],
    ),
    with(
        For::Kernel,
        &["fcntl"],
        &[
            &[is(1, libc::F_DUPFD_CLOEXEC as u64)],
            &[is(1, libc::F_GETFD as u64)],
            &[is(1, libc::F_SETFD as u64)],
            &[is(1, libc::F_GETFL as u64)],
            &[is(1, libc::F_SETFL as u64)],
            &[is(1, libc::F_ADD_SEALS as u64)],
            &[is(1, libc::F_GET_SEALS as u64)],
        ],
    ),
    // Locks of files, where guests have them.
    with(
        For::Guests,
        &["fcntl"],
        &[
            &[
                at_least(1, libc::F_GETLK as u64),
                at_most(1, libc::F_SETLKW as u64),
            ],
            &[
                at_least(1, libc::F_OFD_GETLK as u64),
                at_most(1, libc::F_OFD_SETLKW as u64),
            ],
        ],
    ),
    any(For::Guests, &["flock"]),
    // Terminals, how much waits in a pipe, and the page map. No other request is made.
    with(
        For::Guests,
        &["ioctl"],
        &[
            &[at_least(1, libc::TCGETS), at_most(1, libc::TCSETSF)],
            // The same with speeds (TCGETS2 to TCSETSF2).
            &[is(1, 0x802c_542a)],
            &[at_least(1, 0x402c_542b), at_most(1, 0x402c_542d)],
            &[is(1, libc::TIOCGWINSZ)],
            &[is(1, libc::TIOCSWINSZ)],
            &[is(1, libc::FIONREAD)],
            &[is(1, libc::FIONBIO)],
            &[is(1, PAGEMAP_SCAN)],
        ],
    ),
    // Files: looked up, read, changed.
    any(
        For::Kernel,
        &["openat2", "readlinkat", "getdents64", "fstatfs"],
    ),
    any(
        For::Guests,
        &[
            "statx",
            "statfs",
            "faccessat",
            "faccessat2",
            "fsync",
            "fdatasync",
            "sync_file_range",
            "fadvise64",
            "ftruncate",
            "utimensat",
            "unlinkat",
            "renameat",
            "linkat",
            "symlinkat",
            "fchown",
            "fchownat",
            "copy_file_range",
            "sendfile",
            "splice",
        ],
    ),
    with(
        For::Guests,
        &["renameat2"],
        &[&[at_most(4, libc::RENAME_EXCHANGE as u64)]],
    ),
    with(For::Guests, &["fallocate"], &[&[is(1, 0)]]),
    with(For::Guests, &["mkdirat"], &[&[without(2, SPECIAL_MODE)]]),
    with(
        For::Guests,
        &["fchmodat", "fchmodat2"],
        &[&[without(2, SET_ID)]],
    ),
    with(For::Guests, &["fchmod"], &[&[without(1, SET_ID)]]),
    with(
        For::Guests,
        &["mknodat"],
        &[&[masked(
            2,
            libc::S_IFMT as u64 | SPECIAL_MODE,
            libc::S_IFIFO as u64,
        )]],
    ),
    // Sockets.
    with(For::Guests, &["socket", "socketpair"], SOCKETS),
    with(For::Guests, &["setsockopt", "getsockopt"], SOCKET_OPTIONS),
    any(
        For::Guests,
        &[
            "connect",
            "bind",
            "listen",
            "accept",
            "accept4",
            "shutdown",
            "getsockname",
            "getpeername",
            "sendto",
            "sendmsg",
            "recvfrom",
            "recvmsg",
        ],
    ),
    // Who the process is, and what it has used. Nothing of it can be changed.
    any(
        For::Kernel,
        &["getuid", "geteuid", "getgid", "getegid", "umask"],
    ),
    any(
        For::Libraries,
        &[
            "getgroups",
            "getppid",
            "getrusage",
            "times",
            "uname",
            "sysinfo",
            "getcwd",
            "readlink",
            "open",
            "stat",
            "lstat",
            "access",
        ],
    ),
];

/// Names a mapping, where the C library is told to.
const PR_SET_VMA: u64 = 0x5356_4d41;
