//! The Test Anything Protocol, as the suites' programs speak it.

use std::collections::BTreeMap;

/// What tests came to, by name. One of which nothing was heard has none.
pub type Verdicts = BTreeMap<String, Verdict>;

/// What a test came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Failed,
    /// The suite itself says that this host, or who runs it, is not one for it.
    Skipped,
}

/// Reads a line, where it is about a test.
pub fn verdict(line: &str) -> Option<(String, Verdict)> {
    let line = line.trim_end();
    let (rest, verdict) = match line.strip_prefix("not ") {
        Some(rest) => (rest, Verdict::Failed),
        None => (line, Verdict::Passed),
    };
    let (_number, name) = rest.strip_prefix("ok ")?.split_once(' ')?;
    let name = name.strip_prefix("- ").unwrap_or(name);
    let skipped = [" # skip", " #SKIP"];
    let skipped = skipped.iter().find_map(|mark| name.split_once(mark));
    Some(match skipped {
        Some((name, _)) => (name.to_owned(), Verdict::Skipped),
        None => (name.to_owned(), verdict),
    })
}
