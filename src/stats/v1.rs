//! Counters of cgroup v1.

use std::path::Path;

use super::files::{self, Dir};
use super::{
    Blkio, BlkioEntry, Cpu, CpuUsage, Cpuset, Memory, MemoryEntry, Pids, Stats, Throttling,
};
use crate::sandbox::cgroup::CgroupPaths;

/// Nanoseconds in one of the ticks of `cpuacct.stat`: the kernel shows 100 in a second.
const TICK: u64 = 10_000_000;

pub fn read(cgroups: &CgroupPaths) -> Stats {
    let dir = |controller| Dir(directory(cgroups, controller));
    Stats {
        cpu: cpu(&dir("cpuacct"), &dir("cpu")),
        cpuset: cpuset(&dir("cpuset")),
        memory: memory(&dir("memory")),
        pids: pids(&dir("pids")),
        blkio: blkio(&dir("blkio")),
        ..Stats::default()
    }
}

pub fn out_of_memory(cgroups: &CgroupPaths) -> u64 {
    let control = Dir(directory(cgroups, "memory")).table("memory.oom_control");
    control.get("oom_kill").copied().unwrap_or(0)
}

fn directory<'a>(cgroups: &'a CgroupPaths, controller: &str) -> Option<&'a Path> {
    let has = |at: &&crate::sandbox::cgroup::V1Path| at.controllers.iter().any(|c| c == controller);
    cgroups.v1.iter().find(has).map(|at| at.path.as_path())
}

fn cpu(cpuacct: &Dir<'_>, cpu: &Dir<'_>) -> Cpu {
    let all = cpuacct.text("cpuacct.usage_all");
    // A header, then for each CPU its number, user and system time.
    let column = |at: usize| -> Vec<u64> {
        let value = |line: &str| line.split_whitespace().nth(at).map(files::number);
        all.lines().skip(1).filter_map(value).collect()
    };
    let split = cpuacct.table("cpuacct.stat");
    let ticks = |name: &str| split.get(name).copied().unwrap_or(0).saturating_mul(TICK);
    let percpu = cpuacct.text("cpuacct.usage_percpu");
    let throttled = cpu.table("cpu.stat");
    let count = |name: &str| throttled.get(name).copied().unwrap_or(0);
    Cpu {
        usage: CpuUsage {
            total: cpuacct.number("cpuacct.usage"),
            percpu: percpu.split_whitespace().map(files::number).collect(),
            percpu_user: column(1),
            percpu_kernel: column(2),
            kernel: ticks("system"),
            user: ticks("user"),
        },
        throttling: Throttling {
            periods: count("nr_periods"),
            throttled_periods: count("nr_throttled"),
            throttled_time: count("throttled_time"),
        },
    }
}

fn cpuset(dir: &Dir<'_>) -> Cpuset {
    let number = |name: &str| dir.number(&format!("cpuset.{name}"));
    let level = dir.text("cpuset.sched_relax_domain_level");
    Cpuset {
        cpus: files::list(&dir.text("cpuset.cpus")),
        cpu_exclusive: number("cpu_exclusive"),
        mems: files::list(&dir.text("cpuset.mems")),
        mem_hardwall: number("mem_hardwall"),
        mem_exclusive: number("mem_exclusive"),
        memory_migrate: number("memory_migrate"),
        memory_spread_page: number("memory_spread_page"),
        memory_spread_slab: number("memory_spread_slab"),
        memory_pressure: number("memory_pressure"),
        sched_load_balance: number("sched_load_balance"),
        sched_relax_domain_level: level.trim().parse().unwrap_or(0),
    }
}

fn memory(dir: &Dir<'_>) -> Memory {
    let entry = |prefix: &str| MemoryEntry {
        limit: dir.number(&format!("{prefix}.limit_in_bytes")),
        usage: dir.number(&format!("{prefix}.usage_in_bytes")),
        max: dir.number(&format!("{prefix}.max_usage_in_bytes")),
        failcnt: dir.number(&format!("{prefix}.failcnt")),
    };
    let raw = dir.table("memory.stat");
    Memory {
        cache: raw.get("cache").copied().unwrap_or(0),
        usage: entry("memory"),
        swap: entry("memory.memsw"),
        kernel: entry("memory.kmem"),
        kernel_tcp: entry("memory.kmem.tcp"),
        raw,
    }
}

fn pids(dir: &Dir<'_>) -> Pids {
    let limit = dir.text("pids.max");
    Pids {
        current: dir.number("pids.current"),
        // No limit is none, not the largest.
        limit: limit.trim().parse().unwrap_or(0),
    }
}

fn blkio(dir: &Dir<'_>) -> Blkio {
    Blkio {
        io_service_bytes_recursive: entries(&dir.text("blkio.throttle.io_service_bytes_recursive")),
        io_serviced_recursive: entries(&dir.text("blkio.throttle.io_serviced_recursive")),
    }
}

/// Lines of `major:minor operation value`; the last is a sum over all.
fn entries(text: &str) -> Vec<BlkioEntry> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        Some(BlkioEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op: words.next()?.to_owned(),
            value: words.next()?.parse().ok()?,
        })
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_devices_without_the_sum() {
        let found = entries("8:0 Read 5\n8:0 Write 7\nTotal 12\n");
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[1].major, found[1].op.as_str(), found[1].value),
            (8, "Write", 7)
        );
    }
}
