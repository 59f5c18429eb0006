//! Manifests: good ones, what is not strict JSON, and canonical JSON.

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
