//! Vectors as they are made: files, and the index that says what each must give.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::support::manifests;

#[derive(Default)]
pub struct Vectors {
    pub files: BTreeMap<String, Vec<u8>>,
    entries: Vec<Value>,
    open: Option<Map<String, Value>>,
}

impl Vectors {
    /// Adds a vector with a file of its own. The rule's text is for people.
    pub fn add(
        &mut self,
        kind: &str,
        file: &str,
        error: Option<&str>,
        rule: &str,
        bytes: Vec<u8>,
    ) -> &mut Self {
        assert!(
            self.files.insert(file.to_owned(), bytes).is_none(),
            "{file} twice"
        );
        self.entry(kind, file, error, rule)
    }

    /// Adds a vector on a file that is there already.
    pub fn entry(&mut self, kind: &str, file: &str, error: Option<&str>, rule: &str) -> &mut Self {
        self.close();
        let expect = if error.is_some() { "error" } else { "ok" };
        let entry =
            json!({"kind": kind, "file": file, "expect": expect, "error": error, "rule": rule});
        self.open = entry.as_object().cloned();
        self
    }

    /// Adds a vector too large for a file: `prefix`, then `unit` `count` times, then `suffix`.
    pub fn repeat(
        &mut self,
        kind: &str,
        name: &str,
        error: &str,
        rule: &str,
        parts: [&str; 3],
        count: usize,
    ) {
        let [prefix, unit, suffix] = parts;
        let repeat = json!({"prefix": prefix, "unit": unit, "count": count, "suffix": suffix});
        self.entry(kind, name, Some(error), rule)
            .with("repeat", repeat);
    }

    /// Adds a field to the vector added last.
    pub fn with(&mut self, field: &str, value: impl Into<Value>) -> &mut Self {
        self.open
            .as_mut()
            .unwrap()
            .insert(field.to_owned(), value.into());
        self
    }

    fn close(&mut self) {
        self.entries.extend(self.open.take().map(Value::Object));
    }

    /// Adds the index.
    pub fn finish(mut self) -> Self {
        self.close();
        let index = json!({"format_version": 1, "vectors": self.entries});
        self.files
            .insert("index.json".into(), manifests::bytes(&index));
        self
    }
}
