//! What must hold for any bytes. The fuzz targets in `fuzz/` and the mutation test call these; a
//! panic is a finding.

use megabinary::digest::Digest;
use megabinary::json::{self, Limits, jcs};
use megabinary::manifest::UnverifiedManifest;
use megabinary::module::{self, Module};
use megabinary::section::Section;

/// What is accepted is JSON to others too, and survives both writers.
pub fn json(data: &[u8]) {
    let Ok(value) = json::parse(data, &Limits::MANIFEST) else {
        return;
    };
    let theirs: serde_json::Value =
        serde_json::from_slice(data).expect("accepted here, not by serde_json");
    let canonical = jcs::canonical(&value);
    for text in [&canonical, &json::pretty(&value)] {
        let again = json::parse(text, &Limits::MANIFEST).expect("a writer's text must read back");
        assert_eq!(jcs::canonical(&again), canonical);
    }
    let again: serde_json::Value =
        serde_json::from_slice(&canonical).expect("canonical JSON is JSON");
    assert!(alike(&theirs, &again), "canonical JSON has other values");
}

/// Equal, but numbers only nearly: serde_json's own reading may be off in the last place.
fn alike(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (a, b) {
        (Number(a), Number(b)) => {
            let (a, b) = (
                a.as_f64().unwrap_or(f64::NAN),
                b.as_f64().unwrap_or(f64::NAN),
            );
            (a - b).abs() <= a.abs() * 1e-15 + f64::MIN_POSITIVE
        }
        (Array(a), Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Object(a), Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        _ => a == b,
    }
}

/// What is accepted reads the same after writing, and its signed bytes are those of its text.
pub fn manifest(data: &[u8]) {
    let Ok(unverified) = UnverifiedManifest::parse(data) else {
        return;
    };
    assert!(unverified.payload().starts_with(b"DSSEv1 40 "));
    let Ok(manifest) = unverified.accept_unsigned() else {
        return;
    };
    assert_eq!(manifest.check(), Ok(()));
    let again = UnverifiedManifest::parse(&manifest.to_json_pretty())
        .expect("a written manifest reads back");
    assert_eq!(again.key_id(), unverified.key_id());
    assert_eq!(again.payload(), manifest.payload(unverified.key_id()));
    let again = again
        .accept_unsigned()
        .expect("a written manifest is accepted");
    assert_eq!(*again, *manifest);
    for (id, target) in manifest.targets() {
        assert!(manifest.may_exec(&id, &id) || manifest.policies.exec.as_str() == "listed");
        assert!(!target.entry.as_str().is_empty());
    }
}

/// What is decoded encodes to the same section.
pub fn section(data: &[u8]) {
    if let Ok(section) = Section::decode(data) {
        assert_eq!(section.check(), Ok(()));
        assert_eq!(Section::decode(&section.encode()), Ok(section));
    }
}

/// As the bytes are, and with the container id they would have.
pub fn module(data: &[u8]) {
    let _ = Module::parse(data);
    let mut bytes = data.to_vec();
    let Some(at) = bytes.len().checked_sub(32) else {
        return;
    };
    let id = Digest::of(&bytes[..at]);
    bytes[at..].copy_from_slice(id.as_bytes());
    let _ = module::validate(&bytes);
    if let Ok(module) = Module::parse(&bytes) {
        assert_eq!(module.id, id);
        assert_eq!(module.section.check(), Ok(()));
    }
}
