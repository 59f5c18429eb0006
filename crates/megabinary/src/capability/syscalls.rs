//! Linux system call names and sets of them (`runtime-spec/capabilities.md`, "Names").

use std::cmp::Ordering;
use std::fmt;

/// Every name a manifest may use, in byte order: the system calls of Linux on x86-64, arm64 and
/// riscv64. Names that permit no host call (`mmap`, `brk`) are accepted, so that a list written for
/// seccomp can be used as it is.
#[rustfmt::skip]
pub const SYSCALL_NAMES: &[&str] = &[
    "_sysctl", "accept", "accept4", "access", "acct", "add_key", "adjtimex", "afs_syscall",
    "alarm", "arch_prctl", "bind", "bpf", "brk", "cachestat", "capget", "capset", "chdir", "chmod",
    "chown", "chroot", "clock_adjtime", "clock_getres", "clock_gettime", "clock_nanosleep",
    "clock_settime", "clone", "clone3", "close", "close_range", "connect", "copy_file_range",
    "creat", "create_module", "delete_module", "dup", "dup2", "dup3", "epoll_create",
    "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group",
    "faccessat", "faccessat2", "fadvise64", "fallocate", "fanotify_init", "fanotify_mark",
    "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat", "fcntl", "fdatasync",
    "fgetxattr", "file_getattr", "file_setattr", "finit_module", "flistxattr", "flock", "fork",
    "fremovexattr", "fsconfig", "fsetxattr", "fsmount", "fsopen", "fspick", "fstat", "fstatfs",
    "fsync", "ftruncate", "futex", "futex_requeue", "futex_wait", "futex_waitv", "futex_wake",
    "futimesat", "get_kernel_syms", "get_mempolicy", "get_robust_list", "get_thread_area",
    "getcpu", "getcwd", "getdents", "getdents64", "getegid", "geteuid", "getgid", "getgroups",
    "getitimer", "getpeername", "getpgid", "getpgrp", "getpid", "getpmsg", "getppid",
    "getpriority", "getrandom", "getresgid", "getresuid", "getrlimit", "getrusage", "getsid",
    "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "getxattr", "getxattrat",
    "init_module", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch",
    "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup", "io_submit",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "ioctl", "ioperm", "iopl",
    "ioprio_get", "ioprio_set", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "kill",
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "lchown",
    "lgetxattr", "link", "linkat", "listen", "listmount", "listxattr", "listxattrat",
    "llistxattr", "lookup_dcookie", "lremovexattr", "lseek", "lsetxattr", "lsm_get_self_attr",
    "lsm_list_modules", "lsm_set_self_attr", "lstat", "madvise", "map_shadow_stack", "mbind",
    "membarrier", "memfd_create", "memfd_secret", "migrate_pages", "mincore", "mkdir",
    "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "modify_ldt",
    "mount", "mount_setattr", "move_mount", "move_pages", "mprotect", "mq_getsetattr",
    "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", "mremap", "mseal",
    "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock", "munlockall", "munmap",
    "name_to_handle_at", "nanosleep", "newfstatat", "nfsservctl", "open", "open_by_handle_at",
    "open_tree", "open_tree_attr", "openat", "openat2", "pause", "perf_event_open", "personality",
    "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2", "pivot_root", "pkey_alloc",
    "pkey_free", "pkey_mprotect", "poll", "ppoll", "prctl", "pread64", "preadv", "preadv2",
    "prlimit64", "process_madvise", "process_mrelease", "process_vm_readv", "process_vm_writev",
    "pselect6", "ptrace", "putpmsg", "pwrite64", "pwritev", "pwritev2", "query_module",
    "quotactl", "quotactl_fd", "read", "readahead", "readlink", "readlinkat", "readv", "reboot",
    "recvfrom", "recvmmsg", "recvmsg", "remap_file_pages", "removexattr", "removexattrat",
    "rename", "renameat", "renameat2", "request_key", "restart_syscall", "riscv_flush_icache",
    "riscv_hwprobe", "rmdir", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
    "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
    "sched_getparam", "sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity",
    "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp",
    "security", "select", "semctl", "semget", "semop", "semtimedop", "sendfile", "sendmmsg",
    "sendmsg", "sendto", "set_mempolicy", "set_mempolicy_home_node", "set_robust_list",
    "set_thread_area", "set_tid_address", "setdomainname", "setfsgid", "setfsuid", "setgid",
    "setgroups", "sethostname", "setitimer", "setns", "setpgid", "setpriority", "setregid",
    "setresgid", "setresuid", "setreuid", "setrlimit", "setsid", "setsockopt", "settimeofday",
    "setuid", "setxattr", "setxattrat", "shmat", "shmctl", "shmdt", "shmget", "shutdown",
    "sigaltstack", "signalfd", "signalfd4", "socket", "socketpair", "splice", "stat",
    "statfs", "statmount", "statx", "swapoff", "swapon", "symlink", "symlinkat", "sync",
    "sync_file_range", "sync_file_range2", "syncfs", "sysfs", "sysinfo", "syslog", "tee",
    "tgkill", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
    "timer_settime", "timerfd_create", "timerfd_gettime", "timerfd_settime", "times", "tkill",
    "truncate", "tuxcall", "umask", "umount2", "uname", "unlink", "unlinkat", "unshare",
    "uselib", "userfaultfd", "ustat", "utime", "utimensat", "utimes", "vfork", "vhangup",
    "vmsplice", "vserver", "wait4", "waitid", "write", "writev",
];

const WORDS: usize = SYSCALL_NAMES.len().div_ceil(64);

/// A name Linux does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not the name of a Linux system call{}", self.hint())]
pub struct UnknownSyscall {
    found: String,
}

impl UnknownSyscall {
    fn hint(&self) -> String {
        let nearest = SYSCALL_NAMES
            .iter()
            .filter(|name| self.found.len() < 32 && distance(name, &self.found) <= 2)
            .min_by_key(|name| distance(name, &self.found));
        nearest.map_or_else(String::new, |name| format!(": did you mean `{name}`?"))
    }
}

/// Levenshtein distance of two short names.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// One Linux system call name: an index of [`SYSCALL_NAMES`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Syscall(u16);

impl Syscall {
    /// Finds a name; names are exact and lower case.
    pub fn from_name(name: &str) -> Result<Self, UnknownSyscall> {
        match SYSCALL_NAMES.binary_search(&name) {
            Ok(index) => Ok(Self(index as u16)),
            Err(_) => Err(UnknownSyscall {
                found: crate::names::excerpt(name),
            }),
        }
    }

    /// The name.
    pub fn name(self) -> &'static str {
        SYSCALL_NAMES[usize::from(self.0)]
    }
}

impl fmt::Display for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of Linux system call names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SyscallSet([u64; WORDS]);

impl SyscallSet {
    /// The set of no names.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// Reads a list of names; the first unknown one is the error.
    pub fn from_names<S: AsRef<str>>(
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self, UnknownSyscall> {
        let mut set = Self::EMPTY;
        for name in names {
            set.insert(Syscall::from_name(name.as_ref())?);
        }
        Ok(set)
    }

    /// Adds a name; false if it was there.
    pub fn insert(&mut self, syscall: Syscall) -> bool {
        let absent = !self.contains(syscall);
        self.0[usize::from(syscall.0 / 64)] |= 1 << (syscall.0 % 64);
        absent
    }

    /// Whether the name is in the set.
    pub fn contains(&self, syscall: Syscall) -> bool {
        self.0[usize::from(syscall.0 / 64)] >> (syscall.0 % 64) & 1 == 1
    }

    /// The names of either set.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(word, other)| *word |= other);
        self
    }

    /// The names of this set which `other` lacks.
    #[must_use]
    pub fn difference(mut self, other: Self) -> Self {
        self.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(word, other)| *word &= !other);
        self
    }

    /// Whether the sets share a name.
    pub fn intersects(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(other.0)
            .any(|(word, other)| word & other != 0)
    }

    /// Whether there is no name in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// How many names there are in it.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The names in byte order.
    pub fn iter(&self) -> impl Iterator<Item = Syscall> + '_ {
        (0..SYSCALL_NAMES.len() as u16)
            .map(Syscall)
            .filter(|syscall| self.contains(*syscall))
    }
}

/// The set of `names` at compile time; a name that is not in the table fails the build.
pub(super) const fn table_set(names: &[&str]) -> SyscallSet {
    let mut words = [0; WORDS];
    let mut i = 0;
    while i < names.len() {
        let index = table_index(names[i].as_bytes());
        words[index / 64] |= 1 << (index % 64);
        i += 1;
    }
    SyscallSet(words)
}

const fn table_index(name: &[u8]) -> usize {
    let (mut low, mut high) = (0, SYSCALL_NAMES.len());
    while low < high {
        let middle = (low + high) / 2;
        match compare(SYSCALL_NAMES[middle].as_bytes(), name) {
            Ordering::Equal => return middle,
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
        }
    }
    panic!("the capability table names a system call that SYSCALL_NAMES lacks")
}

/// `Ord` is not const yet.
const fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return if a[i] < b[i] {
                Ordering::Less
            } else {
                Ordering::Greater
            };
        }
        i += 1;
    }
    if a.len() == b.len() {
        Ordering::Equal
    } else if a.len() < b.len() {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

impl FromIterator<Syscall> for SyscallSet {
    fn from_iter<I: IntoIterator<Item = Syscall>>(syscalls: I) -> Self {
        let mut set = Self::EMPTY;
        for syscall in syscalls {
            set.insert(syscall);
        }
        set
    }
}

impl fmt::Debug for SyscallSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_search_finds_every_name() {
        assert!(SYSCALL_NAMES.is_sorted_by(|a, b| a < b));
        for name in SYSCALL_NAMES {
            assert_eq!(Syscall::from_name(name).map(Syscall::name), Ok(*name));
        }
    }

    #[test]
    fn unknown_names_are_refused_and_near_ones_suggested() {
        for name in ["", "READ", "read ", "fd_read", "sys_read", "opennat"] {
            assert!(Syscall::from_name(name).is_err(), "{name:?}");
        }
        let error = SyscallSet::from_names(["read", "opennat"]).expect_err("unknown");
        assert!(
            error.to_string().contains("did you mean `openat`?"),
            "{error}"
        );
    }

    #[test]
    fn sets_behave_as_sets() {
        let set = |names: &[&str]| SyscallSet::from_names(names).expect("known names");
        let (a, b) = (
            set(&["read", "writev", "accept"]),
            set(&["read", "_sysctl"]),
        );
        assert_eq!(a.union(b), set(&["read", "writev", "accept", "_sysctl"]));
        assert_eq!(a.difference(b), set(&["writev", "accept"]));
        assert_eq!(
            a.iter().map(Syscall::name).collect::<Vec<_>>(),
            ["accept", "read", "writev"]
        );
        assert_eq!((a.len(), SyscallSet::EMPTY.len()), (3, 0));
        assert!(SyscallSet::EMPTY.is_empty() && !a.is_empty());
    }
}
