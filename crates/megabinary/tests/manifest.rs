//! Manifests: reading, writing, signing, trust, agreement with the module.
#![allow(clippy::unwrap_used)]

mod support;

use megabinary::capability::SyscallSet;
use megabinary::digest::Digest;
use megabinary::manifest::{ExecPolicy, Manifest, Networking, TargetKind, UnverifiedManifest};
use megabinary::module::{Module, check_agreement};
use megabinary::trust::{NodePolicy, TrustedKey, decide};
use serde_json::{Value, json};
use support::{Parts, manifests};

fn module() -> Module {
    Module::parse(&Parts::new(&["ls", "search", "sort"]).build()).unwrap()
}

fn id(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn parse(value: &Value) -> UnverifiedManifest {
    UnverifiedManifest::parse(&manifests::bytes(value)).unwrap()
}

/// The shape the format was asked for.
#[test]
fn the_example_of_the_mission_parses() {
    let text = include_str!("../../../runtime-spec/vectors/manifest/example.json");
    let manifest = UnverifiedManifest::parse(text.as_bytes()).unwrap();
    assert_eq!(
        manifest.key_id().map(|id| id.as_str()),
        Some("production-key-2026")
    );
    let manifest = manifest.accept_unsigned().unwrap();
    assert_eq!(manifest.signer(), None);
    assert_eq!(manifest.policies.networking, Networking::Restricted);
    assert_eq!(manifest.policies.exec, ExecPolicy::Any);
    assert!(manifest.lookup_tool("search_tool").is_some());
}

#[test]
fn every_field_is_read_and_written_back() {
    let value = manifests::full(&module());
    let manifest = manifests::read(&value);
    assert_eq!(manifest.name.as_ref().map(|n| n.as_str()), Some("toolbox"));
    let set = |names: &[&str]| SyscallSet::from_names(names).unwrap();
    let ls = manifest.lookup(&id("ls")).unwrap();
    assert_eq!((ls.entry.as_str(), ls.args.len()), ("ls_start", 0));
    assert!(matches!(ls.kind, TargetKind::Binary(path) if path.as_str() == "/usr/bin/ls"));
    assert_eq!(
        manifest.rights(&ls),
        set(&[
            "read",
            "write",
            "close",
            "exit_group",
            "openat",
            "getdents64"
        ])
    );
    assert_eq!(manifest.lookup(&id("sort")).unwrap().args, ["-u", "ü"]);
    let (digest, tool) = manifest.lookup_tool("search_tool").unwrap();
    assert_eq!(
        (digest, tool.entry.as_str()),
        (id("search"), "search_start")
    );
    assert!(matches!(tool.kind, TargetKind::Tool(name) if name.as_str() == "search_tool"));
    assert_eq!(manifest.lookup_path("/usr/bin/sort"), Some(id("sort")));
    assert_eq!(manifest.lookup_path("/usr/bin/other"), None);
    assert!(manifest.lookup(&id("other")).is_none() && manifest.lookup_tool("ls").is_none());
    let text = manifest.to_json_pretty();
    assert_eq!(text, manifest.to_json_pretty());
    let again = UnverifiedManifest::parse(&text)
        .unwrap()
        .accept_unsigned()
        .unwrap()
        .into_inner();
    assert_eq!(again, manifest);
}

#[test]
fn a_signature_covers_every_value_and_the_key_id() {
    let signed = manifests::sign(&manifests::full(&module()), "test", &manifests::key());
    let public = manifests::key().verifying_key();
    assert_eq!(
        parse(&signed)
            .verify(&public)
            .unwrap()
            .signer()
            .map(|k| k.as_str()),
        Some("test")
    );
    assert_eq!(
        parse(&signed)
            .verify(&manifests::other_key().verifying_key())
            .unwrap_err()
            .id(),
        "signature.mismatch"
    );
    let changes: [fn(&mut Value); 8] = [
        |m| m["version"] = "1.1".into(),
        |m| m["container_id"] = Digest::of(b"x").to_string().into(),
        |m| m["signatures"]["key_id"] = "tess".into(),
        |m| m["global_policies"]["networking"] = "host".into(),
        |m| {
            m["global_policies"]["default_syscalls"] =
                json!(["read", "write", "exit_group", "close"])
        },
        |m| m["binaries"].as_object_mut().unwrap().clear(),
        |m| drop(m.as_object_mut().unwrap().remove("critical")),
        |m| m["nonsense"] = json!([1]),
    ];
    for change in changes {
        let mut changed = signed.clone();
        change(&mut changed);
        assert_eq!(
            parse(&changed).verify(&public).unwrap_err().id(),
            "signature.mismatch",
            "{changed}"
        );
    }
    // White space and the order of keys are not values.
    let compact = serde_json::to_vec(&signed).unwrap();
    assert!(
        UnverifiedManifest::parse(&compact)
            .unwrap()
            .verify(&public)
            .is_ok()
    );
}

/// A manifest whose schema is wrong says nothing about that before its signature held.
#[test]
fn the_signature_is_checked_before_anything_else_is_believed() {
    let mut value = manifests::full(&module());
    value["global_policies"]["networking"] = "everything".into();
    let signed = manifests::sign(&value, "test", &manifests::key());
    let id = |key: megabinary::signing::SigningKey| {
        parse(&signed)
            .verify(&key.verifying_key())
            .unwrap_err()
            .id()
    };
    assert_eq!(id(manifests::other_key()), "signature.mismatch");
    assert_eq!(id(manifests::key()), "manifest.unknown-word");
    assert_eq!(
        parse(&value)
            .verify(&manifests::key().verifying_key())
            .unwrap_err()
            .id(),
        "signature.missing"
    );
}

#[test]
fn what_the_writer_signs_is_what_the_reader_verifies() {
    let manifest = manifests::read(&manifests::full(&module()));
    let key_id = "test".parse().unwrap();
    let payload = manifest.payload(Some(&key_id));
    let signed = manifest.signed(key_id, &manifests::key());
    let read = UnverifiedManifest::parse(&signed.to_json_pretty()).unwrap();
    assert_eq!(read.payload(), payload);
    assert_eq!(
        read.verify(&manifests::key().verifying_key())
            .unwrap()
            .into_inner(),
        signed
    );
}

#[test]
fn exec_lists_bind_by_path() {
    let mut value = manifests::full(&module());
    let manifest = manifests::read(&value);
    assert!(manifest.may_exec(&id("ls"), &id("sort")));
    assert!(!manifest.may_exec(&id("sort"), &id("ls")));
    assert!(
        !manifest.may_exec(&id("ls"), &id("search")),
        "a tool without a path is on no list"
    );
    assert!(!manifest.may_exec(&id("stranger"), &id("sort")));
    value["global_policies"]
        .as_object_mut()
        .unwrap()
        .remove("exec");
    value["binaries"][id("ls").to_string()]
        .as_object_mut()
        .unwrap()
        .remove("overrides");
    assert!(manifests::read(&value).may_exec(&id("sort"), &id("ls")));
}

fn policy() -> NodePolicy {
    let key = TrustedKey {
        id: "test".parse().unwrap(),
        key: manifests::key().verifying_key(),
        names: vec![],
    };
    NodePolicy {
        keys: vec![key],
        ..NodePolicy::default()
    }
}

/// Each refusal has its id, and its text names the way out.
#[test]
fn a_node_believes_what_its_policy_says() {
    let value = manifests::full(&module());
    let signed = manifests::sign(&value, "test", &manifests::key());
    let outcome = |value: &Value, change: &dyn Fn(&mut NodePolicy)| {
        let mut policy = policy();
        change(&mut policy);
        decide(&parse(value), &policy)
            .map(drop)
            .map_err(|error| (error.id(), error.to_string()))
    };
    let refused = |value: &Value, id: &str, way_out: &str, change: &dyn Fn(&mut NodePolicy)| {
        let (found, text) = outcome(value, change).unwrap_err();
        assert_eq!(found, id);
        assert!(text.contains(way_out), "{text}");
    };
    let as_is: &dyn Fn(&mut NodePolicy) = &|_| ();
    assert_eq!(outcome(&signed, as_is), Ok(()));
    assert_eq!(outcome(&value, &|p| p.require_signature = false), Ok(()));
    refused(&value, "trust.unsigned", "megabin sign", as_is);
    refused(&value, "trust.unsigned", "require_signature = false", as_is);
    refused(&signed, "trust.unknown-key", "test.pem", &|p| {
        p.keys.clear()
    });
    refused(&signed, "trust.unknown-key", "test.pem", &|p| {
        p.keys.clear();
        p.require_signature = false;
    });
    refused(&signed, "trust.revoked-key", "revoked_keys", &|p| {
        p.revoked_keys.insert("test".parse().unwrap());
    });
    refused(&signed, "trust.revoked-id", "revoked_ids", &|p| {
        p.revoked_ids.insert(module().id);
    });
    let names = |names: &'static [&'static str]| {
        move |p: &mut NodePolicy| {
            p.keys[0].names = names.iter().map(|n| n.parse().unwrap()).collect()
        }
    };
    assert_eq!(outcome(&signed, &names(&["other", "tool*"])), Ok(()));
    refused(
        &signed,
        "trust.key-not-for-name",
        "keys.test.names",
        &names(&["other", "example.com/*"]),
    );
    let floor = |version: &'static str| {
        move |p: &mut NodePolicy| {
            let (name, floor) = ("toolbox".parse().unwrap(), version.parse().unwrap());
            p.floors.insert(name, floor);
            p.require_signature = false;
        }
    };
    assert_eq!(outcome(&signed, &floor("1")), Ok(()));
    assert_eq!(outcome(&signed, &floor("1.0.0")), Ok(()));
    refused(
        &signed,
        "trust.below-floor",
        "floors.\"toolbox\"",
        &floor("1.0.1"),
    );
    refused(
        &value,
        "trust.below-floor",
        "floors.\"toolbox\"",
        &floor("2"),
    );
    let mut unnamed = value.clone();
    unnamed.as_object_mut().unwrap().remove("name");
    let unnamed = manifests::sign(&unnamed, "test", &manifests::key());
    assert_eq!(outcome(&unnamed, as_is), Ok(()));
    refused(&unnamed, "trust.unnamed", "floors", &floor("1"));
    refused(
        &unnamed,
        "trust.key-not-for-name",
        "keys.test.names",
        &names(&["*"]),
    );
    let mut changed = signed.clone();
    changed["version"] = "9".into();
    refused(
        &changed,
        "signature.mismatch",
        "changed after it was signed",
        &|p| p.require_signature = false,
    );
}

#[test]
fn manifest_and_module_must_say_the_same() {
    let module = module();
    let value = manifests::full(&module);
    let agree = |change: &dyn Fn(&mut Value)| {
        let mut value = value.clone();
        change(&mut value);
        let manifest = parse(&value).accept_unsigned().unwrap();
        check_agreement(&manifest, &module).map_err(|error| error.id())
    };
    let megabinary = agree(&|_| ()).unwrap();
    assert!(megabinary.runs_on(&megabinary::VKERNEL_VERSION.parse().unwrap()));
    assert!(!megabinary.runs_on(&"0.1.9".parse().unwrap()));
    assert!(agree(&|m| drop(m.as_object_mut().unwrap().remove("name"))).is_ok());
    assert_eq!(
        agree(&|m| m["container_id"] = id("x").to_string().into()),
        Err("agree.id")
    );
    assert_eq!(agree(&|m| m["name"] = "toolbax".into()), Err("agree.field"));
    assert_eq!(agree(&|m| m["version"] = "1".into()), Err("agree.field"));
    assert_eq!(
        agree(&|m| m["vkernel_version"] = ">=0.2.1".into()),
        Err("agree.field")
    );
    assert_eq!(
        agree(&|m| m["agent_tools"].as_object_mut().unwrap().clear()),
        Err("agree.target")
    );
    for stranger in ["a", "b", "c", "d", "e", "f"] {
        let add = |m: &mut Value| {
            m["agent_tools"][id(stranger).to_string()] =
                json!({"name": "other", "entry_point": "ls_start"});
        };
        assert_eq!(agree(&add), Err("agree.target"), "{stranger}");
    }
    let sort = id("sort").to_string();
    assert_eq!(
        agree(&|m| m["binaries"][&sort]["entry_point"] = "ls_start".into()),
        Err("agree.entry")
    );
}

/// Prints its time with `--nocapture`; a test never fails on time.
#[test]
fn ten_thousand_binaries_work() {
    let mut value = manifests::full(&module());
    let paths: Vec<_> = (0..10_000).map(|n| format!("/usr/bin/tool-{n}")).collect();
    let binaries = value["binaries"].as_object_mut().unwrap();
    binaries.clear();
    for path in &paths {
        let entry = json!({"path": path, "entry_point": "tool_start", "args": ["-x"],
            "overrides": {"syscalls": ["openat", "read", "getdents64"], "exec": [path]}});
        binaries.insert(id(path).to_string(), entry);
    }
    let signed = manifests::sign(&value, "test", &manifests::key());
    let bytes = manifests::bytes(&signed);
    let start = std::time::Instant::now();
    let manifest = UnverifiedManifest::parse(&bytes).unwrap();
    let manifest = manifest.verify(&manifests::key().verifying_key()).unwrap();
    println!("{} bytes in {:?}", bytes.len(), start.elapsed());
    assert_eq!(manifest.binaries.len(), 10_000);
    assert_eq!(manifest.targets().count(), 10_001);
}

#[test]
fn a_manifest_made_in_memory_is_checked_by_the_same_rules() {
    let mut manifest: Manifest = manifests::read(&manifests::full(&module()));
    manifest.policies.exec = ExecPolicy::Any;
    assert_eq!(
        manifest.check().unwrap_err().id(),
        "manifest.exec-not-listed"
    );
}

/// What an image says is shown in errors; it must not be able to speak to the terminal.
#[test]
fn errors_show_no_control_character_of_the_image() {
    let mut texts = Vec::new();
    for key in ["\u{1b}[2J", "\u{202e}", "a\nb"] {
        let mut value = manifests::full(&module());
        value[key] = true.into();
        texts.push(parse(&value).accept_unsigned().unwrap_err().to_string());
        let mut value = manifests::full(&module());
        value["name"] = key.into();
        texts.push(parse(&value).accept_unsigned().unwrap_err().to_string());
        let twice = json!({ key: 1 }).to_string();
        let twice = format!("{},{}", &twice[..twice.len() - 1], &twice[1..]);
        texts.push(
            UnverifiedManifest::parse(twice.as_bytes())
                .unwrap_err()
                .to_string(),
        );
        let mut parts = Parts::new(&["ls"]);
        let import = (
            key.to_owned(),
            key.to_owned(),
            wasm_encoder::EntityType::Function(0),
        );
        parts.imports.push(import);
        texts.push(Module::parse(&parts.build()).unwrap_err().to_string());
        let mut parts = Parts::new(&["ls"]);
        parts.section.image_switch = key.into();
        texts.push(Module::parse(&parts.build()).unwrap_err().to_string());
    }
    for text in texts {
        let hostile = |c: char| c.is_control() || c == '\u{202e}';
        assert!(!text.contains(hostile), "{text:?}");
    }
}
