use super::*;

fn digest(n: u8) -> Digest {
    Digest::from_bytes([n; 32])
}

fn entry(text: &str) -> EntryPoint {
    EntryPoint::new(text).expect("a valid entry point")
}

fn program(name: &str, segments: &[(u32, u32, u32)]) -> Program {
    Program {
        name: ProgramName::new(name).expect("a valid name"),
        entry: entry(&format!("{name}_start")),
        min_pages: 2,
        max_pages: Some(16),
        segments: segments
            .iter()
            .map(|&(address, data_offset, len)| Segment {
                address,
                data_offset,
                len,
            })
            .collect(),
        extra_exports: vec![("__stack_pointer".into(), format!("{name}.__stack_pointer"))],
    }
}

fn sample() -> Section {
    Section {
        format_version: FORMAT_VERSION,
        name: ContainerName::new("toolbox").expect("valid"),
        version: ContainerVersion::new("1.0").expect("valid"),
        vkernel_version: ">=0.2.0".parse().expect("valid"),
        image_switch: "megarun_image".into(),
        programs: vec![
            program("ls", &[(1024, 0, 10), (1034, 10, 1)]),
            program("cat", &[]),
        ],
        targets: vec![
            Target {
                digest: digest(1),
                entry: entry("ls_start"),
            },
            Target {
                digest: digest(2),
                entry: entry("cat_start"),
            },
            Target {
                digest: digest(3),
                entry: entry("ls_start"),
            },
        ],
    }
}

fn refusal(change: impl FnOnce(&mut Section)) -> &'static str {
    let mut section = sample();
    change(&mut section);
    let checked = section.check().expect_err("must be refused").id();
    if section.format_version == FORMAT_VERSION {
        assert_eq!(
            Section::decode(&section.encode())
                .expect_err("must be refused")
                .id(),
            checked
        );
    }
    checked
}

#[test]
fn what_is_written_is_read_back() {
    let section = sample();
    let bytes = section.encode();
    assert_eq!(Section::decode(&bytes), Ok(section.clone()));
    assert_eq!(section.entry(&digest(3)), Some(&entry("ls_start")));
    assert_eq!(section.entry(&digest(4)), None);
    assert_eq!(
        section
            .program(&entry("cat_start"))
            .map(|p| p.name.as_str()),
        Some("cat")
    );
}

#[test]
fn rules_between_values_hold_for_writer_and_reader() {
    assert_eq!(refusal(|s| s.format_version = 2), "section.version");
    assert_eq!(
        refusal(|s| s.programs[1].name = s.programs[0].name.clone()),
        "section.duplicate-program"
    );
    assert_eq!(
        refusal(|s| s.programs[1].entry = s.programs[0].entry.clone()),
        "section.duplicate-program"
    );
    assert_eq!(
        refusal(|s| s.programs[0].max_pages = Some(1)),
        "section.memory"
    );
    assert_eq!(
        refusal(|s| s.programs[0].max_pages = Some(65_537)),
        "section.memory"
    );
    assert_eq!(
        refusal(|s| s.programs[1] = Program {
            min_pages: u64::MAX,
            max_pages: None,
            ..s.programs[1].clone()
        }),
        "section.memory"
    );
    assert_eq!(
        refusal(|s| s.programs[0].segments[1].len = 0),
        "section.segment"
    );
    assert_eq!(
        refusal(|s| s.programs[0].segments[1].address = 1033),
        "section.segment"
    );
    assert_eq!(
        refusal(|s| s.programs[0].segments[1].address = 0),
        "section.segment"
    );
    assert_eq!(
        refusal(|s| s.programs[0].segments[1].address = u32::MAX),
        "section.segment"
    );
    assert_eq!(refusal(|s| s.targets.swap(0, 1)), "section.target-order");
    assert_eq!(
        refusal(|s| s.targets[1].digest = digest(1)),
        "section.target-order"
    );
    assert_eq!(
        refusal(|s| s.targets[1].entry = entry("dog_start")),
        "section.target-entry"
    );
}

/// The payload with one more subsection at its end.
fn with_subsection(tag: u8) -> Vec<u8> {
    let mut bytes = sample().encode();
    bytes.extend([tag, 2, 7, 7]);
    bytes
}

#[test]
fn unknown_subsections_are_skipped_unless_critical() {
    assert_eq!(Section::decode(&with_subsection(5)), Ok(sample()));
    let id = |tag| {
        Section::decode(&with_subsection(tag))
            .expect_err("must be refused")
            .id()
    };
    assert_eq!(id(0x85), "section.unknown-critical");
    assert_eq!(id(0x84), "section.order");
    assert_eq!(id(0x81), "section.order");
}

#[test]
fn known_subsections_must_be_there_critical_and_whole() {
    let bytes = sample().encode();
    let id = |bytes: &[u8]| Section::decode(bytes).expect_err("must be refused").id();
    assert_eq!(id(&[1]), "section.missing");
    let mut not_critical = bytes.clone();
    not_critical[1] = 1;
    assert_eq!(id(&not_critical), "section.not-critical");
    let mut trailing = bytes.clone();
    trailing[2] += 1;
    // One byte more belongs to the first subsection.
    trailing.insert(3 + bytes[2] as usize, 0);
    assert_eq!(id(&trailing), "section.trailing");
}

#[test]
fn every_prefix_is_refused_without_a_panic() {
    let bytes = sample().encode();
    for len in 0..bytes.len() {
        assert!(
            Section::decode(&bytes[..len]).is_err(),
            "{len} of {} bytes",
            bytes.len()
        );
    }
}
