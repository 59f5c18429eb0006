//! Names that were checked when they were made (`runtime-spec/manifest.md`, "Names").

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::limits;

/// Why a text is not a name of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {rule}, found {found:?}")]
pub struct NameError {
    kind: &'static str,
    rule: &'static str,
    found: String,
}

/// A text short enough to be shown in an error.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 120;
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            #[doc = concat!("Checks `text`: ", $kind, " ", $rule, ".")]
            pub fn new(text: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError { kind: $kind, rule: $rule, found: excerpt(text) })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        // Ordered and hashed as the text, so maps can be searched by `&str`.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

fn made_of(text: &str, longest: usize, allowed: fn(u8) -> bool) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(allowed)
}

fn not_dots(text: &str) -> bool {
    text != "." && text != ".."
}

name! {
    /// The name of the export that lays a program's image and starts it, such as `ls_start`.
    EntryPoint, "an entry point", "is 1 to 200 of A-Z a-z 0-9 _ . + -",
    |text| made_of(text, 200, |b| b.is_ascii_alphanumeric() || b"_.+-".contains(&b))
}

name! {
    /// The name of a linked program, such as `ls` or `[`; traps and `inspect` show it.
    ProgramName, "a program name", "is 1 to 128 visible ASCII characters without `/`",
    |text| made_of(text, 128, |b| b.is_ascii_graphic() && b != b'/')
}

name! {
    /// The name by which an agent calls a tool.
    ToolName, "a tool name", "is 1 to 128 of A-Z a-z 0-9 _ . - and does not begin with `.` or `-`",
    |text| made_of(text, 128, |b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        && !text.starts_with(['.', '-'])
}

name! {
    /// The name of a signing key, also the stem of its file in a trust directory; never a path.
    KeyId, "a key id", "is 1 to 128 of A-Z a-z 0-9 . _ - and neither `.` nor `..`",
    |text| made_of(text, 128, |b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && not_dots(text)
}

name! {
    /// The name of a container, such as `toolbox` or `example.com/toolbox`.
    ContainerName, "a container name",
    "is 1 to 128 of A-Z a-z 0-9 . _ - /, and each part between `/` begins with a letter or digit",
    |text| made_of(text, 128, |b| b.is_ascii_alphanumeric() || b"._-/".contains(&b))
        && text.split('/').all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

name! {
    /// Where a binary's file stands in the root file system: absolute and normalised.
    BinaryPath, "a binary path",
    "is absolute, without empty, `.` or `..` parts, without control characters, at most 4095 bytes, each part at most 255",
    |text| text.len() <= limits::PATH_BYTES
        && !text.contains(char::is_control)
        && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| {
            !part.is_empty() && not_dots(part) && part.len() <= limits::PATH_COMPONENT_BYTES
        }))
}

name! {
    /// The name of a file beside the manifest; never a path.
    FileName, "a file name", "is 1 to 128 of A-Z a-z 0-9 . _ + - and does not begin with `.` or `-`",
    |text| made_of(text, 128, |b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
        && !text.starts_with(['.', '-'])
}

/// Reads a `vkernel_version`: a semver requirement of bounded length.
pub(crate) fn requirement(text: &str) -> Result<semver::VersionReq, String> {
    if text.len() > limits::REQUIREMENT_BYTES {
        return Err(format!("longer than {} bytes", limits::REQUIREMENT_BYTES));
    }
    text.parse()
        .map_err(|error: semver::Error| error.to_string())
}

const VERSION_KIND: &str = "a container version";
const VERSION_RULE: &str =
    "is 1 to 8 numbers up to 4294967295 without leading zeros, joined by dots";

/// A container's own version: dotted numbers such as `1.0` or `1.4.2`, ordered by number. Trailing
/// zeros do not count in comparisons (`1` equals `1.0`); the text is kept as it was written.
#[derive(Clone)]
pub struct ContainerVersion {
    text: String,
    numbers: Vec<u32>,
}

impl ContainerVersion {
    /// Checks and reads `text`.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let numbers = version_numbers(text).ok_or_else(|| NameError {
            kind: VERSION_KIND,
            rule: VERSION_RULE,
            found: excerpt(text),
        })?;
        Ok(Self {
            text: text.to_owned(),
            numbers,
        })
    }

    /// The version as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn significant(&self) -> &[u32] {
        let end = self
            .numbers
            .iter()
            .rposition(|&n| n != 0)
            .map_or(0, |i| i + 1);
        &self.numbers[..end]
    }
}

fn version_numbers(text: &str) -> Option<Vec<u32>> {
    let number = |part: &str| {
        let plain = !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'));
        if plain { part.parse().ok() } else { None }
    };
    // `splitn` bounds the work on a hostile text; a ninth part then fails as too many.
    let numbers = text
        .splitn(9, '.')
        .map(number)
        .collect::<Option<Vec<u32>>>()?;
    (numbers.len() <= 8).then_some(numbers)
}

impl PartialEq for ContainerVersion {
    fn eq(&self, other: &Self) -> bool {
        self.significant() == other.significant()
    }
}

impl Eq for ContainerVersion {}

impl PartialOrd for ContainerVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ContainerVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.significant().cmp(other.significant())
    }
}

impl Hash for ContainerVersion {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.significant().hash(state);
    }
}

impl FromStr for ContainerVersion {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl AsRef<str> for ContainerVersion {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ContainerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ContainerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: FromStr>(texts: &[&str]) {
        for text in texts {
            assert!(text.parse::<T>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn paths_are_absolute_and_normalised() {
        for good in ["/ls", "/usr/bin/ls", "/opt/a b/ü", "/usr/bin/[", "/..a/b.."] {
            assert_eq!(
                BinaryPath::new(good).map(|p| p.to_string()),
                Ok(good.to_owned())
            );
        }
        refused::<BinaryPath>(&[
            "",
            "/",
            "ls",
            "./ls",
            "/usr/../ls",
            "/usr/./ls",
            "/usr//ls",
            "/ls/",
            "//ls",
            "/..",
            "/a\0b",
            "/a\nb",
        ]);
        assert!(BinaryPath::new(&format!("/{}", "x".repeat(255))).is_ok());
        assert!(BinaryPath::new(&format!("/{}", "x".repeat(256))).is_err());
        assert!(BinaryPath::new(&"/x".repeat(2047)).is_ok());
        assert!(BinaryPath::new(&"/x".repeat(2048)).is_err());
    }

    #[test]
    fn a_key_id_is_never_a_path() {
        assert!(KeyId::new("ci-2026.1_a").is_ok());
        refused::<KeyId>(&["", ".", "..", "a/b", "../a", "a b", "ä", &"k".repeat(129)]);
    }

    #[test]
    fn other_names_keep_their_alphabets() {
        assert!(EntryPoint::new("ls_start").is_ok() && EntryPoint::new("g++.1-x").is_ok());
        refused::<EntryPoint>(&["", "a b", "a/b", "é", &"e".repeat(201)]);
        assert!(ProgramName::new("[").is_ok());
        refused::<ProgramName>(&["", "a/b", "a b", "a\n"]);
        refused::<ToolName>(&["", "-x", ".x", "a b", "a/b"]);
        assert!(ContainerName::new("example.com/tool_box-1").is_ok());
        refused::<ContainerName>(&["", "/a", "a/", "a//b", "../a", "a/../b", "*", "a b"]);
        refused::<FileName>(&[
            "",
            ".",
            "..",
            "../container.wasm",
            "/container.wasm",
            ".hidden",
        ]);
    }

    #[test]
    fn versions_order_by_number_and_keep_their_text() {
        let v = |text| ContainerVersion::new(text).expect("a valid version");
        assert!(v("1.9") < v("1.10") && v("1.4.2") < v("2") && v("1.0") < v("1.0.1"));
        assert_eq!(v("1"), v("1.0.0"));
        assert_eq!(v("1.0").to_string(), "1.0");
        refused::<ContainerVersion>(&[
            "",
            ".",
            "1.",
            ".1",
            "1..2",
            "01",
            "1.02",
            "v1",
            "1.0-rc1",
            "-1",
            "+1",
            "4294967296",
            "1.2.3.4.5.6.7.8.9",
        ]);
        assert!(ContainerVersion::new("1.2.3.4.5.6.7.4294967295").is_ok());
    }
}
