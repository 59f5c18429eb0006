//! podman of an ordinary user, in a user namespace that `newuidmap` fills: beside runc, since
//! Debian's crun wants a cgroup to itself, which nobody delegates to the user here.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use integration_tests::command::{Output, run, run_with};
use integration_tests::engines::{Podman, Room};
use integration_tests::subject;

/// The user's number, and that of the first of its subordinate ones.
const USER: u32 = 54321;
const SUBORDINATE: u32 = 700_000;

/// A user with a home in the room, programs of its own, and the images.
struct User {
    room: &'static Room,
}

impl User {
    fn new() -> Self {
        let room = Room::shared();
        let user = Self { room };
        for line in [
            format!(
                "plain:x:{USER}:{USER}::{}:/bin/sh >>/etc/passwd",
                user.home("").display()
            ),
            format!("plain:x:{USER}: >>/etc/group"),
            format!("plain:{SUBORDINATE}:65536 | tee -a /etc/subuid >>/etc/subgid"),
        ] {
            room.run("sh", &["-c", &format!("echo {line}")]).success();
        }
        // What the user walks through to its home.
        fs::set_permissions(room.path(""), PermissionsExt::from_mode(0o711)).unwrap();
        for name in [
            "",
            "run",
            ".config",
            ".config/megarun",
            ".config/containers",
            "shared",
        ] {
            fs::create_dir_all(user.home(name)).unwrap();
        }
        fs::set_permissions(user.home("run"), PermissionsExt::from_mode(0o700)).unwrap();
        // Where the user can execute them, wherever they were built.
        for program in [subject::megarun(), subject::megabin()] {
            let name = program.file_name().unwrap().to_str().unwrap().to_owned();
            fs::copy(&program, user.home(&name)).unwrap();
        }
        let config = format!("trust = [{:?}]\n", room.path("trust"));
        fs::write(user.home(".config/megarun/config.toml"), config).unwrap();
        let containers = format!(
            "[containers]\nnetns = \"none\"\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
             [engine.runtimes]\nrunc = [\"/usr/sbin/runc\"]\nmegarun = [{:?}]\n",
            user.home("megarun"),
        );
        fs::write(user.home(".config/containers/containers.conf"), containers).unwrap();
        let storage = "[storage]\ndriver = \"overlay\"\n";
        fs::write(user.home(".config/containers/storage.conf"), storage).unwrap();
        for name in ["megarun", "crun"] {
            let (podman, archive) = (Podman::new(room, name), user.home(&format!("{name}.tar")));
            let archive = archive.to_str().unwrap();
            podman.run(&["save", "-o", archive, "IMAGE"]).success();
        }
        let home = user.home("");
        run(std::process::Command::new("chown")
            .args(["-R", &format!("{USER}:{USER}")])
            .arg(home))
        .success();
        for name in ["megarun", "crun"] {
            let archive = user.home(&format!("{name}.tar"));
            user.podman("runc", &["load", "-i", archive.to_str().unwrap()])
                .success();
        }
        user
    }

    fn home(&self, name: &str) -> PathBuf {
        self.room.path("plain").join(name)
    }

    fn command(&self, words: &[&str]) -> std::process::Command {
        let home = self.home("");
        let variables = [
            format!("HOME={}", home.display()),
            format!("XDG_RUNTIME_DIR={}", home.join("run").display()),
            "USER=plain".to_owned(),
        ];
        let ids = [format!("--reuid={USER}"), format!("--regid={USER}")];
        let mut args = vec!["--clear-groups", &ids[0], &ids[1], "env", "-C", "/"];
        args.extend(variables.iter().map(String::as_str));
        args.extend(words);
        self.room.command("setpriv", &args)
    }

    /// `podman --runtime RUNTIME ARGS`, in which `IMAGE` stands for that runtime's image.
    #[track_caller]
    fn podman(&self, runtime: &str, args: &[&str]) -> Output {
        run(&mut self.podman_command(runtime, args))
    }

    fn podman_command(&self, runtime: &str, args: &[&str]) -> std::process::Command {
        let image = match runtime {
            "megarun" => integration_tests::engines::GUEST,
            _ => integration_tests::engines::NATIVE,
        };
        let args = args
            .iter()
            .map(|arg| if *arg == "IMAGE" { image } else { arg });
        let words: Vec<&str> = ["podman", "--runtime", runtime]
            .into_iter()
            .chain(args)
            .collect();
        self.command(&words)
    }
}

#[test]
fn an_ordinary_user_runs_containers() {
    let user = User::new();
    let shared = user.home("shared");
    fs::write(shared.join("word"), "mine\n").unwrap();
    chown(shared.join("word"), Some(USER), Some(USER)).unwrap();
    let volume = format!("{}:/data", shared.display());
    for runtime in ["megarun", "runc"] {
        let ran = |options: &[&str], command: &[&str]| {
            let args = [&["run", "--rm"][..], options, &["IMAGE"], command].concat();
            let output = user.podman(runtime, &args);
            (output.code, output.out(), output.err())
        };
        let says = |options: &[&str], command: &[&str], code: i32, out: &str| {
            let (own, said, error) = ran(options, command);
            assert_eq!(
                (own, said.as_str()),
                (code, out),
                "{runtime} {command:?}: {error}"
            );
        };
        for code in [0, 3, 255] {
            says(&[], &["exit", &code.to_string()], code, "");
        }
        says(&[], &["cat", "/data/word"], 0, "moon\n");
        says(&["-v", &volume], &["cat", "/data/word"], 0, "mine\n");
        says(&["--read-only"], &["touch", "/data/x"], 1, "");
        says(
            &["--read-only", "--tmpfs", "/data"],
            &["touch", "/data/x"],
            0,
            "",
        );
        let (_, variables, _) = ran(&["-e", "SUN=up"], &["env"]);
        assert!(
            variables.lines().any(|line| line == "SUN=up"),
            "{variables}"
        );
        says(&["--network", "host"], &["true"], 0, "");
        // Files of the container's root are the user's; of another of its users, a subordinate's.
        for (options, owner) in [
            (&["-v", &volume][..], USER),
            (&["-v", &volume, "-u", "7"], 0),
        ] {
            let file = format!("{runtime}-{owner}");
            if owner == 0 {
                fs::set_permissions(&shared, PermissionsExt::from_mode(0o777)).unwrap();
            }
            says(options, &["touch", &format!("/data/{file}")], 0, "");
            let uid = fs::metadata(shared.join(&file)).unwrap().uid();
            let expected = if owner == 0 { SUBORDINATE + 6 } else { owner };
            assert_eq!(uid, expected, "{runtime}");
        }

        // A life in the background.
        let name = format!("rootless-{runtime}");
        let start = ["run", "-d", "--name", &name, "IMAGE", "sleep", "1000"];
        user.podman(runtime, &start).success();
        let exec = ["exec", &name, "cat", "/data/word"];
        assert_eq!(
            user.podman(runtime, &exec).success().out(),
            "moon\n",
            "{runtime}"
        );
        let mut exec = user.podman_command(runtime, &["exec", "-i", &name, "sort"]);
        assert_eq!(
            run_with(&mut exec, b"b\na\n").success().out(),
            "a\nb\n",
            "{runtime}"
        );
        let status = ["ps", "--format", "{{.Names}} {{.Status}}"];
        let listed = user.podman(runtime, &status).success().out();
        assert!(listed.contains(&format!("{name} Up")), "{listed}");
        user.podman(runtime, &["stop", "-t", "1", &name]).success();
        let code = user.podman(runtime, &["wait", &name]).success().out();
        assert!(matches!(code.trim(), "143" | "137"), "{runtime}: {code}");
        user.podman(runtime, &["start", &name]).success();
        user.podman(runtime, &["kill", &name]).success();
        user.podman(runtime, &["rm", "-f", &name]).success();
    }
    // The user may make no cgroup, and can say that there is to be one.
    let wanted = [
        "--runtime-flag",
        "rootless=false",
        "run",
        "--rm",
        "IMAGE",
        "true",
    ];
    let refused = user.podman("megarun", &wanted);
    assert_ne!(refused.code, 0);
    assert!(
        refused.err().contains("/sys/fs/cgroup"),
        "{}",
        refused.err()
    );

    // State and compiled code are the user's own, and no container is left in it.
    let state = user.home("run/megarun");
    assert_eq!(fs::read_dir(state).unwrap().count(), 0);
    assert!(user.home(".cache/megarun").is_dir());
}
