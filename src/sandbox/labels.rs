//! Labels of Linux security modules: AppArmor profiles and SELinux contexts.
//!
//! A native program takes its label with its execution. The virtual kernel is not executed, so its process
//! changes its own label, as crun does for its WebAssembly handlers: AppArmor lets an unconfined process do so,
//! SELinux one whose policy has `dyntransition` and that has a single thread.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use oci_spec::runtime::Process;

use super::credentials::Runs;
use crate::failure::{Doing, Failure};

/// Which modules the host's kernel has switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modules {
    /// AppArmor.
    pub apparmor: bool,
    /// SELinux, enforcing or not.
    pub selinux: bool,
}

impl Modules {
    /// Those of this host.
    pub fn of_host() -> Self {
        Self::below(Path::new("/sys"))
    }

    /// Those that the sysfs at `sys` tells of.
    fn below(sys: &Path) -> Self {
        let enabled = std::fs::read(sys.join("module/apparmor/parameters/enabled"));
        Self {
            apparmor: enabled.is_ok_and(|text| text.starts_with(b"Y")),
            selinux: sys.join("fs/selinux/enforce").exists(),
        }
    }
}

/// The labels of a process, to be put on once it is all else that it is to be.
#[derive(Debug)]
pub struct Labels(Vec<Label>);

#[derive(Debug)]
struct Label {
    file: File,
    text: String,
    doing: String,
}

impl Labels {
    /// Opens what the labels of `process` are written to. Needs the host's procfs, and the process that will put
    /// them on.
    pub fn open(process: &Process, runs: Runs) -> Result<Self, Failure> {
        Self::open_below(Path::new("/proc/self/attr"), process, runs)
    }

    fn open_below(attr: &Path, process: &Process, runs: Runs) -> Result<Self, Failure> {
        let (at, verb) = match runs {
            Runs::Guests => ("current", "changeprofile"),
            Runs::Native => ("exec", "exec"),
        };
        let mut labels = Vec::new();
        let profile = process.apparmor_profile().as_deref().unwrap_or_default();
        if !profile.is_empty() {
            let doing = format!("changing to the AppArmor profile `{profile}`");
            // Older kernels have one set of files for whichever module is there.
            let own = attr.join("apparmor").join(at);
            let path = if own.exists() { own } else { attr.join(at) };
            match File::options().write(true).open(path) {
                Ok(file) => labels.push(Label {
                    file,
                    text: format!("{verb} {profile}"),
                    doing,
                }),
                // A host without AppArmor, on which nothing is confined; another profile was refused there.
                Err(error) if error.kind() == ErrorKind::NotFound && profile == UNCONFINED => {}
                Err(error) => return Err(Failure::new(doing, error)),
            }
        }
        let context = process.selinux_label().as_deref().unwrap_or_default();
        if !context.is_empty() {
            let doing = format!("changing to the SELinux label `{context}`");
            let file = File::options().write(true).open(attr.join(at));
            labels.push(Label {
                file: file.doing(|| doing.clone())?,
                text: context.to_owned(),
                doing,
            });
        }
        Ok(Self(labels))
    }

    /// Puts them on: at once for guests, with the next execution for a native program.
    pub fn put_on(self) -> Result<(), Failure> {
        for Label {
            mut file,
            text,
            doing,
        } in self.0
        {
            // The kernel takes a label in one write or not at all.
            file.write_all(text.as_bytes()).doing(|| doing)?;
        }
        Ok(())
    }
}

/// What engines say where they have a profile to switch off.
pub const UNCONFINED: &str = "unconfined";

#[cfg(test)]
mod tests {
    use super::*;

    fn process(profile: &str, label: &str) -> Process {
        let process = serde_json::json!({
            "user": {"uid": 0, "gid": 0}, "cwd": "/", "apparmorProfile": profile, "selinuxLabel": label
        });
        serde_json::from_value(process).unwrap()
    }

    #[test]
    fn a_label_is_written_where_the_kernel_takes_it() {
        let label = "system_u:system_r:container_t:s0:c1,c2";
        for (runs, file, profile) in [
            (Runs::Guests, "current", "changeprofile docker-default"),
            (Runs::Native, "exec", "exec docker-default"),
        ] {
            let attr = tempfile::tempdir().unwrap();
            let at = |name: &str| attr.path().join(name);
            std::fs::create_dir(at("apparmor")).unwrap();
            for name in ["apparmor/current", "apparmor/exec", "current", "exec"] {
                std::fs::write(at(name), "").unwrap();
            }
            let process = process("docker-default", label);
            let labels = Labels::open_below(attr.path(), &process, runs).unwrap();
            let read = |name: &str| std::fs::read_to_string(at(name)).unwrap();
            assert_eq!(read(file), "");
            labels.put_on().unwrap();
            assert_eq!(read(&format!("apparmor/{file}")), profile);
            assert_eq!(read(file), label);
            // A kernel without files for AppArmor alone.
            std::fs::remove_dir_all(at("apparmor")).unwrap();
            let process = self::process("docker-default", "");
            let labels = Labels::open_below(attr.path(), &process, runs).unwrap();
            labels.put_on().unwrap();
            assert!(read(file).starts_with(profile));
        }
    }

    #[test]
    fn what_cannot_be_labelled_does_not_run() {
        let none = Path::new("/proc/self/attr/none");
        let open =
            |profile, label| Labels::open_below(none, &process(profile, label), Runs::Guests);
        let said = |profile, label| open(profile, label).unwrap_err().to_string();
        assert!(said("docker-default", "").contains("the AppArmor profile `docker-default`"));
        assert!(said("", "a:b").contains("the SELinux label `a:b`"));
        for unlabelled in [open("", ""), open(UNCONFINED, "")] {
            assert!(unlabelled.unwrap().0.is_empty());
        }
        // The kernel refuses: what is written is no label.
        let full = Labels(vec![Label {
            file: File::options().write(true).open("/dev/full").unwrap(),
            text: "x".into(),
            doing: "changing".into(),
        }]);
        assert!(full.put_on().is_err());
    }

    #[test]
    fn modules_are_those_that_are_switched_on() {
        let sys = tempfile::tempdir().unwrap();
        let modules = |apparmor, selinux| Modules { apparmor, selinux };
        assert_eq!(Modules::below(sys.path()), modules(false, false));
        let parameters = sys.path().join("module/apparmor/parameters");
        std::fs::create_dir_all(&parameters).unwrap();
        std::fs::write(parameters.join("enabled"), "N\n").unwrap();
        assert_eq!(Modules::below(sys.path()), modules(false, false));
        std::fs::write(parameters.join("enabled"), "Y\n").unwrap();
        std::fs::create_dir_all(sys.path().join("fs/selinux")).unwrap();
        std::fs::write(sys.path().join("fs/selinux/enforce"), "0").unwrap();
        assert_eq!(Modules::below(sys.path()), modules(true, true));
    }
}
