//! The device rules of config.json, with the devices that every container has; as lines for
//! cgroup v1. [`super::device_program`] makes them a program for v2.

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use super::CgroupError;

/// Allows or denies accesses to the devices that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRule {
    /// Whether it allows or denies.
    pub allow: bool,
    /// `a`, `b` or `c`.
    pub kind: char,
    /// Major number; none for all.
    pub major: Option<u32>,
    /// Minor number; none for all.
    pub minor: Option<u32>,
    /// A subset of `rwm`.
    pub access: String,
}

impl DeviceRule {
    /// The file that takes the rule, and its line.
    pub fn v1(&self) -> (&'static str, String) {
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |n| n.to_string());
        let file = if self.allow {
            "devices.allow"
        } else {
            "devices.deny"
        };
        let line = format!(
            "{} {}:{} {}",
            self.kind,
            number(self.major),
            number(self.minor),
            self.access
        );
        (file, line)
    }
}

/// Devices that the OCI specification gives every container, and making (not opening) any node.
const ALWAYS: [(char, Option<u32>, Option<u32>, &str); 11] = [
    ('c', None, None, "m"),
    ('b', None, None, "m"),
    ('c', Some(1), Some(3), "rwm"), // null
    ('c', Some(1), Some(5), "rwm"), // zero
    ('c', Some(1), Some(7), "rwm"), // full
    ('c', Some(1), Some(8), "rwm"), // random
    ('c', Some(1), Some(9), "rwm"), // urandom
    ('c', Some(5), Some(0), "rwm"), // tty
    ('c', Some(5), Some(1), "rwm"), // console
    ('c', Some(5), Some(2), "rwm"), // ptmx
    ('c', Some(136), None, "rwm"),  // pts
];

/// The rules of config.json in order, then those that every container needs. Empty when
/// config.json restricts nothing.
pub fn rules(config: &[LinuxDeviceCgroup]) -> Result<Vec<DeviceRule>, CgroupError> {
    if config.is_empty() {
        return Ok(Vec::new());
    }
    let mut out = Vec::new();
    for (index, rule) in config.iter().enumerate() {
        let wrong = |reason: String| CgroupError::Unsupported {
            field: format!("devices[{index}]"),
            reason,
        };
        let number = |number: Option<i64>, name| match number {
            None | Some(-1) => Ok(None),
            Some(number) => u32::try_from(number)
                .map(Some)
                .map_err(|_| wrong(format!("{name} {number} is not a device number"))),
        };
        let (major, minor) = (
            number(rule.major(), "major")?,
            number(rule.minor(), "minor")?,
        );
        let access = rule.access().clone().unwrap_or_else(|| "rwm".to_owned());
        if access.is_empty() || !access.chars().all(|c| "rwm".contains(c)) {
            return Err(wrong(format!(
                "access `{access}` is not made of r, w and m"
            )));
        }
        let all = major.is_none() && minor.is_none() && access.len() == 3;
        let kinds: &[char] = match rule.typ() {
            Some(LinuxDeviceType::B) => &['b'],
            Some(LinuxDeviceType::C | LinuxDeviceType::U) => &['c'],
            Some(LinuxDeviceType::A) | None if all => &['a'],
            // The kernel ignores everything after `a`: a narrower rule needs both kinds.
            Some(LinuxDeviceType::A) | None => &['b', 'c'],
            Some(LinuxDeviceType::P) => return Err(wrong("a fifo needs no rule".to_owned())),
        };
        out.extend(kinds.iter().map(|&kind| DeviceRule {
            allow: rule.allow(),
            kind,
            major,
            minor,
            access: access.clone(),
        }));
    }
    out.extend(ALWAYS.map(|(kind, major, minor, access)| DeviceRule {
        allow: true,
        kind,
        major,
        minor,
        access: access.to_owned(),
    }));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rules: serde_json::Value) -> Result<Vec<String>, String> {
        let config: Vec<LinuxDeviceCgroup> = serde_json::from_value(rules).unwrap();
        let rules = super::rules(&config).map_err(|error| error.to_string())?;
        Ok(rules
            .iter()
            .map(|rule| {
                let (file, line) = rule.v1();
                format!("{file} {line}")
            })
            .collect())
    }

    #[test]
    fn deny_all_then_what_every_container_has() {
        let lines = lines(serde_json::json!([{"allow": false, "access": "rwm"}])).unwrap();
        assert_eq!(lines[0], "devices.deny a *:* rwm");
        assert!(lines.contains(&"devices.allow c 1:3 rwm".to_owned()));
        assert_eq!(lines.len(), 1 + ALWAYS.len());
    }

    #[test]
    fn no_rules_restrict_nothing() {
        assert!(lines(serde_json::json!([])).unwrap().is_empty());
    }

    #[test]
    fn a_narrow_rule_for_all_kinds_is_written_for_both() {
        let lines =
            lines(serde_json::json!([{"allow": true, "type": "a", "major": 8, "access": "r"}]))
                .unwrap();
        assert_eq!(
            &lines[..2],
            ["devices.allow b 8:* r", "devices.allow c 8:* r"]
        );
    }

    #[test]
    fn nonsense_is_refused_with_its_index() {
        for rule in [
            serde_json::json!({"allow": true, "access": "x"}),
            serde_json::json!({"allow": true, "access": ""}),
            serde_json::json!({"allow": true, "major": -7, "access": "r"}),
        ] {
            let message = lines(serde_json::json!([rule])).unwrap_err();
            assert!(message.contains("devices[0]"), "{message}");
        }
    }
}
