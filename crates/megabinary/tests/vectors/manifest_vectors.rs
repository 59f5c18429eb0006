//! Manifests: good ones, and for each rule a bad one.

use megabinary::digest::Digest;
use megabinary::limits;
use megabinary::module::Module;
use serde_json::{Value, json};

use crate::support::{Parts, manifests};
use crate::vector::Vectors;

pub fn module_bytes() -> Vec<u8> {
    Parts::new(&["ls", "search", "sort"]).build()
}

pub fn full() -> Value {
    manifests::full(&Module::parse(&module_bytes()).unwrap())
}

pub fn id(name: &str) -> String {
    Digest::of(name.as_bytes()).to_string()
}

pub fn add(vectors: &mut Vectors) {
    good(vectors);
    json_faults(vectors);
    large(vectors);
    missing_fields(vectors);
    fields(vectors);
    names(vectors);
    rules(vectors);
    canonical(vectors);
}

fn good(vectors: &mut Vectors) {
    vectors
        .entry(
            "manifest",
            "manifest/example.json",
            None,
            "the shape of an ordinary manifest",
        )
        .with("schema", "accepts");
    let mut ok = |file: &str, rule: &str, change: &dyn Fn(&mut Value)| {
        let mut value = full();
        change(&mut value);
        vectors
            .add(
                "manifest",
                &format!("manifest/{file}.json"),
                None,
                rule,
                manifests::bytes(&value),
            )
            .with("schema", "accepts");
    };
    ok("full", "every field", &|_| ());
    ok(
        "minimal",
        "only required fields; `name` is optional to read",
        &|m| {
            *m = json!({"container_id": m["container_id"], "version": "0", "megabinary": "container.wasm", "vkernel_version": "*",
            "global_policies": {"default_syscalls": [], "networking": "host"}, "binaries": {}});
        },
    );
    ok(
        "shared-entry",
        "two digests may share an entry point, with other arguments",
        &|m| {
            m["binaries"][id("report.py")] =
                json!({"path": "/usr/bin/report", "entry_point": "ls_start", "args": ["-l"]});
        },
    );
    ok(
        "same-digest-in-both-maps",
        "a digest in both maps with the same content",
        &|m| {
            m["agent_tools"][id("sort")] = json!({"name": "sorter", "entry_point": "sort_start", "args": ["-u", "ü"], "overrides": {"syscalls": []}});
        },
    );
    ok(
        "seccomp-names",
        "names that permit nothing are accepted",
        &|m| {
            m["global_policies"]["default_syscalls"] =
                json!(["mmap", "brk", "futex", "rt_sigreturn", "arch_prctl"]);
        },
    );
    ok("unicode", "texts for people may hold any character", &|m| {
        m["agent_tools"][id("search")]["description"] = "Ünïcödé 😀 \u{0} \u{2028}".into();
    });
}

/// Replaces `from`, which must be there, in the text of the full manifest.
fn replaced(from: &str, to: &[u8]) -> Vec<u8> {
    let text = manifests::bytes(&full());
    let at = text
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .unwrap();
    [&text[..at], to, &text[at + from.len()..]].concat()
}

fn json_faults(vectors: &mut Vectors) {
    let mut bad = |error: &str, file: &str, rule: &str, bytes: Vec<u8>| {
        vectors.add(
            "manifest",
            &format!("manifest/{file}.json"),
            Some(&format!("manifest.{error}")),
            rule,
            bytes,
        );
    };
    let name = "\"toolbox\"";
    bad("truncated", "empty", "an empty file", vec![]);
    let text = manifests::bytes(&full());
    bad(
        "truncated",
        "truncated",
        "the text ends early",
        text[..text.len() / 2].to_vec(),
    );
    bad(
        "utf8",
        "utf8",
        "a byte that is not UTF-8",
        replaced(name, b"\"tool\xff\""),
    );
    bad(
        "utf8",
        "utf8-surrogate",
        "a surrogate encoded in three bytes",
        replaced(name, b"\"\xed\xa0\x80\""),
    );
    bad(
        "byte-order-mark",
        "byte-order-mark",
        "a byte order mark",
        [b"\xef\xbb\xbf", &text[..]].concat(),
    );
    bad(
        "syntax",
        "syntax-trailing-comma",
        "a comma after the last item",
        replaced("\"exit_group\"]", b"\"exit_group\",]"),
    );
    bad(
        "syntax",
        "syntax-comment",
        "a comment",
        replaced("{", b"{ // no\n"),
    );
    bad(
        "syntax",
        "syntax-single-quotes",
        "single quotation marks",
        replaced(name, b"'toolbox'"),
    );
    bad("syntax", "syntax-nan", "NaN", replaced("0.5", b"NaN"));
    bad(
        "trailing",
        "trailing",
        "text after the document",
        [&text[..], b"{}"].concat(),
    );
    bad(
        "duplicate-key",
        "duplicate-key",
        "a key twice",
        replaced("\"version\"", b"\"version\": \"9.9\",\n  \"version\""),
    );
    bad(
        "duplicate-key",
        "duplicate-key-escaped",
        "a key twice, once escaped",
        replaced("\"version\"", b"\"v\\u0065rsion\": \"9.9\",\n  \"version\""),
    );
    bad(
        "depth",
        "depth",
        "nesting beyond the limit",
        replaced(
            "\"critical\": []",
            format!("\"critical\": {}{}", "[".repeat(32), "]".repeat(32)).as_bytes(),
        ),
    );
    bad(
        "control-character",
        "control-character",
        "a line feed in a string",
        replaced(name, b"\"tool\nbox\""),
    );
    bad(
        "escape",
        "escape",
        "an escape JSON does not have",
        replaced(name, b"\"tool\\x62ox\""),
    );
    bad(
        "lone-surrogate",
        "lone-surrogate",
        "half of a surrogate pair",
        replaced(name, b"\"\\ud83d\""),
    );
    bad(
        "number-syntax",
        "number-leading-zero",
        "a leading zero",
        replaced("0.5", b"00.5"),
    );
    bad(
        "number-syntax",
        "number-no-fraction",
        "a point without digits",
        replaced("0.5", b"0."),
    );
    bad(
        "unsafe-number",
        "unsafe-integer",
        "an integer beyond 2^53 - 1",
        replaced("0.5", b"9007199254740992"),
    );
    bad(
        "unsafe-number",
        "unsafe-exponent",
        "a magnitude beyond 2^53 - 1",
        replaced("0.5", b"1e400"),
    );
}

fn large(vectors: &mut Vectors) {
    vectors.repeat(
        "manifest",
        "too-large",
        "manifest.too-large",
        "a text beyond 64 MiB",
        ["{}", " ", ""],
        limits::MANIFEST_BYTES - 1,
    );
    vectors.repeat(
        "manifest",
        "values",
        "manifest.values",
        "more values than the limit",
        ["[", "0,", "0]"],
        limits::JSON_VALUES,
    );
    vectors.repeat(
        "manifest",
        "deep",
        "manifest.depth",
        "ten million open brackets",
        ["", "[", ""],
        10_000_000,
    );
    vectors.repeat(
        "manifest",
        "string-length",
        "manifest.string-length",
        "a string beyond 1 MiB",
        ["{\"name\": \"", "x", "\"}"],
        limits::JSON_STRING_BYTES + 1,
    );
    let mut value = full();
    value["binaries"][id("sort")]["args"] = json!(["@"]);
    let text = String::from_utf8(manifests::bytes(&value)).unwrap();
    let (before, after) = text.split_once("\"@\"").unwrap();
    let (before, after) = (format!("{before}\""), format!("\"{after}"));
    vectors.repeat(
        "manifest",
        "too-long",
        "manifest.too-long",
        "an argument beyond 131,071 bytes",
        [&before, "x", &after],
        limits::ARG_BYTES + 1,
    );
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

fn canonical(vectors: &mut Vectors) {
    let input = "{\n  \"\\u20ac\": \"Euro Sign\", \"\\r\": \"Carriage Return\", \"\\ufb33\": \"Hebrew Letter Dalet With Dagesh\",\n  \"1\": \"One\", \"\\ud83d\\ude00\": \"Grinning Face\", \"\\u0080\": \"Control\", \"\\u00f6\": \"o with diaeresis\",\n  \"numbers\": [333333333.33333329, 1424953923781206.25, 4.50, 2e-3, 0.000000000000000000000000001, 1E3, -0.0, 1e-7, 0.000001, 9007199254740991],\n  \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\\u007f\",\n  \"literals\": [null, true, false]\n}\n";
    let output = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1424953923781206.2,4.5,0.002,1e-27,1000,0,1e-7,0.000001,9007199254740991],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\",\"\u{80}\":\"Control\",\"ö\":\"o with diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
    let rule = "RFC 8785: order of keys, strings, numbers";
    vectors
        .add(
            "canonical",
            "canonical/rfc8785.json",
            None,
            rule,
            input.into(),
        )
        .with("output", "canonical/rfc8785.canonical");
    vectors
        .files
        .insert("canonical/rfc8785.canonical".into(), output.into());
}
