//! Reading the metadata section.

use super::bytes::Reader;
use super::encode::{CONTAINER, CRITICAL, IMAGE_SWITCH, PROGRAMS, TARGETS};
use super::{FORMAT_VERSION, Program, Section, SectionError, Segment, Target};
use crate::digest::{DIGEST_BYTES, Digest};
use crate::limits;
use crate::names::{ContainerName, ContainerVersion, EntryPoint, ProgramName};

/// Longest text of a checked name; the name's own rule is tighter.
const NAME_BYTES: usize = 256;

impl Section {
    /// Reads a payload without the container id and [checks](Section::check) it.
    pub fn decode(payload: &[u8]) -> Result<Self, SectionError> {
        if payload.len() > limits::SECTION_BYTES {
            return Err(SectionError::Limit {
                what: "the payload's size in bytes",
                found: payload.len() as u64,
                limit: limits::SECTION_BYTES as u64,
            });
        }
        let mut reader = Reader::new(payload, 0);
        let format_version = reader.u32("the format version")?;
        if format_version != FORMAT_VERSION {
            return Err(SectionError::Version {
                found: format_version,
            });
        }
        let mut parts = Parts::default();
        let mut last = None;
        while reader.remaining() > 0 {
            parts.read(&mut reader, &mut last)?;
        }
        parts.finish()
    }
}

type Container = (ContainerName, ContainerVersion, semver::VersionReq);

#[derive(Default)]
struct Parts {
    container: Option<Container>,
    image_switch: Option<String>,
    programs: Option<Vec<Program>>,
    targets: Option<Vec<Target>>,
}

impl Parts {
    fn read(&mut self, reader: &mut Reader<'_>, last: &mut Option<u8>) -> Result<(), SectionError> {
        let tag = reader.byte("a subsection's id")?;
        let (id, critical) = (tag & !CRITICAL, tag & CRITICAL != 0);
        if last.is_some_and(|last| id <= last) {
            return Err(SectionError::Order { id });
        }
        *last = Some(id);
        let len = reader.count("a subsection's length", limits::SECTION_BYTES, 1)?;
        let start = reader.offset();
        let mut content = Reader::new(reader.take(len, "a subsection")?, start);
        match id {
            CONTAINER..=TARGETS if !critical => return Err(SectionError::NotCritical { id }),
            CONTAINER => self.container = Some(container(&mut content)?),
            IMAGE_SWITCH => {
                let name = content.text("the image switch", limits::EXPORT_NAME_BYTES)?;
                self.image_switch = Some(name.to_owned());
            }
            PROGRAMS => self.programs = Some(programs(&mut content)?),
            TARGETS => self.targets = Some(targets(&mut content)?),
            _ if critical => return Err(SectionError::UnknownCritical { id }),
            // Skipped, but under the container id like every other byte.
            _ => return Ok(()),
        }
        match content.remaining() {
            0 => Ok(()),
            excess => Err(SectionError::Trailing { id, excess }),
        }
    }

    fn finish(self) -> Result<Section, SectionError> {
        let missing = |id, what| SectionError::Missing { id, what };
        let (name, version, vkernel_version) =
            self.container.ok_or(missing(CONTAINER, "the container"))?;
        let section = Section {
            format_version: FORMAT_VERSION,
            name,
            version,
            vkernel_version,
            image_switch: self
                .image_switch
                .ok_or(missing(IMAGE_SWITCH, "the image switch"))?,
            programs: self.programs.ok_or(missing(PROGRAMS, "the programs"))?,
            targets: self.targets.ok_or(missing(TARGETS, "the targets"))?,
        };
        section.check()?;
        Ok(section)
    }
}

fn container(reader: &mut Reader<'_>) -> Result<Container, SectionError> {
    let name = ContainerName::new(reader.text("the container's name", NAME_BYTES)?)?;
    let version = ContainerVersion::new(reader.text("the container's version", NAME_BYTES)?)?;
    let text = reader.text("vkernel_version", NAME_BYTES)?;
    let requirement =
        crate::names::requirement(text).map_err(|reason| SectionError::Requirement {
            found: crate::names::excerpt(text),
            reason,
        })?;
    Ok((name, version, requirement))
}

fn programs(reader: &mut Reader<'_>) -> Result<Vec<Program>, SectionError> {
    // The least program: two texts of one byte, a page count, a flag and two empty lists.
    let count = reader.count("the number of programs", limits::PROGRAMS, 8)?;
    let (mut segments, mut exports) = (limits::SEGMENTS, limits::EXTRA_EXPORTS);
    let mut programs = Vec::with_capacity(count);
    for _ in 0..count {
        let program = program(reader, segments, exports)?;
        // The limits are on the sums.
        segments -= program.segments.len();
        exports -= program.extra_exports.len();
        programs.push(program);
    }
    Ok(programs)
}

fn program(
    reader: &mut Reader<'_>,
    segments: usize,
    exports: usize,
) -> Result<Program, SectionError> {
    let name = ProgramName::new(reader.text("a program's name", NAME_BYTES)?)?;
    let entry = EntryPoint::new(reader.text("a program's entry point", NAME_BYTES)?)?;
    let min_pages = reader.u64("a program's initial pages")?;
    let max_pages = match reader.flag("the flag of a program's maximum")? {
        false => None,
        true => Some(reader.u64("a program's maximum pages")?),
    };
    let count = reader.count("the number of image segments", segments, 3)?;
    let segments = (0..count)
        .map(|_| {
            Ok(Segment {
                address: reader.u32("a segment's address")?,
                data_offset: reader.u32("a segment's data offset")?,
                len: reader.u32("a segment's length")?,
            })
        })
        .collect::<Result<_, SectionError>>()?;
    let count = reader.count("the number of extra exports", exports, 2)?;
    let extra_exports = (0..count)
        .map(|_| {
            let original =
                reader.text("an extra export's original name", limits::EXPORT_NAME_BYTES)?;
            let export = reader.text("an extra export's name", limits::EXPORT_NAME_BYTES)?;
            Ok((original.to_owned(), export.to_owned()))
        })
        .collect::<Result<_, SectionError>>()?;
    Ok(Program {
        name,
        entry,
        min_pages,
        max_pages,
        segments,
        extra_exports,
    })
}

fn targets(reader: &mut Reader<'_>) -> Result<Vec<Target>, SectionError> {
    let count = reader.count("the number of targets", limits::TARGETS, DIGEST_BYTES + 2)?;
    (0..count)
        .map(|_| {
            let bytes = reader.take(DIGEST_BYTES, "a target's digest")?;
            let digest = Digest::from_bytes(bytes.try_into().expect("32 bytes were taken"));
            let entry = EntryPoint::new(reader.text("a target's entry point", NAME_BYTES)?)?;
            Ok(Target { digest, entry })
        })
        .collect()
}
