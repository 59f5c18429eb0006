//! The order of the runtime's functions in its file: `layout.ld`, which the linker reads.
//!
//! A file is mapped in pieces as it is touched, and a command touches a third of the runtime once.
//! What commands execute therefore lies together. Functions are listed by patterns that hold for
//! other versions of the compiler and of what is linked: by the name of the mangling v0 (RFC 2603),
//! which has the types that a generic function is for, without the numbers that name crates.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A function of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its address.
    pub start: u64,
    /// Bytes; 0 where the symbol does not say.
    pub size: u64,
    /// As the linker knows it.
    pub name: String,
}

/// The functions of `program` by address, those with several names once for each.
///
/// # Panics
///
/// When `nm` (binutils) cannot read it.
pub fn functions(program: &Path) -> Vec<Function> {
    let number = |text: &str| u64::from_str_radix(text, 16).expect("nm writes numbers in hex");
    nm(
        &["--numeric-sort", "--print-size", "--defined-only"],
        &[program],
    )
    .lines()
    .filter_map(|line| {
        let mut words: Vec<&str> = line.split(' ').collect();
        if words.len() == 3 {
            words.insert(1, "0");
        }
        let [start, size, kind, name] = words[..] else {
            return None;
        };
        "tTwWiVv".contains(kind).then(|| Function {
            start: number(start),
            size: number(size),
            name: name.to_owned(),
        })
    })
    .collect()
}

/// What stands for a Rust function in `layout.ld`; none for other names.
pub fn pattern(name: &str) -> Option<String> {
    let name = name.strip_prefix("_R")?;
    // Names that thin LTO made up have the number of a module.
    let (name, rest) = name
        .split_once('.')
        .map_or((name, ""), |(name, _)| (name, "*"));
    let mut pattern = String::from("_R");
    let mut left = name;
    while let Some(at) = left.find(['C', 'B']) {
        let (before, from) = left.split_at(at);
        pattern += before;
        // `C s NUMBER _` is a crate, and `B NUMBER _` what stands at that place of the name, which
        // the lengths of these numbers move.
        let start = match from.strip_prefix("Cs") {
            Some(_) => "Cs",
            None => &from[..1],
        };
        let number = from[start.len()..].find(|c: char| !c.is_ascii_alphanumeric());
        left = match number {
            Some(end) if start != "C" && from[start.len() + end..].starts_with('_') => {
                pattern += start;
                pattern += "*";
                &from[start.len() + end..]
            }
            _ => {
                pattern += &from[..1];
                &from[1..]
            }
        };
    }
    Some(pattern + left + rest)
}

/// The object files of C's libraries, by the functions that they define for others: as patterns for
/// the linker.
pub struct Objects(HashMap<String, String>);

impl Objects {
    /// Those that a static program is linked with.
    ///
    /// # Panics
    ///
    /// When the C compiler or `nm` does not say.
    pub fn of_host() -> Self {
        let mut objects = HashMap::new();
        for library in libraries() {
            let stem = library.file_stem().expect("a library has a name");
            let stem = stem.to_string_lossy();
            let stem = stem.split('-').next().unwrap_or_default();
            for line in nm(&["--print-file-name", "--defined-only"], &[&library]).lines() {
                // LIBRARY:OBJECT:ADDRESS KIND NAME
                let Some((object, symbol)) = line.rsplit_once(':') else {
                    continue;
                };
                let words: Vec<&str> = symbol.split(' ').collect();
                let [_, "T" | "W" | "i", name] = words[..] else {
                    continue;
                };
                let object = object.rsplit(':').next().unwrap_or_default();
                let pattern = format!("*{stem}*.a:{object}");
                objects.entry(name.to_owned()).or_insert(pattern);
            }
        }
        Self(objects)
    }

    fn of(&self, function: &str) -> Option<&str> {
        self.0.get(function).map(String::as_str)
    }
}

fn libraries() -> Vec<PathBuf> {
    let asked = |name: &str| {
        let mut cc = Command::new("cc");
        let said = cc.arg(format!("-print-file-name={name}")).output();
        let said = said.expect("the C compiler starts").stdout;
        PathBuf::from(String::from_utf8(said).expect("a path").trim_end())
    };
    let libc = asked("libc.a");
    // libm.a is a list of the libraries that it is made of.
    let beside = libc.parent().and_then(|folder| folder.read_dir().ok());
    let libm = beside.into_iter().flatten().flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        (name.starts_with("libm-") && name.ends_with(".a")).then(|| entry.path())
    });
    [libc.clone(), asked("libgcc_eh.a")]
        .into_iter()
        .chain(libm)
        .collect()
}

fn nm<S: AsRef<OsStr>>(arguments: &[&str], files: &[S]) -> String {
    let output = Command::new("nm").args(arguments).args(files).output();
    let output = output.expect("nm starts (apt-get install binutils)");
    assert!(output.status.success(), "nm {arguments:?} failed");
    String::from_utf8(output.stdout).expect("names are UTF-8")
}

/// The text of `layout.ld` that lays `functions` in this order.
pub fn script(functions: &[&str], objects: &Objects) -> String {
    let (mut c, mut rust) = (Vec::new(), Vec::new());
    for function in functions {
        let line = match (pattern(function), objects.of(function)) {
            (Some(pattern), _) => (&mut rust, format!("    *(.text*.{pattern})")),
            (None, Some(object)) => (&mut c, format!("    {object}(.text .text.*)")),
            (None, None) if *function == "main" => (&mut rust, "    *(.text.main)".to_owned()),
            // The start files lie where the linker wants them.
            (None, None) => continue,
        };
        let (lines, line) = line;
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let lines = [c, rust].concat().join("\n");
    format!(
        "/* The functions that commands execute, so that they lie together in the file: see\n   \
         integration-tests/src/layout.rs. Written by `make layout`. */\n\
         SECTIONS\n{{\n  .text.executed :\n  {{\n{lines}\n  }}\n}}\nINSERT BEFORE .text;\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_no_numbers_of_crates() {
        let name = "_RNvXsi_NtCsjrHSEGnQ3l9_3std4pathNtB5_10ComponentsNtNtCsgEmfK2I1SDS_4core4next";
        let pattern = pattern(name).unwrap();
        assert_eq!(
            pattern,
            "_RNvXsi_NtCs*_3std4pathNtB*_10ComponentsNtNtCs*_4core4next"
        );
    }

    #[test]
    fn names_of_thin_lto_are_those_of_the_function() {
        let name = "_RNvNtCsjrHSEGnQ3l9_3std2rt7cleanup.llvm.3643936799275306673";
        assert_eq!(pattern(name).unwrap(), "_RNvNtCs*_3std2rt7cleanup*");
    }

    #[test]
    fn identifiers_stay() {
        let name = "_RNvCsfL_7BoxCell4BsC";
        assert_eq!(pattern(name).unwrap(), "_RNvCs*_7BoxCell4BsC");
        assert_eq!(pattern("memcpy"), None);
    }

    #[test]
    fn each_place_is_named_once() {
        let objects = Objects(HashMap::from([
            ("malloc".to_owned(), "*libc*.a:malloc.o".to_owned()),
            ("free".to_owned(), "*libc*.a:malloc.o".to_owned()),
        ]));
        let script = script(
            &["_RNvCsa_1a1f", "malloc", "_start", "_RNvCsb_1a1f", "free"],
            &objects,
        );
        let lines: Vec<&str> = script
            .lines()
            .filter(|line| line.contains("*(") || line.contains(".o("))
            .collect();
        assert_eq!(
            lines,
            [
                "    *libc*.a:malloc.o(.text .text.*)",
                "    *(.text*._RNvCs*_1a1f)"
            ]
        );
    }
}
