//! From a recipe to a container: modules read and linked, digests, manifest, root file system.

mod modules;
mod output;
mod scripts;
mod warnings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use megabinary::capability::SyscallSet;
use megabinary::digest::Digest;
use megabinary::json;
use megabinary::limits;
use megabinary::manifest::{self, AgentTool, Manifest, ManifestError, Overrides};
use megabinary::names::{BinaryPath, NameError, ToolName};

use crate::files::{self, FileError};
use crate::keys::PrivateKey;
use crate::link::base::BaseError;
use crate::link::{self, Folding, LinkError};
use crate::progress::Progress;
use crate::recipe::{Binary, Recipe, Source, Ticket, Tool, ToolSource};
use crate::rootfs::RootfsError;

use modules::Modules;

pub use output::{MEGABINARY, ROOTFS};

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The programs cannot be linked.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The base layer cannot be laid.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The root file system cannot be laid.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// The manifest breaks a rule.
    #[error("making the manifest: {0}")]
    Manifest(#[from] ManifestError),
    /// The last part of a path is no program name.
    #[error("binary {path}: {source}; give it a `name` in the recipe")]
    Name {
        /// The binary's path.
        path: BinaryPath,
        /// What is wrong with its last part.
        source: NameError,
    },
    /// Two files with the same bytes.
    #[error(
        "the files of {first} and {second} have the same bytes, so that one digest would stand for \
         two paths: make one a link (`links = [\"{second}\"]` in the entry of {first}), or use \
         tickets (no `keep`), which differ"
    )]
    SameBytes {
        /// The first path.
        first: BinaryPath,
        /// The second path.
        second: BinaryPath,
    },
    /// Two tools with the same digest.
    #[error(
        "the agent tools {first} and {second} run the same file, and one digest names one tool: \
         give one of them a [[binary]] of its own"
    )]
    SameTool {
        /// The first tool.
        first: ToolName,
        /// The second tool.
        second: ToolName,
    },
    /// A schema that is no JSON object.
    #[error("{path}: not a JSON Schema: {reason}")]
    Schema {
        /// The schema's file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The output folder cannot be written to without harm.
    #[error("{path}: {reason}")]
    Output {
        /// The folder.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// Bytes of a file of the root file system.
#[derive(Debug)]
enum Bytes {
    Own(Vec<u8>),
    /// Those of a module.
    Module(usize),
}

/// A container, ready to be written.
#[derive(Debug)]
pub struct Container {
    wasm: Vec<u8>,
    manifest: Manifest,
    modules: Modules,
    files: Vec<(BinaryPath, Bytes)>,
    links: Vec<(BinaryPath, BinaryPath)>,
    copy: Vec<PathBuf>,
    /// What the recipe's author should know.
    pub warnings: Vec<String>,
}

impl Container {
    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of `container.wasm`.
    pub fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    /// How many different modules were linked.
    pub fn programs(&self) -> usize {
        self.modules.programs.len()
    }

    /// Signs the manifest.
    pub fn sign(&mut self, key: &PrivateKey) {
        self.manifest = self.manifest.clone().signed(key.id.clone(), &key.key);
    }
}

/// Builds what `recipe` says, in memory.
///
/// # Errors
/// Names the file or entry, what is wrong, and what to do.
pub fn build(
    recipe: &Recipe,
    folding: Folding,
    progress: &Progress,
) -> Result<Container, BuildError> {
    progress.step("reading the modules");
    let mut modules = Modules::load(recipe)?;
    if !recipe.base.is_empty() {
        progress.step("laying the base layer");
        let base = modules.lay_base(&recipe.base)?;
        log::info!(
            "the base layer: {} functions that programs share, {} bytes of data",
            base.functions,
            base.data
        );
    }
    let mut parts = Parts::new(recipe, &modules);
    for binary in &recipe.binaries {
        parts.binary(binary)?;
    }
    for tool in &recipe.tools {
        parts.tool(tool)?;
    }
    let Parts {
        entries,
        tools,
        files,
        mut warnings,
        ..
    } = parts;
    warnings.extend(warnings::defaults(
        &recipe.policies,
        entries.values().map(|e| (&e.path, &e.overrides)),
    ));

    progress.step(format!("linking {} programs", modules.programs.len()));
    let linked = link::link(&link::Request {
        name: recipe.name.clone(),
        version: recipe.version.clone(),
        vkernel_version: recipe.vkernel_version.clone(),
        programs: modules.link_programs(),
        targets: targets(&entries, &tools),
        folding,
    })?;
    let entry = |program: usize| linked.entries[program].clone();
    let binaries = entries.into_iter().map(|(digest, e)| {
        let binary = manifest::Binary {
            path: e.path,
            entry: entry(e.program),
            args: e.args,
            overrides: e.overrides,
        };
        (digest, binary)
    });
    let agent_tools = tools.into_iter().map(|(digest, t)| {
        let tool = AgentTool {
            name: t.name,
            entry: entry(t.program),
            args: t.args,
            overrides: t.overrides,
            description: t.description,
            input_schema: t.input_schema,
        };
        (digest, tool)
    });
    let manifest = Manifest {
        container_id: megabinary::module::container_id(&linked.wasm)
            .expect("the linker's output ends with its id"),
        name: Some(recipe.name.clone()),
        version: recipe.version.clone(),
        megabinary: MEGABINARY.parse().expect("`container.wasm` is a file name"),
        vkernel_version: recipe.vkernel_version.clone(),
        policies: recipe.policies.clone(),
        binaries: binaries.collect(),
        agent_tools: agent_tools.collect(),
        critical: Vec::new(),
        signature: None,
    };
    manifest.check()?;
    let links = recipe.binaries.iter();
    let links = links
        .flat_map(|b| b.links.iter().map(|l| (l.clone(), b.path.clone())))
        .collect();
    let (wasm, copy) = (linked.wasm, recipe.copy.clone());
    Ok(Container {
        wasm,
        manifest,
        modules,
        files,
        links,
        copy,
        warnings,
    })
}

/// What a digest starts, before entry points have names.
#[derive(Debug, Clone)]
struct Entry {
    path: BinaryPath,
    program: usize,
    args: Vec<String>,
    overrides: Overrides,
}

#[derive(Debug)]
struct ToolEntry {
    name: ToolName,
    program: usize,
    args: Vec<String>,
    overrides: Overrides,
    description: Option<String>,
    input_schema: Option<json::Value>,
}

/// Collects what the manifest and the root file system are made of.
struct Parts<'a> {
    recipe: &'a Recipe,
    modules: &'a Modules,
    entries: BTreeMap<Digest, Entry>,
    tools: BTreeMap<Digest, ToolEntry>,
    files: Vec<(BinaryPath, Bytes)>,
    warnings: Vec<String>,
}

impl<'a> Parts<'a> {
    fn new(recipe: &'a Recipe, modules: &'a Modules) -> Self {
        Self {
            recipe,
            modules,
            entries: BTreeMap::new(),
            tools: BTreeMap::new(),
            files: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn binary(&mut self, binary: &Binary) -> Result<(), BuildError> {
        let (program, digest, bytes) = self.file_of(binary)?;
        let (args, overrides) = self.args_and_rights(binary, program);
        let place = format!("binary {}", binary.path);
        self.warn(&place, &overrides, &binary.syscalls, program);
        let entry = Entry {
            path: binary.path.clone(),
            program,
            args,
            overrides,
        };
        self.files.push((binary.path.clone(), bytes));
        match self.entries.insert(digest, entry) {
            None => Ok(()),
            Some(other) => Err(BuildError::SameBytes {
                first: other.path,
                second: binary.path.clone(),
            }),
        }
    }

    /// The program a binary starts, and its file's digest and bytes.
    fn file_of(&mut self, binary: &Binary) -> Result<(usize, Digest, Bytes), BuildError> {
        match &binary.source {
            Source::Module { module, file, .. } => {
                let program = self.modules.of(module);
                let original = self.modules.programs[program].digest;
                let bytes = match file {
                    Ticket::Original => return Ok((program, original, Bytes::Module(program))),
                    Ticket::Line => ticket(&binary.path, &original),
                    Ticket::File(file) => files::read(file, limits::CONTAINER_BYTES)?,
                };
                Ok((program, Digest::of(&bytes), Bytes::Own(bytes)))
            }
            Source::Script { file, interpreter } => {
                let bytes = files::read(file, limits::CONTAINER_BYTES)?;
                let runs = self
                    .recipe
                    .binary(interpreter)
                    .expect("the recipe was checked");
                let Source::Module { module, .. } = &runs.source else {
                    unreachable!("the recipe was checked: an interpreter is a program")
                };
                self.warnings
                    .extend(scripts::disagreement(&binary.path, &bytes, runs));
                Ok((
                    self.modules.of(module),
                    Digest::of(&bytes),
                    Bytes::Own(bytes),
                ))
            }
        }
    }

    /// Arguments and rights; a script has its interpreter's where it gives none of its own.
    fn args_and_rights(&self, binary: &Binary, program: usize) -> (Vec<String>, Overrides) {
        let interpreter = match &binary.source {
            Source::Script { interpreter, .. } => self.recipe.binary(interpreter),
            Source::Module { .. } => None,
        };
        let inherited = |own: &Option<SyscallSet>| own.or(interpreter.and_then(|i| i.syscalls));
        let needed = self.modules.programs[program].needed;
        let syscalls = inherited(&binary.syscalls).unwrap_or(needed);
        let args = binary
            .args
            .clone()
            .or_else(|| interpreter.and_then(|i| i.args.clone()));
        let exec = match interpreter {
            Some(interpreter) if binary.exec.is_empty() => interpreter.exec.clone(),
            _ => binary.exec.clone(),
        };
        (args.unwrap_or_default(), Overrides { syscalls, exec })
    }

    fn tool(&mut self, tool: &Tool) -> Result<(), BuildError> {
        let (digest, program, args, overrides) = match &tool.source {
            ToolSource::Module { module, .. } => {
                let program = self.modules.of(module);
                let runs = &self.modules.programs[program];
                let syscalls = tool.syscalls.unwrap_or(runs.needed);
                let overrides = Overrides {
                    syscalls,
                    exec: tool.exec.clone(),
                };
                let place = format!("agent_tool {}", tool.name);
                self.warn(&place, &overrides, &tool.syscalls, program);
                (runs.digest, program, tool.args.clone(), overrides)
            }
            ToolSource::Binary(path) => {
                let found = self.entries.iter().find(|(_, entry)| entry.path == *path);
                let (digest, entry) = found.expect("the recipe was checked");
                let entry = entry.clone();
                (*digest, entry.program, entry.args, entry.overrides)
            }
        };
        let entry = ToolEntry {
            name: tool.name.clone(),
            program,
            args,
            overrides,
            description: tool.description.clone(),
            input_schema: tool.input_schema.as_deref().map(schema).transpose()?,
        };
        match self.tools.insert(digest, entry) {
            None => Ok(()),
            Some(other) => Err(BuildError::SameTool {
                first: other.name,
                second: tool.name.clone(),
            }),
        }
    }

    fn warn(
        &mut self,
        place: &str,
        overrides: &Overrides,
        given: &Option<SyscallSet>,
        program: usize,
    ) {
        let (policies, program) = (&self.recipe.policies, &self.modules.programs[program]);
        let found = warnings::rights(place, policies, overrides, given, program);
        self.warnings.extend(found);
    }
}

/// The one line that stands for a program in the root file system.
fn ticket(path: &BinaryPath, original: &Digest) -> Vec<u8> {
    format!("#!megabinary {path} {original}\n").into_bytes()
}

fn schema(path: &Path) -> Result<json::Value, BuildError> {
    let bytes = files::read(path, limits::MANIFEST_BYTES)?;
    let wrong = |reason: String| BuildError::Schema {
        path: path.to_owned(),
        reason,
    };
    let value = json::parse(&bytes, &json::Limits::MANIFEST).map_err(|e| wrong(e.to_string()))?;
    match value {
        json::Value::Object(_) => Ok(value),
        other => Err(wrong(format!(
            "it must be an object, found {}",
            other.kind()
        ))),
    }
}

fn targets(
    entries: &BTreeMap<Digest, Entry>,
    tools: &BTreeMap<Digest, ToolEntry>,
) -> Vec<link::Target> {
    let of_entries = entries.iter().map(|(digest, e)| (*digest, e.program));
    let of_tools = tools.iter().map(|(digest, t)| (*digest, t.program));
    let all: BTreeMap<Digest, usize> = of_entries.chain(of_tools).collect();
    all.into_iter()
        .map(|(digest, program)| link::Target { digest, program })
        .collect()
}
