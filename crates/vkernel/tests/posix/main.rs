//! Files as POSIX has them, through real host calls, in a directory as root: every case with
//! paths resolved by `openat2` and by walking.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod fast {
    const WALK: bool = false;
    include!("cases.rs");
    include!("preview1.rs");
}

mod walking {
    const WALK: bool = true;
    include!("cases.rs");
    include!("preview1.rs");
}

#[test]
fn the_list_of_official_cases_names_tests_that_exist() {
    let list = include_str!("preview1.md");
    let crate_root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cases = std::collections::BTreeSet::new();
    for row in list.lines().filter(|line| line.starts_with("| w")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [suite, case, covered] = cells[..] else {
            panic!("not three cells: {row}");
        };
        assert!(cases.insert((suite, case)), "twice: {row}");
        let named: Vec<_> = covered.split('`').skip(1).step_by(2).collect();
        assert!(
            !named.is_empty() || covered.starts_with("not here: "),
            "{row}"
        );
        for test in named {
            let (file, name) = test.split_once(": ").expect("a file and a test of it");
            let text = std::fs::read_to_string(crate_root.join(file)).expect(file);
            assert!(text.contains(&format!("#[test]\nfn {name}() {{")), "{test}");
        }
    }
    assert!(cases.len() > 80, "{}", cases.len());
}
