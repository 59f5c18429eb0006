//! Who this process is to the host, and whose files it can rely on.

use std::sync::LazyLock;

use rustix::process::geteuid;

/// A user namespace that is none: every number is itself.
const EVERYBODY: [u32; 3] = [0, 0, u32::MAX];

/// Whether this process is root of the host, not a user, who may be root of a user namespace: as it
/// was when this was first asked.
#[must_use]
pub fn is_host_root() -> bool {
    static ANSWER: LazyLock<bool> =
        LazyLock::new(|| geteuid().is_root() && map().contains(&EVERYBODY));
    *ANSWER
}

/// Whether what belongs to `uid` is safe from everybody but the effective user and root.
///
/// A user namespace that does not map the host's root shows its files as the overflow user's, as it
/// does those of every user it does not map (user_namespaces(7)): where root cannot be told from
/// them, that user is taken for it. Nobody but the user who made the namespace relies on that.
#[must_use]
pub fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw() || Some(uid) == unmapped_root(&map(), overflow())
}

/// The lines of `/proc/self/uid_map`: first number inside, first number outside, how many.
fn map() -> Vec<[u32; 3]> {
    let text = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    parse(&text)
}

fn parse(map: &str) -> Vec<[u32; 3]> {
    map.lines()
        .filter_map(|line| {
            let numbers = line.split_whitespace().map(str::parse);
            numbers
                .collect::<Result<Vec<u32>, _>>()
                .ok()?
                .try_into()
                .ok()
        })
        .collect()
}

fn overflow() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?;
    text.trim().parse().ok()
}

fn unmapped_root(map: &[[u32; 3]], overflow: Option<u32>) -> Option<u32> {
    let mapped = map
        .iter()
        .any(|&[_, outside, length]| outside == 0 && length > 0);
    match map.is_empty() || mapped {
        true => None,
        false => overflow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overflow_user_is_root_only_where_root_is_not_mapped() {
        for (map, expected) in [
            ("         0          0 4294967295\n", None),
            ("0 1000 1\n1 100000 65536\n", Some(65534)),
            ("0 1000 1\n1 0 1\n", None),
            // Nothing can be said.
            ("", None),
        ] {
            assert_eq!(unmapped_root(&parse(map), Some(65534)), expected, "{map}");
        }
        assert!(parse("         0          0 4294967295\n").contains(&EVERYBODY));
    }
}
