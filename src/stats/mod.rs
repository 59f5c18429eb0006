//! What a container uses, as `events` reports it: the document that runc writes
//! (`types/events.go` of its version 1.1), for cgroup v1 and v2.

mod files;
mod v1;
mod v2;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::sandbox::cgroup::CgroupPaths;
use crate::sandbox::cgroup::resources::Version;

/// The whole document.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    cpu: Cpu,
    cpuset: Cpuset,
    memory: Memory,
    pids: Pids,
    blkio: Blkio,
    hugetlb: BTreeMap<String, Hugetlb>,
    intel_rdt: Empty,
    // Engines count these in the network namespace themselves.
    network_interfaces: Option<Empty>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Empty {}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Cpu {
    usage: CpuUsage,
    throttling: Throttling,
}

/// Nanoseconds.
#[derive(Debug, Default, PartialEq, Serialize)]
struct CpuUsage {
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu_kernel: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu_user: Vec<u64>,
    kernel: u64,
    user: u64,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_periods: u64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    throttled_time: u64,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Cpuset {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cpus: Vec<u16>,
    cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mems: Vec<u16>,
    mem_hardwall: u64,
    mem_exclusive: u64,
    memory_migrate: u64,
    memory_spread_page: u64,
    memory_spread_slab: u64,
    memory_pressure: u64,
    sched_load_balance: u64,
    sched_relax_domain_level: i64,
}

/// Bytes.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Memory {
    #[serde(skip_serializing_if = "is_zero")]
    cache: u64,
    usage: MemoryEntry,
    swap: MemoryEntry,
    kernel: MemoryEntry,
    #[serde(rename = "kernelTCP")]
    kernel_tcp: MemoryEntry,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    raw: BTreeMap<String, u64>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct MemoryEntry {
    limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Pids {
    #[serde(skip_serializing_if = "is_zero")]
    current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    limit: u64,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Blkio {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_bytes_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_serviced_recursive: Vec<BlkioEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct BlkioEntry {
    major: u64,
    minor: u64,
    op: String,
    value: u64,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Hugetlb {
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What the container uses now. Counters that this host does not have are left at zero, as runc
/// leaves them.
pub fn read(cgroups: &CgroupPaths) -> Stats {
    match cgroups.version() {
        Version::V1 => v1::read(cgroups),
        Version::V2 => cgroups.v2.as_deref().map(v2::read).unwrap_or_default(),
    }
}

/// How many of its processes were killed for want of memory.
pub fn out_of_memory(cgroups: &CgroupPaths) -> u64 {
    match cgroups.version() {
        Version::V1 => v1::out_of_memory(cgroups),
        Version::V2 => cgroups.v2.as_deref().map_or(0, v2::out_of_memory),
    }
}
