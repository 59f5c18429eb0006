//! Manifests that tests and vectors start from.

use megabinary::digest::Digest;
use megabinary::json;
use megabinary::manifest::{Manifest, UnverifiedManifest};
use megabinary::module::Module;
use megabinary::signing::SigningKey;
use serde_json::{Value, json};

/// The key of every test; published with the vectors, so never to be trusted.
pub fn key() -> SigningKey {
    SigningKey::from_random(Digest::of(b"megarun test key: never trust it").as_bytes()).unwrap()
}

pub fn other_key() -> SigningKey {
    SigningKey::from_random(Digest::of(b"another megarun test key").as_bytes()).unwrap()
}

/// A manifest that uses every field, for the module made of `programs`.
pub fn full(module: &Module) -> Value {
    let id = |name: &str| Digest::of(name.as_bytes()).to_string();
    json!({
        "container_id": module.id.to_string(),
        "name": "toolbox",
        "version": "1.0",
        "megabinary": "container.wasm",
        "vkernel_version": ">=0.2.0",
        "global_policies": {
            "default_syscalls": ["read", "write", "close", "exit_group"],
            "networking": "none",
            "exec": "listed"
        },
        "binaries": {
            id("ls"): {
                "path": "/usr/bin/ls", "entry_point": "ls_start",
                "overrides": {"syscalls": ["openat", "getdents64"], "exec": ["/usr/bin/sort"]}
            },
            id("sort"): {"path": "/usr/bin/sort", "entry_point": "sort_start", "args": ["-u", "ü"]}
        },
        "agent_tools": {
            id("search"): {
                "name": "search_tool", "entry_point": "search_start",
                "args": ["--json"],
                "overrides": {"syscalls": ["openat"]},
                "description": "finds text in files",
                "input_schema": {"type": "object", "properties": {"limit": {"type": "number", "maximum": 0.5}}}
            }
        },
        "critical": []
    })
}

/// Sorted keys, so that the bytes do not depend on how serde_json was built.
pub fn bytes(value: &Value) -> Vec<u8> {
    let text = serde_json::to_vec(value).unwrap();
    megabinary::json::pretty(&sorted(
        json::parse(&text, &json::Limits::MANIFEST).unwrap(),
    ))
}

fn sorted(value: json::Value) -> json::Value {
    match value {
        json::Value::Array(items) => json::Value::Array(items.into_iter().map(sorted).collect()),
        json::Value::Object(members) => {
            let mut members: Vec<_> = members
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            json::Value::Object(members)
        }
        scalar => scalar,
    }
}

/// The manifest with a signature by `key` put on it, whatever else it says.
pub fn sign(value: &Value, key_id: &str, key: &SigningKey) -> Value {
    let mut value = value.clone();
    let placeholder = key.sign(b"");
    value["signatures"] = json!({"key_id": key_id, "signature": placeholder});
    let payload = UnverifiedManifest::parse(&bytes(&value)).unwrap().payload();
    value["signatures"]["signature"] = key.sign(&payload).into();
    value
}

pub fn read(value: &Value) -> Manifest {
    UnverifiedManifest::parse(&bytes(value))
        .unwrap()
        .accept_unsigned()
        .unwrap()
        .into_inner()
}
