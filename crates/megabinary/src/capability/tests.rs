use super::*;

fn set(names: &[&str]) -> SyscallSet {
    SyscallSet::from_names(names).expect("known names")
}

#[test]
fn nothing_but_start_up_is_allowed_without_names() {
    let names: Vec<_> = always_allowed().iter().map(HostCall::function).collect();
    assert_eq!(
        names,
        [
            "args_get",
            "args_sizes_get",
            "environ_get",
            "environ_sizes_get",
            "fd_fdstat_get",
            "fd_fdstat_set_rights",
            "fd_prestat_get",
            "fd_prestat_dir_name",
            "proc_exit",
            "sched_yield",
        ]
    );
}

#[test]
fn every_preview_1_function_is_known_once() {
    let functions: std::collections::BTreeSet<_> = HostCall::ALL
        .iter()
        .filter(|call| call.module() == WASI_MODULE)
        .map(|call| call.function())
        .collect();
    assert_eq!(functions.len(), 46);
    assert!(HostCall::from_import(WASI_MODULE, "exec").is_none());
    assert!(HostCall::from_import("env", "fd_read").is_none());
    assert_eq!(
        HostCall::from_import(VKERNEL_MODULE, "exec"),
        Some(HostCallSet::of(HostCall::VkExec))
    );
}

#[test]
fn each_name_of_a_group_permits_and_every_group_is_needed() {
    assert!(permitted(&set(&["readv"])).contains(HostCall::FdRead));
    assert!(!permitted(&set(&["pread64"])).contains(HostCall::FdRead));
    assert!(!permitted(&set(&["clone"])).contains(HostCall::VkSpawn));
    assert!(!permitted(&set(&["execve"])).contains(HostCall::VkSpawn));
    assert!(permitted(&set(&["vfork", "execve"])).contains(HostCall::VkSpawn));
}

#[test]
fn an_open_that_changes_something_needs_more_than_an_open_name() {
    let read = permitted(&set(&["openat", "read"]));
    let write = permitted(&set(&["open", "write"]));
    let creat = permitted(&set(&["openat", "creat"]));
    let (fd_read, fd_write) = (1 << 1, 1 << 6);
    assert!(read.contains_all(path_open_needs(0, fd_read)));
    assert!(read.contains_all(path_open_needs(wasi::OFLAGS_DIRECTORY, u64::MAX)));
    // Without `fd_write` the descriptor is read-only, so these rights change nothing.
    assert!(read.contains_all(path_open_needs(0, 1 << 8 | 1 << 22)));
    for (oflags, rights) in [
        (0, fd_write),
        (wasi::OFLAGS_CREAT, fd_read),
        (wasi::OFLAGS_TRUNC, fd_read),
        (wasi::OFLAGS_CREAT | wasi::OFLAGS_DIRECTORY, fd_read),
        (wasi::OFLAGS_TRUNC | wasi::OFLAGS_CREAT, fd_write),
    ] {
        let needs = path_open_needs(oflags, rights);
        assert!(!read.contains_all(needs), "{oflags} {rights:x}");
        assert!(
            write.contains_all(needs) && creat.contains_all(needs),
            "{oflags} {rights:x}"
        );
    }
    let unopened = permitted(&set(&["creat", "write"]));
    assert!(!unopened.contains_all(path_open_needs(
        wasi::OFLAGS_CREAT | wasi::OFLAGS_TRUNC,
        fd_write
    )));
}

#[test]
fn a_sleep_needs_less_than_a_poll() {
    let sleep = permitted(&set(&["nanosleep"]));
    assert!(sleep.contains(HostCall::PollClock) && !sleep.contains(HostCall::PollFd));
    let poll = permitted(&set(&["poll"]));
    assert!(poll.contains(HostCall::PollClock) && poll.contains(HostCall::PollFd));
}

#[test]
fn what_an_import_needs_permits_all_its_operations_and_no_name_is_spare() {
    for call in HostCall::ALL {
        let calls = HostCall::from_import(call.module(), call.function()).expect("in the table");
        let names = needed(call.module(), call.function()).expect("in the table");
        assert!(permitted(&names).contains_all(calls), "{call}");
        for name in names.iter() {
            let fewer = names.difference([name].into_iter().collect());
            assert!(
                !permitted(&fewer).contains_all(calls),
                "{call} does not need {name}"
            );
        }
    }
    assert_eq!(
        needed(WASI_MODULE, "path_open"),
        Some(set(&["openat", "creat"]))
    );
    assert_eq!(needed(WASI_MODULE, "poll_oneoff"), Some(set(&["poll"])));
    assert_eq!(needed("env", "fd_read"), None);
}

#[test]
fn bitmaps_round_trip_and_drop_unknown_bits() {
    let some = permitted(&set(&["read", "openat"]));
    assert_eq!(HostCallSet::from_bits(some.bits()), some);
    assert_eq!(
        HostCallSet::from_bits(u128::MAX).iter().count(),
        HostCall::ALL.len()
    );
}

#[test]
fn types_are_written_with_i32_i64_and_one_arrow() {
    for call in HostCall::ALL {
        let signature = call.signature();
        assert!(
            signature.is_some() || call.module() == VKERNEL_MODULE,
            "{call}"
        );
        if let Some(signature) = signature {
            let (params, results) = signature.split_once('>').expect("an arrow");
            assert!(
                params
                    .bytes()
                    .chain(results.bytes())
                    .all(|b| b"iI".contains(&b)),
                "{call}"
            );
        }
    }
}
