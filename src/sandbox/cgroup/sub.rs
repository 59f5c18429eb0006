//! Cgroups below a container's own, which `exec --cgroup` joins.

use std::path::{Component, Path, PathBuf};

use super::{CgroupError, CgroupPaths, V1Path};

/// What one `--cgroup` says: `[CONTROLLER[,CONTROLLER...]:]PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubCgroup {
    /// The controllers it is for; none for all.
    controllers: Vec<String>,
    /// The path below the container's cgroup.
    path: PathBuf,
}

impl SubCgroup {
    /// Reads the options, each controller in one of them.
    pub fn parse(options: &[String]) -> Result<Vec<Self>, CgroupError> {
        let mut read: Vec<Self> = Vec::new();
        for option in options {
            let (controllers, path) = match option.split_once(':') {
                Some((controllers, path)) => (controllers, path),
                None => ("", option.as_str()),
            };
            let names = controllers.split(',').filter(|name| !name.is_empty());
            let controllers: Vec<String> = names.map(str::to_owned).collect();
            let again = read.iter().any(|other| {
                let both = |name| other.controllers.contains(name);
                other.controllers.is_empty() || controllers.iter().any(both)
            });
            if again || (controllers.is_empty() && !read.is_empty()) {
                let reason = format!("`{option}` is for controllers that have a path already");
                return Err(CgroupError::Sub(reason));
            }
            read.push(Self {
                controllers,
                path: below(path)?,
            });
        }
        Ok(read)
    }
}

/// The path as one below the container's cgroup.
fn below(path: &str) -> Result<PathBuf, CgroupError> {
    let mut relative = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => relative.push(name),
            Component::ParentDir | Component::Prefix(_) => {
                return Err(CgroupError::Sub(format!(
                    "{path} is not a sub cgroup path of the container"
                )));
            }
        }
    }
    Ok(relative)
}

impl CgroupPaths {
    /// The directories that a process joins instead of these.
    pub fn below(&self, wanted: &[SubCgroup]) -> Result<Self, CgroupError> {
        let mut paths = self.clone();
        for sub in wanted {
            paths.descend(sub)?;
        }
        if let Some(absent) = paths
            .all()
            .find(|path| !wanted.is_empty() && !path.is_dir())
        {
            return Err(CgroupError::Sub(format!(
                "adding pid of the program to {}/cgroup.procs: no such file or directory",
                absent.display()
            )));
        }
        Ok(paths)
    }

    fn descend(&mut self, sub: &SubCgroup) -> Result<(), CgroupError> {
        let all = sub.controllers.is_empty();
        let has = |at: &V1Path, name: &String| at.name == *name || at.controllers.contains(name);
        let known = |name: &&String| self.v1.iter().any(|at| has(at, name));
        if let Some(name) = sub.controllers.iter().find(|name| !known(name)) {
            return Err(CgroupError::Sub(format!(
                "unknown controller {name} among the container's v1 cgroups"
            )));
        }
        for at in &mut self.v1 {
            if all || sub.controllers.iter().any(|name| has(at, name)) {
                at.path.push(&sub.path);
            }
        }
        if let Some(path) = self.v2.as_mut().filter(|_| all) {
            path.push(&sub.path);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Result<Vec<SubCgroup>, String> {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        SubCgroup::parse(&options).map_err(|error| error.to_string())
    }

    #[test]
    fn each_controller_has_one_path_below() {
        let read = parse(&["memory:a", "cpu,cpuacct:/b/c"]).unwrap();
        assert_eq!(read[1].controllers, ["cpu", "cpuacct"]);
        assert_eq!(read[1].path, Path::new("b/c"));
        assert_eq!(parse(&["/"]).unwrap()[0].path, Path::new(""));
        for wrong in [
            &[".."][..],
            &["a/../.."],
            &["cpu:../x"],
            &["a", "b"],
            &["cpu:a", "b"],
            &["cpu:a", "memory,cpu:b"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_what_is_there_is_joined() {
        let dir = tempfile::tempdir().unwrap();
        let own = |name: &str| dir.path().join(name).join("own");
        for name in ["memory", "cpu,cpuacct"] {
            std::fs::create_dir_all(own(name).join("sub")).unwrap();
        }
        let v1 = |name: &str| V1Path {
            controllers: name.split(',').map(str::to_owned).collect(),
            name: name.to_owned(),
            mount_point: dir.path().join(name),
            path: own(name),
        };
        let paths = CgroupPaths {
            v1: vec![v1("memory"), v1("cpu,cpuacct")],
            ..CgroupPaths::default()
        };
        let below = |options: &[&str]| {
            let joined = paths
                .below(&parse(options)?)
                .map_err(|error| error.to_string())?;
            Ok::<_, String>(joined.v1.into_iter().map(|at| at.path).collect::<Vec<_>>())
        };
        let (memory, cpu) = (own("memory"), own("cpu,cpuacct"));
        assert_eq!(below(&[]).unwrap(), [memory.clone(), cpu.clone()]);
        assert_eq!(below(&["/"]).unwrap(), [memory.clone(), cpu.clone()]);
        assert_eq!(
            below(&["sub"]).unwrap(),
            [memory.join("sub"), cpu.join("sub")]
        );
        let one = below(&["cpu,cpuacct:sub"]).unwrap();
        assert_eq!(one, [memory, cpu.join("sub")]);
        assert!(
            below(&["memory:none"])
                .unwrap_err()
                .contains("no such file")
        );
        assert!(
            below(&["pids:sub"])
                .unwrap_err()
                .contains("unknown controller pids")
        );
    }
}
