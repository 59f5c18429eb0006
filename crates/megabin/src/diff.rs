//! What changed between two containers: tools added, removed and changed, and their rights.

use std::collections::BTreeMap;
use std::fmt::Write;

use megabinary::capability::SyscallSet;
use megabinary::digest::Digest;
use megabinary::json::jcs;
use megabinary::manifest::{Manifest, Overrides};
use serde_json::{Value, json};

use crate::container::Container;

/// One property of a tool or of all, in words, before and after; `None` where there was nothing.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    what: &'static str,
    old: String,
    new: String,
}

/// What two containers differ in.
#[derive(Debug, Default)]
pub struct Diff {
    container: Vec<Change>,
    added: BTreeMap<String, BTreeMap<&'static str, String>>,
    removed: Vec<String>,
    changed: BTreeMap<String, Vec<Change>>,
}

impl Diff {
    /// Compares two containers by what their manifests say. What a tool runs is known by the digest
    /// of its file, which a ticket has of the module it stands for.
    pub fn of(old: &Container, new: &Container) -> Self {
        let (old, new) = (old.megabinary.manifest(), new.megabinary.manifest());
        let (before, after) = (tools(old), tools(new));
        let mut diff = Self {
            container: changes(&container(old), &container(new)),
            ..Self::default()
        };
        for (name, properties) in &before {
            match after.get(name) {
                None => diff.removed.push(name.clone()),
                Some(now) => {
                    let changes = changes(properties, now);
                    if !changes.is_empty() {
                        diff.changed.insert(name.clone(), changes);
                    }
                }
            }
        }
        diff.added = after;
        diff.added.retain(|name, _| !before.contains_key(name));
        diff
    }

    /// For people: `+` added, `-` removed, `~` changed.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        for change in &self.container {
            let _ = writeln!(out, "{}: {}", change.what, change.words());
        }
        for (name, properties) in &self.added {
            let rights = &properties["syscalls"];
            let _ = writeln!(out, "+ {name}  syscalls: {}", or_none(rights));
        }
        for name in &self.removed {
            let _ = writeln!(out, "- {name}");
        }
        for (name, changes) in &self.changed {
            let _ = writeln!(out, "~ {name}");
            for change in changes {
                let _ = writeln!(out, "    {}: {}", change.what, change.words());
            }
        }
        if out.is_empty() {
            out.push_str("the containers do the same, with the same rights\n");
        }
        out
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let list = |changes: &[Change]| {
            let change = |c: &Change| (c.what.to_owned(), json!({ "old": c.old, "new": c.new }));
            Value::Object(changes.iter().map(change).collect())
        };
        let changed = self.changed.iter();
        json!({
            "container": list(&self.container),
            "added": self.added,
            "removed": self.removed,
            "changed": changed.map(|(n, c)| (n.clone(), list(c))).collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl Change {
    /// Of lists of words what came and went, of others both values.
    fn words(&self) -> String {
        if !matches!(self.what, "syscalls" | "exec" | "default syscalls") {
            return format!("{} -> {}", or_none(&self.old), or_none(&self.new));
        }
        let words = |text: &'_ str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (old, new) = (words(&self.old), words(&self.new));
        let gone = old
            .iter()
            .filter(|w| !new.contains(w))
            .map(|w| format!("-{w}"));
        let come = new
            .iter()
            .filter(|w| !old.contains(w))
            .map(|w| format!("+{w}"));
        come.chain(gone).collect::<Vec<_>>().join(" ")
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn changes(
    old: &BTreeMap<&'static str, String>,
    new: &BTreeMap<&'static str, String>,
) -> Vec<Change> {
    let differs = |(what, old): (&&'static str, &String)| {
        let new = &new[what];
        (old != new).then(|| Change {
            what,
            old: old.clone(),
            new: new.clone(),
        })
    };
    old.iter().filter_map(differs).collect()
}

fn container(manifest: &Manifest) -> BTreeMap<&'static str, String> {
    let name = manifest.name.as_ref().map_or("", |n| n.as_str());
    let policies = &manifest.policies;
    BTreeMap::from([
        ("name", name.to_owned()),
        ("version", manifest.version.as_str().to_owned()),
        ("vkernel version", manifest.vkernel_version.to_string()),
        ("networking", policies.networking.as_str().to_owned()),
        ("exec policy", policies.exec.as_str().to_owned()),
        ("default syscalls", set(&policies.default_syscalls)),
    ])
}

/// Every binary by its path and every agent tool by its name, with what there is to say of it.
fn tools(manifest: &Manifest) -> BTreeMap<String, BTreeMap<&'static str, String>> {
    let of = |digest: &Digest, args: &[String], overrides: &Overrides| {
        let rights = policies_and(manifest, overrides);
        let exec = overrides.exec.iter().map(|p| p.as_str());
        BTreeMap::from([
            ("digest", digest.to_string()),
            ("args", args.join(" ")),
            ("syscalls", set(&rights)),
            ("exec", exec.collect::<Vec<_>>().join(" ")),
            ("description", String::new()),
            ("input schema", String::new()),
        ])
    };
    let mut all = BTreeMap::new();
    for (digest, binary) in &manifest.binaries {
        let properties = of(digest, &binary.args, &binary.overrides);
        all.insert(binary.path.to_string(), properties);
    }
    for (digest, tool) in &manifest.agent_tools {
        let mut properties = of(digest, &tool.args, &tool.overrides);
        let description = tool.description.clone().unwrap_or_default();
        properties.insert("description", description);
        if let Some(schema) = &tool.input_schema {
            let text = String::from_utf8_lossy(&jcs::canonical(schema)).into_owned();
            properties.insert("input schema", text);
        }
        all.insert(format!("tool {}", tool.name), properties);
    }
    all
}

fn policies_and(manifest: &Manifest, overrides: &Overrides) -> SyscallSet {
    manifest.policies.default_syscalls.union(overrides.syscalls)
}

fn set(set: &SyscallSet) -> String {
    set.iter().map(|s| s.name()).collect::<Vec<_>>().join(" ")
}
