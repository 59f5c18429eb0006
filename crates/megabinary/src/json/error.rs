//! What the tokenizer refuses, and where.

use std::fmt;

/// Why a text is not strict JSON, with the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {} (byte {offset}): {reason}", Place(pointer))]
pub struct JsonError {
    /// JSON pointer (RFC 6901) of the value being read; empty for the whole document.
    pub pointer: String,
    /// Offset in the text, in bytes.
    pub offset: usize,
    /// What is wrong.
    pub reason: JsonReason,
}

/// A pointer for people: the empty one is hard to see.
pub(crate) struct Place<'a>(pub(crate) &'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the top level");
        }
        // Keys are the image's: none of its control characters reaches a terminal.
        write!(f, "{}", crate::names::excerpt(self.0).escape_debug())
    }
}

/// What the tokenizer refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonReason {
    /// More bytes than the limit.
    #[error("the text is {found} bytes long, the limit is {limit}")]
    TooLarge {
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("the text is not UTF-8")]
    Utf8,
    /// A byte order mark.
    #[error("the text begins with a byte order mark")]
    ByteOrderMark,
    /// Nothing where a value must be.
    #[error("the text ends where {expected} must be")]
    End {
        /// What should follow.
        expected: &'static str,
    },
    /// A character that cannot be there.
    #[error("found {found:?} where {expected} must be")]
    Syntax {
        /// The character.
        found: char,
        /// What should be there.
        expected: &'static str,
    },
    /// Something after the document.
    #[error("the document has ended, but more text follows")]
    Trailing,
    /// A key that the object already has.
    #[error("the key {key:?} is there twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// Nesting beyond the limit.
    #[error("arrays and objects are nested deeper than {limit}")]
    Depth {
        /// The limit.
        limit: usize,
    },
    /// More values than the limit.
    #[error("there are more than {limit} values")]
    Values {
        /// The limit.
        limit: usize,
    },
    /// A string beyond the limit.
    #[error("the string is longer than {limit} bytes")]
    StringLength {
        /// The limit.
        limit: usize,
    },
    /// A control character that must be escaped.
    #[error("the string has the control character U+{code:04X} unescaped")]
    Control {
        /// Its code point.
        code: u32,
    },
    /// An escape JSON does not have.
    #[error("the string has an escape that JSON does not have")]
    Escape,
    /// Half of a surrogate pair.
    #[error("the string has the lone surrogate \\u{code:04x}")]
    LoneSurrogate {
        /// Its code unit.
        code: u16,
    },
    /// A number that is not written as JSON writes numbers.
    #[error("the number is not written as JSON writes numbers")]
    NumberSyntax,
    /// A number too large to be exact everywhere.
    #[error("the number is beyond 9007199254740991 in magnitude, where JSON readers disagree")]
    UnsafeNumber,
}

impl JsonReason {
    /// The stable id of this error in the test vectors. The manifest is the only JSON of the format.
    pub fn id(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "manifest.too-large",
            Self::Utf8 => "manifest.utf8",
            Self::ByteOrderMark => "manifest.byte-order-mark",
            Self::End { .. } => "manifest.truncated",
            Self::Syntax { .. } => "manifest.syntax",
            Self::Trailing => "manifest.trailing",
            Self::DuplicateKey { .. } => "manifest.duplicate-key",
            Self::Depth { .. } => "manifest.depth",
            Self::Values { .. } => "manifest.values",
            Self::StringLength { .. } => "manifest.string-length",
            Self::Control { .. } => "manifest.control-character",
            Self::Escape => "manifest.escape",
            Self::LoneSurrogate { .. } => "manifest.lone-surrogate",
            Self::NumberSyntax => "manifest.number-syntax",
            Self::UnsafeNumber => "manifest.unsafe-number",
        }
    }
}
