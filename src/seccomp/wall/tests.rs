use serde_json::json;

use super::*;
use crate::seccomp::{compile_for_guests, load};

/// What a process behind the wall comes to that makes one call: the signal that ends it, or none.
fn behind(program: &Program, number: i64, args: [u64; 6]) -> Option<i32> {
    // SAFETY: the child makes only system calls until it ends: none of them takes a lock or
    // memory that another thread of this process may hold.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: constant arguments; and whatever the call does, it does to this child.
        unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            if load(program).is_err() {
                libc::_exit(99);
            }
            let [a, b, c, d, e, f] = args;
            libc::syscall(number, a, b, c, d, e, f);
            libc::_exit(0);
        }
    }
    let mut status = 0;
    // SAFETY: our own child, and a status that outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    match libc::WIFSIGNALED(status) {
        true => Some(libc::WTERMSIG(status)),
        false => {
            assert_eq!(libc::WEXITSTATUS(status), 0, "the wall could not be loaded");
            None
        }
    }
}

const KILLED: Option<i32> = Some(libc::SIGSYS);
/// Nobody's.
const PID: u32 = 4_000_000;

/// What somebody would try who has broken out, by kind. Their names are no part of the wall: what
/// is not in its table dies.
const TRIED: [(&str, &[&str]); 13] = [
    ("another program", &["execve", "execveat", "uselib"]),
    (
        "another process",
        &[
            "fork",
            "vfork",
            "kill",
            "tkill",
            "rt_sigqueueinfo",
            "pidfd_send_signal",
        ],
    ),
    (
        "another process's memory",
        &[
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "kcmp",
            "pidfd_open",
            "pidfd_getfd",
        ],
    ),
    (
        "the file system's shape",
        &[
            "mount",
            "umount2",
            "pivot_root",
            "chroot",
            "move_mount",
            "open_tree",
            "fsopen",
            "fsmount",
            "fsconfig",
            "fspick",
            "mount_setattr",
            "swapon",
            "swapoff",
            "name_to_handle_at",
            "open_by_handle_at",
            "mknod",
            "setxattr",
            "lsetxattr",
            "fsetxattr",
        ],
    ),
    ("other namespaces", &["setns", "unshare"]),
    (
        "other users and rights",
        &[
            "setuid",
            "setgid",
            "setreuid",
            "setregid",
            "setresuid",
            "setresgid",
            "setfsuid",
            "setfsgid",
            "setgroups",
            "capset",
            "setrlimit",
            "setpriority",
            "sched_setscheduler",
        ],
    ),
    (
        "programs in the host's kernel",
        &[
            "bpf",
            "perf_event_open",
            "userfaultfd",
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
            "init_module",
            "finit_module",
            "delete_module",
            "kexec_load",
            "kexec_file_load",
            "fanotify_init",
            "inotify_init1",
            "syslog",
        ],
    ),
    ("its keys", &["keyctl", "add_key", "request_key"]),
    (
        "the machine",
        &[
            "reboot",
            "iopl",
            "ioperm",
            "acct",
            "quotactl",
            "vhangup",
            "sethostname",
            "setdomainname",
        ],
    ),
    (
        "its clock",
        &["settimeofday", "clock_settime", "clock_adjtime", "adjtimex"],
    ),
    (
        "executable memory by the back door",
        &[
            "personality",
            "modify_ldt",
            "remap_file_pages",
            "pkey_mprotect",
            "pkey_alloc",
            "shmat",
        ],
    ),
    (
        "the host's kernel by rare doors",
        &[
            "msgget",
            "semget",
            "shmget",
            "mq_open",
            "vmsplice",
            "tee",
            "timer_create",
            "mbind",
            "move_pages",
            "migrate_pages",
            "landlock_create_ruleset",
            "process_madvise",
            "mlock",
            "io_setup",
            "epoll_create1",
            "sendmmsg",
            "recvmmsg",
            "getpmsg",
        ],
    ),
    ("a call that nobody knows", &["restart_syscall"]),
];

#[test]
fn each_call_beyond_it_kills_the_process() {
    let program = program(PID).unwrap();
    for (kind, names) in TRIED {
        for name in names {
            let number = match kind {
                "a call that nobody knows" => 1000,
                _ => name
                    .parse::<Sysno>()
                    .unwrap_or_else(|_| panic!("{name}"))
                    .id(),
            };
            // Arguments that no call accepts: were it let through, it would only fail.
            let signal = behind(&program, number.into(), [u64::MAX; 6]);
            assert_eq!(signal, KILLED, "{kind}: {name}");
        }
    }
}

#[test]
fn nothing_outside_the_table_is_let_through() {
    let policy = policy(PID);
    let table: Vec<u32> = CALLS.iter().flat_map(numbers).collect();
    for call in Sysno::iter() {
        let number = number(call);
        let known = table.contains(&number) || call == Sysno::tgkill || call == Sysno::clone3;
        let zero = policy.evaluate(number, &[0; 6]);
        assert_eq!(policy.decisions.contains_key(&number), known, "{call}");
        assert!(known || zero == KILL, "{call}");
    }
    // Every name is one of some architecture: a slip of the pen would be passed over.
    for name in CALLS.iter().flat_map(|call| call.names) {
        let known = syscalls::x86_64::Sysno::from_str(name).is_ok()
            || syscalls::aarch64::Sysno::from_str(name).is_ok();
        assert!(known, "{name}");
    }
}

#[test]
fn arguments_decide() {
    let program = program(PID).unwrap();
    let killed = |call: i64, args: [u64; 6]| behind(&program, call, args) == KILLED;
    let anonymous = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let (write, execute) = (3, libc::PROT_EXEC as u64);
    let none = u64::MAX;
    let call = |number: i64, args: &[u64]| {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        (number, all)
    };
    let fine = [
        call(libc::SYS_mmap, &[0, 4096, write, anonymous, none, 0]),
        call(libc::SYS_mprotect, &[0, 0, write]),
        // Answered as by a kernel that does not have it.
        call(libc::SYS_clone3, &[]),
        call(
            libc::SYS_socket,
            &[libc::AF_INET as u64, libc::SOCK_STREAM as u64],
        ),
        call(
            libc::SYS_socket,
            &[1, (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as u64],
        ),
        call(libc::SYS_ioctl, &[none, libc::TCGETS]),
        call(libc::SYS_fcntl, &[none, libc::F_GETFL as u64]),
        call(libc::SYS_mkdirat, &[none, 0, 0o777]),
        call(libc::SYS_fchmodat, &[none, 0, 0o1777]),
        call(libc::SYS_prlimit64, &[0, 3, 0, 0]),
        call(
            libc::SYS_setsockopt,
            &[none, 1, libc::SO_REUSEADDR as u64, 0, 0],
        ),
    ];
    for (number, args) in fine {
        assert!(!killed(number, args), "{number} {args:x?}");
    }
    let mut wrong = vec![
        call(libc::SYS_mmap, &[0, 4096, 1 | execute, anonymous, none, 0]),
        call(
            libc::SYS_mmap,
            &[0, 4096, write | execute, anonymous, none, 0],
        ),
        call(libc::SYS_mprotect, &[0, 0, execute]),
        call(libc::SYS_mprotect, &[0, 0, 1 | execute]),
        // Another process, and the thread of one that has a namespace more.
        call(libc::SYS_clone, &[libc::SIGCHLD as u64]),
        call(
            libc::SYS_clone,
            &[(libc::CLONE_VM | libc::CLONE_VFORK) as u64],
        ),
        call(
            libc::SYS_clone,
            &[calls::THREAD | libc::CLONE_NEWUSER as u64],
        ),
        call(libc::SYS_tgkill, &[1, 1, 9]),
        call(libc::SYS_ioctl, &[none, libc::TIOCSTI]),
        call(libc::SYS_ioctl, &[none, libc::TIOCSCTTY]),
        call(libc::SYS_ioctl, &[none, 0x5452]),
        call(libc::SYS_fcntl, &[none, libc::F_SETOWN as u64]),
        call(libc::SYS_fcntl, &[none, libc::F_SETLEASE as u64]),
        call(libc::SYS_fcntl, &[none, libc::F_NOTIFY as u64]),
        call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as u64, 1]),
        call(libc::SYS_prctl, &[libc::PR_SET_PDEATHSIG as u64, 9]),
        call(libc::SYS_prctl, &[libc::PR_SET_MM as u64]),
        call(libc::SYS_prlimit64, &[0, 3, 1, 0]),
        call(libc::SYS_prlimit64, &[1, 3, 0, 0]),
        call(libc::SYS_mkdirat, &[none, 0, 0o4777]),
        call(libc::SYS_fchmod, &[none, 0o2755]),
        call(libc::SYS_fchmodat, &[none, 0, 0o2777]),
        call(libc::SYS_mknodat, &[none, 0, u64::from(libc::S_IFBLK), 0]),
        call(
            libc::SYS_fallocate,
            &[none, libc::FALLOC_FL_PUNCH_HOLE as u64],
        ),
        call(
            libc::SYS_setsockopt,
            &[none, 1, libc::SO_ATTACH_FILTER as u64],
        ),
        call(libc::SYS_setsockopt, &[none, 0, 64]),
        call(libc::SYS_setsockopt, &[none, 6, libc::TCP_ULP as u64]),
        call(libc::SYS_seccomp, &[libc::SECCOMP_GET_NOTIF_SIZES as u64]),
    ];
    for family in [
        libc::AF_NETLINK,
        libc::AF_PACKET,
        libc::AF_ALG,
        libc::AF_VSOCK,
        libc::AF_XDP,
    ] {
        wrong.push(call(
            libc::SYS_socket,
            &[family as u64, libc::SOCK_DGRAM as u64],
        ));
    }
    wrong.push(call(
        libc::SYS_socket,
        &[libc::AF_INET as u64, libc::SOCK_RAW as u64],
    ));
    for (number, args) in wrong {
        assert!(killed(number, args), "{number} {args:x?}");
    }
    assert_eq!(
        super::policy(7).evaluate(number(Sysno::tgkill), &[7, 9, 1, 0, 0, 0]),
        libc::SECCOMP_RET_ALLOW
    );
}

#[test]
fn every_option_of_a_socket_that_guests_have_passes() {
    use vkernel::net::options::{gettable, settable};
    let policy = policy(PID);
    let passes = |call: Sysno, level: i32, name: i32| {
        let args = [3, level as u64, name as u64, 0, 0, 0];
        policy.evaluate(number(call), &args) == libc::SECCOMP_RET_ALLOW
    };
    let levels = [
        libc::SOL_SOCKET,
        libc::IPPROTO_IP,
        libc::IPPROTO_TCP,
        libc::IPPROTO_IPV6,
    ];
    let mut some = false;
    for (level, name) in levels
        .into_iter()
        .flat_map(|l| (0..256).map(move |n| (l, n)))
    {
        let (get, set) = (gettable(level, name).is_ok(), settable(level, name).is_ok());
        assert!(
            !get || passes(Sysno::getsockopt, level, name),
            "{level} {name}"
        );
        assert!(
            !set || passes(Sysno::setsockopt, level, name),
            "{level} {name}"
        );
        some |= set;
    }
    assert!(some);
}

/// config.json's profile with everything allowed but `entries`.
fn profile(default: &str, entries: serde_json::Value) -> oci_spec::runtime::LinuxSeccomp {
    let profile = json!({"defaultAction": default, "syscalls": entries});
    serde_json::from_value(profile).unwrap()
}

#[test]
fn a_profile_that_the_kernel_cannot_live_under_is_refused_by_name() {
    let deny = |name: &str, action: &str| {
        let entries = json!([{"names": [name], "action": action}]);
        let compiled = compile_for_guests(&profile("SCMP_ACT_ALLOW", entries));
        compiled.map(drop).map_err(|error| error.to_string())
    };
    for name in ["futex", "mmap", "signalfd4", "openat2"] {
        let error = deny(name, "SCMP_ACT_ERRNO").unwrap_err();
        assert!(error.contains(&format!("`{name}`")), "{error}");
    }
    // The libraries do without these, unless they are killed for them.
    for name in ["rseq", "mremap", "prctl"] {
        let fails = deny(name, "SCMP_ACT_ERRNO");
        // `prctl` is also how the death signal is taken back.
        assert_eq!(fails.is_ok(), name != "prctl", "{name}: {fails:?}");
        assert!(deny(name, "SCMP_ACT_KILL_PROCESS").is_err(), "{name}");
    }
    // Guests are told.
    for name in ["mkdirat", "socket"] {
        assert_eq!(deny(name, "SCMP_ACT_KILL_PROCESS"), Ok(()), "{name}");
    }
    // Denying everything names the first of all.
    let nothing = compile_for_guests(&profile("SCMP_ACT_ERRNO", json!([])));
    assert!(nothing.unwrap_err().to_string().contains("`mmap`"));
}

#[test]
fn what_features_lists_is_enough() {
    let (vital, spare) = needed();
    let entries = json!([
        {"names": vital, "action": "SCMP_ACT_ALLOW"},
        {"names": spare, "action": "SCMP_ACT_ERRNO"},
    ]);
    let text = profile("SCMP_ACT_KILL_PROCESS", entries);
    // `prctl` is in both: the first entry stands.
    compile_for_guests(&text).unwrap();
    let policy = Policy::from_profile(&text).unwrap();
    assert_eq!(policy.evaluate(number(Sysno::mkdirat), &[0; 6]), KILL);
}

#[test]
fn a_denied_clone3_is_one_that_does_not_exist() {
    // Else the C library would give up instead of using `clone`.
    let entries = json!([{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]);
    let mut policy = Policy::from_profile(&profile("SCMP_ACT_ALLOW", entries)).unwrap();
    fit(&mut policy).unwrap();
    assert_eq!(
        policy.evaluate(number(Sysno::clone3), &[0; 6]),
        NO_SUCH_CALL
    );
}

/// The wall is compiled ahead, for the hosts that most have.
#[cfg(target_arch = "x86_64")]
#[test]
fn what_is_compiled_ahead_is_the_table() {
    let whole = Program::from_policy(&policy(ANY_PID)).unwrap().to_bytes();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/seccomp/wall/x86_64.bpf");
    if std::env::var_os("UPDATE_WALL").is_some() {
        std::fs::write(path, &whole).unwrap();
    }
    assert!(
        std::fs::read(path).unwrap() == whole,
        "the table of calls has changed: run this test with UPDATE_WALL=1 to compile it anew"
    );
    for pid in [1, 7, u32::MAX >> 1] {
        let own = program(pid).unwrap();
        assert_eq!(own.instructions.len(), (whole.len() - 8) / 8);
        let said = |args| behind(&own, libc::SYS_tgkill, args);
        assert_eq!(said([pid.into(), 1, 15, 0, 0, 0]), None);
        for other in [pid ^ 1, ANY_PID, 0] {
            assert_eq!(said([other.into(), 1, 15, 0, 0, 0]), Some(libc::SIGSYS));
        }
    }
}
