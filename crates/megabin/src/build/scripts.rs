//! A script's `#!` line decides nothing here; where it says something else than the manifest, its
//! author should know.

use megabinary::names::BinaryPath;

use crate::recipe::Binary;

/// A warning, where the first line of the script names another interpreter than the recipe.
pub(super) fn disagreement(
    path: &BinaryPath,
    script: &[u8],
    interpreter: &Binary,
) -> Option<String> {
    let line = script.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let first = words.next()?;
    let agrees = if first.rsplit('/').next() == Some("env") {
        let name = words.find(|word| !word.starts_with('-') && !word.contains('='));
        name.is_some_and(|name| all_paths(interpreter).any(|p| p.rsplit('/').next() == Some(name)))
    } else {
        all_paths(interpreter).any(|p| p == first)
    };
    (!agrees).then(|| {
        format!(
            "binary {path}: its first line names `{}`, the recipe {}: the recipe decides",
            line.trim(),
            interpreter.path
        )
    })
}

fn all_paths(binary: &Binary) -> impl Iterator<Item = &str> {
    std::iter::once(&binary.path)
        .chain(&binary.links)
        .map(BinaryPath::as_str)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A failed unwrap is a failed test.
mod tests {
    use super::*;
    use crate::recipe::{Source, Ticket};

    #[test]
    fn only_another_interpreter_is_reported() {
        let python = Binary {
            path: "/usr/bin/python3".parse().unwrap(),
            source: Source::Module {
                module: "p.wasm".into(),
                file: Ticket::Line,
                base: false,
            },
            name: None,
            syscalls: None,
            args: None,
            exec: Vec::new(),
            links: vec!["/usr/bin/python".parse().unwrap()],
        };
        let path: BinaryPath = "/usr/bin/report".parse().unwrap();
        let says = |script: &str| disagreement(&path, script.as_bytes(), &python);
        for fine in [
            "print()",
            "#!/usr/bin/python3\n",
            "#! /usr/bin/python -u\n",
            "#!/usr/bin/env python3\n",
            "#!/usr/bin/env -S A=1 python -u",
        ] {
            assert_eq!(says(fine), None, "{fine}");
        }
        for other in [
            "#!/bin/sh\n",
            "#!/usr/bin/env perl\n",
            "#!/usr/local/bin/python3\n",
        ] {
            assert!(says(other).unwrap().contains("/usr/bin/python3"), "{other}");
        }
    }
}
