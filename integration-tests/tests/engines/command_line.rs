//! The command line and what it prints, beside crun's and runc's on the same bundle.

use std::collections::BTreeSet;

use integration_tests::engines::Runtime;
use serde_json::{Value, json};

fn keys(value: &Value) -> BTreeSet<&str> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"));
    object.keys().map(String::as_str).collect()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn what_is_there_is_shown_alike() {
    let [ours, runc, crun] = Runtime::all("shown");
    assert_eq!(ours.json(&["list", "-f", "json"]), json!([]));
    for runtime in [&ours, &runc, &crun] {
        assert_eq!(runtime.run(&["list", "-q"]).success().out(), "");
        runtime.start("shown");
    }
    let (state, theirs) = (
        ours.json(&["state", "shown"]),
        runc.json(&["state", "shown"]),
    );
    assert_eq!(keys(&state), keys(&theirs));
    for (field, value) in [("status", "running"), ("id", "shown"), ("owner", "")] {
        assert_eq!(state[field], value);
        assert_eq!(theirs[field], value);
    }
    assert_eq!(crun.json(&["state", "shown"])["status"], state["status"]);
    assert!(state["pid"].as_u64().unwrap() > 1);

    let (list, theirs) = (
        ours.json(&["list", "-f", "json"]),
        runc.json(&["list", "-f", "json"]),
    );
    assert_eq!(keys(&list[0]), keys(&theirs[0]));
    assert_eq!(
        (&list[0]["owner"], &list[0]["pid"]),
        (&theirs[0]["owner"], &state["pid"])
    );
    let table = |runtime: &Runtime| runtime.run(&["list"]).success().out();
    let (table, theirs) = (table(&ours), table(&runc));
    assert_eq!(
        words(table.lines().next().unwrap()),
        words(theirs.lines().next().unwrap())
    );
    assert_eq!(words(table.lines().nth(1).unwrap()).len(), 6);

    let pids = json!([state["pid"]]);
    assert_eq!(ours.json(&["ps", "--format", "json", "shown"]), pids);
    assert!(crun.json(&["ps", "--format", "json", "shown"]).is_array());
    let (ps, theirs) = (
        ours.run(&["ps", "shown"]).out(),
        runc.run(&["ps", "shown"]).out(),
    );
    assert_eq!(ps.lines().next(), theirs.lines().next());
    assert_eq!(ps.lines().count(), theirs.lines().count());

    for runtime in [&ours, &runc, &crun] {
        runtime.run(&["kill", "shown", "KILL"]).success();
        runtime.run(&["delete", "--force", "shown"]).success();
    }
}

#[test]
fn events_are_runcs() {
    let [ours, runc, _] = Runtime::all("events");
    let [ours, theirs] = [&ours, &runc].map(|runtime| {
        runtime.start("events");
        let event = runtime.json(&["events", "--stats", "events"]);
        runtime.run(&["delete", "--force", "events"]).success();
        event
    });
    assert_eq!(keys(&ours), keys(&theirs));
    assert_eq!(
        (&ours["type"], &ours["id"]),
        (&theirs["type"], &theirs["id"])
    );
    let (ours, theirs) = (&ours["data"], &theirs["data"]);
    assert_eq!(keys(ours), keys(theirs));
    for part in ["cpuset", "memory"] {
        // A counter at zero is left out, by both.
        let mine: BTreeSet<_> = keys(&ours[part])
            .into_iter()
            .filter(|key| *key != "cache")
            .collect();
        let other: BTreeSet<_> = keys(&theirs[part])
            .into_iter()
            .filter(|key| *key != "cache")
            .collect();
        assert_eq!(mine, other, "{part}");
    }
    assert_eq!(keys(&ours["cpu"]["usage"]), keys(&theirs["cpu"]["usage"]));
    assert_eq!(keys(&ours["memory"]["raw"]), keys(&theirs["memory"]["raw"]));
    for entry in ["usage", "swap", "kernel"] {
        assert_eq!(
            keys(&ours["memory"][entry]),
            keys(&theirs["memory"][entry]),
            "{entry}"
        );
    }
    assert_eq!(ours["cpuset"], theirs["cpuset"]);
    assert_eq!(
        ours["memory"]["usage"]["limit"],
        theirs["memory"]["usage"]["limit"]
    );
}

#[test]
fn specifications_are_runcs_and_cruns() {
    let read = |name: &'static str, options: &[&str]| -> Value {
        let runtime = Runtime::bare(name, &format!("spec-{}", options.len()));
        let mut config = runtime.spec(options);
        // Its own name, and a set that crun leaves empty and runc out.
        for field in ["hostname", "ociVersion"] {
            assert!(config.as_object_mut().unwrap().remove(field).is_some());
        }
        config["process"]["capabilities"]
            .as_object_mut()
            .unwrap()
            .remove("inheritable");
        config
    };
    let ours = read("megarun", &[]);
    assert_eq!(ours, read("runc", &[]));
    assert_eq!(ours, read("crun", &[]));
    let (ours, theirs) = (
        read("megarun", &["--rootless"]),
        read("runc", &["--rootless"]),
    );
    assert_eq!(ours["linux"]["uidMappings"], theirs["linux"]["uidMappings"]);
    let kinds = |config: &Value| -> BTreeSet<String> {
        let all = config["linux"]["namespaces"].as_array().unwrap();
        all.iter()
            .map(|one| one["type"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(kinds(&ours), kinds(&theirs));
}

#[test]
fn features_are_in_the_form_of_runcs() {
    let [ours, runc, _] = Runtime::all("features");
    let (ours, theirs) = (ours.json(&["features"]), runc.json(&["features"]));
    assert_eq!(keys(&ours), keys(&theirs));
    let missing: Vec<_> = keys(&theirs["linux"])
        .difference(&keys(&ours["linux"]))
        .copied()
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(ours["linux"]["namespaces"], theirs["linux"]["namespaces"]);
    assert_eq!(
        ours["linux"]["capabilities"],
        theirs["linux"]["capabilities"]
    );
    let options = |features: &Value| -> BTreeSet<String> {
        let all = features["mountOptions"].as_array().unwrap();
        all.iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect()
    };
    let missing: Vec<_> = options(&theirs)
        .difference(&options(&ours))
        .cloned()
        .collect();
    // A file system takes or refuses the first four itself; the last is refused by name.
    assert_eq!(
        missing,
        ["acl", "iversion", "noacl", "noiversion", "remount"]
    );
}

#[test]
fn versions_are_lines_that_engines_read() {
    let [ours, runc, crun] = Runtime::all("version");
    let version = |runtime: &Runtime| runtime.run(&["--version"]).success().out();
    for runtime in [&ours, &runc, &crun] {
        let text = version(runtime);
        let first: Vec<&str> = words(text.lines().next().unwrap());
        assert_eq!(first[..2], [runtime.name, "version"]);
        assert!(
            text.lines().any(|line| line.starts_with("spec: 1.")),
            "{text}"
        );
    }
    // crun's features are one line of words with a sign.
    assert!(version(&ours).lines().last().unwrap().starts_with("+CAP"));
    assert!(version(&crun).contains("+CAP"));
}

/// The commands and long options that a help text of crun or runc names.
fn named(help: &str) -> (Vec<&str>, BTreeSet<&str>) {
    let commands = help
        .lines()
        .skip_while(|line| line.trim() != "COMMANDS:")
        .skip(1)
        .take_while(|line| !line.trim().is_empty());
    let first = |line| str::split(line, [' ', ',', '\t']).find(|word| !word.is_empty());
    let options = help.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
    (
        commands.filter_map(first).collect(),
        options
            .filter(|word| word.len() > 2 && word.starts_with("--"))
            .collect(),
    )
}

#[test]
fn every_command_and_option_of_theirs_is_known() {
    let [ours, runc, crun] = Runtime::all("options");
    // Nothing is carried out: an option that nobody has ends every line, and is complained of last.
    let unknown = |line: &[&str]| {
        let said = ours.run(&[line, &["--nobodys"]].concat()).err();
        let last = line[line.len() - 1];
        ["unexpected argument", "unrecognized subcommand"]
            .iter()
            .any(|complaint| said.contains(&format!("{complaint} '{last}'")))
    };
    assert!(unknown(&["list", "--no-such-option"]) && unknown(&["no-such-command"]));
    let mut missing = Vec::new();
    for peer in [&runc, &crun] {
        let help = peer.run(&["--help"]).success().out();
        let (commands, options) = named(&help);
        assert!(commands.len() >= 13 && options.len() >= 7, "{help}");
        for option in options {
            if unknown(&[option]) {
                missing.push(format!("{} {option}", peer.name));
            }
        }
        for command in commands {
            let help = peer.run(&[command, "--help"]).success().out();
            for option in named(&help).1 {
                if unknown(&[command, option]) {
                    missing.push(format!("{} {command} {option}", peer.name));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn mistakes_fail_as_theirs_and_a_dead_container_says_what_engines_look_for() {
    for runtime in Runtime::all("mistakes") {
        let name = runtime.name;
        runtime.start("mistakes");
        for args in [
            &["start", "mistakes"][..],
            &["delete", "mistakes"],
            &["state", "absent"],
            &["kill", "absent"],
            &["start", "absent"],
            &["delete", "absent"],
            &["exec", "absent", "true"],
            &["list", "--format", "xml"],
        ] {
            assert_ne!(runtime.run(args).code, 0, "{name} {args:?}");
        }
        assert_eq!(
            runtime.run(&["exec", "mistakes", "exit", "7"]).code,
            7,
            "{name}"
        );
        runtime.run(&["delete", "--force", "absent"]).success();
        runtime.run(&["kill", "mistakes", "SIGKILL"]).success();
        let gone = || runtime.json(&["state", "mistakes"])["status"] == "stopped";
        while !gone() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        if name == "megarun" {
            let refused = runtime.run(&["kill", "mistakes", "9"]);
            assert_eq!(refused.code, 1);
            assert!(
                refused.err().contains("container not running"),
                "{}",
                refused.err()
            );
            // As runc: who wants nothing left has that.
            let all = ["kill", "--all", "mistakes", "9"];
            runtime.run(&all).success();
        }
        runtime.run(&["delete", "mistakes"]).success();
        runtime.run(&["delete", "--force", "mistakes"]).success();
    }
}

#[test]
fn limits_are_updated_by_options_as_with_runc() {
    let [ours, runc, _] = Runtime::all("update");
    let [ours, theirs] = [&ours, &runc].map(|runtime| {
        runtime.start("update");
        let options = [
            "--memory",
            "64m",
            "--cpu-quota",
            "30000",
            "--cpu-period",
            "60000",
            "--pids-limit",
            "50",
        ];
        runtime
            .run(&[&["update"][..], &options, &["update"]].concat())
            .success();
        let event = runtime.json(&["events", "--stats", "update"]);
        runtime.run(&["delete", "--force", "update"]).success();
        event["data"].clone()
    });
    assert_eq!(ours["memory"]["usage"]["limit"], 64 << 20);
    assert_eq!(
        ours["memory"]["usage"]["limit"],
        theirs["memory"]["usage"]["limit"]
    );
    assert_eq!(ours["pids"]["limit"], theirs["pids"]["limit"]);
}

#[test]
fn what_is_not_done_is_refused_by_name() {
    let ours = Runtime::new("megarun", "refused");
    ours.start("refused");
    for (args, name) in [
        (
            &["checkpoint", "--image-path", "x", "refused"][..],
            "checkpoint",
        ),
        (&["restore", "refused"], "restore"),
        (&["exec", "--apparmor", "x", "refused", "true"], "apparmor"),
        (
            &["exec", "--process-label", "x", "refused", "true"],
            "selinux",
        ),
        (
            &["update", "--kernel-memory", "5", "refused"],
            "--kernel-memory",
        ),
        (
            &["update", "--l3-cache-schema", "x", "refused"],
            "--l3-cache-schema",
        ),
    ] {
        let refused = ours.run(args);
        // As runc: none of a program's own.
        let code = if args[0] == "exec" { 255 } else { 1 };
        assert_eq!(refused.code, code, "{args:?}");
        assert!(
            refused.err().to_lowercase().contains(name),
            "{args:?}: {}",
            refused.err()
        );
    }
    ours.run(&["delete", "--force", "refused"]).success();
}
