//! The name of an image.

use std::fmt;
use std::str::FromStr;

/// A full image name: registry, repository and tag, such as `localhost/toolbox:1.4`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    repository: String,
    tag: String,
}

/// Why a text is not the name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an image is named [REGISTRY/]NAME:TAG: lower-case letters, digits and single `.`, `_`, `-` \
     between them, parts parted by `/`; the tag has up to 128 of A-Z a-z 0-9 _ . - and begins with \
     a letter, digit or `_`"
)]
pub struct ReferenceError;

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// A name without a registry is of `localhost`: engines would put a public one before it.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (repository, tag) = text.rsplit_once(':').ok_or(ReferenceError)?;
        let first = repository.split('/').next().unwrap_or_default();
        let has_registry = repository.contains('/')
            && (first == "localhost" || first.contains('.') || first.contains(':'));
        let path = match has_registry {
            true => &repository[first.len() + 1..],
            false => repository,
        };
        if (has_registry && !is_host(first)) || !path.split('/').all(is_part) || !is_tag(tag) {
            return Err(ReferenceError);
        }
        let repository = match has_registry {
            true => repository.to_owned(),
            false => format!("localhost/{repository}"),
        };
        // The most that engines take.
        if repository.len() > 255 {
            return Err(ReferenceError);
        }
        Ok(Self {
            repository,
            tag: tag.to_owned(),
        })
    }
}

fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, "0"));
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.split('.').all(label) && port.parse::<u16>().is_ok()
}

fn is_part(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let between = text.split(|c: char| c.is_ascii() && plain(c as u8));
    text.bytes().next().is_some_and(plain)
        && text.bytes().last().is_some_and(plain)
        && between
            .filter(|separator| !separator.is_empty())
            .all(|separator| {
                matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
            })
}

fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        && !text.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_registry_stays_local() {
        for (text, full) in [
            ("toolbox:1.4", "localhost/toolbox:1.4"),
            ("team/tool__box:v1", "localhost/team/tool__box:v1"),
            ("localhost/a:1", "localhost/a:1"),
            ("example.com/a/b-c:latest", "example.com/a/b-c:latest"),
            ("127.0.0.1:5000/a:_x", "127.0.0.1:5000/a:_x"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn what_engines_refuse_is_refused() {
        for text in [
            "",
            "a",
            ":1",
            "a:",
            "A:1",
            "a/:1",
            "/a:1",
            "a//b:1",
            "a..b:1",
            "-a:1",
            "a-:1",
            "a b:1",
            "a:.1",
            "a:b c",
            "a___b:1",
            "ä:1",
            "-x.com/a:1",
            "x.com:99999/a:1",
            "a@sha256:1",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
