//! Manifests: for each rule of the schema a bad one.

use megabinary::limits;
use serde_json::{Value, json};

use crate::manifest_vectors::{full, id};
use crate::support::manifests;
use crate::vector::Vectors;

pub fn add(vectors: &mut Vectors) {
    missing_fields(vectors);
    fields(vectors);
    names(vectors);
    rules(vectors);
}

/// Adds a bad manifest; `schema` says whether the JSON Schema rejects it too.
fn bad(
    vectors: &mut Vectors,
    schema: bool,
    error: &str,
    file: &str,
    rule: &str,
    change: impl FnOnce(&mut Value),
) {
    let mut value = full();
    change(&mut value);
    let verdict = if schema { "rejects" } else { "accepts" };
    vectors
        .add(
            "manifest",
            &format!("manifest/{file}.json"),
            Some(&format!("manifest.{error}")),
            rule,
            manifests::bytes(&value),
        )
        .with("schema", verdict);
}

fn missing_fields(vectors: &mut Vectors) {
    let (ls, search) = (
        format!("/binaries/{}", id("ls")),
        format!("/agent_tools/{}", id("search")),
    );
    for (object, field) in [
        ("", "container_id"),
        ("", "version"),
        ("", "megabinary"),
        ("", "vkernel_version"),
        ("", "global_policies"),
        ("", "binaries"),
        ("/global_policies", "default_syscalls"),
        ("/global_policies", "networking"),
        (&ls, "path"),
        (&ls, "entry_point"),
        (&search, "name"),
        (&search, "entry_point"),
    ] {
        let kind = match object {
            "" => "",
            "/global_policies" => "policy-",
            object if object == ls => "binary-",
            _ => "tool-",
        };
        let file = format!("missing-{kind}{}", field.replace('_', "-"));
        bad(
            vectors,
            true,
            "missing-field",
            &file,
            "a required field is missing",
            |m| {
                m.pointer_mut(object)
                    .unwrap()
                    .as_object_mut()
                    .unwrap()
                    .remove(field)
                    .unwrap();
            },
        );
    }
    for field in ["key_id", "signature"] {
        let file = format!("missing-signature-{}", field.replace('_', "-"));
        bad(
            vectors,
            true,
            "missing-field",
            &file,
            "a required field of `signatures` is missing",
            |m| {
                *m = manifests::sign(m, "test", &manifests::key());
                m["signatures"]
                    .as_object_mut()
                    .unwrap()
                    .remove(field)
                    .unwrap();
            },
        );
    }
}

fn fields(vectors: &mut Vectors) {
    let (ls, search) = (
        format!("/binaries/{}", id("ls")),
        format!("/agent_tools/{}", id("search")),
    );
    let overrides = format!("{ls}/overrides");
    for (place, file) in [
        ("", "top"),
        ("/global_policies", "policy"),
        (ls.as_str(), "binary"),
        (&search, "tool"),
        (&overrides, "overrides"),
    ] {
        let rule = "a field schema v1 does not have";
        bad(
            vectors,
            true,
            "unknown-field",
            &format!("unknown-field-{file}"),
            rule,
            |m| {
                m.pointer_mut(place).unwrap()["privileged"] = true.into();
            },
        );
    }
    bad(
        vectors,
        true,
        "unknown-field",
        "unknown-field-signatures",
        "a field `signatures` does not have",
        |m| {
            *m = manifests::sign(m, "test", &manifests::key());
            m["signatures"]["algorithm"] = "none".into();
        },
    );
    for (place, value, file) in [
        ("", json!([]), "top"),
        ("/container_id", json!(1), "container-id"),
        ("/name", json!(null), "name"),
        ("/version", json!(1.0), "version"),
        ("/binaries", json!([]), "binaries"),
        ("/critical", json!("x"), "critical"),
        (
            "/global_policies/default_syscalls",
            json!("read"),
            "syscalls",
        ),
        (&overrides, json!(null), "overrides"),
        (
            &format!("{search}/input_schema"),
            json!(true),
            "input-schema",
        ),
        (&format!("{ls}/path"), json!({}), "path"),
    ] {
        bad(
            vectors,
            true,
            "type",
            &format!("type-{file}"),
            "a value of another type",
            |m| *m.pointer_mut(place).unwrap() = value,
        );
    }
}

fn names(vectors: &mut Vectors) {
    let (ls, search) = (
        format!("/binaries/{}", id("ls")),
        format!("/agent_tools/{}", id("search")),
    );
    let (path, entry) = (format!("{ls}/path"), format!("{ls}/entry_point"));
    let tool = format!("{search}/name");
    for (place, value, file) in [
        ("/name", "", "empty"),
        ("/name", "../toolbox", "traversal"),
        ("/version", "1.0-rc1", "version"),
        ("/version", "01", "version-zero"),
        ("/megabinary", "../container.wasm", "megabinary-path"),
        ("/megabinary", "", "megabinary-empty"),
        (&path, "usr/bin/ls", "path-relative"),
        (&path, "/usr/../bin/ls", "path-traversal"),
        (&path, "/usr//bin/ls", "path-empty-part"),
        (&path, "/", "path-root"),
        (&path, "/usr/bin/ls/", "path-slash"),
        (&path, "/usr/bin/l\ns", "path-control"),
        (&entry, "", "entry-empty"),
        (&entry, "ls start", "entry-space"),
        (&tool, "", "tool-empty"),
        (&tool, "--help", "tool-option"),
    ] {
        bad(
            vectors,
            true,
            "name",
            &format!("name-{file}"),
            "a name that breaks its rule",
            |m| *m.pointer_mut(place).unwrap() = value.into(),
        );
    }
    bad(
        vectors,
        true,
        "name",
        "name-key-id-path",
        "a key id is never a path",
        |m| {
            *m = manifests::sign(m, "test", &manifests::key());
            m["signatures"]["key_id"] = "../test".into();
        },
    );
    bad(
        vectors,
        true,
        "digest",
        "digest-container-id",
        "a digest in upper case",
        |m| {
            m["container_id"] = m["container_id"]
                .as_str()
                .unwrap()
                .to_uppercase()
                .replace("SHA256", "sha256")
                .into();
        },
    );
    bad(
        vectors,
        true,
        "digest",
        "digest-key",
        "a key that is no digest",
        |m| {
            m["binaries"]["ls"] = json!({"path": "/usr/bin/cat", "entry_point": "cat_start"});
        },
    );
    bad(
        vectors,
        true,
        "digest",
        "digest-short",
        "a digest with a digit missing",
        |m| {
            m["agent_tools"][&id("x")[..70]] = json!({"name": "x", "entry_point": "x_start"});
        },
    );
    bad(
        vectors,
        false,
        "requirement",
        "requirement",
        "a vkernel_version that is no semver requirement",
        |m| {
            m["vkernel_version"] = "newest".into();
        },
    );
}

fn rules(vectors: &mut Vectors) {
    let binary =
        |name: &str, path: &str| (id(name), json!({"path": path, "entry_point": "ls_start"}));
    bad(
        vectors,
        false,
        "unknown-critical",
        "unknown-critical",
        "an extension the reader does not know",
        |m| m["critical"] = json!(["tpm"]),
    );
    bad(
        vectors,
        false,
        "unknown-syscall",
        "unknown-syscall",
        "not a Linux system call",
        |m| m["global_policies"]["default_syscalls"] = json!(["read", "fd_write"]),
    );
    bad(
        vectors,
        true,
        "unknown-syscall",
        "unknown-syscall-override",
        "not a Linux system call",
        |m| m["binaries"][id("ls")]["overrides"]["syscalls"] = json!(["*"]),
    );
    bad(
        vectors,
        true,
        "unknown-word",
        "unknown-networking",
        "networking is none, restricted or host",
        |m| m["global_policies"]["networking"] = "full".into(),
    );
    bad(
        vectors,
        true,
        "unknown-word",
        "unknown-exec",
        "exec is any or listed",
        |m| m["global_policies"]["exec"] = "none".into(),
    );
    bad(
        vectors,
        true,
        "duplicate-item",
        "duplicate-syscall",
        "a name twice",
        |m| m["global_policies"]["default_syscalls"] = json!(["read", "read"]),
    );
    bad(
        vectors,
        true,
        "duplicate-item",
        "duplicate-exec-path",
        "a path twice",
        |m| {
            m["binaries"][id("ls")]["overrides"]["exec"] =
                json!(["/usr/bin/sort", "/usr/bin/sort"]);
        },
    );
    bad(
        vectors,
        true,
        "too-many",
        "too-many-args",
        "more than 1024 arguments",
        |m| m["binaries"][id("sort")]["args"] = json!(vec![""; limits::ARGS + 1]),
    );
    bad(
        vectors,
        true,
        "nul-in-argument",
        "nul-in-argument",
        "a NUL in an argument",
        |m| m["binaries"][id("sort")]["args"] = json!(["a\0b"]),
    );
    bad(
        vectors,
        false,
        "duplicate-path",
        "duplicate-path",
        "two binaries at one path",
        |m| {
            let (id, entry) = binary("other", "/usr/bin/ls");
            m["binaries"][id] = entry;
        },
    );
    bad(
        vectors,
        false,
        "duplicate-tool",
        "duplicate-tool",
        "two tools of one name",
        |m| {
            m["agent_tools"][id("other")] =
                json!({"name": "search_tool", "entry_point": "ls_start"});
        },
    );
    for (file, tool) in [
        (
            "entry-point",
            json!({"name": "t", "entry_point": "ls_start", "args": ["-u", "ü"]}),
        ),
        (
            "args",
            json!({"name": "t", "entry_point": "sort_start", "args": ["ü", "-u"]}),
        ),
        (
            "overrides",
            json!({"name": "t", "entry_point": "sort_start", "args": ["-u", "ü"], "overrides": {"syscalls": ["openat"]}}),
        ),
    ] {
        let rule = "a digest in both maps with other content";
        bad(
            vectors,
            false,
            "disagreement",
            &format!("disagreement-{file}"),
            rule,
            |m| m["agent_tools"][id("sort")] = tool,
        );
    }
    bad(
        vectors,
        false,
        "exec-not-listed",
        "exec-not-listed",
        "an exec list while everything may be executed",
        |m| {
            m["global_policies"].as_object_mut().unwrap().remove("exec");
        },
    );
    bad(
        vectors,
        false,
        "exec-unknown-path",
        "exec-unknown-path",
        "an exec list with a path of no binary",
        |m| {
            m["binaries"][id("ls")]["overrides"]["exec"] = json!(["/usr/bin/sort", "/bin/sort"]);
        },
    );
}
