//! From config.json's `linux.resources` to the files to write, for v1 and for v2. Pure.

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

use super::CgroupError;

/// One value for one file of a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The controller whose directory has the file; on v2, what must be enabled.
    pub controller: &'static str,
    /// The file's name.
    pub file: String,
    /// What to write.
    pub value: String,
    /// The field of `linux.resources` that asks for it.
    pub field: &'static str,
}

/// Which interface the writes are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy for each controller.
    V1,
    /// The unified hierarchy.
    V2,
}

/// The writes that apply `resources`, in order. Zero means "not set" where engines write it so.
/// Device rules are [`super::devices`]'s.
pub fn writes(resources: &LinuxResources, version: Version) -> Result<Vec<Write>, CgroupError> {
    let mut out = Vec::new();
    if let Some(cpu) = resources.cpu() {
        match version {
            Version::V1 => cpu_v1(cpu, &mut out),
            Version::V2 => cpu_v2(cpu, &mut out)?,
        }
        let sets = [
            ("cpuset.cpus", cpu.cpus(), "cpu.cpus"),
            ("cpuset.mems", cpu.mems(), "cpu.mems"),
        ];
        for (file, value, field) in sets {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                push(&mut out, "cpuset", file, value, field);
            }
        }
    }
    if let Some(memory) = resources.memory() {
        match version {
            Version::V1 => memory_v1(memory, &mut out),
            Version::V2 => memory_v2(memory, &mut out)?,
        }
    }
    if let Some(pids) = resources.pids() {
        match pids.limit() {
            0 => {}
            limit if limit < 0 => push(&mut out, "pids", "pids.max", "max", "pids.limit"),
            limit => push(&mut out, "pids", "pids.max", limit, "pids.limit"),
        }
    }
    if let Some(block_io) = resources.block_io() {
        self::block_io(block_io, version, &mut out)?;
    }
    for page in resources.hugepage_limits().iter().flatten() {
        let size = page.page_size();
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(unsupported(
                "hugepageLimits",
                format!("`{size}` is not a page size"),
            ));
        }
        let suffix = if version == Version::V1 {
            "limit_in_bytes"
        } else {
            "max"
        };
        let file = format!("hugetlb.{size}.{suffix}");
        push(&mut out, "hugetlb", &file, page.limit(), "hugepageLimits");
    }
    if let Some(network) = resources.network() {
        if let Some(class) = network.class_id().filter(|class| *class != 0) {
            v1_only(version, "network.classID")?;
            push(
                &mut out,
                "net_cls",
                "net_cls.classid",
                class,
                "network.classID",
            );
        }
        for priority in network.priorities().iter().flatten() {
            v1_only(version, "network.priorities")?;
            let value = format!("{} {}", priority.name(), priority.priority());
            push(
                &mut out,
                "net_prio",
                "net_prio.ifpriomap",
                value,
                "network.priorities",
            );
        }
    }
    if resources
        .rdma()
        .as_ref()
        .is_some_and(|rdma| !rdma.is_empty())
    {
        return Err(unsupported(
            "rdma",
            "RDMA limits are not supported; remove the field",
        ));
    }
    let unified = resources
        .unified()
        .as_ref()
        .filter(|unified| !unified.is_empty());
    for (file, value) in unified.into_iter().flatten() {
        if version == Version::V1 {
            let reason = "invalid configuration: needs a host with cgroup v2 only";
            return Err(unsupported("unified", reason));
        }
        if file.contains('/') || !file.contains('.') || file.starts_with("cgroup.") {
            return Err(unsupported(
                "unified",
                format!("`{file}` is not a controller's file"),
            ));
        }
        push(&mut out, "", file, value, "unified");
    }
    Ok(out)
}

fn push(
    out: &mut Vec<Write>,
    controller: &'static str,
    file: &str,
    value: impl ToString,
    field: &'static str,
) {
    out.push(Write {
        controller,
        file: file.to_owned(),
        value: value.to_string(),
        field,
    });
}

fn unsupported(field: &str, reason: impl Into<String>) -> CgroupError {
    CgroupError::Unsupported {
        field: field.to_owned(),
        reason: reason.into(),
    }
}

fn v1_only(version: Version, field: &str) -> Result<(), CgroupError> {
    match version {
        Version::V1 => Ok(()),
        Version::V2 => Err(unsupported(
            field,
            "exists only with cgroup v1; remove the field",
        )),
    }
}

/// v1's period of the CPU quota.
pub const CPU_PERIOD: &str = "cpu.cfs_period_us";
/// v1's quota.
pub const CPU_QUOTA: &str = "cpu.cfs_quota_us";

fn cpu_v1(cpu: &LinuxCpu, out: &mut Vec<Write>) {
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        push(out, "cpu", "cpu.shares", shares, "cpu.shares");
    }
    if let Some(period) = cpu.period().filter(|period| *period != 0) {
        push(out, "cpu", CPU_PERIOD, period, "cpu.period");
    }
    if let Some(quota) = cpu.quota().filter(|quota| *quota != 0) {
        push(out, "cpu", CPU_QUOTA, quota, "cpu.quota");
    }
    if let Some(burst) = cpu.burst() {
        push(out, "cpu", "cpu.cfs_burst_us", burst, "cpu.burst");
    }
    if let Some(period) = cpu.realtime_period().filter(|period| *period != 0) {
        push(out, "cpu", "cpu.rt_period_us", period, "cpu.realtimePeriod");
    }
    if let Some(runtime) = cpu.realtime_runtime().filter(|runtime| *runtime != 0) {
        push(
            out,
            "cpu",
            "cpu.rt_runtime_us",
            runtime,
            "cpu.realtimeRuntime",
        );
    }
    if let Some(idle) = cpu.idle() {
        push(out, "cpu", "cpu.idle", idle, "cpu.idle");
    }
}

fn cpu_v2(cpu: &LinuxCpu, out: &mut Vec<Write>) -> Result<(), CgroupError> {
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        push(
            out,
            "cpu",
            "cpu.weight",
            weight_of_shares(shares),
            "cpu.shares",
        );
    }
    let quota = cpu.quota().filter(|quota| *quota != 0);
    let period = cpu.period().filter(|period| *period != 0);
    if quota.is_some() || period.is_some() {
        let quota = quota
            .filter(|quota| *quota > 0)
            .map_or("max".to_owned(), |q| q.to_string());
        let value = format!("{quota} {}", period.unwrap_or(100_000));
        push(out, "cpu", "cpu.max", value, "cpu.quota");
    }
    if let Some(burst) = cpu.burst() {
        push(out, "cpu", "cpu.max.burst", burst, "cpu.burst");
    }
    if let Some(idle) = cpu.idle() {
        push(out, "cpu", "cpu.idle", idle, "cpu.idle");
    }
    if cpu.realtime_period().is_some_and(|period| period != 0)
        || cpu.realtime_runtime().is_some_and(|runtime| runtime != 0)
    {
        v1_only(Version::V2, "cpu.realtimeRuntime")?;
    }
    Ok(())
}

/// v1's 2..=262144 onto v2's 1..=10000, as every runtime maps them.
fn weight_of_shares(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

/// v1's limit on memory and swap together.
pub const MEMORY_AND_SWAP: &str = "memory.memsw.limit_in_bytes";

/// Puts the limit on memory and swap together before that on memory, where the latter would not fit
/// under the former as it is now: at every moment memory alone may not have more. `both` is the
/// former, where the kernel has it.
pub fn order_memory(writes: &mut Vec<Write>, both: Option<i64>) {
    let at = |file: &str| writes.iter().position(|write| write.file == file);
    let Some(memory) = at("memory.limit_in_bytes") else {
        return;
    };
    let limit: i64 = writes[memory].value.parse().unwrap_or(i64::MAX);
    let Some(swap) = at(MEMORY_AND_SWAP) else {
        if limit < 0 && both.is_some() {
            // Then neither has one, as runc has it.
            let both = Write {
                file: MEMORY_AND_SWAP.to_owned(),
                ..writes[memory].clone()
            };
            writes.insert(memory, both);
        }
        return;
    };
    // -1 is no limit.
    if both.is_some_and(|both| limit < 0 || limit > both) && memory < swap {
        writes.swap(memory, swap);
    }
}

fn memory_v1(memory: &LinuxMemory, out: &mut Vec<Write>) {
    let set = |value: Option<i64>| value.filter(|value| *value != 0);
    if let Some(limit) = set(memory.limit()) {
        push(
            out,
            "memory",
            "memory.limit_in_bytes",
            limit,
            "memory.limit",
        );
    }
    // After the limit: memory and swap together may not be less than memory alone.
    if let Some(swap) = set(memory.swap()) {
        push(out, "memory", MEMORY_AND_SWAP, swap, "memory.swap");
    }
    if let Some(reservation) = set(memory.reservation()) {
        push(
            out,
            "memory",
            "memory.soft_limit_in_bytes",
            reservation,
            "memory.reservation",
        );
    }
    #[allow(deprecated)]
    if let Some(kernel) = set(memory.kernel()) {
        push(
            out,
            "memory",
            "memory.kmem.limit_in_bytes",
            kernel,
            "memory.kernel",
        );
    }
    if let Some(tcp) = set(memory.kernel_tcp()) {
        push(
            out,
            "memory",
            "memory.kmem.tcp.limit_in_bytes",
            tcp,
            "memory.kernelTCP",
        );
    }
    if let Some(swappiness) = memory.swappiness() {
        push(
            out,
            "memory",
            "memory.swappiness",
            swappiness,
            "memory.swappiness",
        );
    }
    if memory.disable_oom_killer() == Some(true) {
        push(
            out,
            "memory",
            "memory.oom_control",
            1,
            "memory.disableOOMKiller",
        );
    }
}

fn memory_v2(memory: &LinuxMemory, out: &mut Vec<Write>) -> Result<(), CgroupError> {
    let set = |value: Option<i64>| value.filter(|value| *value != 0);
    let or_max = |value: i64| {
        if value < 0 {
            "max".to_owned()
        } else {
            value.to_string()
        }
    };
    let limit = set(memory.limit());
    if let Some(limit) = limit {
        push(out, "memory", "memory.max", or_max(limit), "memory.limit");
    }
    if let Some(swap) = set(memory.swap()) {
        // v1 counts memory and swap together, v2 swap alone.
        let alone = match limit {
            _ if swap < 0 => swap,
            Some(limit) if limit > 0 && swap >= limit => swap - limit,
            _ => {
                let reason = "must not be less than memory.limit, which must be set with it";
                return Err(unsupported("memory.swap", reason));
            }
        };
        push(
            out,
            "memory",
            "memory.swap.max",
            or_max(alone),
            "memory.swap",
        );
    }
    if let Some(reservation) = set(memory.reservation()) {
        push(
            out,
            "memory",
            "memory.low",
            or_max(reservation),
            "memory.reservation",
        );
    }
    #[allow(deprecated)]
    let kernel = memory.kernel();
    for (field, is_set) in [
        ("memory.kernel", set(kernel).is_some()),
        ("memory.kernelTCP", set(memory.kernel_tcp()).is_some()),
        ("memory.swappiness", memory.swappiness().is_some()),
        (
            "memory.disableOOMKiller",
            memory.disable_oom_killer() == Some(true),
        ),
    ] {
        if is_set {
            v1_only(Version::V2, field)?;
        }
    }
    Ok(())
}

fn block_io(io: &LinuxBlockIo, version: Version, out: &mut Vec<Write>) -> Result<(), CgroupError> {
    if let Some(weight) = io.weight().filter(|weight| *weight != 0) {
        match version {
            Version::V1 => push(out, "blkio", "blkio.weight", weight, "blockIO.weight"),
            Version::V2 => {
                let weight = 1 + (u64::from(weight).clamp(10, 1000) - 10) * 9_999 / 990;
                push(
                    out,
                    "io",
                    "io.weight",
                    format!("default {weight}"),
                    "blockIO.weight",
                );
            }
        }
    }
    if let Some(leaf) = io.leaf_weight().filter(|leaf| *leaf != 0) {
        v1_only(version, "blockIO.leafWeight")?;
        push(
            out,
            "blkio",
            "blkio.leaf_weight",
            leaf,
            "blockIO.leafWeight",
        );
    }
    for device in io.weight_device().iter().flatten() {
        v1_only(version, "blockIO.weightDevice")?;
        let number = format!("{}:{}", device.major(), device.minor());
        if let Some(weight) = device.weight() {
            let value = format!("{number} {weight}");
            push(
                out,
                "blkio",
                "blkio.weight_device",
                value,
                "blockIO.weightDevice",
            );
        }
        if let Some(leaf) = device.leaf_weight() {
            let value = format!("{number} {leaf}");
            push(
                out,
                "blkio",
                "blkio.leaf_weight_device",
                value,
                "blockIO.weightDevice",
            );
        }
    }
    let throttles = [
        (
            io.throttle_read_bps_device(),
            "read_bps",
            "rbps",
            "blockIO.throttleReadBpsDevice",
        ),
        (
            io.throttle_write_bps_device(),
            "write_bps",
            "wbps",
            "blockIO.throttleWriteBpsDevice",
        ),
        (
            io.throttle_read_iops_device(),
            "read_iops",
            "riops",
            "blockIO.throttleReadIOPSDevice",
        ),
        (
            io.throttle_write_iops_device(),
            "write_iops",
            "wiops",
            "blockIO.throttleWriteIOPSDevice",
        ),
    ];
    for (devices, v1_name, v2_name, field) in throttles {
        for device in devices.iter().flatten() {
            let number = format!("{}:{}", device.major(), device.minor());
            match version {
                Version::V1 => {
                    let file = format!("blkio.throttle.{v1_name}_device");
                    push(
                        out,
                        "blkio",
                        &file,
                        format!("{number} {}", device.rate()),
                        field,
                    );
                }
                Version::V2 => {
                    let value = format!("{number} {v2_name}={}", device.rate());
                    push(out, "io", "io.max", value, field);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "resources_tests.rs"]
mod tests;
