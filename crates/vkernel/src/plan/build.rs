//! From a verified megabinary to a plan.

use std::collections::HashMap;

use megabinary::VKERNEL_VERSION;
use megabinary::capability::{HostCallSet, permitted};
use megabinary::digest::Digest;
use megabinary::manifest::{ExecPolicy, Networking};
use megabinary::module::Megabinary;
use megabinary::names::BinaryPath;
use megabinary::section::Program as SectionProgram;
use semver::Version;

use crate::engine::Code;

use super::{
    DELIVER, ExecRule, FORK, FORK_GLOBAL, List, NetworkPolicy, Plan, Program, TargetRecord, Text,
};

/// Pages of 64 KiB a 32-bit memory can have.
const ALL_PAGES: u64 = 65536;

/// Why a verified megabinary cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum PlanBuildError {
    /// It wants another virtual kernel.
    #[error(
        "the container asks for a virtual kernel {required}, this is {}; \
         install a megarun that provides it",
        megabinary::VKERNEL_VERSION
    )]
    KernelVersion {
        /// The requirement.
        required: String,
    },
    /// Manifest and module disagree. Verification excludes it; checked again because rights hang
    /// on it.
    #[error(
        "manifest entry {digest} starts `{entry}`, which no program of the megabinary provides"
    )]
    NoProgram {
        /// The entry's digest.
        digest: Digest,
        /// Its entry point.
        entry: String,
    },
    /// More text than a plan can hold.
    #[error("the manifest's texts are larger than 4 GiB together")]
    TooLarge,
}

impl Plan {
    /// The plan of a verified megabinary. Rights are computed here, once and for all.
    pub fn from_megabinary(megabinary: &Megabinary) -> Result<Plan, PlanBuildError> {
        let (manifest, section) = (megabinary.manifest(), &megabinary.module().section);
        let this = Version::parse(VKERNEL_VERSION).expect("the constant is a version");
        if !megabinary.runs_on(&this) {
            let required = manifest.vkernel_version.to_string();
            return Err(PlanBuildError::KernelVersion { required });
        }
        let texts = [
            section.name.as_str(),
            section.version.as_ref(),
            &section.image_switch,
        ];
        let networking = match manifest.policies.networking {
            Networking::None => NetworkPolicy::None,
            Networking::Restricted => NetworkPolicy::Restricted,
            Networking::Host => NetworkPolicy::Host,
        };
        let exec = match manifest.policies.exec {
            ExecPolicy::Any => ExecRule::Any,
            ExecPolicy::Listed => ExecRule::Listed,
        };
        let mut builder = Builder::new(manifest.container_id, texts, networking, exec)?;
        for program in &section.programs {
            let (entry, name) = (program.entry.as_str(), program.name.as_str());
            let deliver = export_of(program, DELIVER);
            builder.program(entry, name, program.min_pages, program.max_pages, deliver)?;
            builder.forks(entry, &fork_exports(program))?;
        }
        for (digest, target) in manifest.targets() {
            let exec = &target.overrides.exec;
            builder.target(NewTarget {
                digest,
                entry: target.entry.as_str(),
                rights: permitted(&manifest.rights(&target)),
                path: manifest
                    .binaries
                    .get(&digest)
                    .map(|binary| binary.path.as_str()),
                tool: manifest
                    .agent_tools
                    .get(&digest)
                    .map(|tool| tool.name.as_str()),
                args: target.args.iter().map(String::as_str).collect(),
                exec: exec.iter().map(BinaryPath::as_str).collect(),
            })?;
        }
        let code = Code::with_exceptions(megabinary.module().exceptions);
        Ok(builder.code(code).finish())
    }
}

/// The module's name for what the program exports as `original`.
fn export_of<'s>(program: &'s SectionProgram, original: &str) -> Option<&'s str> {
    (program.extra_exports.iter())
        .find(|(name, _)| name == original)
        .map(|(_, export)| export.as_str())
}

/// The module's exports for a fork of the program; none where one is missing.
fn fork_exports(program: &SectionProgram) -> Vec<&str> {
    let functions: Option<Vec<&str>> = FORK.iter().map(|name| export_of(program, name)).collect();
    let Some(mut exports) = functions else {
        return Vec::new();
    };
    let globals = (program.extra_exports.iter())
        .filter(|(original, _)| original.starts_with(FORK_GLOBAL))
        .map(|(_, export)| export.as_str());
    exports.extend(globals);
    exports
}

/// What one digest means, before it becomes a record.
pub(crate) struct NewTarget<'a> {
    pub digest: Digest,
    pub entry: &'a str,
    pub rights: HostCallSet,
    pub path: Option<&'a str>,
    pub tool: Option<&'a str>,
    pub args: Vec<&'a str>,
    pub exec: Vec<&'a str>,
}

/// Collects texts and records.
pub(crate) struct Builder {
    plan: Plan,
    /// Texts that are already in the pool: entry points and arguments repeat.
    seen: HashMap<String, Text>,
    programs: HashMap<String, u32>,
}

impl Builder {
    pub fn new(
        container_id: Digest,
        [name, version, image_switch]: [&str; 3],
        networking: NetworkPolicy,
        exec: ExecRule,
    ) -> Result<Builder, PlanBuildError> {
        let mut builder = Builder {
            plan: Plan {
                container_id,
                name: Text::default(),
                version: Text::default(),
                image_switch: Text::default(),
                networking,
                exec,
                code: Code::Plain,
                programs: Vec::new(),
                targets: Vec::new(),
                list: Vec::new(),
                pool: String::new(),
            },
            seen: HashMap::new(),
            programs: HashMap::new(),
        };
        builder.plan.name = builder.text(name)?;
        builder.plan.version = builder.text(version)?;
        builder.plan.image_switch = builder.text(image_switch)?;
        Ok(builder)
    }

    /// The kind of code the megabinary is.
    pub fn code(mut self, code: Code) -> Builder {
        self.plan.code = code;
        self
    }

    pub fn program(
        &mut self,
        entry: &str,
        name: &str,
        min_pages: u64,
        max_pages: Option<u64>,
        deliver: Option<&str>,
    ) -> Result<(), PlanBuildError> {
        let index = self.plan.programs.len() as u32;
        let program = Program {
            entry: self.text(entry)?,
            name: self.text(name)?,
            min_pages: min_pages.min(ALL_PAGES) as u32,
            max_pages: max_pages.unwrap_or(ALL_PAGES).min(ALL_PAGES) as u32,
            deliver: deliver.map(|text| self.text(text)).transpose()?,
            fork: List::default(),
        };
        self.plan.programs.push(program);
        self.programs.insert(entry.to_owned(), index);
        Ok(())
    }

    /// Says what the program of an entry point exports to be forked.
    pub fn forks(&mut self, entry: &str, exports: &[&str]) -> Result<(), PlanBuildError> {
        let list = self.list(exports)?;
        if let Some(program) = self.programs.get(entry) {
            self.plan.programs[*program as usize].fork = list;
        }
        Ok(())
    }

    pub fn target(&mut self, new: NewTarget<'_>) -> Result<(), PlanBuildError> {
        let program = *self
            .programs
            .get(new.entry)
            .ok_or_else(|| PlanBuildError::NoProgram {
                digest: new.digest,
                entry: new.entry.to_owned(),
            })?;
        let record = TargetRecord {
            digest: new.digest,
            rights: new.rights,
            program,
            path: new.path.map(|path| self.text(path)).transpose()?,
            tool: new.tool.map(|tool| self.text(tool)).transpose()?,
            args: self.list(&new.args)?,
            exec: self.list(&new.exec)?,
            shares_entry: false,
        };
        self.plan.targets.push(record);
        Ok(())
    }

    pub fn finish(mut self) -> Plan {
        self.plan.targets.sort_by_key(|record| record.digest);
        let mut users = vec![0u32; self.plan.programs.len()];
        for record in &self.plan.targets {
            users[record.program as usize] += 1;
        }
        for record in &mut self.plan.targets {
            record.shares_entry = users[record.program as usize] > 1;
        }
        self.plan
    }

    fn text(&mut self, text: &str) -> Result<Text, PlanBuildError> {
        if let Some(known) = self.seen.get(text) {
            return Ok(*known);
        }
        let start = u32::try_from(self.plan.pool.len()).map_err(|_| PlanBuildError::TooLarge)?;
        let len = u32::try_from(text.len()).map_err(|_| PlanBuildError::TooLarge)?;
        start.checked_add(len).ok_or(PlanBuildError::TooLarge)?;
        self.plan.pool.push_str(text);
        let place = Text { start, len };
        self.seen.insert(text.to_owned(), place);
        Ok(place)
    }

    fn list(&mut self, texts: &[&str]) -> Result<List, PlanBuildError> {
        let start = u32::try_from(self.plan.list.len()).map_err(|_| PlanBuildError::TooLarge)?;
        for text in texts {
            let place = self.text(text)?;
            self.plan.list.push(place);
        }
        let end = u32::try_from(self.plan.list.len()).map_err(|_| PlanBuildError::TooLarge)?;
        Ok(List {
            start,
            count: end - start,
        })
    }
}
