//! The second wall: what the process of a running container can never need, whatever config.json
//! allows it. A call of these kills the process: somebody has broken out of WebAssembly.
//!
//! Compiled code is mapped before the wall stands, and nothing is compiled behind it.

use oci_spec::runtime::LinuxSeccomp;
use serde_json::json;

use super::{Program, SeccompError, compile};

/// Calls with no use in the virtual kernel, by what they are for.
const NEVER: [&[&str]; 9] = [
    // Other programs and other processes' memory.
    &[
        "execve",
        "execveat",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "kcmp",
        "pidfd_getfd",
    ],
    // The file system's shape.
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
        "open_by_handle_at",
    ],
    // Other namespaces.
    &["setns", "unshare"],
    // Other users and rights.
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
    ],
    // Programs in the host's kernel, and doors to its inside.
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
        "lookup_dcookie",
        "fanotify_init",
        "syslog",
    ],
    // Its keys.
    &["keyctl", "add_key", "request_key"],
    // The machine.
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
    // Its clock.
    &["settimeofday", "clock_settime", "clock_adjtime", "adjtimex"],
    // What makes memory executable by the back door.
    &["personality", "modify_ldt", "remap_file_pages", "uselib"],
];

/// `PROT_EXEC` in the third argument of the calls that map memory.
const EXECUTABLE: u64 = 4;
/// `SHM_EXEC` of shmat.
const SHM_EXEC: u64 = 0o100_000;
/// Every `CLONE_NEW*` in the first argument of clone.
const NAMESPACES: u64 = 0x7e02_0080;
const ENOSYS: u32 = 38;

/// The wall, compiled. Always the same.
pub fn program() -> Result<Program, SeccompError> {
    compile(&profile())
}

fn profile() -> LinuxSeccomp {
    let kill = "SCMP_ACT_KILL_PROCESS";
    // The first rule whose conditions hold decides, so what is fine comes first.
    let without = |names: &[&str], index: u32, bits: u64| {
        let args =
            json!([{"index": index, "value": bits, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]);
        [
            json!({"names": names, "action": "SCMP_ACT_ALLOW", "args": args}),
            json!({"names": names, "action": kill}),
        ]
    };
    let mut rules = vec![
        json!({"names": NEVER.concat(), "action": kill}),
        // Its flags are in memory, where no filter sees them: the C library falls back to clone.
        json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS}),
    ];
    rules.extend(without(
        &["mmap", "mprotect", "pkey_mprotect"],
        2,
        EXECUTABLE,
    ));
    rules.extend(without(&["shmat"], 2, SHM_EXEC));
    rules.extend(without(&["clone"], 0, NAMESPACES));
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules});
    serde_json::from_value(profile).expect("a profile of ours is one of config.json's")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::load;

    /// What a process behind the wall comes to that makes one call: the signal that ends it, or
    /// none.
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

    #[test]
    fn each_call_beyond_it_kills_the_process() {
        let program = program().unwrap();
        for name in NEVER.concat() {
            let number: syscalls::Sysno = name.parse().unwrap_or_else(|_| panic!("{name}"));
            // Arguments that no call accepts: were it let through, it would only fail.
            let wrong = [u64::MAX; 6];
            let signal = behind(&program, number.id().into(), wrong);
            assert_eq!(signal, Some(libc::SIGSYS), "{name}");
        }
    }

    #[test]
    fn memory_is_never_executable_and_threads_have_no_namespaces() {
        let program = program().unwrap();
        let (map, protect) = (libc::SYS_mmap, libc::SYS_mprotect);
        let anonymous = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
        let mapped = |prot: i32| {
            let args = [0, 4096, prot as u64, anonymous, u64::MAX, 0];
            behind(&program, map, args)
        };
        assert_eq!(mapped(libc::PROT_READ | libc::PROT_WRITE), None);
        assert_eq!(
            mapped(libc::PROT_READ | libc::PROT_EXEC),
            Some(libc::SIGSYS)
        );
        for prot in [4, 5, 7] {
            let args = [0, 4096, prot, 0, 0, 0];
            assert_eq!(
                behind(&program, protect, args),
                Some(libc::SIGSYS),
                "{prot}"
            );
            assert_eq!(
                behind(&program, libc::SYS_pkey_mprotect, args),
                Some(libc::SIGSYS)
            );
        }
        assert_eq!(behind(&program, protect, [0, 0, 3, 0, 0, 0]), None);
        for flag in [
            libc::CLONE_NEWNS,
            libc::CLONE_NEWUSER,
            libc::CLONE_NEWPID,
            libc::CLONE_NEWNET,
            libc::CLONE_NEWIPC,
            libc::CLONE_NEWUTS,
            libc::CLONE_NEWCGROUP,
            0x80,
        ] {
            let args = [flag as u64, 0, 0, 0, 0, 0];
            assert_eq!(
                behind(&program, libc::SYS_clone, args),
                Some(libc::SIGSYS),
                "{flag:x}"
            );
        }
        assert_eq!(behind(&program, libc::SYS_clone3, [0; 6]), None);
        assert_eq!(
            behind(&program, libc::SYS_shmat, [0, 0, SHM_EXEC, 0, 0, 0]),
            Some(libc::SIGSYS)
        );
    }
}
