//! What `deploy/` ships for engines and Kubernetes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::command::run;

/// What is validated with: the schemas of Kubernetes' own API, by their version.
const VALIDATOR: &str = "kubernetes-validate==1.37.0";

fn shipped(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the tests are in the repository")
        .join("deploy")
        .join(name)
}

fn text(name: &str) -> String {
    let path = shipped(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn manifests_are_what_kubernetes_takes() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubernetes-validate");
    if !dir.join("kubernetes_validate").exists() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(&dir);
        run(pip.arg(VALIDATOR)).success();
    }
    let validate = |path: &Path| {
        let mut command = Command::new("python3");
        command
            .env("PYTHONPATH", &dir)
            .args(["-m", "kubernetes_validate", "--strict"]);
        run(command.arg(path))
    };
    for name in ["runtimeclass", "deployment", "installer"] {
        let checked = validate(&shipped(&format!("kubernetes/{name}.yaml")));
        let all = checked.out() + &checked.err();
        assert!(checked.code == 0 && all.contains("passed"), "{all}");
    }
    // The validator does find what is wrong.
    let wrong = text("kubernetes/deployment.yaml").replace("failureThreshold", "failureTreshold");
    let file = tempfile::Builder::new()
        .suffix(".yaml")
        .tempfile()
        .expect("a temporary file");
    fs::write(file.path(), wrong).expect("writing a file");
    let checked = validate(file.path());
    assert!((checked.out() + &checked.err()).contains("failureTreshold"));
    assert_ne!(checked.code, 0);
}

#[test]
fn every_drop_in_has_both_handlers() {
    for (name, place) in [
        (
            "containerd/megarun-1.toml",
            "/plugins/io.containerd.grpc.v1.cri/containerd/runtimes",
        ),
        (
            "containerd/megarun-2.toml",
            "/plugins/io.containerd.cri.v1.runtime/containerd/runtimes",
        ),
        ("podman/megarun.conf", "/engine/runtimes"),
        ("crio/megarun.conf", "/crio/runtime/runtimes"),
        ("docker/daemon.json", "/runtimes"),
    ] {
        let text = text(name);
        let document: serde_json::Value = match name.ends_with(".json") {
            true => serde_json::from_str(&text).expect("JSON"),
            false => toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")),
        };
        let handlers = document
            .pointer(place)
            .unwrap_or_else(|| panic!("{name}: no {place}"));
        for handler in ["megarun", "megarun-native"] {
            let handler_text = handlers[handler].to_string();
            let program = format!("\"/usr/local/bin/{handler}\"");
            assert!(handler_text.contains(&program), "{name}: {handler_text}");
        }
    }
}

#[test]
fn configurations_are_what_the_runtime_reads() {
    let node = integration_tests::node::Node::new();
    for name in ["config.toml", "native.toml"] {
        fs::write(node.path("config.toml"), text(name)).expect("writing a configuration");
        // It is read before anything is looked for.
        let created = run(&mut node.megarun(&["create", "--bundle", "/nonexistent", "x"]));
        assert!(
            created.err().contains("opening bundle"),
            "{name}: {}",
            created.err()
        );
    }
}

#[test]
fn a_node_is_installed_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| dir.path().join(name);
    let image = at("image");
    let put = |name: &str, from: &str| {
        let path = image.join(name);
        fs::create_dir_all(path.parent().expect("a file in it")).expect("our own directory");
        fs::copy(shipped(from), &path).expect("copying what is shipped");
    };
    put("install-node.sh", "kubernetes/install-node.sh");
    for name in ["megarun", "megabin", "megarun-native"] {
        put(&format!("usr/local/bin/{name}"), "megarun-native");
    }
    put("etc/megarun/config.toml", "config.toml");
    put("etc/megarun/native.toml", "native.toml");
    for name in ["megarun-1.toml", "megarun-2.toml"] {
        put(
            &format!("usr/local/share/megarun/containerd/{name}"),
            &format!("containerd/{name}"),
        );
    }
    // Stands for the node's containerd, and tells how often it was restarted.
    let tools = at("tools");
    fs::create_dir(&tools).expect("our own directory");
    let restart = format!(
        "#!/bin/sh\necho restarted >> {}\n",
        at("restarts").display()
    );
    fs::write(tools.join("nsenter"), restart).expect("writing a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(tools.join("nsenter"), mode).expect("setting a mode");
    let host = at("host");
    fs::create_dir_all(host.join("etc/containerd")).expect("our own directory");
    let config = host.join("etc/containerd/config.toml");
    fs::write(&config, "version = 2\n[grpc]\naddress = \"/x\"\n").expect("writing a file");
    let install = || {
        let mut command = Command::new(image.join("install-node.sh"));
        let path = format!("{}:/usr/bin:/bin", tools.display());
        run(command.env("PATH", path).arg("--host").arg(&host)).success();
    };
    install();
    let once = fs::read_to_string(&config).expect("the configuration");
    let document: toml::Value = toml::from_str(&once).expect("it is still TOML");
    assert_eq!(document["grpc"]["address"].as_str(), Some("/x"));
    assert!(once.contains("runtimes.megarun-native]"), "{once}");
    assert!(host.join("usr/local/bin/megarun").exists());
    // The operator's own configuration stays.
    fs::write(host.join("etc/megarun/config.toml"), "# mine\n").expect("writing a file");
    install();
    let mine = fs::read_to_string(host.join("etc/megarun/config.toml")).expect("the file");
    assert_eq!(mine, "# mine\n");
    assert_eq!(
        fs::read_to_string(&config).expect("the configuration"),
        once
    );
    let restarts = fs::read_to_string(at("restarts")).expect("one restart at least");
    assert_eq!(restarts, "restarted\n");
}
