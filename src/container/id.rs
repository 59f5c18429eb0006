//! Container ids: a path component that cannot lead anywhere else.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest id accepted, in bytes. Engines use 64.
pub const MAX_LEN: usize = 255;

/// A container id: 1 to 255 of `A-Z a-z 0-9 _ + - .`, starting with a letter, digit or `_`.
///
/// The first character rules out `.`, `..` and anything that looks like an option.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerId(String);

/// Why a string is not a container id.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IdError {
    /// It has no characters.
    #[error("the container id is empty")]
    Empty,
    /// It is longer than a file name may be.
    #[error("the container id has {0} bytes; the most is {MAX_LEN}")]
    TooLong(usize),
    /// It holds a character outside the set.
    #[error(
        "container id `{id}`: `{character}` is not allowed; use letters, digits and `_`, `+`, \
         `-`, `.`, starting with a letter, a digit or `_`"
    )]
    Character {
        /// The id as given, control characters escaped.
        id: String,
        /// The first character that is not allowed, escaped.
        character: String,
    },
}

impl ContainerId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerId {
    type Err = IdError;

    fn from_str(id: &str) -> Result<Self, IdError> {
        if id.is_empty() {
            return Err(IdError::Empty);
        }
        if id.len() > MAX_LEN {
            return Err(IdError::TooLong(id.len()));
        }
        let bad = id.char_indices().find(|(at, c)| {
            let first = c.is_ascii_alphanumeric() || *c == '_';
            !(first || *at > 0 && matches!(c, '+' | '-' | '.'))
        });
        match bad {
            None => Ok(Self(id.to_owned())),
            Some((_, c)) => Err(IdError::Character {
                id: id.escape_debug().to_string(),
                character: c.escape_debug().to_string(),
            }),
        }
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_engines_use_is_accepted() {
        let longest = "a".repeat(MAX_LEN);
        for id in [
            "a",
            "_",
            "0",
            "c1.2-3+4_5",
            &"f".repeat(64),
            longest.as_str(),
        ] {
            assert_eq!(id.parse::<ContainerId>().unwrap().as_str(), id);
        }
    }

    #[test]
    fn nothing_that_is_more_than_a_name_is_accepted() {
        let too_long = "a".repeat(MAX_LEN + 1);
        for id in [
            "", ".", "..", "...", "-x", "--help", "+a", "a/b", "/a", "a/", "../x", "a b", "a\n",
            "a\0b", "ä", "a:b", "a\\b", &too_long,
        ] {
            assert!(id.parse::<ContainerId>().is_err(), "{id:?} was accepted");
        }
    }

    #[test]
    fn the_message_shows_control_characters_escaped() {
        let message = "a\u{1b}[2J".parse::<ContainerId>().unwrap_err().to_string();
        assert!(
            message.contains("\\u{1b}") && !message.contains('\u{1b}'),
            "{message}"
        );
    }
}
