//! An engine's init (`podman run --init`, `docker run --init`): a native program that reaps. The
//! virtual kernel reaps already, and a native program never runs: the process that the init would
//! have started is the container's own.

use std::path::Path;

use oci_spec::runtime::Spec;

/// Where engines mount theirs: podman 4.3, later and earlier, and docker.
const PLACES: [&str; 4] = [
    "/run/podman-init",
    "/dev/init",
    "/run/init",
    "/sbin/docker-init",
];

/// Takes the init away from the process and the mounts, if the engine put one there.
///
/// It is the engine's, not the image's, where a mount of config.json itself puts it in one of the
/// places. Whether the program behind it may run is decided as for any other.
pub fn strip(spec: &mut Spec) {
    let Some(at) = place(spec) else { return };
    let rest = program(spec).to_vec();
    let mounts = spec.mounts().iter().flatten();
    let others = mounts.filter(|mount| mount.destination() != Path::new(at));
    let others = others.cloned().collect();
    spec.set_mounts(Some(others));
    if let Some(process) = spec.process() {
        let mut process = process.clone();
        process.set_args(Some(rest));
        spec.set_process(Some(process));
    }
}

/// The arguments of the process without the init.
pub fn program(spec: &Spec) -> &[String] {
    let args = spec.process().as_ref();
    let args = args.and_then(|process| process.args().as_deref());
    let args = args.unwrap_or_default();
    match place(spec) {
        Some(_) => args.get(2..).unwrap_or_default(),
        None => args,
    }
}

/// The place of the engine's init, where the process is one: `INIT -- PROGRAM ARGUMENTS`.
fn place(spec: &Spec) -> Option<&'static str> {
    let args = spec.process().as_ref()?.args().as_deref()?;
    let [init, dashes, _program, ..] = args else {
        return None;
    };
    let at = PLACES.into_iter().find(|place| init == place)?;
    let is_bind = |mount: &oci_spec::runtime::Mount| {
        let options = mount.options().as_deref().unwrap_or_default();
        mount.destination() == Path::new(at)
            && options
                .iter()
                .any(|option| option == "bind" || option == "rbind")
            && options.iter().any(|option| option == "ro")
    };
    let mounted = spec.mounts().iter().flatten().any(is_bind);
    (dashes == "--" && mounted).then_some(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stripped(args: &[&str], destination: &str, options: &[&str]) -> (Vec<String>, usize) {
        let mut spec: Spec = serde_json::from_value(json!({
            "ociVersion": "1.0.2",
            "process": {"user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/"},
            "mounts": [
                {"destination": "/proc", "type": "proc"},
                {"destination": destination, "type": "bind", "source": "/init", "options": options}
            ]
        }))
        .unwrap();
        strip(&mut spec);
        let args = spec.process().as_ref().unwrap().args().clone().unwrap();
        (args, spec.mounts().as_ref().unwrap().len())
    }

    #[test]
    fn what_engines_write_is_recognised() {
        for (place, options) in [
            (
                "/run/podman-init",
                &["bind", "private", "ro", "nosuid", "nodev"][..],
            ),
            ("/dev/init", &["bind", "ro"]),
            ("/sbin/docker-init", &["bind", "ro"]),
        ] {
            let (args, mounts) = stripped(&[place, "--", "ls", "--", "-l"], place, options);
            assert_eq!(
                (args.join(" ").as_str(), mounts),
                ("ls -- -l", 1),
                "{place}"
            );
        }
    }

    #[test]
    fn an_images_own_program_keeps_its_arguments() {
        let place = "/sbin/docker-init";
        for (args, destination, options) in [
            // Of the image: no mount puts it there.
            (&[place, "--", "ls"][..], "/other", &["bind", "ro"][..]),
            // One that the container could write.
            (&[place, "--", "ls"], place, &["bind"]),
            (&["/bin/init", "--", "ls"], "/bin/init", &["bind", "ro"]),
            (&[place, "ls", "-l"], place, &["bind", "ro"]),
            (&[place, "--"], place, &["bind", "ro"]),
        ] {
            assert_eq!(
                stripped(args, destination, options),
                (args.iter().map(|arg| (*arg).to_owned()).collect(), 2)
            );
        }
    }
}
