//! What this implementation says to a vector, found by the index alone.

use std::fs;
use std::path::Path;

use megabinary::json::{self, Limits, jcs};
use megabinary::manifest::UnverifiedManifest;
use megabinary::module::{self, Module, check_agreement};
use megabinary::section::Section;
use megabinary::signing::{SigningKey, VerifyingKey};
use megabinary::trust::{NodePolicy, TrustedKey, decide};
use serde_json::Value;

/// The vector's input: its file, or the repetition that is too large for one.
pub fn bytes(folder: &Path, vector: &Value) -> Vec<u8> {
    let Some(repeat) = vector.get("repeat") else {
        return read(folder, &vector["file"]);
    };
    let part = |name: &str| repeat[name].as_str().unwrap();
    let count = repeat["count"].as_u64().unwrap() as usize;
    // Zeros come from the system untouched, so half a gigabyte of them costs nothing.
    if (part("prefix"), part("unit"), part("suffix")) == ("", "\0", "") {
        return vec![0; count];
    }
    [part("prefix"), &part("unit").repeat(count), part("suffix")]
        .concat()
        .into_bytes()
}

fn read(folder: &Path, file: &Value) -> Vec<u8> {
    let file = file.as_str().unwrap();
    fs::read(folder.join(file)).unwrap_or_else(|error| panic!("vectors/{file}: {error}"))
}

fn text(folder: &Path, file: &Value) -> String {
    String::from_utf8(read(folder, file)).unwrap()
}

/// The error's id, none for success.
pub fn of(folder: &Path, vector: &Value) -> Option<String> {
    let bytes = bytes(folder, vector);
    let id: Result<(), &'static str> = match vector["kind"].as_str().unwrap() {
        "manifest" => manifest(&bytes),
        "signature" => signature(&bytes, &text(folder, &vector["key"])),
        "trust" => trust(folder, &bytes, &vector["policy"]),
        "section" => Section::decode(&bytes)
            .map(drop)
            .map_err(|error| error.id()),
        "module" => Module::parse(&bytes).map(drop).map_err(|error| error.id()),
        "bodies" => module::validate(&bytes).map_err(|error| error.id()),
        "agreement" => agreement(&bytes, &read(folder, &vector["module"])),
        "public-key" => VerifyingKey::from_pem(&String::from_utf8_lossy(&bytes))
            .map(drop)
            .map_err(|error| error.id()),
        "private-key" => SigningKey::from_pem(&String::from_utf8_lossy(&bytes))
            .map(drop)
            .map_err(|error| error.id()),
        "canonical" => {
            let value = json::parse(&bytes, &Limits::MANIFEST).unwrap();
            assert_eq!(
                jcs::canonical(&value),
                read(folder, &vector["output"]),
                "{vector}"
            );
            Ok(())
        }
        "payload" => {
            let payload = UnverifiedManifest::parse(&bytes).unwrap().payload();
            assert_eq!(payload, read(folder, &vector["output"]), "{vector}");
            Ok(())
        }
        other => panic!("unknown kind {other}"),
    };
    id.err().map(str::to_owned)
}

fn manifest(bytes: &[u8]) -> Result<(), &'static str> {
    let manifest = UnverifiedManifest::parse(bytes).map_err(|error| error.id())?;
    manifest
        .accept_unsigned()
        .map(drop)
        .map_err(|error| error.id())
}

fn signature(bytes: &[u8], pem: &str) -> Result<(), &'static str> {
    let key = VerifyingKey::from_pem(pem).unwrap();
    let manifest = UnverifiedManifest::parse(bytes).map_err(|error| error.id())?;
    manifest.verify(&key).map(drop).map_err(|error| error.id())
}

fn agreement(bytes: &[u8], module: &[u8]) -> Result<(), &'static str> {
    let manifest = UnverifiedManifest::parse(bytes)
        .unwrap()
        .accept_unsigned()
        .unwrap();
    let module = Module::parse(module).unwrap();
    check_agreement(&manifest, &module)
        .map(drop)
        .map_err(|error| error.id())
}

fn trust(folder: &Path, bytes: &[u8], policy: &Value) -> Result<(), &'static str> {
    let strings = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    };
    let keys = policy["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| TrustedKey {
            id: key["id"].as_str().unwrap().parse().unwrap(),
            key: VerifyingKey::from_pem(&text(folder, &key["file"])).unwrap(),
            names: strings(&key["names"])
                .iter()
                .map(|name| name.parse().unwrap())
                .collect(),
        });
    let floors = policy["floors"].as_object().unwrap().iter();
    let policy = NodePolicy {
        require_signature: policy["require_signature"].as_bool().unwrap(),
        keys: keys.collect(),
        floors: floors
            .map(|(name, floor)| {
                (
                    name.parse().unwrap(),
                    floor.as_str().unwrap().parse().unwrap(),
                )
            })
            .collect(),
        revoked_keys: strings(&policy["revoked_keys"])
            .iter()
            .map(|id| id.parse().unwrap())
            .collect(),
        revoked_ids: strings(&policy["revoked_ids"])
            .iter()
            .map(|id| id.parse().unwrap())
            .collect(),
    };
    let manifest = UnverifiedManifest::parse(bytes).map_err(|error| error.id())?;
    decide(&manifest, &policy)
        .map(drop)
        .map_err(|error| error.id())
}
