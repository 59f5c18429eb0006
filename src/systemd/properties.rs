//! config.json's limits as properties of a unit: from the same writes that go to the cgroup's files,
//! so that systemd never has other limits than the files.

use oci_spec::runtime::LinuxResources;

use super::wire::Value;
use crate::sandbox::cgroup::CgroupError;
use crate::sandbox::cgroup::devices::{self, DeviceRule};
use crate::sandbox::cgroup::resources::{self, Version, Write};

/// A property's name and value.
pub type Property = (&'static str, Value);

/// systemd's word for no limit.
const INFINITY: u64 = u64::MAX;
/// Where config.json gives a quota without a period.
const PERIOD: u64 = 100_000;

/// What systemd is to count, so that the controllers are there.
pub fn accounting(version: Version) -> impl Iterator<Item = Property> {
    let io = match version {
        Version::V1 => "BlockIOAccounting",
        Version::V2 => "IOAccounting",
    };
    ["CPUAccounting", "MemoryAccounting", "TasksAccounting", io]
        .into_iter()
        .map(|name| (name, Value::Flag(true)))
}

/// The limits that systemd knows. The others are in the cgroup's files alone.
pub fn limits(resources: &LinuxResources, version: Version) -> Result<Vec<Property>, CgroupError> {
    let writes = resources::writes(resources, version)?;
    let mut properties = Vec::new();
    for write in &writes {
        let name = match write.file.as_str() {
            "memory.limit_in_bytes" => "MemoryLimit",
            "memory.max" => "MemoryMax",
            "memory.high" => "MemoryHigh",
            "memory.low" => "MemoryLow",
            "memory.min" => "MemoryMin",
            "memory.swap.max" => "MemorySwapMax",
            "cpu.shares" => "CPUShares",
            "cpu.weight" => "CPUWeight",
            "pids.max" => "TasksMax",
            "blkio.weight" => "BlockIOWeight",
            "io.weight" => "IOWeight",
            "cpuset.cpus" if version == Version::V2 => "AllowedCPUs",
            "cpuset.mems" if version == Version::V2 => "AllowedMemoryNodes",
            "cpu.max" => {
                let mut parts = write.value.split(' ');
                let quota = parts.next().and_then(|quota| quota.parse().ok());
                let period = parts.next().and_then(|period| period.parse().ok());
                cpu_quota(quota, period, &mut properties);
                continue;
            }
            _ => continue,
        };
        let value = match name {
            "AllowedCPUs" | "AllowedMemoryNodes" => {
                let bits = set(&write.value).ok_or_else(|| unsupported(write))?;
                Value::Bits(bits)
            }
            _ => Value::Number(number(&write.value).ok_or_else(|| unsupported(write))?),
        };
        properties.push((name, value));
    }
    if version == Version::V1 {
        let file = |name: &str| {
            let write = writes.iter().find(|write| write.file == name)?;
            write.value.parse::<i64>().ok()
        };
        if let Some(quota) = file("cpu.cfs_quota_us") {
            let period = file("cpu.cfs_period_us").map(i64::unsigned_abs);
            cpu_quota(u64::try_from(quota).ok(), period, &mut properties);
        }
    }
    Ok(properties)
}

/// CPU time for each second, in whole hundredths of it as systemd wants it.
fn cpu_quota(quota: Option<u64>, period: Option<u64>, properties: &mut Vec<Property>) {
    let period = period.unwrap_or(PERIOD).max(1);
    let of_second = |quota: u64| {
        let exact = u128::from(quota) * 1_000_000 / u128::from(period);
        let whole = exact.div_ceil(10_000) * 10_000;
        u64::try_from(whole).unwrap_or(INFINITY)
    };
    let value = quota.map_or(INFINITY, of_second);
    properties.push(("CPUQuotaPerSecUSec", Value::Number(value)));
    if quota.is_some() {
        properties.push(("CPUQuotaPeriodUSec", Value::Number(period)));
    }
}

/// The last word of a file's value, which may be `default 100`; no limit is `max` or negative.
fn number(value: &str) -> Option<u64> {
    let word = value.rsplit(' ').next()?;
    match word {
        "max" => Some(INFINITY),
        negative if negative.starts_with('-') => negative.parse::<i64>().ok().map(|_| INFINITY),
        number => number.parse().ok(),
    }
}

/// A list such as `0-2,5` as bits, the first in the first byte's lowest.
fn set(list: &str) -> Option<Vec<u8>> {
    const MOST: usize = 8192;
    let mut bits = Vec::new();
    for part in list
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last >= MOST || first > last {
            return None;
        }
        bits.resize(bits.len().max(last / 8 + 1), 0u8);
        (first..=last).for_each(|number| bits[number / 8] |= 1 << (number % 8));
    }
    Some(bits)
}

fn unsupported(write: &Write) -> CgroupError {
    CgroupError::Unsupported {
        field: write.field.to_owned(),
        reason: format!("`{}` is no value for systemd; correct it", write.value),
    }
}

/// The device rules: systemd would otherwise replace those in the cgroup by its own.
///
/// On v1 everything that is allowed is named, too: a scope for which systemd has no rules has no
/// cgroup in the hierarchy of devices, and systemd removes the one that the container is to join.
pub fn devices(resources: &LinuxResources, version: Version) -> Result<Vec<Property>, CgroupError> {
    let rules = devices::rules(resources.devices().as_deref().unwrap_or_default())?;
    let drivers = std::fs::read_to_string("/proc/devices").unwrap_or_default();
    let properties = allowed(&rules, &drivers)?;
    if version == Version::V2 || !properties.is_empty() {
        return Ok(properties);
    }
    let everything = ["char-*", "block-*"].map(|name| (name.to_owned(), "rwm".to_owned()));
    Ok(vec![("DeviceAllow", Value::Pairs(everything.to_vec()))])
}

fn allowed(rules: &[DeviceRule], drivers: &str) -> Result<Vec<Property>, CgroupError> {
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    // Until a rule says otherwise everything is allowed, in the kernel and in systemd.
    let mut everything = true;
    let mut list: Vec<&DeviceRule> = Vec::new();
    for rule in rules {
        match rule {
            DeviceRule {
                kind: 'a', allow, ..
            } => {
                everything = *allow;
                list.clear();
            }
            DeviceRule { allow: true, .. } => list.push(rule),
            denied => {
                let same = |known: &DeviceRule| {
                    let place = |one: &DeviceRule| (one.kind, one.major, one.minor);
                    place(known) == place(denied) && known.access == denied.access
                };
                let before = list.len();
                list.retain(|known| !same(known));
                let overlaps = |known: &&DeviceRule| {
                    let meet =
                        |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
                    known.kind == denied.kind
                        && meet(known.major, denied.major)
                        && meet(known.minor, denied.minor)
                };
                if everything || (list.len() == before && list.iter().any(overlaps)) {
                    return Err(CgroupError::Unsupported {
                        field: "devices".to_owned(),
                        reason:
                            "systemd has no rule that denies some of what another allows; deny \
                                 all and allow what is needed"
                                .to_owned(),
                    });
                }
            }
        }
    }
    if everything {
        return Ok(Vec::new());
    }
    let pairs = list
        .iter()
        .filter_map(|rule| Some((name(rule, drivers)?, rule.access.clone())));
    Ok(vec![
        ("DevicePolicy", Value::Text("strict".to_owned())),
        ("DeviceAllow", Value::Pairs(pairs.collect())),
    ])
}

/// systemd's name for what a rule covers; none where the host has no such driver, and so nothing to
/// allow.
fn name(rule: &DeviceRule, drivers: &str) -> Option<String> {
    let kind = if rule.kind == 'b' { "block" } else { "char" };
    match (rule.major, rule.minor) {
        (None, _) => Some(format!("{kind}-*")),
        (Some(major), Some(minor)) => Some(format!("/dev/{kind}/{major}:{minor}")),
        (Some(major), None) => driver(kind, major, drivers).map(|name| format!("{kind}-{name}")),
    }
}

/// The name of a major number in `/proc/devices`.
fn driver<'a>(kind: &str, major: u32, drivers: &'a str) -> Option<&'a str> {
    let title = match kind {
        "block" => "Block devices:",
        _ => "Character devices:",
    };
    let lines = drivers.lines().skip_while(|line| *line != title).skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.trim().split_once(' '))
        .find(|(number, _)| number.parse() == Ok(major))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(resources: serde_json::Value, version: Version) -> Vec<Property> {
        let resources = serde_json::from_value(resources).unwrap();
        limits(&resources, version).unwrap()
    }

    #[test]
    fn limits_are_the_files() {
        let resources = serde_json::json!({
            "memory": {"limit": 67_108_864, "swap": 134_217_728, "reservation": 1_048_576},
            "cpu": {"shares": 1024, "quota": 25_000, "period": 50_000, "cpus": "0-2,9", "mems": "0"},
            "pids": {"limit": 77},
        });
        let number = |number| Value::Number(number);
        let mut v2 = of(resources.clone(), Version::V2);
        v2.sort_by_key(|(name, _)| *name);
        assert_eq!(
            v2,
            [
                ("AllowedCPUs", Value::Bits(vec![0b111, 0b10])),
                ("AllowedMemoryNodes", Value::Bits(vec![1])),
                ("CPUQuotaPerSecUSec", number(500_000)),
                ("CPUQuotaPeriodUSec", number(50_000)),
                ("CPUWeight", number(39)),
                ("MemoryLow", number(1_048_576)),
                ("MemoryMax", number(67_108_864)),
                ("MemorySwapMax", number(67_108_864)),
                ("TasksMax", number(77)),
            ]
        );
        let v1 = of(resources, Version::V1);
        for expected in [
            ("MemoryLimit", number(67_108_864)),
            ("CPUShares", number(1024)),
            ("CPUQuotaPerSecUSec", number(500_000)),
            ("TasksMax", number(77)),
        ] {
            assert!(v1.contains(&expected), "{v1:?}");
        }
        assert!(of(serde_json::json!({}), Version::V2).is_empty());
    }

    #[test]
    fn no_limit_is_infinity() {
        let resources = serde_json::json!({
            "memory": {"limit": -1}, "pids": {"limit": -1}, "cpu": {"quota": -1}
        });
        for version in [Version::V1, Version::V2] {
            for (name, value) in of(resources.clone(), version) {
                assert_eq!(value, Value::Number(INFINITY), "{name}");
            }
        }
    }

    #[test]
    fn a_quota_is_rounded_up_to_hundredths() {
        let mut properties = Vec::new();
        cpu_quota(Some(33_333), Some(100_000), &mut properties);
        assert_eq!(properties[0].1, Value::Number(340_000));
    }

    #[test]
    fn sets_are_bits() {
        assert_eq!(set("0,1"), Some(vec![3]));
        assert_eq!(set("15"), Some(vec![0, 128]));
        for wrong in ["x", "3-1", "99999", "1-"] {
            assert_eq!(set(wrong), None, "{wrong}");
        }
    }

    const DRIVERS: &str = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  8 sd\n";

    fn allowing(config: serde_json::Value) -> Result<Vec<Property>, CgroupError> {
        let config: Vec<_> = serde_json::from_value(config).unwrap();
        allowed(&devices::rules(&config).unwrap(), DRIVERS)
    }

    #[test]
    fn what_engines_write_is_a_strict_list() {
        let properties = allowing(serde_json::json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
            {"allow": true, "type": "b", "major": 8, "access": "r"},
        ]))
        .unwrap();
        assert_eq!(
            properties[0],
            ("DevicePolicy", Value::Text("strict".into()))
        );
        let ("DeviceAllow", Value::Pairs(pairs)) = &properties[1] else {
            panic!("{properties:?}")
        };
        for (device, access) in [
            ("/dev/char/10:229", "rwm"),
            ("block-sd", "r"),
            ("/dev/char/1:3", "rwm"),
            ("char-pts", "rwm"),
            ("char-*", "m"),
        ] {
            let pair = (device.to_owned(), access.to_owned());
            assert!(pairs.contains(&pair), "{device}: {pairs:?}");
        }
    }

    #[test]
    fn everything_allowed_is_no_policy_and_an_exception_is_refused() {
        let all = serde_json::json!([{"allow": true, "access": "rwm"}]);
        assert_eq!(allowing(all).unwrap(), []);
        assert_eq!(allowing(serde_json::json!([])).unwrap(), []);
        let exception = serde_json::json!([
            {"allow": true, "access": "rwm"},
            {"allow": false, "type": "b", "major": 8, "access": "w"},
        ]);
        assert!(allowing(exception).is_err());
    }
}
