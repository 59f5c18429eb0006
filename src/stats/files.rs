//! The forms in which the kernel writes counters. A file that is not there counts nothing: which
//! are there depends on the kernel, and a container may end while it is looked at.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The directory of one controller, if the host has it.
pub struct Dir<'a>(pub Option<&'a Path>);

impl Dir<'_> {
    /// The whole file.
    pub fn text(&self, file: &str) -> String {
        let text = self.0.map(|dir| fs::read_to_string(dir.join(file)));
        text.and_then(Result::ok).unwrap_or_default()
    }

    /// A file with one number; `max` is the largest there is.
    pub fn number(&self, file: &str) -> u64 {
        number(self.text(file).trim())
    }

    /// A file of lines with a name and a number.
    pub fn table(&self, file: &str) -> BTreeMap<String, u64> {
        table(&self.text(file))
    }
}

/// One number.
pub fn number(text: &str) -> u64 {
    match text {
        "max" => u64::MAX,
        text => text.parse().unwrap_or(0),
    }
}

/// Lines with a name and a number; others are passed over.
fn table(text: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// A list of numbers and ranges: `0-2,5`.
pub fn list(text: &str) -> Vec<u16> {
    let range = |part: &str| -> Option<Vec<u16>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.parse().ok()?..=last.parse().ok()?).collect())
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_forms() {
        assert_eq!(list("0-2,5\n"), [0, 1, 2, 5]);
        assert!(list("\n").is_empty());
        assert_eq!((number("max"), number("7"), number("x")), (u64::MAX, 7, 0));
        let table = table("cache 1\nrss 2\ntotal\nx y\n");
        assert_eq!(table.len(), 2);
        assert_eq!(table["rss"], 2);
    }

    #[test]
    fn what_is_not_there_counts_nothing() {
        let none = Dir(None);
        assert_eq!((none.number("a"), none.text("b").as_str()), (0, ""));
        let missing = Dir(Some(Path::new("/nonexistent")));
        assert!(missing.table("a").is_empty());
    }
}
