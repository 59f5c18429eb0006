//! The tokenizer.

use std::collections::HashSet;

use super::{JsonError, JsonReason, Limits, Value, number, push_token};

/// Reads one JSON document. Time and memory are linear in its length; recursion is bounded by
/// `limits.depth`.
///
/// # Errors
/// The first fault in the order of the text, with its place.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Value, JsonError> {
    let whole = |offset, reason| JsonError {
        pointer: String::new(),
        offset,
        reason,
    };
    if bytes.len() > limits.bytes {
        let (found, limit) = (bytes.len(), limits.bytes);
        return Err(whole(limit, JsonReason::TooLarge { found, limit }));
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| whole(error.valid_up_to(), JsonReason::Utf8))?;
    if text.starts_with('\u{feff}') {
        return Err(whole(0, JsonReason::ByteOrderMark));
    }
    let mut parser = Parser {
        text,
        at: 0,
        limits,
        values: 0,
        path: Vec::new(),
    };
    let document = parser.document();
    document.map_err(|reason| JsonError {
        pointer: parser.pointer(),
        offset: parser.at,
        reason,
    })
}

/// One step from a value to a value in it.
enum Step {
    Key(String),
    Index(usize),
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    limits: &'a Limits,
    values: usize,
    /// Where the parser is; turned into a pointer only for an error.
    path: Vec<Step>,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<Value, JsonReason> {
        let value = self.value()?;
        self.skip_space();
        if self.at < self.text.len() {
            return Err(JsonReason::Trailing);
        }
        Ok(value)
    }

    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) => push_token(&mut pointer, key),
                Step::Index(index) => push_token(&mut pointer, &index.to_string()),
            }
        }
        pointer
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, expected: &'static str) -> JsonReason {
        match self
            .text
            .get(self.at..)
            .and_then(|rest| rest.chars().next())
        {
            None => JsonReason::End { expected },
            Some(found) => JsonReason::Syntax { found, expected },
        }
    }

    /// Consumes `byte` if it comes next, after white space.
    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<Value, JsonReason> {
        self.skip_space();
        self.values += 1;
        if self.values > self.limits.values {
            return Err(JsonReason::Values {
                limit: self.limits.values,
            });
        }
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, JsonReason> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.unexpected("true, false or null"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, JsonReason> {
        let rest = &self.text[self.at..];
        let len = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte))
            .count();
        let value = number::read(&rest[..len])?;
        self.at += len;
        Ok(value)
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<Value, JsonReason>,
    ) -> Result<Value, JsonReason> {
        // The path has one step for each array and object around this one.
        if self.path.len() >= self.limits.depth {
            return Err(JsonReason::Depth {
                limit: self.limits.depth,
            });
        }
        self.at += 1;
        read(self)
    }

    fn array(&mut self) -> Result<Value, JsonReason> {
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            self.path.push(Step::Index(items.len()));
            items.push(self.value()?);
            self.path.pop();
            if self.eat(b']') {
                return Ok(Value::Array(items));
            }
            if !self.eat(b',') {
                return Err(self.unexpected("`,` or `]`"));
            }
        }
    }

    fn object(&mut self) -> Result<Value, JsonReason> {
        let mut members: Vec<(String, Value)> = Vec::new();
        let mut keys = Keys::default();
        if self.eat(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in quotation marks"));
            }
            let key = self.string()?;
            let duplicate = keys.has(&members, &key);
            self.path.push(Step::Key(key.clone()));
            if duplicate {
                self.at = start;
                return Err(JsonReason::DuplicateKey {
                    key: crate::names::excerpt(&key),
                });
            }
            if !self.eat(b':') {
                return Err(self.unexpected("`:`"));
            }
            let value = self.value()?;
            self.path.pop();
            keys.add(&members, &key);
            members.push((key, value));
            if self.eat(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.eat(b',') {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
    }

    /// A string; `at` is on its opening quotation mark. On an error `at` is on the fault.
    fn string(&mut self) -> Result<String, JsonReason> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest
                .iter()
                .take_while(|&&byte| byte >= 0x20 && byte != b'"' && byte != b'\\')
                .count();
            // The run ends before an ASCII byte or at the end: a character boundary.
            text.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            if text.len() > self.limits.string_bytes {
                return Err(JsonReason::StringLength {
                    limit: self.limits.string_bytes,
                });
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(control) => {
                    return Err(JsonReason::Control {
                        code: u32::from(control),
                    });
                }
                None => {
                    return Err(JsonReason::End {
                        expected: "the end of a string",
                    });
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonReason> {
        let rest = &self.text.as_bytes()[self.at..];
        let plain = match rest.get(1) {
            Some(&c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            None => {
                return Err(JsonReason::End {
                    expected: "the rest of an escape",
                });
            }
            Some(_) => return Err(JsonReason::Escape),
        };
        self.at += 2;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Result<char, JsonReason> {
        let first = self.code_unit(self.at)?;
        let pair = match first {
            0xd800..=0xdbff => match self.code_unit(self.at + 6) {
                Ok(second @ 0xdc00..=0xdfff) => Some(second),
                _ => return Err(JsonReason::LoneSurrogate { code: first }),
            },
            _ => None,
        };
        self.at += if pair.is_some() { 12 } else { 6 };
        let mut decoded = char::decode_utf16([first].into_iter().chain(pair));
        match decoded.next() {
            Some(Ok(c)) => Ok(c),
            _ => Err(JsonReason::LoneSurrogate { code: first }),
        }
    }

    /// The code unit of the escape `\uXXXX` at `at`.
    fn code_unit(&self, at: usize) -> Result<u16, JsonReason> {
        let Some(escape) = self.text.as_bytes().get(at..at + 6) else {
            return Err(JsonReason::End {
                expected: "the rest of an escape",
            });
        };
        let mut digits = escape[2..]
            .iter()
            .map(|&digit| char::from(digit).to_digit(16));
        let code = digits.try_fold(0, |code, digit| Some(code << 4 | digit?));
        match code {
            Some(code) if escape.starts_with(b"\\u") => Ok(code as u16),
            _ => Err(JsonReason::Escape),
        }
    }
}

/// The keys of an object seen so far. Small objects, nearly all, are searched; a set takes over
/// where that would be slow.
#[derive(Default)]
struct Keys {
    set: Option<HashSet<String>>,
}

impl Keys {
    const SEARCHED: usize = 16;

    fn has(&self, members: &[(String, Value)], key: &str) -> bool {
        match &self.set {
            Some(set) => set.contains(key),
            None => members.iter().any(|(name, _)| name == key),
        }
    }

    /// Notes `key`, which is about to join `members`.
    fn add(&mut self, members: &[(String, Value)], key: &str) {
        if let Some(set) = &mut self.set {
            set.insert(key.to_owned());
        } else if members.len() >= Self::SEARCHED {
            let seen = members.iter().map(|(name, _)| name.clone());
            self.set = Some(seen.chain([key.to_owned()]).collect());
        }
    }
}
