//! `podman run`: the same command line with this runtime and with crun comes to the same.

use integration_tests::engines::{Podman, Room};

fn both() -> [Podman<'static>; 2] {
    ["megarun", "crun"].map(|runtime| Podman::new(Room::shared(), runtime))
}

/// Runs `podman run --rm OPTIONS IMAGE COMMAND` with both; code and output must be `code` and `out`.
#[track_caller]
fn alike(options: &str, command: &[&str], code: i32, out: &str) {
    for podman in both() {
        let options: Vec<&str> = options.split_whitespace().collect();
        let args = [&["run", "--rm"][..], &options, &["IMAGE"], command].concat();
        let output = podman.run(&args);
        let shown = format!("{args:?} of {}: {}", podman.image(), output.err());
        assert_eq!((output.code, output.out().as_str()), (code, out), "{shown}");
    }
}

#[test]
fn exit_codes() {
    for code in [0, 1, 2, 64, 124, 125, 126, 127, 128, 137, 143, 255] {
        alike("--network none", &["exit", &code.to_string()], code, "");
    }
}

#[test]
fn what_is_not_there_is_127_in_the_words_of_crun() {
    for podman in both() {
        let output = podman.run(&["run", "--rm", "--network", "none", "IMAGE", "nosuch"]);
        assert_eq!(output.code, 127);
        // docker looks for small letters alone, podman for either.
        let words = "executable file `nosuch` not found in $path: no such file or directory";
        let said = output.err().to_lowercase();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_directory_is_126() {
    alike("--network none", &["/data"], 126, "");
}

#[test]
fn file_systems() {
    let moon = ["cat", "/data/word"];
    alike("--read-only --network none", &moon, 0, "moon\n");
    alike("--read-only --network none", &["touch", "/data/x"], 1, "");
    alike("--read-only --network none", &["touch", "/tmp/x"], 0, "");
    // A tmpfs begins with what the image has there.
    alike("--tmpfs /data --network none", &moon, 0, "moon\n");
    alike(
        "--tmpfs /data:ro --network none",
        &["touch", "/data/x"],
        1,
        "",
    );
    let tmpfs = "--network none --mount type=tmpfs,destination=/data,tmpfs-size=1m";
    alike(tmpfs, &moon, 0, "moon\n");
    alike("--network none -v data:/data", &moon, 0, "moon\n");

    let shared = Room::shared().path("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("sun"), "sun\n").unwrap();
    let shared = shared.display();
    let volume = |options: &str| format!("--network none -v {shared}:/data{options}");
    alike(&volume(""), &["cat", "/data/sun"], 0, "sun\n");
    alike(&volume(""), &["touch", "/data/new"], 0, "");
    alike(&volume(":ro"), &["cat", "/data/sun"], 0, "sun\n");
    alike(&volume(":ro"), &["touch", "/data/other"], 1, "");
    alike(&volume(":rslave"), &["ls", "/data"], 0, "new\nsun\n");
    alike(
        &format!("--network none -v {shared}/sun:/data/word"),
        &moon,
        0,
        "sun\n",
    );
    let bind = format!("--network none --mount type=bind,src={shared},dst=/data,ro=true");
    alike(&bind, &["cat", "/data/sun"], 0, "sun\n");
}

#[test]
fn files_are_made_with_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    for podman in both() {
        for (umask, mode) in [("022", 0o644), ("077", 0o600), ("002", 0o664)] {
            let dir = Room::shared().path(&format!("umask-{umask}-{}", podman.image().len()));
            std::fs::create_dir(&dir).unwrap();
            let volume = format!("{}:/made", dir.display());
            let options = [
                "run",
                "--rm",
                "--network",
                "none",
                "--umask",
                umask,
                "-v",
                &volume,
            ];
            podman
                .run(&[&options[..], &["IMAGE", "touch", "/made/file"]].concat())
                .success();
            let made = dir.join("file").metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(made, mode, "{umask} with {}", podman.image());
        }
    }
}

#[test]
fn files_of_an_idmapped_volume_belong_to_the_containers_root() {
    let mapped = Room::shared().path("mapped");
    std::fs::create_dir(&mapped).unwrap();
    let mappings = "--uidmap 0:100000:65536 --gidmap 0:100000:65536";
    let volume = format!(
        "--network none {mappings} -v {}:/data:idmap",
        mapped.display()
    );
    alike(&volume, &["touch", "/data/new"], 0, "");
    // Both runtimes touched it, and to the host it is root's.
    let owner = std::os::unix::fs::MetadataExt::uid(&mapped.join("new").metadata().unwrap());
    assert_eq!(owner, 0);
    // Without the option the container's root is a stranger there.
    let without = volume.replace(":idmap", "");
    alike(&without, &["touch", "/data/other"], 1, "");
    // Others of the host's users in its place.
    std::os::unix::fs::chown(&mapped, Some(5), Some(6)).unwrap();
    for ids in [
        "uids=5-100000-1;gids=6-100000-1",
        "uids=@5-0-1;gids=@6-0-1#0-1-1",
    ] {
        let own = volume.replace(":idmap", &format!(":idmap={ids}"));
        alike(&own, &["touch", "/data/theirs"], 0, "");
        let made = mapped.join("theirs").metadata().unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!((made.uid(), made.gid()), (5, 6), "{ids}");
        std::fs::remove_file(mapped.join("theirs")).unwrap();
    }
}

#[test]
fn environment() {
    for podman in both() {
        let args = [
            "run",
            "--rm",
            "--network",
            "none",
            "-e",
            "A=b=c",
            "-e",
            "E=",
            "IMAGE",
            "env",
        ];
        let out = podman.says(&args);
        for variable in ["A=b=c", "E=", "container=podman", "TERM=xterm"] {
            assert!(out.lines().any(|line| line == variable), "{out}");
        }
    }
}

#[test]
fn standard_input() {
    for podman in both() {
        let args = ["run", "--rm", "-i", "--network", "none", "IMAGE", "sort"];
        let output = podman.run_with(&args, b"b\na\n").success();
        assert_eq!(output.out(), "a\nb\n");
        // Without -i there is none.
        let args = ["run", "--rm", "--network", "none", "IMAGE", "cat"];
        assert_eq!(podman.run_with(&args, b"lost").success().out(), "");
    }
}

#[test]
fn a_terminal() {
    for podman in both() {
        // By its log: podman itself may lose what a terminal shows last, with crun too.
        let container = podman.start(&["-t", "--network", "none"], &["ls", "/dev/pts", "/dev"]);
        container.run(&["wait", "IT"]).success();
        let out = container.says(&["logs", "IT"]);
        assert!(out.contains("ptmx") && out.contains("console"), "{out}");
        assert!(out.contains('\r'), "no terminal: {out:?}");
        let args = [
            "run",
            "--rm",
            "-it",
            "--network",
            "none",
            "IMAGE",
            "exit",
            "9",
        ];
        assert_eq!(podman.on_terminal(&args).code, 9);
    }
}

#[test]
fn everything_that_podman_can_ask_for_and_crun_does() {
    for options in [
        "--network bridge",
        "--network host",
        "--network none --hostname other",
        "--network none --privileged",
        "--network none --init",
        "--network none --cgroups=disabled",
        "--network none --cgroups=no-conmon",
        "--network none --cgroupns private",
        "--network none --cgroupns host",
        "--network none --pid host",
        "--network none --ipc host",
        "--network none --uts host",
        "--network none --shm-size 10m",
        "--network none --device /dev/fuse",
        "--network none --security-opt seccomp=unconfined",
        "--network none --security-opt no-new-privileges",
        "--network none --security-opt apparmor=unconfined",
        "--network none --security-opt mask=/data",
        "--network none --security-opt unmask=ALL",
        "--network none --sysctl kernel.msgmax=4096",
        "--network none --log-driver none",
        "--network none --log-driver passthrough",
        "--network none --systemd=always",
        "--network none --entrypoint true",
        "--network none --group-add 5",
        "--network none --umask 077",
        "--network none --workdir /data",
        "--network none --tz local",
        "--network none --no-hosts",
        "--network none --oom-score-adj 500",
        "--network none --memory 64m --memory-swap 64m --memory-reservation 32m",
        "--network none --cpus 0.5 --cpu-shares 300 --cpuset-cpus 0",
        "--network none --uidmap 0:100000:65536 --gidmap 0:100000:65536",
        "--network none --uidmap 0:100000:65536 --gidmap 0:100000:65536 --tmpfs /data",
        "--network none --uidmap 0:100000:65536 --gidmap 0:100000:65536 -v mapped:/data:U",
    ] {
        alike(options, &["true"], 0, "");
    }
}

#[test]
fn a_descriptor_is_passed_on() {
    let room = Room::shared();
    let given = room.path("given");
    std::fs::write(&given, "given\n").unwrap();
    let podman = Podman::new(room, "megarun");
    let args = [
        "run",
        "--rm",
        "--preserve-fds",
        "1",
        "--network",
        "none",
        "IMAGE",
        "true",
    ];
    let inner = podman.command(&args);
    let words: Vec<String> = std::iter::once(inner.get_program())
        .chain(inner.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut shell = std::process::Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("exec 3<'{}'; {}", given.display(), words.join(" ")));
    for (name, value) in inner.get_envs() {
        shell.env(name, value.unwrap());
    }
    integration_tests::command::run(&mut shell).success();
    // The same without the descriptor: the runtime notices, not the guest.
    assert_ne!(podman.run(&args).code, 0);
}

#[test]
fn users_are_mapped() {
    for podman in both() {
        let mapped = ["--uidmap", "0:200000:1000", "--gidmap", "0:200000:1000"];
        let options = [&mapped[..], &["--network", "none"]].concat();
        let container = podman.start(&options, &["sleep", "1000"]);
        let map = Room::shared().read(&format!("/proc/{}/uid_map", container.pid()));
        let map: Vec<&str> = map.split_whitespace().collect();
        assert_eq!(map, ["0", "200000", "1000"]);
        // Files of the image are the mapped root's, and so is what it makes.
        assert_eq!(container.says(&["exec", "IT", "cat", "/data/word"]), "moon");
        container
            .run(&["exec", "IT", "touch", "/tmp/made"])
            .success();
        let made = format!("/proc/{}/root/tmp/made", container.pid());
        let owner = Room::shared().run("stat", &["-c", "%u:%g", &made]);
        assert_eq!(owner.success().out(), "200000:200000\n");
    }
}
