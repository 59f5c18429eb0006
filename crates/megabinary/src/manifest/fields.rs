//! Typed access to a JSON tree that knows where it is.

use super::{ManifestError, ManifestReason};
use crate::json::{Value, push_token};

/// A value with its place, built only as far as needed: the pointer of a manifest of 10,000
/// binaries is written only for an error.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) value: &'a Value,
    parent: Option<&'a At<'a>>,
    token: Token<'a>,
}

#[derive(Clone, Copy)]
enum Token<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self {
            value,
            parent: None,
            token: Token::Index(0),
        }
    }

    fn pointer(&self) -> String {
        let Some(parent) = self.parent else {
            return String::new();
        };
        let mut pointer = parent.pointer();
        match self.token {
            Token::Key(key) => push_token(&mut pointer, key),
            Token::Index(index) => push_token(&mut pointer, &index.to_string()),
        }
        pointer
    }

    pub(super) fn error(&self, reason: impl Into<ManifestReason>) -> ManifestError {
        ManifestError::at(self.pointer(), reason)
    }

    fn wrong_type(&self, expected: &'static str) -> ManifestError {
        self.error(ManifestReason::Type {
            expected,
            found: self.value.kind(),
        })
    }

    pub(super) fn object(&self) -> Result<&'a [(String, Value)], ManifestError> {
        self.value
            .as_object()
            .ok_or_else(|| self.wrong_type("an object"))
    }

    /// The object's members with their places.
    pub(super) fn members(
        &'a self,
    ) -> Result<impl Iterator<Item = (&'a str, At<'a>)>, ManifestError> {
        let at = |(key, value): &'a (String, Value)| {
            let token = Token::Key(key);
            (
                key.as_str(),
                At {
                    value,
                    parent: Some(self),
                    token,
                },
            )
        };
        Ok(self.object()?.iter().map(at))
    }

    /// The list's items with their places, of which there may be `limit`.
    pub(super) fn items(
        &'a self,
        limit: usize,
    ) -> Result<impl Iterator<Item = At<'a>>, ManifestError> {
        let Value::Array(items) = self.value else {
            return Err(self.wrong_type("an array"));
        };
        if items.len() > limit {
            return Err(self.error(ManifestReason::TooMany {
                found: items.len(),
                limit,
            }));
        }
        let at = |(index, value)| At {
            value,
            parent: Some(self),
            token: Token::Index(index),
        };
        Ok(items.iter().enumerate().map(at))
    }

    pub(super) fn text(&self) -> Result<&'a str, ManifestError> {
        self.value
            .as_str()
            .ok_or_else(|| self.wrong_type("a string"))
    }

    /// A text of a checked kind: a digest, a name.
    pub(super) fn parsed<T>(&self) -> Result<T, ManifestError>
    where
        T: std::str::FromStr,
        T::Err: Into<ManifestReason>,
    {
        self.text()?
            .parse()
            .map_err(|error: T::Err| self.error(error))
    }

    /// One of a fixed set of words.
    pub(super) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Result<T, ManifestError> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words
                .iter()
                .map(|(word, _)| format!("\"{word}\""))
                .collect();
            self.error(ManifestReason::UnknownWord {
                found: crate::names::excerpt(text),
                allowed: words.join(" or "),
            })
        })
    }

    /// Refuses fields other than `known`.
    pub(super) fn only(&'a self, known: &[&'static str]) -> Result<(), ManifestError> {
        match self.members()?.find(|(key, _)| !known.contains(key)) {
            None => Ok(()),
            Some((_, unknown)) => Err(unknown.error(ManifestReason::UnknownField {
                known: known.join(", "),
            })),
        }
    }

    pub(super) fn optional(&'a self, field: &'static str) -> Option<At<'a>> {
        let value = self.value.get(field)?;
        Some(At {
            value,
            parent: Some(self),
            token: Token::Key(field),
        })
    }

    pub(super) fn required(&'a self, field: &'static str) -> Result<At<'a>, ManifestError> {
        self.object()?;
        self.optional(field)
            .ok_or_else(|| self.error(ManifestReason::MissingField { field }))
    }
}
