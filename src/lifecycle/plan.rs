//! From config.json to a checked plan of what to make. Reads, but changes nothing on the host.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxResources, Spec};
use vkernel::identity::is_host_root;

use super::LifecycleError;
use crate::bundle::config::Bundle;
use crate::bundle::supported;
use crate::container::{ContainerDir, ContainerId};
use crate::failure::Doing;
use crate::init::request::{Build, Handing};
use crate::sandbox::cgroup::detect::Hierarchies;
use crate::sandbox::cgroup::resources;
use crate::sandbox::cgroup::{self, CgroupError, CgroupPaths, Manager};
use crate::sandbox::devices::Lender;
use crate::sandbox::labels::Modules;
use crate::sandbox::mounts::idmap::Mappings;
use crate::sandbox::mounts::prepare;
use crate::sandbox::mounts::{Source, options};
use crate::sandbox::namespaces::{NamespaceError, Namespaces};
use crate::sandbox::{devices, hooks, sysctl};
use crate::sys::mount_attr::{self, Attr};
use crate::systemd::{Holder, Unit, Whose};

/// What create will make.
pub struct Plan {
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Cgroups; empty when they are switched off.
    pub cgroup: CgroupPaths,
    /// Limits.
    pub resources: LinuxResources,
    /// Mappings of the user namespace.
    pub uids: Vec<LinuxIdMapping>,
    /// Likewise for groups.
    pub gids: Vec<LinuxIdMapping>,
    /// Checked sysctls.
    pub sysctl: Vec<(String, String)>,
    /// SELinux label of file systems that are made for the container.
    pub mount_label: Option<String>,
}

impl Plan {
    /// Checks everything that can be checked before something is made.
    pub fn new(spec: &Spec, id: &ContainerId, manager: Manager) -> Result<Self, LifecycleError> {
        supported::check(spec)?;
        let host = Modules::of_host();
        if let Some(process) = spec.process() {
            supported::labels(process, host)?;
        }
        let empty = Linux::default();
        let linux = spec.linux().as_ref().unwrap_or(&empty);
        let namespaces = Namespaces::parse(linux.namespaces().as_deref().unwrap_or_default())?;
        let uids = linux.uid_mappings().clone().unwrap_or_default();
        let gids = linux.gid_mappings().clone().unwrap_or_default();
        namespaces.check_mappings(&uids, &gids)?;
        for (field, name, kind) in [
            ("hostname", spec.hostname(), libc::CLONE_NEWUTS),
            ("domainname", spec.domainname(), libc::CLONE_NEWUTS),
        ] {
            if name.as_ref().is_some_and(|name| !name.is_empty()) && !namespaces.separates(kind) {
                let reason = match field {
                    "hostname" => "hostname needs a `uts` namespace of the container's own",
                    _ => "domainname needs a `uts` namespace of the container's own",
                };
                return Err(NamespaceError::Unsupported(reason).into());
            }
        }
        let settings = linux.sysctl().clone().unwrap_or_default();
        let sysctl = sysctl::check(&settings, &namespaces)?;
        if let Some(all) = spec.hooks() {
            for (kind, list) in [
                ("prestart", deprecated_prestart(spec)),
                (
                    "createRuntime",
                    all.create_runtime().as_deref().unwrap_or_default(),
                ),
                (
                    "createContainer",
                    all.create_container().as_deref().unwrap_or_default(),
                ),
                (
                    "startContainer",
                    all.start_container().as_deref().unwrap_or_default(),
                ),
                ("poststart", all.poststart().as_deref().unwrap_or_default()),
                ("poststop", all.poststop().as_deref().unwrap_or_default()),
            ] {
                hooks::check(kind, list)?;
            }
        }
        let resources = linux.resources().clone().unwrap_or_default();
        let cgroups_path = linux.cgroups_path().as_deref();
        let mut cgroup = match manager {
            Manager::Files | Manager::FilesIfAllowed => {
                let relative = cgroup::relative_path(cgroups_path, id)?;
                Hierarchies::mounted()?.paths(&relative)
            }
            Manager::Systemd => {
                let unit = Unit::of(cgroups_path, id, Whose::own())?;
                CgroupPaths {
                    unit: Some(unit.clone()),
                    ..Hierarchies::mounted()?.paths(&unit.path())
                }
            }
            Manager::Nobody => CgroupPaths::default(),
        };
        if manager != Manager::Nobody {
            let limits = resources::writes(&resources, cgroup.version())?;
            if manager == Manager::FilesIfAllowed
                && let Some(path) = cgroup.forbidden()
            {
                if !limits.is_empty() {
                    return Err(CgroupError::NotAllowed(path.to_owned()).into());
                }
                cgroup = CgroupPaths::default();
            }
            cgroup::devices::rules(resources.devices().as_deref().unwrap_or_default())?;
        }
        Ok(Self {
            namespaces,
            cgroup,
            resources,
            uids,
            gids,
            sysctl,
            mount_label: supported::mount_label(linux, host).map(str::to_owned),
        })
    }

    /// Has systemd make the scope, where the cgroup is to be one: the cgroups are then below
    /// wherever systemd has put it.
    pub fn start_unit(&mut self) -> Result<Option<Holder>, LifecycleError> {
        let Some(unit) = self.cgroup.unit.take() else {
            return Ok(None);
        };
        let holder = unit.start(&self.resources, self.cgroup.version())?;
        let path = holder.path(&unit).map_err(CgroupError::from)?;
        self.cgroup = Hierarchies::mounted()?.paths(&path);
        self.cgroup.unit = Some(unit);
        Ok(Some(holder))
    }

    /// Opens everything that the child gets from the host. The cgroups must exist by now.
    pub fn build(
        &self,
        bundle: &Bundle,
        dir: &ContainerDir,
        state: String,
        pivot: bool,
        handing: &mut Handing,
    ) -> Result<Build, LifecycleError> {
        let spec = &bundle.spec;
        let empty = Linux::default();
        let linux = spec.linux().as_ref().unwrap_or(&empty);
        // Also where this process is in one already: only root of the host makes devices.
        let user_namespace = self.namespaces.makes(libc::CLONE_NEWUSER) || !is_host_root();
        let fifo = handing.give(dir.make_fifo()?);
        let join = self
            .namespaces
            .open_joined()?
            .into_iter()
            // The parent joins the pid namespace: it is for children.
            .filter(|(flag, _)| *flag != libc::CLONE_NEWPID as u32)
            .map(|(flag, fd)| (flag, handing.give(fd)))
            .collect();
        let rootfs_propagation = linux
            .rootfs_propagation()
            .as_deref()
            .and_then(options::propagation);
        let rootfs = rootfs(bundle, rootfs_propagation)?;
        let mounts = prepare::steps(
            spec.mounts().as_deref().unwrap_or_default(),
            &bundle.path,
            &self.cgroup,
            Mappings {
                uids: &self.uids,
                gids: &self.gids,
            },
            self.mount_label.as_deref(),
            handing,
        )?;
        let own_dev = mounts.iter().any(|step| {
            step.destination.as_os_str() == "/dev" && matches!(step.source, Source::Tree { .. })
        });
        let devices = match own_dev {
            true => None,
            false => {
                let config = linux.devices().as_deref().unwrap_or_default();
                let lender = user_namespace.then(|| Lender {
                    dir: dir.for_more(),
                    uids: &self.uids,
                    gids: &self.gids,
                });
                Some(devices::plan(config, lender.as_ref(), handing)?)
            }
        };
        let paths = |list: &Option<Vec<String>>| list.iter().flatten().map(PathBuf::from).collect();
        let name = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        Ok(Build {
            fifo,
            join,
            new_cgroup_namespace: self.namespaces.makes(libc::CLONE_NEWCGROUP),
            loopback: self.namespaces.makes(libc::CLONE_NEWNET),
            mount_namespace: self.namespaces.mounts(),
            rootfs: handing.give(rootfs),
            rootfs_path: bundle.rootfs.clone(),
            rootfs_propagation,
            pivot,
            rootfs_read_only: spec.root().as_ref().and_then(|root| root.readonly()) == Some(true),
            mounts,
            devices,
            masked: paths(linux.masked_paths()),
            read_only: paths(linux.readonly_paths()),
            hostname: name(spec.hostname()),
            domainname: name(spec.domainname()),
            sysctl: self.sysctl.clone(),
            tells_mounted: follows_mounting(spec),
            hooks: spec
                .hooks()
                .as_ref()
                .and_then(|hooks| hooks.create_container().clone())
                .unwrap_or_default(),
            state,
        })
    }
}

/// A detached tree of the root file system. Mounts that come up on the host later show in it only
/// with a propagation of `slave` or `shared`.
fn rootfs(bundle: &Bundle, propagation: Option<(u64, bool)>) -> Result<OwnedFd, LifecycleError> {
    let tree = prepare::clone_tree(&bundle.rootfs, true)?;
    let propagation = match propagation {
        // No shared mount can become a root; the root becomes one when it is in place.
        Some((libc::MS_SHARED | libc::MS_SLAVE, _)) => libc::MS_SLAVE,
        _ => libc::MS_PRIVATE,
    };
    let attr = Attr {
        propagation,
        recursive: true,
        ..Attr::default()
    };
    mount_attr::set(tree.as_fd(), &attr)
        .doing(|| format!("setting the propagation of `{}`", bundle.rootfs.display()))?;
    Ok(tree)
}

/// Whether create has hooks to run when all is mounted, or to run for a container that got so far.
pub fn follows_mounting(spec: &Spec) -> bool {
    let Some(hooks) = spec.hooks() else {
        return false;
    };
    let later = [hooks.create_runtime(), hooks.poststop()];
    !deprecated_prestart(spec).is_empty()
        || later.into_iter().flatten().any(|list| !list.is_empty())
}

/// `prestart` hooks: deprecated by the specification, and what docker uses.
#[allow(deprecated)]
pub fn deprecated_prestart(spec: &Spec) -> &[oci_spec::runtime::Hook] {
    spec.hooks()
        .as_ref()
        .and_then(|hooks| hooks.prestart().as_deref())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::credentials::Runs;
    use crate::seccomp;

    /// config.json as engines wrote it on hosts of both cgroup versions; lists that go on and on
    /// are cut.
    const SAMPLES: [(&str, &str); 11] = [
        ("cri app", include_str!("samples/cri-container-app.json")),
        ("cri job", include_str!("samples/cri-container-job.json")),
        (
            "cri sandbox",
            include_str!("samples/cri-sandbox-pause.json"),
        ),
        ("ctr", include_str!("samples/ctr-run.json")),
        ("docker", include_str!("samples/docker-run.json")),
        (
            "podman, cgroup v2",
            include_str!("samples/podman-cgroupv2.json"),
        ),
        ("podman", include_str!("samples/podman-plain.json")),
        (
            "podman in a pod",
            include_str!("samples/podman-podmember.json"),
        ),
        (
            "podman, privileged",
            include_str!("samples/podman-privileged.json"),
        ),
        ("podman, terminal", include_str!("samples/podman-tty.json")),
        (
            "podman, user namespace",
            include_str!("samples/podman-userns.json"),
        ),
    ];

    #[test]
    fn what_engines_write_is_accepted_whole() {
        for (engine, text) in SAMPLES {
            let spec: Spec = serde_json::from_str(text).unwrap();
            let id = "c1".parse().unwrap();
            let plan =
                Plan::new(&spec, &id, Manager::Files).unwrap_or_else(|e| panic!("{engine}: {e}"));
            assert!(plan.cgroup.all().next().is_some(), "{engine}");
            // A list that was cut is not enough for guests.
            let profile = spec.linux().as_ref().unwrap().seccomp().as_ref();
            let compiled = profile.map(|profile| seccomp::compile_for(profile, Runs::Native));
            assert!(compiled.is_none_or(|done| done.is_ok()), "{engine}");
            for mount in spec.mounts().iter().flatten() {
                let kind = mount.typ().as_deref().unwrap_or_default();
                let given = mount.options().as_deref().unwrap_or_default();
                options::parse(kind, given).unwrap_or_else(|e| panic!("{engine}: {e}"));
            }
            assert_eq!(
                supported::is_sandbox(&spec),
                engine == "cri sandbox",
                "{engine}"
            );
        }
    }
}
