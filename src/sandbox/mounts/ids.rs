//! Mappings of a mount in its options, as crun has them: `idmap=uids=0-1-10#10-11-10;gids=0-100-10`
//! (crun(1), "idmap mount options"). Pure.

use oci_spec::runtime::{LinuxIdMapping, LinuxIdMappingBuilder};

use super::idmap::Mappings;

/// The mappings of users and of groups that `text`, what follows `idmap=`, asks for.
///
/// Each triplet is an id of the file system, what it becomes on the host, and how many follow each
/// other. After `@` the second is an id of the container's own user namespace, `container`. The error
/// is the reason.
pub fn parse(
    text: &str,
    container: Mappings<'_>,
) -> Result<(Vec<LinuxIdMapping>, Vec<LinuxIdMapping>), String> {
    let (mut uids, mut gids) = (Vec::new(), Vec::new());
    for part in text.split(';').filter(|part| !part.is_empty()) {
        let (list, own, to) = match part.split_once('=') {
            Some(("uids", list)) => (list, container.uids, &mut uids),
            Some(("gids", list)) => (list, container.gids, &mut gids),
            _ => {
                return Err(format!(
                    "option `idmap` has `{part}`; give it uids=... and gids=..."
                ));
            }
        };
        for triplet in list.split('#') {
            to.push(mapping(triplet, own)?);
        }
    }
    match uids.is_empty() || gids.is_empty() {
        true => Err(format!("option `idmap={text}` lacks uids= or gids=")),
        false => Ok((uids, gids)),
    }
}

fn mapping(triplet: &str, own: &[LinuxIdMapping]) -> Result<LinuxIdMapping, String> {
    let wrong = || {
        format!(
            "option `idmap` has `{triplet}`; a mapping is ID-HOSTID-COUNT, each below 4294967296"
        )
    };
    let (relative, numbers) = match triplet.strip_prefix('@') {
        Some(numbers) => (true, numbers),
        None => (false, triplet),
    };
    let numbers: Result<Vec<u32>, _> = numbers.split('-').map(str::parse).collect();
    let Ok(&[inside, outside, size]) = numbers.as_deref() else {
        return Err(wrong());
    };
    let outside = match relative {
        false => outside,
        true => {
            let has = |own: &&LinuxIdMapping| {
                outside >= own.container_id() && outside - own.container_id() < own.size()
            };
            let own = own.iter().find(has).ok_or_else(|| {
                format!(
                    "option `idmap` has `{triplet}`, but the container's user namespace has no id \
                     {outside}"
                )
            })?;
            let host = own.host_id().checked_add(outside - own.container_id());
            host.ok_or_else(wrong)?
        }
    };
    let mapping = LinuxIdMappingBuilder::default()
        .container_id(inside)
        .host_id(outside)
        .size(size);
    Ok(mapping.build().expect("it has all three"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(container: &[(u32, u32, u32)]) -> Vec<LinuxIdMapping> {
        let make = |(inside, outside, size): &(u32, u32, u32)| {
            serde_json::from_value(serde_json::json!(
                {"containerID": inside, "hostID": outside, "size": size}
            ))
            .unwrap()
        };
        container.iter().map(make).collect()
    }

    fn parsed(
        text: &str,
        container: &[(u32, u32, u32)],
    ) -> Result<(Vec<LinuxIdMapping>, Vec<LinuxIdMapping>), String> {
        let own = ids(container);
        let container = Mappings {
            uids: &own,
            gids: &own,
        };
        parse(text, container)
    }

    #[test]
    fn triplets_are_of_the_file_system_and_of_the_host() {
        assert_eq!(
            parsed("uids=0-1-10#10-11-10;gids=0-100-10", &[]),
            Ok((ids(&[(0, 1, 10), (10, 11, 10)]), ids(&[(0, 100, 10)])))
        );
    }

    #[test]
    fn after_an_at_the_host_is_the_containers_user_namespace() {
        // The example of crun(1).
        let container = [(0, 0, 1), (1, 2, 1000)];
        assert_eq!(
            parsed("uids=@1-3-10;gids=1-3-10", &container),
            Ok((ids(&[(1, 4, 10)]), ids(&[(1, 3, 10)])))
        );
        let below = [(10, 0, 5)];
        assert_eq!(
            parsed("uids=@12-11-1;gids=@0-10-1", &below),
            Ok((ids(&[(12, 1, 1)]), ids(&[(0, 0, 1)])))
        );
        for (text, container) in [("@1-3-10", &[][..]), ("@3-5-1", &[(0, 0, 5)])] {
            let error = parsed(&format!("uids={text};gids=0-0-1"), container).unwrap_err();
            assert!(error.contains("user namespace has no"), "{error}");
        }
        let last = [(0, u32::MAX, 2)];
        assert!(parsed("uids=@0-1-1;gids=0-0-1", &last).is_err());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, what) in [
            ("uids=0-1-10", "lacks"),
            ("gids=0-1-10", "lacks"),
            ("pids=0-1-10;gids=0-1-10", "`pids=0-1-10`"),
            ("uids=0-1;gids=0-1-10", "`0-1`"),
            ("uids=0-1-2-3;gids=0-1-10", "`0-1-2-3`"),
            ("uids=;gids=0-1-10", "``"),
            ("uids=0-1-4294967296;gids=0-1-10", "`0-1-4294967296`"),
            ("uids=0-1-1#;gids=0-1-10", "``"),
            ("uids=a-b-c;gids=0-1-10", "`a-b-c`"),
        ] {
            let error = parsed(text, &[]).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
