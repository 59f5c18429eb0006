//! Which functions programs share, and what that saves.

use std::collections::{BTreeMap, BTreeSet};

use megabinary::section::Section;
use serde_json::{Value, json};

use super::calls::CallGraph;

/// Functions and the bytes of their code.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    pub functions: u64,
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.functions += 1;
        self.bytes += bytes;
    }
}

/// One program's code.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Share {
    /// All that it can reach.
    pub all: Amount,
    /// What of it other programs can reach too.
    pub shared: Amount,
}

/// What the same programs have in common and no others.
#[derive(Debug)]
pub(super) struct Group {
    /// By their places in the section.
    pub programs: Vec<usize>,
    pub amount: Amount,
}

impl Group {
    /// Bytes that would be there again if each of the programs had its own.
    pub(super) fn saved(&self) -> u64 {
        self.amount.bytes * (self.programs.len() as u64 - 1)
    }
}

/// The sharing of a module.
#[derive(Debug)]
pub(super) struct Sharing {
    /// In the order of the section's programs.
    pub programs: Vec<Share>,
    /// Those that save most first.
    pub groups: Vec<Group>,
}

impl Sharing {
    pub(super) fn of(wasm: &[u8], section: &Section) -> Self {
        let mut graph = CallGraph::read(wasm);
        let entries: BTreeSet<&str> = section.programs.iter().map(|p| p.entry.as_str()).collect();
        graph.distrust(&entries);
        let mut users: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (nth, program) in section.programs.iter().enumerate() {
            let extras = program.extra_exports.iter().map(|(_, name)| name.as_str());
            let roots = std::iter::once(program.entry.as_str()).chain(extras);
            for function in graph.reached(roots) {
                users.entry(function).or_default().push(nth);
            }
        }
        let mut programs = vec![Share::default(); section.programs.len()];
        let mut groups: BTreeMap<Vec<usize>, Amount> = BTreeMap::new();
        for (function, users) in users {
            let bytes = graph.sizes[function as usize];
            for user in &users {
                programs[*user].all.add(bytes);
                if users.len() > 1 {
                    programs[*user].shared.add(bytes);
                }
            }
            if users.len() > 1 {
                groups.entry(users).or_default().add(bytes);
            }
        }
        let mut groups: Vec<Group> = groups
            .into_iter()
            .map(|(programs, amount)| Group { programs, amount })
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.saved()));
        Self { programs, groups }
    }

    /// All that at least two programs share.
    pub(super) fn shared(&self) -> Amount {
        let mut shared = Amount::default();
        for group in &self.groups {
            shared.functions += group.amount.functions;
            shared.bytes += group.amount.bytes;
        }
        shared
    }

    pub(super) fn saved(&self) -> u64 {
        self.groups.iter().map(Group::saved).sum()
    }

    pub(super) fn json(&self, section: &Section) -> Value {
        let group = |group: &Group| {
            let names = group
                .programs
                .iter()
                .map(|p| section.programs[*p].name.as_str());
            json!({
                "programs": names.collect::<Vec<_>>(),
                "functions": group.amount.functions,
                "bytes": group.amount.bytes,
                "saved": group.saved(),
            })
        };
        let shared = self.shared();
        json!({
            "functions": shared.functions,
            "bytes": shared.bytes,
            "saved": self.saved(),
            "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
        })
    }
}
