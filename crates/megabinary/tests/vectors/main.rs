//! The test vectors of `runtime-spec/vectors/`: that the committed files are those the generator
//! makes, that this implementation gives each its verdict, and that every error id has one.
//!
//! After a change of the format: `MEGARUN_WRITE_VECTORS=1 cargo test -p megabinary --test vectors --
//! --test-threads=1`.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod manifest_vectors;
mod module_vectors;
mod schema;
mod schema_vectors;
mod section_vectors;
mod trust_vectors;
mod vector;
mod verdict;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vector::Vectors;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime-spec")
}

fn generated() -> Vectors {
    let mut vectors = Vectors::default();
    manifest_vectors::add(&mut vectors);
    schema_vectors::add(&mut vectors);
    trust_vectors::add(&mut vectors);
    section_vectors::add(&mut vectors);
    module_vectors::add(&mut vectors);
    vectors.finish()
}

fn index() -> Vec<Value> {
    let text = fs::read(root().join("vectors/index.json")).unwrap();
    let index: Value = serde_json::from_slice(&text).unwrap();
    index["vectors"].as_array().unwrap().clone()
}

#[test]
fn committed_files_are_the_generated_ones() {
    let vectors = generated();
    let folder = root().join("vectors");
    if std::env::var_os("MEGARUN_WRITE_VECTORS").is_some() {
        for (name, bytes) in &vectors.files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    for (name, bytes) in &vectors.files {
        let committed =
            fs::read(folder.join(name)).unwrap_or_else(|error| panic!("vectors/{name}: {error}"));
        assert!(
            committed == *bytes,
            "vectors/{name} differs from what the generator makes"
        );
    }
    for file in files(&folder) {
        let name = file
            .strip_prefix(&folder)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            vectors.files.contains_key(&name) || name == "manifest/example.json",
            "vectors/{name} is no vector"
        );
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_vector_gets_its_verdict() {
    let index = index();
    let mut wrong = Vec::new();
    for vector in &index {
        let expected = vector["error"].as_str().map(str::to_owned);
        assert_eq!(vector["expect"] == "error", expected.is_some(), "{vector}");
        let found = verdict::of(&root().join("vectors"), vector);
        if found != expected {
            wrong.push(format!(
                "{}: expected {expected:?}, found {found:?}",
                vector["file"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(index.len() > 100, "only {} vectors", index.len());
}

/// The ids in the source and the ids in the index are the same.
#[test]
fn every_error_id_has_a_vector() {
    let sources = concat!(
        include_str!("../../src/json/error.rs"),
        include_str!("../../src/manifest/error.rs"),
        include_str!("../../src/section/mod.rs"),
        include_str!("../../src/module/error.rs"),
        include_str!("../../src/signing.rs"),
        include_str!("../../src/trust.rs"),
    );
    let id = regex::Regex::new(
        r#"=> "((?:manifest|signature|section|module|agree|trust|key)\.[a-z0-9-]+)""#,
    )
    .unwrap();
    let known: BTreeSet<_> = id
        .captures_iter(sources)
        .map(|found| found[1].to_owned())
        .collect();
    let index = index();
    let tested: BTreeSet<_> = index
        .iter()
        .filter_map(|vector| Some(vector["error"].as_str()?.to_owned()))
        .collect();
    assert!(known.len() > 60, "{known:?}");
    assert_eq!(known, tested);
    let listed = fs::read_to_string(root().join("README.md")).unwrap();
    for id in &known {
        assert!(
            listed.contains(&format!("`{id}`")),
            "runtime-spec/README.md does not list {id}"
        );
    }
}

#[test]
fn the_schema_agrees_with_the_reader_where_it_can() {
    let schema: Value =
        serde_json::from_slice(&fs::read(root().join("manifest.schema.json")).unwrap()).unwrap();
    let (mut accepted, mut rejected) = (0, 0);
    for vector in index() {
        let Some(expected) = vector["schema"].as_str() else {
            continue;
        };
        let bytes = verdict::bytes(&root().join("vectors"), &vector);
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        let faults = schema::faults(&schema, &document);
        match expected {
            "accepts" => assert!(faults.is_empty(), "{}: {faults:?}", vector["file"]),
            _ => assert!(!faults.is_empty(), "{} passes the schema", vector["file"]),
        }
        accepted += usize::from(expected == "accepts");
        rejected += usize::from(expected == "rejects");
    }
    assert!(
        accepted >= 5 && rejected >= 25,
        "{accepted} accepted, {rejected} rejected"
    );
}
