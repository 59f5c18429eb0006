//! The modules of a recipe: each file read once, equal modules kept once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use megabinary::capability::{self, SyscallSet};
use megabinary::digest::Digest;
use megabinary::limits;
use megabinary::names::{BinaryPath, ProgramName};

use super::BuildError;
use crate::files;
use crate::link;
use crate::link::base::{self, Library, Standing, Summary};
use crate::recipe::{Recipe, Source, ToolSource};

/// A module that is linked once, however many paths it serves.
#[derive(Debug)]
pub(super) struct Program {
    pub name: ProgramName,
    /// Whether the recipe gave the name.
    named: bool,
    pub origin: PathBuf,
    pub bytes: Vec<u8>,
    pub digest: Digest,
    /// The functions that it imports: module and name.
    pub imports: Vec<(String, String)>,
    /// What they can need.
    pub needed: SyscallSet,
    /// Whether it stands on the base layer.
    stands: bool,
    /// Its bytes moved onto that layer.
    moved: Option<Vec<u8>>,
}

/// All modules of a recipe.
#[derive(Debug, Default)]
pub(super) struct Modules {
    pub programs: Vec<Program>,
    by_file: BTreeMap<PathBuf, usize>,
}

impl Modules {
    pub(super) fn load(recipe: &Recipe) -> Result<Self, BuildError> {
        let mut modules = Self::default();
        for binary in &recipe.binaries {
            if let Source::Module { module, .. } = &binary.source {
                let named = binary.name.is_some();
                let name = match &binary.name {
                    Some(name) => name.clone(),
                    None => default_name(&binary.path)?,
                };
                modules.add(module, name, named, binary.stands())?;
            }
        }
        for tool in &recipe.tools {
            if let ToolSource::Module { module, .. } = &tool.source {
                let name = ProgramName::new(tool.name.as_str())
                    .expect("every tool name is a program name");
                modules.add(module, name, false, tool.stands())?;
            }
        }
        Ok(modules)
    }

    /// The program of a module's file.
    pub(super) fn of(&self, module: &Path) -> usize {
        self.by_file[module]
    }

    pub(super) fn link_programs(&self) -> Vec<link::Program<'_>> {
        let program = |p: &'_ Program| (p.name.clone(), p.origin.display().to_string());
        self.programs
            .iter()
            .map(|p| {
                let (name, origin) = program(p);
                link::Program {
                    name,
                    origin,
                    wasm: p.moved.as_ref().unwrap_or(&p.bytes),
                }
            })
            .collect()
    }

    /// Moves the programs that say so onto a base layer of `libraries`. A digest stays that of the
    /// module as it was read.
    pub(super) fn lay_base(&mut self, libraries: &[PathBuf]) -> Result<Summary, BuildError> {
        let libraries = libraries
            .iter()
            .map(|file| {
                Ok(Library {
                    origin: file.display().to_string(),
                    bytes: files::read(file, limits::CONTAINER_BYTES)?,
                })
            })
            .collect::<Result<Vec<_>, BuildError>>()?;
        let standing: Vec<&mut Program> = self.programs.iter_mut().filter(|p| p.stands).collect();
        let origins = standing.iter().map(|p| p.origin.display().to_string());
        let origins: Vec<String> = origins.collect();
        let programs: Vec<Standing<'_>> = standing
            .iter()
            .zip(&origins)
            .map(|(program, origin)| Standing {
                origin,
                wasm: &program.bytes,
            })
            .collect();
        let laid = base::lay(&programs, &libraries)?;
        for (program, moved) in standing.into_iter().zip(laid.modules) {
            program.moved = Some(moved);
        }
        Ok(laid.summary)
    }

    fn add(
        &mut self,
        file: &Path,
        name: ProgramName,
        named: bool,
        stands: bool,
    ) -> Result<(), BuildError> {
        let index = match self.by_file.get(file) {
            Some(index) => *index,
            None => {
                let index = self.read(file, &name, named)?;
                self.by_file.insert(file.to_owned(), index);
                index
            }
        };
        let program = &mut self.programs[index];
        program.stands |= stands;
        // A name that the recipe gives wins over one taken from a path.
        if named && !program.named {
            (program.name, program.named) = (name, true);
        }
        Ok(())
    }

    fn read(&mut self, file: &Path, name: &ProgramName, named: bool) -> Result<usize, BuildError> {
        let bytes = files::read(file, limits::CONTAINER_BYTES)?;
        let digest = Digest::of(&bytes);
        if let Some(same) = self.programs.iter().position(|p| p.digest == digest) {
            return Ok(same);
        }
        let mut imports = link::imports_of(&file.display().to_string(), &bytes)?;
        imports.sort();
        imports.dedup();
        // What no kernel has is refused by the linker, with advice.
        let needed = imports
            .iter()
            .filter_map(|(module, function)| capability::needed(module, function))
            .fold(SyscallSet::EMPTY, SyscallSet::union);
        let (name, origin) = (name.clone(), file.to_owned());
        self.programs.push(Program {
            name,
            named,
            origin,
            bytes,
            digest,
            imports,
            needed,
            stands: false,
            moved: None,
        });
        Ok(self.programs.len() - 1)
    }
}

fn default_name(path: &BinaryPath) -> Result<ProgramName, BuildError> {
    let last = path.as_str().rsplit('/').next().unwrap_or_default();
    ProgramName::new(last).map_err(|source| BuildError::Name {
        path: path.clone(),
        source,
    })
}
