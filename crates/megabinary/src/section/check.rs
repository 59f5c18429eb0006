//! Rules between the values of a section.

use std::collections::HashSet;

use super::{FORMAT_VERSION, Program, Section, SectionError};
use crate::limits;

const PAGE_BYTES: u64 = 65_536;

impl Section {
    /// Checks what [`Section::decode`] checks after reading; a writer calls it before
    /// [`Section::encode`].
    pub fn check(&self) -> Result<(), SectionError> {
        if self.format_version != FORMAT_VERSION {
            return Err(SectionError::Version {
                found: self.format_version,
            });
        }
        at_most(
            "the number of programs",
            self.programs.len(),
            limits::PROGRAMS,
        )?;
        at_most("the number of targets", self.targets.len(), limits::TARGETS)?;
        at_most(
            "the image switch's length",
            self.image_switch.len(),
            limits::EXPORT_NAME_BYTES,
        )?;
        self.check_programs()?;
        self.check_targets()
    }

    fn check_programs(&self) -> Result<(), SectionError> {
        let (mut names, mut entries) = (HashSet::new(), HashSet::new());
        let (mut segments, mut exports) = (0, 0);
        for program in &self.programs {
            let repeated = |what, name: &str| SectionError::DuplicateProgram {
                what,
                name: name.to_owned(),
            };
            if !names.insert(&program.name) {
                return Err(repeated("name", program.name.as_str()));
            }
            if !entries.insert(&program.entry) {
                return Err(repeated("entry point", program.entry.as_str()));
            }
            check_memory(program)?;
            check_segments(program)?;
            segments += program.segments.len();
            exports += program.extra_exports.len();
            for (original, export) in &program.extra_exports {
                let longest = original.len().max(export.len());
                at_most(
                    "an extra export's length",
                    longest,
                    limits::EXPORT_NAME_BYTES,
                )?;
            }
        }
        at_most("the number of image segments", segments, limits::SEGMENTS)?;
        at_most(
            "the number of extra exports",
            exports,
            limits::EXTRA_EXPORTS,
        )
    }

    fn check_targets(&self) -> Result<(), SectionError> {
        if let Some(pair) = self
            .targets
            .windows(2)
            .find(|pair| pair[0].digest >= pair[1].digest)
        {
            return Err(SectionError::TargetOrder {
                digest: pair[1].digest,
            });
        }
        let entries: HashSet<_> = self.programs.iter().map(|program| &program.entry).collect();
        match self
            .targets
            .iter()
            .find(|target| !entries.contains(&target.entry))
        {
            None => Ok(()),
            Some(target) => Err(SectionError::TargetEntry {
                digest: target.digest,
                entry: target.entry.clone(),
            }),
        }
    }
}

fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), SectionError> {
    if found <= limit {
        return Ok(());
    }
    let (found, limit) = (found as u64, limit as u64);
    Err(SectionError::Limit { what, found, limit })
}

fn check_memory(program: &Program) -> Result<(), SectionError> {
    let max = program.max_pages.unwrap_or(limits::MEMORY_PAGES);
    if program.min_pages <= max && max <= limits::MEMORY_PAGES {
        return Ok(());
    }
    Err(SectionError::Memory {
        program: program.name.clone(),
        min_pages: program.min_pages,
        max_pages: program.max_pages,
    })
}

fn check_segments(program: &Program) -> Result<(), SectionError> {
    let memory = program.min_pages * PAGE_BYTES;
    let mut free_from = 0;
    for (index, segment) in program.segments.iter().enumerate() {
        let end = u64::from(segment.address) + u64::from(segment.len);
        let wrong = |what| SectionError::Segment {
            program: program.name.clone(),
            index,
            what,
        };
        if segment.len == 0 {
            return Err(wrong("is empty"));
        }
        if u64::from(segment.address) < free_from {
            return Err(wrong("overlaps its predecessor or lies before it"));
        }
        if end > memory {
            return Err(wrong("ends outside the program's initial memory"));
        }
        free_from = end;
    }
    Ok(())
}
