use serde_json::json;

use super::*;

fn lines(resources: serde_json::Value, version: Version) -> Result<Vec<String>, String> {
    let resources: LinuxResources = serde_json::from_value(resources).unwrap();
    let writes = writes(&resources, version).map_err(|error| error.to_string())?;
    Ok(writes
        .iter()
        .map(|w| format!("{} {}={}", w.controller, w.file, w.value))
        .collect())
}

#[test]
fn the_same_limits_in_both_versions() {
    let resources = json!({
        "cpu": {"shares": 1024, "quota": 20000, "period": 50000, "cpus": "0-1", "mems": "0"},
        "memory": {"limit": 1000, "swap": 1500, "reservation": 500},
        "pids": {"limit": 64}
    });
    assert_eq!(
        lines(resources.clone(), Version::V1).unwrap(),
        [
            "cpu cpu.shares=1024",
            "cpu cpu.cfs_period_us=50000",
            "cpu cpu.cfs_quota_us=20000",
            "cpuset cpuset.cpus=0-1",
            "cpuset cpuset.mems=0",
            "memory memory.limit_in_bytes=1000",
            "memory memory.memsw.limit_in_bytes=1500",
            "memory memory.soft_limit_in_bytes=500",
            "pids pids.max=64",
        ]
    );
    assert_eq!(
        lines(resources, Version::V2).unwrap(),
        [
            "cpu cpu.weight=39",
            "cpu cpu.max=20000 50000",
            "cpuset cpuset.cpus=0-1",
            "cpuset cpuset.mems=0",
            "memory memory.max=1000",
            "memory memory.swap.max=500",
            "memory memory.low=500",
            "pids pids.max=64",
        ]
    );
}

#[test]
fn what_docker_writes_for_no_limit_is_no_limit() {
    let resources = json!({
        "memory": {"disableOOMKiller": false}, "cpu": {"shares": 0}, "blockIO": {"weight": 0}
    });
    for version in [Version::V1, Version::V2] {
        assert_eq!(lines(resources.clone(), version).unwrap(), [""; 0]);
    }
}

#[test]
fn unlimited_is_max_on_v2() {
    let resources = json!({
        "memory": {"limit": -1, "swap": -1}, "cpu": {"quota": -1}, "pids": {"limit": -1}
    });
    assert_eq!(
        lines(resources, Version::V2).unwrap(),
        [
            "cpu cpu.max=max 100000",
            "memory memory.max=max",
            "memory memory.swap.max=max",
            "pids pids.max=max"
        ]
    );
}

#[test]
fn weights_cover_the_whole_range() {
    assert_eq!(weight_of_shares(1), 1);
    assert_eq!(weight_of_shares(2), 1);
    assert_eq!(weight_of_shares(262_144), 10_000);
    assert_eq!(weight_of_shares(u64::MAX), 10_000);
}

#[test]
fn what_cannot_be_applied_is_refused_by_name() {
    for (resources, version, name) in [
        (
            json!({"memory": {"swappiness": 10}}),
            Version::V2,
            "memory.swappiness",
        ),
        (
            json!({"memory": {"disableOOMKiller": true}}),
            Version::V2,
            "memory.disableOOMKiller",
        ),
        (json!({"memory": {"swap": 10}}), Version::V2, "memory.swap"),
        (
            json!({"memory": {"limit": 11, "swap": 10}}),
            Version::V2,
            "memory.swap",
        ),
        (
            json!({"network": {"classID": 7}}),
            Version::V2,
            "network.classID",
        ),
        (
            json!({"rdma": {"mlx": {"hcaHandles": 1}}}),
            Version::V1,
            "rdma",
        ),
        (
            json!({"unified": {"memory.high": "1"}}),
            Version::V1,
            "unified",
        ),
        (json!({"unified": {"../x.y": "1"}}), Version::V2, "unified"),
        (
            json!({"unified": {"cgroup.procs": "1"}}),
            Version::V2,
            "unified",
        ),
        (
            json!({"hugepageLimits": [{"pageSize": "../2MB", "limit": 1}]}),
            Version::V1,
            "hugepageLimits",
        ),
    ] {
        let message = lines(resources, version).unwrap_err();
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn io_throttles_name_the_device() {
    let resources =
        json!({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 9}]}});
    assert_eq!(
        lines(resources.clone(), Version::V1).unwrap(),
        ["blkio blkio.throttle.read_bps_device=8:0 9"]
    );
    assert_eq!(
        lines(resources, Version::V2).unwrap(),
        ["io io.max=8:0 rbps=9"]
    );
}

#[test]
fn memory_alone_never_has_more_than_memory_and_swap() {
    let order = |limit: i64, both: Option<i64>| {
        let resources = json!({"memory": {"limit": limit, "swap": limit}});
        let resources = serde_json::from_value(resources).unwrap();
        let mut writes = writes(&resources, Version::V1).unwrap();
        order_memory(&mut writes, both);
        writes.into_iter().map(|w| w.file).collect::<Vec<_>>()
    };
    let memory_first = ["memory.limit_in_bytes", MEMORY_AND_SWAP];
    let both_first = [MEMORY_AND_SWAP, "memory.limit_in_bytes"];
    assert_eq!(order(1000, Some(2000)), memory_first);
    assert_eq!(order(1000, None), memory_first);
    assert_eq!(order(3000, Some(2000)), both_first);
    assert_eq!(order(-1, Some(2000)), both_first);
}

#[test]
fn memory_without_a_limit_has_none_with_swap_either_where_the_kernel_counts_it() {
    let writes = |limit: i64, both| {
        let limits = serde_json::from_value(json!({"memory": {"limit": limit}})).unwrap();
        let mut writes = writes(&limits, Version::V1).unwrap();
        order_memory(&mut writes, both);
        let line = |write: Write| format!("{}={}", write.file, write.value);
        writes.into_iter().map(line).collect::<Vec<_>>()
    };
    let alone = ["memory.limit_in_bytes=-1"];
    assert_eq!(writes(-1, None), alone);
    assert_eq!(writes(-1, Some(5))[0], format!("{MEMORY_AND_SWAP}=-1"));
    assert_eq!(writes(-1, Some(5))[1..], alone);
    assert_eq!(writes(1000, Some(2000)), ["memory.limit_in_bytes=1000"]);
}
