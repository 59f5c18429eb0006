//! Manifest and module must say the same (`runtime-spec/megabinary.md`, "Agreement").

use std::fmt::Display;

use super::{Module, ModuleError};
use crate::manifest::{Manifest, Verified};

const MANIFEST: &str = "manifest.json";
const MODULE: &str = "container.wasm";

/// A verified manifest and the sound module it belongs to: what may run. Only
/// [`check_agreement`] makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Megabinary {
    manifest: Verified<Manifest>,
    module: Module,
}

impl Megabinary {
    /// The manifest.
    pub fn manifest(&self) -> &Verified<Manifest> {
        &self.manifest
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Whether a virtual kernel of `version` can run it.
    pub fn runs_on(&self, version: &semver::Version) -> bool {
        self.manifest.vkernel_version.matches(version)
    }
}

/// Checks that both name the same container, the same targets and the same entry points.
///
/// # Errors
/// The first difference.
pub fn check_agreement(
    manifest: &Verified<Manifest>,
    module: &Module,
) -> Result<Megabinary, ModuleError> {
    if manifest.container_id != module.id {
        return Err(ModuleError::AgreeId {
            manifest: manifest.container_id,
            module: module.id,
        });
    }
    let section = &module.section;
    if let Some(name) = &manifest.name {
        same("name", name, &section.name)?;
    }
    same("version", &manifest.version, &section.version)?;
    same(
        "vkernel_version",
        &manifest.vkernel_version,
        &section.vkernel_version,
    )?;
    let mut mapped = section.targets.iter().peekable();
    for (digest, target) in manifest.targets() {
        let absent = ModuleError::AgreeTarget {
            digest,
            present: MANIFEST,
            absent: MODULE,
        };
        match mapped.next_if(|mapped| mapped.digest <= digest) {
            None => return Err(absent),
            Some(found) if found.digest != digest => return Err(only_mapped(found.digest)),
            Some(found) if found.entry != *target.entry => {
                return Err(ModuleError::AgreeEntry {
                    digest,
                    manifest: target.entry.clone(),
                    module: found.entry.clone(),
                });
            }
            Some(_) => {}
        }
    }
    match mapped.next() {
        Some(found) => Err(only_mapped(found.digest)),
        None => Ok(Megabinary {
            manifest: manifest.clone(),
            module: module.clone(),
        }),
    }
}

fn only_mapped(digest: crate::digest::Digest) -> ModuleError {
    ModuleError::AgreeTarget {
        digest,
        present: MODULE,
        absent: MANIFEST,
    }
}

/// Compared as text: versions that are equal as numbers may still be written differently.
fn same(
    field: &'static str,
    manifest: &impl Display,
    module: &impl Display,
) -> Result<(), ModuleError> {
    let (manifest, module) = (manifest.to_string(), module.to_string());
    if manifest == module {
        return Ok(());
    }
    Err(ModuleError::AgreeField {
        field,
        manifest,
        module,
    })
}
