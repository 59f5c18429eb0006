//! Bundles that are wrong: one clear error on standard error and in the log, a non-zero exit code,
//! nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test ends where it must not go on")]

mod containers;

use std::os::unix::fs::symlink;
use std::process::Command;

use containers::{Bundle, Node, unique};
use serde_json::json;

/// Spoils a bundle, and expects create to say why it failed.
#[track_caller]
fn refused(node: &Node, spoil: impl FnOnce(&Bundle), parts: &[&str]) {
    let id = unique("bad");
    let bundle = node.bundle(&id, &["/bin/hello"]).named(&id);
    spoil(&bundle);
    let log = node.at(&format!("{id}.log"));
    let output = node.run(&[
        "--log",
        log.to_str().unwrap(),
        "--log-format",
        "json",
        "create",
        "--bundle",
        bundle.path.to_str().unwrap(),
        &id,
    ]);
    let output = output.refused(parts);
    let logged = std::fs::read_to_string(&log).unwrap();
    let line: serde_json::Value = serde_json::from_str(logged.trim_end()).unwrap();
    assert_eq!(line["level"], "error");
    assert!(output.err.contains(line["msg"].as_str().unwrap()), "{line}");
    node.assert_nothing_left(&id);
}

fn manifest(bundle: &Bundle, change: impl FnOnce(&str) -> Vec<u8>) {
    let path = bundle.at("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, change(&text)).unwrap();
}

fn wasm(bundle: &Bundle, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let path = bundle.at("container.wasm");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(path, change(bytes)).unwrap();
}

/// Makes a bad manifest of a good one.
type SpoilText = Box<dyn Fn(&str) -> Vec<u8>>;
/// Makes a bad module of a good one.
type SpoilBytes = Box<dyn Fn(Vec<u8>) -> Vec<u8>>;

#[test]
fn manifests() {
    let node = Node::new();
    let bad: [(&str, SpoilText); 9] = [
        ("empty", Box::new(|_| Vec::new())),
        (
            "truncated",
            Box::new(|text| text.as_bytes()[..text.len() / 2].to_vec()),
        ),
        ("not text", Box::new(|_| vec![0xff, 0xfe, 0x00])),
        ("deep", Box::new(|_| "[".repeat(100_000).into_bytes())),
        ("an array", Box::new(|_| b"[]".to_vec())),
        (
            "twice",
            Box::new(|text| text.replacen('{', "{\"version\":\"9\",", 1).into_bytes()),
        ),
        (
            "unknown field",
            Box::new(|text| text.replacen('{', "{\"x\":1,", 1).into_bytes()),
        ),
        (
            "changed",
            Box::new(|text| text.replace("\"1.2\"", "\"1.3\"").into_bytes()),
        ),
        (
            "control characters",
            Box::new(|_| b"{\"\x1b[2J\":1}".to_vec()),
        ),
    ];
    for (what, change) in bad {
        println!("{what}");
        refused(&node, |bundle| manifest(bundle, change), &["manifest.json"]);
    }
    refused(
        &node,
        |bundle| {
            let file = std::fs::File::create(bundle.at("manifest.json")).unwrap();
            file.set_len(1 << 40).unwrap();
        },
        &["manifest.json", "larger"],
    );
    refused(
        &node,
        |bundle| {
            std::fs::remove_file(bundle.at("manifest.json")).unwrap();
            symlink("manifest.json", bundle.at("manifest.json")).unwrap();
        },
        &["manifest.json"],
    );
}

#[test]
fn modules() {
    let node = Node::new();
    let component = b"\0asm\x0d\0\x01\0".to_vec();
    let bad: [(&str, SpoilBytes); 6] = [
        ("empty", Box::new(|_| Vec::new())),
        ("not wasm", Box::new(|_| b"#!/bin/sh\n".to_vec())),
        ("a component", Box::new(move |_| component.clone())),
        (
            "truncated",
            Box::new(|bytes| bytes[..bytes.len() - 40].to_vec()),
        ),
        (
            "one bit",
            Box::new(|mut bytes| {
                let at = bytes.len() / 2;
                bytes[at] ^= 1;
                bytes
            }),
        ),
        (
            "another id",
            Box::new(|mut bytes| {
                let at = bytes.len() - 1;
                bytes[at] ^= 1;
                bytes
            }),
        ),
    ];
    for (what, change) in bad {
        println!("{what}");
        refused(&node, |bundle| wasm(bundle, change), &["container.wasm"]);
    }
    refused(
        &node,
        |bundle| std::fs::remove_file(bundle.at("container.wasm")).unwrap(),
        &["container.wasm", "No such file"],
    );
    refused(
        &node,
        |bundle| {
            std::fs::remove_file(bundle.at("container.wasm")).unwrap();
            std::fs::create_dir(bundle.at("container.wasm")).unwrap();
        },
        &["container.wasm", "regular file"],
    );
}

#[test]
fn bundles() {
    let node = Node::new();
    refused(
        &node,
        |b| std::fs::remove_file(b.at("config.json")).unwrap(),
        &["config.json", "megarun spec"],
    );
    refused(
        &node,
        |b| std::fs::write(b.at("config.json"), "{").unwrap(),
        &["config.json"],
    );
    refused(
        &node,
        |b| std::fs::remove_dir_all(b.at("rootfs")).unwrap(),
        &["root.path"],
    );
    refused(
        &node,
        |bundle| {
            std::fs::remove_dir_all(bundle.at("rootfs")).unwrap();
            std::fs::write(bundle.at("rootfs"), "").unwrap();
        },
        &["root.path", "not a directory"],
    );
    refused(
        &node,
        |bundle| {
            std::fs::remove_dir_all(bundle.at("rootfs")).unwrap();
            symlink("rootfs", bundle.at("rootfs")).unwrap();
        },
        &["root.path"],
    );
    refused(
        &node,
        |bundle| {
            std::fs::remove_file(bundle.at("manifest.json")).unwrap();
            std::fs::remove_file(bundle.at("container.wasm")).unwrap();
        },
        &["no megabinary", "native"],
    );
}

#[test]
fn settings_that_this_runtime_does_not_have() {
    let node = Node::new();
    for (path, value, name) in [
        (
            "/process/apparmorProfile",
            json!("docker-default"),
            "apparmorProfile",
        ),
        ("/process/selinuxLabel", json!("x:y"), "selinuxLabel"),
        ("/linux/intelRdt", json!({}), "intelRdt"),
        (
            "/linux/namespaces",
            json!([{"type": "pid"}, {"type": "uts"}]),
            "`mount`",
        ),
        (
            "/hooks",
            json!({"startContainer": [{"path": "/bin/x"}]}),
            "startContainer",
        ),
        (
            "/linux/sysctl",
            json!({"kernel.core_pattern": "x"}),
            "kernel.core_pattern",
        ),
        ("/linux/cgroupsPath", json!("/"), "cgroupsPath"),
        ("/linux/cgroupsPath", json!("../x"), "cgroupsPath"),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_NOTIFY"}),
            "seccomp",
        ),
    ] {
        refused(
            &node,
            |bundle| {
                bundle.edit(|config| {
                    let (parent, field) = path.rsplit_once('/').unwrap();
                    config.pointer_mut(parent).unwrap()[field] = value;
                });
            },
            &[name],
        );
    }
}

#[test]
fn ids() {
    let node = Node::new();
    let bundle = node.bundle("b", &["/bin/hello"]);
    for id in ["../x", "a/b", "..", ".", "", "a b"] {
        node.create(&bundle, id).refused(&["container id"]);
        node.run(&["state", id]).refused(&["container id"]);
        node.run(&["delete", "--force", id])
            .refused(&["container id"]);
    }
    assert!(
        !node.at("run").exists(),
        "nothing was made for a name that is no id"
    );
}

#[test]
fn what_the_node_does_not_trust() {
    let node = Node::new();
    let good = std::fs::read_to_string(node.at("node.toml")).unwrap();
    let refuse = |setting: &str, parts: &[&str]| {
        std::fs::write(node.at("node.toml"), setting).unwrap();
        refused(&node, |_| {}, parts);
        std::fs::write(node.at("node.toml"), &good).unwrap();
    };
    refuse("", &["key `test`", "trust"]);
    refuse(
        &format!("{good}revoked_keys = [\"test\"]\n"),
        &["revoked", "revoked_keys"],
    );
    refuse(
        &format!("{good}[floors]\nlifecycle = \"1.3\"\n"),
        &["1.2", "1.3", "floors"],
    );
    refuse(
        &format!("{good}[keys.test]\nnames = [\"other-*\"]\n"),
        &["may not sign", "names"],
    );
    refuse(&format!("{good}native = \"maybe\"\n"), &["native"]);
    refuse(&format!("{good}unknown = 1\n"), &["unknown"]);
}

#[test]
fn a_root_of_the_runtimes_own_that_is_no_mount_point() {
    let node = Node::new();
    let id = unique("chroot");
    let bundle = node.bundle(&id, &["/bin/hello"]).named(&id);
    let create = node.command(&["create", "--bundle", bundle.path.to_str().unwrap(), &id]);
    // All of the host, in a directory that is not mounted anywhere.
    let chroot = r#"for at in /*; do
        [ -d "$at" ] && mkdir -p "$0$at" && mount --rbind "$at" "$0$at"
    done
    exec chroot "$0" "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", chroot]);
    command.arg(node.at("top")).arg(create.get_program());
    command.args(create.get_args());
    let said = "the runtime's own root must be a mount point";
    node.run_command(command).refused(&[said]);
    node.assert_nothing_left(&id);
}

#[test]
fn limits_of_a_user_who_may_make_no_cgroup() {
    let node = Node::new();
    let id = unique("user");
    let bundle = node.bundle(&id, &["/bin/hello"]).named(&id);
    bundle.edit(|config| {
        config["linux"]["resources"] = json!({ "memory": { "limit": 67_108_864 } });
    });
    let create = node.command(&["create", "--bundle", bundle.path.to_str().unwrap(), &id]);
    // Where any user can execute it.
    std::fs::copy(create.get_program(), node.at("megarun")).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=54321", "--regid=54321", "--clear-groups"]);
    command.args(["unshare", "--user", "--map-root-user"]);
    command.arg(node.at("megarun")).args(create.get_args());
    let output = node.run_command(command);
    output.refused(&[
        "config.json, linux.resources",
        "/sys/fs/cgroup",
        "delegated",
    ]);
    node.assert_nothing_left(&id);
}
