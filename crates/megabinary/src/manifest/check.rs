//! Rules between the values of a manifest.

use std::collections::{HashMap, HashSet};

use super::{Binary, ExecPolicy, Manifest, ManifestError, ManifestReason, Overrides};
use crate::digest::Digest;
use crate::json::push_token;
use crate::limits;
use crate::names::BinaryPath;

impl Manifest {
    /// Checks what reading checks once all values are there; a writer calls it before writing.
    ///
    /// # Errors
    /// The first rule broken, with its place.
    pub fn check(&self) -> Result<(), ManifestError> {
        let only_tools = self
            .agent_tools
            .keys()
            .filter(|id| !self.binaries.contains_key(id));
        let targets = self.binaries.len() + only_tools.count();
        if targets > limits::TARGETS {
            let reason = ManifestReason::TooMany {
                found: targets,
                limit: limits::TARGETS,
            };
            return Err(ManifestError::at("/agent_tools", reason));
        }
        let paths = self.check_binaries()?;
        self.check_tools()?;
        let lists = self
            .binaries
            .iter()
            .map(|(id, binary)| ("/binaries", id, &binary.overrides));
        let tool_lists = self
            .agent_tools
            .iter()
            .map(|(id, tool)| ("/agent_tools", id, &tool.overrides));
        lists
            .chain(tool_lists)
            .try_for_each(|(map, id, overrides)| self.check_exec(map, id, overrides, &paths))
    }

    fn check_binaries(&self) -> Result<HashSet<&BinaryPath>, ManifestError> {
        let mut paths = HashMap::new();
        for (id, binary) in &self.binaries {
            if let Some(other) = paths.insert(&binary.path, *id) {
                let path = binary.path.to_string();
                let reason = ManifestReason::DuplicatePath { path, other };
                return Err(ManifestError::at(place("/binaries", id, "/path"), reason));
            }
        }
        Ok(paths.into_keys().collect())
    }

    fn check_tools(&self) -> Result<(), ManifestError> {
        let mut names = HashMap::new();
        for (id, tool) in &self.agent_tools {
            if let Some(other) = names.insert(&tool.name, *id) {
                let name = tool.name.to_string();
                let reason = ManifestReason::DuplicateTool { name, other };
                return Err(ManifestError::at(
                    place("/agent_tools", id, "/name"),
                    reason,
                ));
            }
            let Some(Binary {
                entry,
                args,
                overrides,
                ..
            }) = self.binaries.get(id)
            else {
                continue;
            };
            let field = if tool.entry != *entry {
                "entry_point"
            } else if tool.args != *args {
                "args"
            } else if !tool.overrides.same_rights(overrides) {
                "overrides"
            } else {
                continue;
            };
            let reason = ManifestReason::Disagreement { field };
            return Err(ManifestError::at(place("/agent_tools", id, ""), reason));
        }
        Ok(())
    }

    fn check_exec(
        &self,
        map: &str,
        id: &Digest,
        overrides: &Overrides,
        paths: &HashSet<&BinaryPath>,
    ) -> Result<(), ManifestError> {
        let wrong = |reason| ManifestError::at(place(map, id, "/overrides/exec"), reason);
        if self.policies.exec == ExecPolicy::Any && !overrides.exec.is_empty() {
            return Err(wrong(ManifestReason::ExecNotListed));
        }
        match overrides.exec.iter().find(|path| !paths.contains(path)) {
            None => Ok(()),
            Some(path) => Err(wrong(ManifestReason::ExecUnknownPath {
                path: path.to_string(),
            })),
        }
    }
}

impl Overrides {
    /// Equal as rights: the order of a list is no right.
    fn same_rights(&self, other: &Self) -> bool {
        let sorted = |paths: &[BinaryPath]| {
            let mut paths = paths.to_vec();
            paths.sort();
            paths
        };
        self.syscalls == other.syscalls && sorted(&self.exec) == sorted(&other.exec)
    }
}

fn place(map: &str, id: &Digest, field: &str) -> String {
    let mut pointer = map.to_owned();
    push_token(&mut pointer, &id.to_string());
    pointer + field
}
