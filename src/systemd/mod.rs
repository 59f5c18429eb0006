//! Cgroups through systemd (`--systemd-cgroup`): the container is a transient scope. systemd makes
//! the scope's cgroup and knows its limits; everything else is as without it, in the same
//! directories, which `Delegate` permits.

mod bus;
mod properties;
mod wire;

use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};

pub use bus::{BusError, Whose};

use crate::container::ContainerId;
use crate::failure::{Doing, Failure};
use crate::sandbox::cgroup::CgroupError;
use crate::sandbox::cgroup::resources::Version;
use crate::sys::clone::{self, Cloned};
use bus::Bus;
use wire::{Argument, Value};

/// A container's scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its name, with `.scope`.
    pub name: String,
    /// The slice that it is in.
    pub slice: String,
    /// Whose systemd has it.
    pub whose: Whose,
}

/// Longest name of a unit (`UNIT_NAME_MAX`).
const LONGEST_NAME: usize = 255;

impl Unit {
    /// The unit that `linux.cgroupsPath` names: `slice:prefix:name`. Without it `megarun-ID.scope`.
    pub fn of(
        cgroups_path: Option<&Path>,
        id: &ContainerId,
        whose: Whose,
    ) -> Result<Self, CgroupError> {
        let default = match whose {
            Whose::System => "system.slice",
            Whose::User => "user.slice",
        };
        let text = cgroups_path.map_or(String::new(), |path| path.display().to_string());
        let wrong = |reason| CgroupError::Path {
            path: text.clone(),
            reason,
        };
        let own = format!("megarun-{id}.scope");
        let (slice, name) = match text.split(':').collect::<Vec<_>>()[..] {
            [""] => (default, own),
            [slice, prefix, name] if !name.is_empty() => {
                let name = match prefix {
                    "" => format!("{name}.scope"),
                    prefix => format!("{prefix}-{name}.scope"),
                };
                (if slice.is_empty() { default } else { slice }, name)
            }
            _ => return Err(wrong("through systemd it must be slice:prefix:name")),
        };
        if name.ends_with(".slice.scope") {
            return Err(wrong("a container is a scope, not a slice"));
        }
        if slice_path(slice).is_none() {
            return Err(wrong("its first part is no slice, such as machine.slice"));
        }
        if name.len() > LONGEST_NAME || !name.bytes().all(permitted) {
            return Err(wrong("this is no name that systemd permits for a unit"));
        }
        Ok(Self {
            name,
            slice: slice.to_owned(),
            whose,
        })
    }

    /// Where its cgroup will be, below the root of systemd's own.
    pub fn path(&self) -> PathBuf {
        let slice = slice_path(&self.slice).unwrap_or_default();
        slice.join(&self.name)
    }

    /// Makes the scope. It lives as long as the guard or a process in its cgroup does.
    pub fn start(
        &self,
        resources: &LinuxResources,
        version: Version,
    ) -> Result<Holder, CgroupError> {
        let holder = Holder::new()?;
        let mut properties = vec![
            (
                "Description",
                Value::Text(format!("megarun container {}", self.name)),
            ),
            ("Slice", Value::Text(self.slice.clone())),
            ("Delegate", Value::Flag(true)),
            // Ends with the machine, after everything that its engine wants to do before.
            ("DefaultDependencies", Value::Flag(false)),
            ("PIDs", Value::Pids(vec![holder.pid.cast_unsigned()])),
        ];
        properties.extend(properties::accounting(version));
        properties.extend(properties::limits(resources, version)?);
        properties.extend(properties::devices(resources, version)?);
        let arguments = [
            Argument::Text(&self.name),
            Argument::Text("fail"),
            Argument::Properties(&properties),
            Argument::NoUnits,
        ];
        let mut bus = Bus::connect(self.whose)?;
        let mut start = || bus.job("StartTransientUnit", &self.name, &arguments);
        match start() {
            // Left behind by a scope of this name that failed.
            Err(error) if error.is(".UnitExists") => {
                let reset = [Argument::Text(&self.name)];
                bus.manager("ResetFailedUnit", &reset)?;
                bus.job("StartTransientUnit", &self.name, &arguments)?;
            }
            started => started?,
        }
        Ok(holder)
    }

    /// Tells systemd of new limits, which it would otherwise undo when it reads its units again.
    pub fn update(&self, resources: &LinuxResources, version: Version) -> Result<(), CgroupError> {
        let properties = properties::limits(resources, version)?;
        if properties.is_empty() {
            return Ok(());
        }
        let arguments = [
            Argument::Text(&self.name),
            // Until the machine's next start, as the unit itself.
            Argument::Flag(true),
            Argument::Properties(&properties),
        ];
        Bus::connect(self.whose)?.manager("SetUnitProperties", &arguments)?;
        Ok(())
    }

    /// Ends the scope, if it is there, and makes systemd forget that it failed, if it did.
    pub fn stop(&self) -> Result<(), CgroupError> {
        let mut bus = Bus::connect(self.whose)?;
        let arguments = [Argument::Text(&self.name), Argument::Text("replace")];
        match bus.job("StopUnit", &self.name, &arguments) {
            Err(error) if error.is(".NoSuchUnit") => return Ok(()),
            stopped => stopped?,
        }
        // A unit that did not fail has gone by now.
        let _ = bus.manager("ResetFailedUnit", &arguments[..1]);
        Ok(())
    }
}

/// The path of a slice: each dash is a slice of its own.
fn slice_path(slice: &str) -> Option<PathBuf> {
    let name = slice.strip_suffix(".slice")?;
    if name == "-" {
        return Some(PathBuf::new());
    }
    if name.is_empty() || !name.bytes().all(permitted) || name.split('-').any(str::is_empty) {
        return None;
    }
    let ends = name
        .match_indices('-')
        .map(|(at, _)| at)
        .chain([name.len()]);
    Some(ends.map(|end| format!("{}.slice", &name[..end])).collect())
}

fn permitted(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":-_.\\".contains(&byte)
}

/// A process that does nothing, in the scope's cgroup: a scope is made of processes, and the
/// container's own comes when the cgroup has its limits. It dies with its creator.
pub struct Holder {
    pid: i32,
    pidfd: std::os::fd::OwnedFd,
}

impl Holder {
    fn new() -> Result<Self, Failure> {
        let creator = rustix::process::getpid();
        match clone::clone(0, None).doing(|| "making a process for systemd's scope")? {
            Cloned::Parent { pid, pidfd } => Ok(Self { pid, pidfd }),
            Cloned::Child => {
                let kill = Some(rustix::process::Signal::KILL);
                let dies = rustix::process::set_parent_process_death_signal(kill);
                if dies.is_err() || rustix::process::getppid() != Some(creator) {
                    clone::exit_now(1);
                }
                loop {
                    std::thread::park();
                }
            }
        }
    }

    /// The cgroup of the unit, below its hierarchy's root: where systemd has put this process.
    pub fn path(&self, unit: &Unit) -> Result<PathBuf, BusError> {
        let file = format!("/proc/{}/cgroup", self.pid);
        let text = std::fs::read_to_string(&file).doing(|| format!("reading `{file}`"))?;
        own_path(&text, &unit.name).ok_or_else(|| BusError::Elsewhere(unit.name.clone()))
    }
}

/// systemd's own hierarchy is the named one of v1 or the unified one, whichever has the unit. Only
/// the unit's own cgroup will do: everything in it is killed when the container goes.
fn own_path(cgroups: &str, unit: &str) -> Option<PathBuf> {
    let of = |wanted: &str| {
        let mut fields = cgroups.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            Some((fields.next()?, fields.next()?))
        });
        let (_, path) = fields.find(|(kind, _)| *kind == wanted)?;
        let path = Path::new(path.trim_start_matches('/'));
        path.ends_with(unit).then(|| path.to_owned())
    };
    of("name=systemd").or_else(|| of(""))
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Both fail only when it has gone already.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid) {
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(path: &str) -> Result<(String, String), String> {
        let id = "c1".parse().unwrap();
        let unit = Unit::of(Some(Path::new(path)), &id, Whose::System);
        let unit = unit.map_err(|error| error.to_string())?;
        Ok((unit.name.clone(), unit.path().display().to_string()))
    }

    #[test]
    fn engines_names_become_units() {
        for (path, name, at) in [
            (
                "machine.slice:libpod:abc",
                "libpod-abc.scope",
                "machine.slice/libpod-abc.scope",
            ),
            (
                "kubepods-burstable-pod12_3.slice:cri-containerd:abc",
                "cri-containerd-abc.scope",
                "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_3.slice/cri-containerd-abc.scope",
            ),
            ("::abc", "abc.scope", "system.slice/abc.scope"),
            ("-.slice:x:abc", "x-abc.scope", "x-abc.scope"),
            ("", "megarun-c1.scope", "system.slice/megarun-c1.scope"),
        ] {
            assert_eq!(unit(path), Ok((name.to_owned(), at.to_owned())), "{path}");
        }
        let none = Unit::of(None, &"c1".parse().unwrap(), Whose::User).unwrap();
        assert_eq!(none.path(), Path::new("user.slice/megarun-c1.scope"));
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        for path in [
            "/libpod_parent/libpod-1",
            "machine.slice:libpod",
            "machine.slice:libpod:a:b",
            "machine.slice:libpod:",
            "machine:libpod:a",
            "../x.slice:libpod:a",
            "a--b.slice:libpod:a",
            "-a.slice:libpod:a",
            ".slice:libpod:a",
            "machine.slice:libpod:a/b",
            "machine.slice:libpod:a b",
            "machine.slice::a.slice",
        ] {
            let error = unit(path).unwrap_err();
            assert!(error.contains("linux.cgroupsPath"), "{path}: {error}");
        }
        assert!(unit(&format!("::{}", "x".repeat(300))).is_err());
    }

    #[test]
    fn the_scope_is_found_in_systemds_own_hierarchy_and_nowhere_else() {
        let scope = Path::new("system.slice/a.scope");
        let hybrid = "9:pids:/user.slice\n1:name=systemd:/system.slice/a.scope\n0::/init.scope\n";
        assert_eq!(own_path(hybrid, "a.scope").as_deref(), Some(scope));
        let unified = "1:name=systemd:/\n0::/system.slice/a.scope\n";
        assert_eq!(own_path(unified, "a.scope").as_deref(), Some(scope));
        for other in [
            "",
            "0::/\n",
            "0::/init.scope\n",
            "0::/a.scope/b\n",
            "0::/aa.scope\n",
        ] {
            assert_eq!(own_path(other, "a.scope"), None, "{other}");
        }
    }
}
