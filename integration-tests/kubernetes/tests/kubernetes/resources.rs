//! Limits and use.

use integration_tests::engines::GUEST;
use k8s_cri::v1 as cri;
use kubernetes_tests::Pod;

#[test]
fn limits_are_set_changed_and_counted_against() {
    let pod = Pod::new();
    let container = pod.start_with(GUEST, &["sleep", "1000"], |config| {
        let linux = config.linux.as_mut().expect("every container here has it");
        linux.resources = Some(cri::LinuxContainerResources {
            memory_limit_in_bytes: 128 << 20,
            cpu_shares: 512,
            cpu_quota: 50_000,
            cpu_period: 100_000,
            ..Default::default()
        });
    });
    let limits = || {
        (
            container.cgroup("memory", "memory.limit_in_bytes"),
            container.cgroup("cpu", "cpu.shares"),
            container.cgroup("cpu", "cpu.cfs_quota_us"),
        )
    };
    let expected = |memory: u64, shares: &str, quota: &str| {
        (memory.to_string(), shares.to_owned(), quota.to_owned())
    };
    assert_eq!(limits(), expected(128 << 20, "512", "50000"));

    container
        .update(cri::LinuxContainerResources {
            memory_limit_in_bytes: 256 << 20,
            cpu_shares: 1024,
            cpu_quota: 20_000,
            cpu_period: 100_000,
            ..Default::default()
        })
        .unwrap();
    assert_eq!(limits(), expected(256 << 20, "1024", "20000"));

    let stats = container.stats();
    let cpu = stats.cpu.and_then(|cpu| cpu.usage_core_nano_seconds);
    assert!(cpu.is_some_and(|used| used.value > 0), "no CPU time");
    let memory = stats.memory.and_then(|memory| memory.working_set_bytes);
    let memory = memory.expect("memory in use").value;
    assert!((1..256 << 20).contains(&memory), "{memory}");
}
