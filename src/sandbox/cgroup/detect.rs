//! Which cgroup hierarchies are mounted, from mountinfo.

use std::path::{Path, PathBuf};

use super::{CgroupPaths, V1Path};
use crate::failure::Failure;
use crate::sandbox::mountinfo;

/// The mounted hierarchies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchies {
    v1: Vec<(Vec<String>, PathBuf)>,
    v2: Option<PathBuf>,
}

impl Hierarchies {
    /// Reads this process's mountinfo.
    pub fn mounted() -> Result<Self, Failure> {
        Ok(Self::parse(&mountinfo::own()?))
    }

    /// The container's directory in each hierarchy.
    pub fn paths(&self, relative: &Path) -> CgroupPaths {
        let v1 = self.v1.iter().map(|(controllers, mount_point)| V1Path {
            controllers: controllers.clone(),
            name: mount_point.file_name().map_or_else(
                || "cgroup".to_owned(),
                |name| name.to_string_lossy().into_owned(),
            ),
            mount_point: mount_point.clone(),
            path: mount_point.join(relative),
        });
        CgroupPaths {
            v1: v1.collect(),
            v2: self.v2.as_ref().map(|point| point.join(relative)),
            unit: None,
        }
    }

    fn parse(table: &[u8]) -> Self {
        let mut found = Self::default();
        for mount in mountinfo::mounts(table) {
            let is_whole = mount.root == b"/" || mount.root.starts_with(b"/..");
            // A bind of a subtree is not the hierarchy.
            if !is_whole && !mount.point.starts_with("/sys/fs/cgroup") {
                continue;
            }
            match mount.kind {
                b"cgroup2" if found.v2.is_none() => found.v2 = Some(mount.point.into_owned()),
                b"cgroup" => {
                    let controllers = v1_controllers(&String::from_utf8_lossy(mount.options));
                    if !found.v1.iter().any(|(known, _)| *known == controllers) {
                        found.v1.push((controllers, mount.point.into_owned()));
                    }
                }
                _ => {}
            }
        }
        found
    }
}

/// The controllers among a v1 superblock's options; for a named hierarchy, none.
fn v1_controllers(options: &str) -> Vec<String> {
    const NOT_CONTROLLERS: [&str; 6] = [
        "rw",
        "ro",
        "xattr",
        "noprefix",
        "clone_children",
        "cpuset_v2_mode",
    ];
    options
        .split(',')
        .filter(|option| !option.contains('=') && !NOT_CONTROLLERS.contains(option))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
90 31 0:32 /a /var/lib/x/cgroup rw,relatime - cgroup cgroup rw,memory
";

    #[test]
    fn a_hybrid_host() {
        let paths = Hierarchies::parse(HYBRID.as_bytes()).paths(Path::new("a/b"));
        let v1: Vec<_> = paths
            .v1
            .iter()
            .map(|at| (at.controllers.join(","), at.name.as_str(), at.path.clone()))
            .collect();
        let at = |path: &str| PathBuf::from("/sys/fs/cgroup").join(path).join("a/b");
        assert_eq!(
            v1,
            [
                ("cpu,cpuacct".to_owned(), "cpu,cpuacct", at("cpu,cpuacct")),
                ("memory".to_owned(), "memory", at("memory")),
                (String::new(), "systemd", at("systemd")),
            ]
        );
        assert_eq!(paths.v2, Some(at("unified")));
    }

    #[test]
    fn a_pure_v2_host_and_none() {
        let found = Hierarchies::parse(b"1 2 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
        assert_eq!(
            found,
            Hierarchies {
                v1: vec![],
                v2: Some("/sys/fs/cgroup".into())
            }
        );
        assert_eq!(
            Hierarchies::parse(b"x\n1 2 3\n - \n"),
            Hierarchies::default()
        );
    }
}
