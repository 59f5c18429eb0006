//! Writing the metadata section.

use super::bytes::{put_number, put_text};
use super::{FORMAT_VERSION, Program, Section};

/// Bit of a subsection's id: a reader that does not know it must refuse the file.
pub(super) const CRITICAL: u8 = 0x80;
pub(super) const CONTAINER: u8 = 1;
pub(super) const IMAGE_SWITCH: u8 = 2;
pub(super) const PROGRAMS: u8 = 3;
pub(super) const TARGETS: u8 = 4;

impl Section {
    /// The payload without the container id: the same section gives the same bytes. Call
    /// [`Section::check`] first; a section that fails it encodes to bytes no reader accepts.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(&mut out, u64::from(FORMAT_VERSION));
        subsection(&mut out, CONTAINER, |out| {
            put_text(out, self.name.as_str());
            put_text(out, self.version.as_str());
            put_text(out, &self.vkernel_version.to_string());
        });
        subsection(&mut out, IMAGE_SWITCH, |out| {
            put_text(out, &self.image_switch)
        });
        subsection(&mut out, PROGRAMS, |out| {
            put_number(out, self.programs.len() as u64);
            self.programs
                .iter()
                .for_each(|program| put_program(out, program));
        });
        subsection(&mut out, TARGETS, |out| {
            put_number(out, self.targets.len() as u64);
            for target in &self.targets {
                out.extend_from_slice(target.digest.as_bytes());
                put_text(out, target.entry.as_str());
            }
        });
        out
    }
}

fn subsection(out: &mut Vec<u8>, id: u8, content: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = Vec::new();
    content(&mut bytes);
    out.push(id | CRITICAL);
    put_number(out, bytes.len() as u64);
    out.append(&mut bytes);
}

fn put_program(out: &mut Vec<u8>, program: &Program) {
    put_text(out, program.name.as_str());
    put_text(out, program.entry.as_str());
    put_number(out, program.min_pages);
    match program.max_pages {
        None => out.push(0),
        Some(pages) => {
            out.push(1);
            put_number(out, pages);
        }
    }
    put_number(out, program.segments.len() as u64);
    for segment in &program.segments {
        put_number(out, u64::from(segment.address));
        put_number(out, u64::from(segment.data_offset));
        put_number(out, u64::from(segment.len));
    }
    put_number(out, program.extra_exports.len() as u64);
    for (original, export) in &program.extra_exports {
        put_text(out, original);
        put_text(out, export);
    }
}
