//! Payloads of the metadata section.

use megabinary::limits;
use megabinary::section::{Program, Section};

use crate::support;
use crate::vector::Vectors;

pub fn add(vectors: &mut Vectors) {
    sections(vectors);
    section_bytes(vectors);
}

fn sample() -> Section {
    let mut section = support::section(&["ls", "cat"]);
    section.programs[0].max_pages = Some(16);
    section.programs[0]
        .extra_exports
        .push(("__stack_pointer".into(), "ls.__stack_pointer".into()));
    section
}

fn sections(vectors: &mut Vectors) {
    let mut add = |file: &str, error: Option<&str>, rule: &str, change: &dyn Fn(&mut Section)| {
        let mut section = sample();
        change(&mut section);
        vectors.add(
            "section",
            &format!("section/{file}.bin"),
            error,
            rule,
            section.encode(),
        );
    };
    add("sample", None, "two programs, two targets", &|_| ());
    add("empty", None, "no program", &|s| {
        s.programs.clear();
        s.targets.clear();
    });
    let ls_entry = sample().programs[0].entry.clone();
    add(
        "duplicate-name",
        Some("section.duplicate-program"),
        "two programs of one name",
        &|s| s.programs[1].name = s.programs[0].name.clone(),
    );
    add(
        "duplicate-entry",
        Some("section.duplicate-program"),
        "two programs of one entry point",
        &|s| s.programs[1].entry = ls_entry.clone(),
    );
    add(
        "memory-maximum",
        Some("section.memory"),
        "a maximum below the minimum",
        &|s| s.programs[0].max_pages = Some(0),
    );
    add(
        "memory-pages",
        Some("section.memory"),
        "more than 65,536 pages",
        &|s| {
            s.programs[0] = Program {
                min_pages: 65_537,
                max_pages: None,
                ..s.programs[0].clone()
            }
        },
    );
    add(
        "segment-empty",
        Some("section.segment"),
        "an empty segment",
        &|s| s.programs[0].segments[0].len = 0,
    );
    add(
        "segment-overlap",
        Some("section.segment"),
        "segments that overlap",
        &|s| {
            let first = s.programs[0].segments[0];
            s.programs[0].segments.push(first);
        },
    );
    add(
        "segment-outside",
        Some("section.segment"),
        "a segment outside the initial memory",
        &|s| s.programs[0].segments[0].address = 65_533,
    );
    add(
        "target-order",
        Some("section.target-order"),
        "targets out of order",
        &|s| s.targets.swap(0, 1),
    );
    add(
        "target-twice",
        Some("section.target-order"),
        "a target twice",
        &|s| s.targets[1] = s.targets[0].clone(),
    );
    add(
        "target-entry",
        Some("section.target-entry"),
        "a target without a program",
        &|s| s.targets[0].entry = "dog_start".parse().unwrap(),
    );
}

fn section_bytes(vectors: &mut Vectors) {
    let bytes = sample().encode();
    let mut add = |file: &str, error: Option<&str>, rule: &str, bytes: Vec<u8>| {
        vectors.add(
            "section",
            &format!("section/{file}.bin"),
            error,
            rule,
            bytes,
        );
    };
    // format version, then the first subsection: tag, length, content.
    let first = 3 + usize::from(bytes[2]);
    add(
        "unknown-skipped",
        None,
        "an unknown subsection without the critical bit",
        [&bytes[..], &[0x05, 2, 7, 7]].concat(),
    );
    add(
        "unknown-critical",
        Some("section.unknown-critical"),
        "an unknown subsection with the critical bit",
        [&bytes[..], &[0x85, 2, 7, 7]].concat(),
    );
    add(
        "order",
        Some("section.order"),
        "a subsection twice",
        [&bytes[..first], &bytes[1..first], &bytes[first..]].concat(),
    );
    add(
        "not-critical",
        Some("section.not-critical"),
        "a known subsection without the critical bit",
        [&[1, 1], &bytes[2..]].concat(),
    );
    add(
        "missing",
        Some("section.missing"),
        "the last subsection is missing",
        bytes[..first].to_vec(),
    );
    add(
        "trailing",
        Some("section.trailing"),
        "a subsection goes on",
        [
            &[1, 0x81, bytes[2] + 1],
            &bytes[3..first],
            &[0],
            &bytes[first..],
        ]
        .concat(),
    );
    add(
        "version",
        Some("section.version"),
        "format version 2",
        [&[2], &bytes[1..]].concat(),
    );
    add(
        "truncated",
        Some("section.truncated"),
        "the payload ends early",
        bytes[..bytes.len() - 1].to_vec(),
    );
    add(
        "number",
        Some("section.number"),
        "a number that is not in its shortest form",
        [&[0x81, 0], &bytes[1..]].concat(),
    );
    let container = |name: &[u8], version: &[u8], requirement: &[u8]| {
        let mut content = Vec::new();
        for text in [name, version, requirement] {
            content.push(text.len() as u8);
            content.extend(text);
        }
        [
            &[1, 0x81, content.len() as u8],
            &content[..],
            &bytes[first..],
        ]
        .concat()
    };
    add(
        "utf8",
        Some("section.utf8"),
        "a name that is not UTF-8",
        container(b"tool\xff", b"1.0", b"*"),
    );
    add(
        "name",
        Some("section.name"),
        "a name that breaks its rule",
        container(b"../tool", b"1.0", b"*"),
    );
    add(
        "requirement",
        Some("section.requirement"),
        "no semver requirement",
        container(b"toolbox", b"1.0", b"newest"),
    );
    let many = [
        &bytes[..first],
        &[0x82, 2, 1, b'x', 0x83, 3, 0x81, 0x80, 0x04],
    ]
    .concat();
    assert_eq!(limits::PROGRAMS, 65_536);
    add(
        "limit",
        Some("section.limit"),
        "more programs than the limit",
        many,
    );
    let flag = {
        // The flag of a maximum follows the first program's name, entry point and page count.
        let mut bytes = bytes.clone();
        let at = bytes
            .windows(12)
            .position(|w| w == b"\x02ls\x08ls_start")
            .unwrap()
            + 13;
        assert_eq!((bytes[at - 1], bytes[at]), (1, 1));
        bytes[at] = 2;
        bytes
    };
    add(
        "flag",
        Some("section.flag"),
        "a flag that is neither 0 nor 1",
        flag,
    );
}
