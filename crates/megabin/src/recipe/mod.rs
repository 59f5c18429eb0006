//! The recipe: what a container is built from. [`text`] is the file as written, this module what it
//! means: names checked, paths joined with the recipe's folder, contradictions refused.

mod text;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use megabinary::capability::SyscallSet;
use megabinary::manifest::{ExecPolicy, GlobalPolicies, Networking};
use megabinary::names::{BinaryPath, ContainerName, ContainerVersion, ProgramName, ToolName};

/// What to build. Paths of files are ready to be opened.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The container's name.
    pub name: ContainerName,
    /// The container's version.
    pub version: ContainerVersion,
    /// The virtual kernel it needs.
    pub vkernel_version: semver::VersionReq,
    /// Policies for all binaries.
    pub policies: GlobalPolicies,
    /// Libraries that lie in the base layer.
    pub base: Vec<PathBuf>,
    /// Executable files of the root file system.
    pub binaries: Vec<Binary>,
    /// Tools that an agent calls by name.
    pub tools: Vec<Tool>,
    /// Folders laid over the root, later ones over earlier ones.
    pub copy: Vec<PathBuf>,
}

/// An executable file of the root file system.
#[derive(Debug, Clone)]
pub struct Binary {
    /// Where its file stands.
    pub path: BinaryPath,
    /// What runs, and which bytes the file has.
    pub source: Source,
    /// Name of the program, where the recipe gives one.
    pub name: Option<ProgramName>,
    /// System calls it may make, where the recipe says so.
    pub syscalls: Option<SyscallSet>,
    /// Arguments before the caller's, where the recipe gives some.
    pub args: Option<Vec<String>>,
    /// Programs it may execute, with `exec = "listed"`.
    pub exec: Vec<BinaryPath>,
    /// Symbolic links to it.
    pub links: Vec<BinaryPath>,
}

/// What a binary runs, and which bytes its file has.
#[derive(Debug, Clone)]
pub enum Source {
    /// A module, and a file that stands for it.
    Module {
        /// The module that runs.
        module: PathBuf,
        /// The file in the root file system.
        file: Ticket,
        /// Whether it stands on the base layer.
        base: bool,
    },
    /// A script: data for its interpreter.
    Script {
        /// The script itself.
        file: PathBuf,
        /// A binary of this recipe.
        interpreter: BinaryPath,
    },
}

/// The file that stands for a module in the root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ticket {
    /// One line of text, distinct for each path.
    Line,
    /// The bytes of the module.
    Original,
    /// The bytes of another file, such as a native program of an existing root file system.
    File(PathBuf),
}

/// A tool that an agent calls by name.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its name.
    pub name: ToolName,
    /// What runs.
    pub source: ToolSource,
    /// What it does, for the agent.
    pub description: Option<String>,
    /// JSON Schema of its input.
    pub input_schema: Option<PathBuf>,
    /// System calls it may make, where the recipe says so.
    pub syscalls: Option<SyscallSet>,
    /// Arguments before the caller's.
    pub args: Vec<String>,
    /// Programs it may execute, with `exec = "listed"`.
    pub exec: Vec<BinaryPath>,
}

/// What an agent tool runs.
#[derive(Debug, Clone)]
pub enum ToolSource {
    /// A module that needs no file in the root file system.
    Module {
        /// The module that runs.
        module: PathBuf,
        /// Whether it stands on the base layer.
        base: bool,
    },
    /// A binary of this recipe, with its arguments and rights.
    Binary(BinaryPath),
}

/// What is wrong with a recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("reading the recipe {path}: {source}")]
    Read {
        /// The recipe.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key or a wrong type.
    #[error("recipe {path}: {reason}")]
    Syntax {
        /// The recipe.
        path: PathBuf,
        /// The parser's words, with line and column.
        reason: String,
    },
    /// A value that cannot stand where it does.
    #[error("recipe {path}: {place}: {reason}")]
    Value {
        /// The recipe.
        path: PathBuf,
        /// Which entry and key.
        place: String,
        /// What is wrong and what to write instead.
        reason: String,
    },
}

/// A wrong value, before the recipe's path is known.
struct Wrong {
    place: String,
    reason: String,
}

impl Wrong {
    fn new(place: impl Into<String>, reason: impl ToString) -> Self {
        Self {
            place: place.into(),
            reason: reason.to_string(),
        }
    }
}

impl Recipe {
    /// Reads the recipe at `path`.
    ///
    /// # Errors
    /// Names the recipe, the entry and key, and what to write instead.
    pub fn load(path: &Path) -> Result<Self, RecipeError> {
        let bytes = std::fs::read_to_string(path).map_err(|source| RecipeError::Read {
            path: path.to_owned(),
            source,
        })?;
        // `parent` of a bare file name is the empty path, which joins to the current folder.
        Self::parse(&bytes, path, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads a recipe from `text`; its relative paths are joined with `folder`.
    ///
    /// # Errors
    /// As [`Recipe::load`]; `path` is for messages only.
    pub fn parse(text: &str, path: &Path, folder: &Path) -> Result<Self, RecipeError> {
        let written: text::Recipe = toml::from_str(text).map_err(|e| RecipeError::Syntax {
            path: path.to_owned(),
            reason: e.to_string().trim_end().to_owned(),
        })?;
        let value = |wrong: Wrong| RecipeError::Value {
            path: path.to_owned(),
            place: wrong.place,
            reason: wrong.reason,
        };
        let recipe = resolve(written, folder).map_err(value)?;
        check(&recipe).map_err(value)?;
        Ok(recipe)
    }
}

fn resolve(written: text::Recipe, folder: &Path) -> Result<Recipe, Wrong> {
    let requirement = written.vkernel_version.as_deref().unwrap_or(">=0.2.0");
    let networking = match written.policies.networking.as_deref() {
        None | Some("none") => Networking::None,
        Some("restricted") => Networking::Restricted,
        Some("host") => Networking::Host,
        Some(other) => {
            let reason = format!("`{other}` is not one of \"none\", \"restricted\", \"host\"");
            return Err(Wrong::new("policies.networking", reason));
        }
    };
    let exec = match written.policies.exec.as_deref() {
        None | Some("any") => ExecPolicy::Any,
        Some("listed") => ExecPolicy::Listed,
        Some(other) => {
            let reason = format!("`{other}` is not one of \"any\", \"listed\"");
            return Err(Wrong::new("policies.exec", reason));
        }
    };
    let default_syscalls = syscalls("policies", Some(written.policies.default_syscalls))?;
    Ok(Recipe {
        name: written.name.parse().map_err(|e| Wrong::new("name", e))?,
        version: written
            .version
            .parse()
            .map_err(|e| Wrong::new("version", e))?,
        vkernel_version: requirement
            .parse()
            .map_err(|e| Wrong::new("vkernel_version", e))?,
        policies: GlobalPolicies {
            default_syscalls: default_syscalls.unwrap_or(SyscallSet::EMPTY),
            networking,
            exec,
        },
        base: written
            .base
            .libraries
            .iter()
            .map(|library| folder.join(library))
            .collect(),
        binaries: written
            .binary
            .into_iter()
            .map(|b| binary(b, folder))
            .collect::<Result<_, _>>()?,
        tools: written
            .agent_tool
            .into_iter()
            .map(|t| tool(t, folder))
            .collect::<Result<_, _>>()?,
        copy: written.rootfs.copy.iter().map(|p| folder.join(p)).collect(),
    })
}

fn binary(written: text::Binary, folder: &Path) -> Result<Binary, Wrong> {
    let place = format!("binary {}", written.path);
    let path: BinaryPath = parse(&written.path, &place, "path")?;
    let source = source(&written, folder, &place)?;
    if matches!(source, Source::Script { .. }) && written.name.is_some() {
        let reason = "a script is not a program of its own; `name` belongs to its interpreter";
        return Err(Wrong::new(place, reason));
    }
    Ok(Binary {
        path,
        source,
        name: written
            .name
            .map(|n| parse(&n, &place, "name"))
            .transpose()?,
        syscalls: syscalls(&place, written.syscalls)?,
        args: written.args,
        exec: paths(&written.exec, &place, "exec")?,
        links: paths(&written.links, &place, "links")?,
    })
}

fn source(written: &text::Binary, folder: &Path, place: &str) -> Result<Source, Wrong> {
    let wrong = |reason: &str| Err(Wrong::new(place, reason));
    match (&written.module, &written.file, &written.interpreter) {
        (Some(module), file, None) => {
            let file = match (file, written.keep.as_deref()) {
                (None, None | Some("ticket")) => Ticket::Line,
                (None, Some("original")) => Ticket::Original,
                (Some(file), None) => Ticket::File(folder.join(file)),
                (Some(_), Some(_)) => return wrong("give `file` or `keep`, not both"),
                (None, Some(_)) => return wrong("`keep` is \"ticket\" or \"original\""),
            };
            Ok(Source::Module {
                module: folder.join(module),
                file,
                base: written.base,
            })
        }
        (None, Some(file), Some(interpreter)) => {
            if written.keep.is_some() {
                return wrong("a script's file is the script: drop `keep`");
            }
            if written.base {
                return wrong("a script has no code to lay: `base` belongs to its interpreter");
            }
            let interpreter = parse(interpreter, place, "interpreter")?;
            Ok(Source::Script {
                file: folder.join(file),
                interpreter,
            })
        }
        (Some(_), _, Some(_)) => {
            wrong("give `module` for a program, or `file` and `interpreter` for a script")
        }
        (None, Some(_), None) => wrong("a script needs an `interpreter`, a program a `module`"),
        (None, None, _) => {
            wrong("say what runs: `module`, or `file` and `interpreter` for a script")
        }
    }
}

fn tool(written: text::AgentTool, folder: &Path) -> Result<Tool, Wrong> {
    let place = format!("agent_tool {}", written.name);
    let source = match (&written.module, &written.binary) {
        (Some(module), None) => ToolSource::Module {
            module: folder.join(module),
            base: written.base,
        },
        (None, Some(binary)) => {
            let own = written.args.is_some() || written.syscalls.is_some() || written.base;
            if own || !written.exec.is_empty() {
                let reason = "a tool that is a binary has that binary's args, syscalls, exec and \
                              base: set them there";
                return Err(Wrong::new(place, reason));
            }
            ToolSource::Binary(parse(binary, &place, "binary")?)
        }
        _ => {
            return Err(Wrong::new(
                place,
                "say what runs: `module` or `binary`, one of them",
            ));
        }
    };
    Ok(Tool {
        name: parse(&written.name, &place, "name")?,
        source,
        description: written.description,
        input_schema: written.input_schema.map(|p| folder.join(p)),
        syscalls: syscalls(&place, written.syscalls)?,
        args: written.args.unwrap_or_default(),
        exec: paths(&written.exec, &place, "exec")?,
    })
}

fn parse<T: std::str::FromStr<Err: ToString>>(
    text: &str,
    place: &str,
    key: &str,
) -> Result<T, Wrong> {
    text.parse()
        .map_err(|e: T::Err| Wrong::new(format!("{place}: {key}"), e))
}

fn paths(texts: &[String], place: &str, key: &str) -> Result<Vec<BinaryPath>, Wrong> {
    texts.iter().map(|text| parse(text, place, key)).collect()
}

fn syscalls(place: &str, names: Option<Vec<String>>) -> Result<Option<SyscallSet>, Wrong> {
    names
        .map(SyscallSet::from_names)
        .transpose()
        .map_err(|e| Wrong::new(format!("{place}: syscalls"), e))
}

/// Rules between the entries.
fn check(recipe: &Recipe) -> Result<(), Wrong> {
    let mut taken = BTreeSet::new();
    for binary in &recipe.binaries {
        for path in std::iter::once(&binary.path).chain(&binary.links) {
            if !taken.insert(path.as_str()) {
                let reason = format!("{path} is used twice in this recipe");
                return Err(Wrong::new(format!("binary {}", binary.path), reason));
            }
        }
    }
    for binary in &recipe.binaries {
        let place = || format!("binary {}", binary.path);
        if let Source::Script { interpreter, .. } = &binary.source {
            match recipe.binary(interpreter).map(|b| &b.source) {
                Some(Source::Module { .. }) => {}
                Some(Source::Script { .. }) => {
                    let reason = format!("its interpreter {interpreter} is itself a script");
                    return Err(Wrong::new(place(), reason));
                }
                None => return Err(Wrong::new(place(), missing("interpreter", interpreter))),
            }
        }
        check_exec(recipe, &binary.exec, place)?;
    }
    let mut names = BTreeSet::new();
    for tool in &recipe.tools {
        let place = || format!("agent_tool {}", tool.name);
        if !names.insert(tool.name.as_str()) {
            return Err(Wrong::new(place(), "the name is used twice"));
        }
        if let ToolSource::Binary(path) = &tool.source
            && recipe.binary(path).is_none()
        {
            return Err(Wrong::new(place(), missing("binary", path)));
        }
        check_exec(recipe, &tool.exec, place)?;
    }
    let stands =
        recipe.binaries.iter().any(Binary::stands) || recipe.tools.iter().any(Tool::stands);
    if stands == recipe.base.is_empty() {
        let reason = match stands {
            true => {
                "`base = true` needs the libraries that lie there: [base] libraries = [\"libc.a\"]"
            }
            false => {
                "nothing stands on it: add `base = true` to the programs that were linked with \
                      these libraries and with -Wl,--emit-relocs"
            }
        };
        return Err(Wrong::new("base", reason));
    }
    if recipe.binaries.is_empty() && recipe.tools.is_empty() {
        let reason = "nothing to build: add at least one [[binary]] or [[agent_tool]]";
        return Err(Wrong::new("recipe", reason));
    }
    Ok(())
}

fn check_exec(
    recipe: &Recipe,
    exec: &[BinaryPath],
    place: impl Fn() -> String,
) -> Result<(), Wrong> {
    match exec.iter().find(|path| recipe.binary(path).is_none()) {
        None => Ok(()),
        Some(path) => Err(Wrong::new(place(), missing("exec", path))),
    }
}

fn missing(key: &str, path: &BinaryPath) -> String {
    format!("`{key}` names {path}, which is not the `path` of a [[binary]] of this recipe")
}

impl Binary {
    /// Whether it stands on the base layer.
    pub fn stands(&self) -> bool {
        matches!(self.source, Source::Module { base: true, .. })
    }
}

impl Tool {
    /// Whether it stands on the base layer.
    pub fn stands(&self) -> bool {
        matches!(self.source, ToolSource::Module { base: true, .. })
    }
}

impl Recipe {
    /// The binary that stands at `path`.
    pub fn binary(&self, path: &BinaryPath) -> Option<&Binary> {
        self.binaries.iter().find(|b| b.path == *path)
    }
}
