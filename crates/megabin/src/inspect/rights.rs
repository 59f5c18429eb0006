//! The rights of many targets as people read them: each different set once, under a letter.

use std::collections::BTreeMap;
use std::fmt::Write;

use megabinary::capability::SyscallSet;

use super::set_names;
use super::table::{WIDTH, wrapped};

const INDENT: &str = "    ";

/// The different sets of rights, those of most targets first.
pub(super) struct Legend {
    sets: Vec<(Vec<&'static str>, usize)>,
}

impl Legend {
    pub(super) fn of(sets: impl Iterator<Item = SyscallSet>) -> Self {
        let mut counted: BTreeMap<Vec<&'static str>, usize> = BTreeMap::new();
        for set in sets {
            *counted.entry(set_names(&set)).or_default() += 1;
        }
        counted.remove(&Vec::new());
        let mut sets: Vec<_> = counted.into_iter().collect();
        sets.sort_by_key(|(_, users)| std::cmp::Reverse(*users));
        Self { sets }
    }

    /// What stands for a set in a table: a letter, or `none`.
    pub(super) fn label(&self, set: &SyscallSet) -> String {
        let names = set_names(set);
        let place = self.sets.iter().position(|(known, _)| *known == names);
        place.map_or("none".to_owned(), letters)
    }

    /// Writes what the letters stand for.
    pub(super) fn write(&self, out: &mut String) {
        for (nth, (names, users)) in self.sets.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(out, "\nrights {}, {users} of them:", letters(nth));
            for line in wrapped(&names.join(" "), WIDTH - INDENT.len()) {
                let _ = write!(out, "\n{INDENT}{line}");
            }
            out.push('\n');
        }
    }
}

/// A to Z, AA, AB, ...
fn letters(mut nth: usize) -> String {
    let mut text = String::new();
    loop {
        text.insert(0, char::from(b'A' + (nth % 26) as u8));
        match (nth / 26).checked_sub(1) {
            None => return text,
            Some(rest) => nth = rest,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A failed unwrap is a failed test.
mod tests {
    use megabinary::capability::SYSCALL_NAMES;

    use super::*;

    fn set(names: &[&str]) -> SyscallSet {
        SyscallSet::from_names(names).unwrap()
    }

    #[test]
    fn each_set_has_one_letter_and_is_written_once() {
        let (few, many) = (set(&["read"]), set(&["read", "write"]));
        let legend = Legend::of([few, many, many, SyscallSet::EMPTY].into_iter());
        let labels = [many, few, SyscallSet::EMPTY].map(|set| legend.label(&set));
        assert_eq!(labels, ["A", "B", "none"]);
        let mut text = String::new();
        legend.write(&mut text);
        assert_eq!(
            text,
            "\nrights A, 2 of them:\n    read write\n\nrights B, 1 of them:\n    read\n"
        );
    }

    #[test]
    fn letters_go_on_after_z() {
        let shown = [0, 25, 26, 51, 52, 701, 702].map(letters);
        assert_eq!(shown, ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let legend = Legend::of([set(SYSCALL_NAMES)].into_iter());
        let mut text = String::new();
        legend.write(&mut text);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(SYSCALL_NAMES.iter().all(|name| text.contains(name)));
    }
}
