//! Strict, bounded JSON: the one tokenizer that runs before a signature is checked, and the two
//! writers, canonical (RFC 8785) and readable (`runtime-spec/manifest.md`, "JSON").
//!
//! Stricter than RFC 8259 as I-JSON (RFC 7493) is: UTF-8 only, no duplicate keys, no lone
//! surrogates, no number beyond 2^53 - 1 in magnitude.

mod error;
mod number;
mod parse;
mod write;

pub(crate) use error::Place;
pub use error::{JsonError, JsonReason};
pub use parse::parse;
pub use write::pretty;

use crate::limits;

/// RFC 8785 canonical JSON.
pub mod jcs {
    pub use super::number::canonical as canonical_number;
    pub use super::write::canonical;
}

/// Largest magnitude of a number: the integers up to it are exact in every JSON reader.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// A JSON value. Objects keep the order in which they were written; keys are unique.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number written without fraction and exponent, at most [`MAX_SAFE_INTEGER`] in magnitude.
    Int(i64),
    /// Any other number; finite.
    Number(f64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The value of a key, if this is an object that has it. Linear in the number of keys.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let members = self.as_object()?;
        members
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members, if it is an object.
    pub fn as_object(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Its type, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

/// Bounds of [`parse`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes of text.
    pub bytes: usize,
    /// Deepest nesting of arrays and objects.
    pub depth: usize,
    /// Most values, counting every scalar, array and object.
    pub values: usize,
    /// Longest string or key after unescaping, in bytes.
    pub string_bytes: usize,
}

impl Limits {
    /// The published limits of a manifest.
    pub const MANIFEST: Self = Self {
        bytes: limits::MANIFEST_BYTES,
        depth: limits::JSON_DEPTH,
        values: limits::JSON_VALUES,
        string_bytes: limits::JSON_STRING_BYTES,
    };
}

/// Appends one reference token to a JSON pointer (RFC 6901).
pub(crate) fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    for c in token.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            _ => pointer.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
