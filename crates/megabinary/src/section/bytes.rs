//! Bounded reading and plain writing of LEB128 numbers and length-prefixed texts.

use super::SectionError;

/// Reads from a payload; `base` makes offsets in errors relative to the whole section.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    base: usize,
    whole: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], base: usize) -> Self {
        Self {
            rest: bytes,
            base,
            whole: bytes.len(),
        }
    }

    pub(super) fn offset(&self) -> usize {
        self.base + self.whole - self.rest.len()
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn take(
        &mut self,
        len: usize,
        what: &'static str,
    ) -> Result<&'a [u8], SectionError> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(SectionError::Truncated {
                what,
                offset: self.base + self.whole,
            });
        };
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, SectionError> {
        Ok(self.take(1, what)?[0])
    }

    /// An unsigned number in its shortest encoding.
    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, SectionError> {
        let offset = self.offset();
        let wrong = SectionError::Number { what, offset };
        let (mut value, mut shift) = (0u64, 0u32);
        loop {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift > 63 || shift == 63 && bits > 1 {
                return Err(wrong);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                // A last byte of zero adds nothing: the encoding was not the shortest.
                return if byte == 0 && shift > 0 {
                    Err(wrong)
                } else {
                    Ok(value)
                };
            }
            shift += 7;
        }
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, SectionError> {
        let offset = self.offset();
        let value = self.u64(what)?;
        u32::try_from(value).map_err(|_| SectionError::Number { what, offset })
    }

    /// A count of items that need at least `item_bytes` bytes each, so that a count alone can never
    /// make the reader allocate more than the bytes that are really there justify.
    pub(super) fn count(
        &mut self,
        what: &'static str,
        limit: usize,
        item_bytes: usize,
    ) -> Result<usize, SectionError> {
        let found = self.u64(what)?;
        let limit = limit as u64;
        if found > limit {
            return Err(SectionError::Limit { what, found, limit });
        }
        if found > (self.remaining() / item_bytes) as u64 {
            return Err(SectionError::Truncated {
                what,
                offset: self.base + self.whole,
            });
        }
        Ok(found as usize)
    }

    pub(super) fn text(
        &mut self,
        what: &'static str,
        limit: usize,
    ) -> Result<&'a str, SectionError> {
        let offset = self.offset();
        let len = self.count(what, limit, 1)?;
        std::str::from_utf8(self.take(len, what)?).map_err(|_| SectionError::Utf8 { what, offset })
    }

    pub(super) fn flag(&mut self, what: &'static str) -> Result<bool, SectionError> {
        let offset = self.offset();
        match self.byte(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(SectionError::Flag { what, offset }),
        }
    }
}

/// Appends `value` in shortest LEB128.
pub(super) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a text with its length before it.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for value in [
            0,
            1,
            127,
            128,
            300,
            16_383,
            16_384,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, value);
            assert_eq!(Reader::new(&bytes, 0).u64("n"), Ok(value));
        }
    }

    #[test]
    fn only_the_shortest_encoding_within_range_is_read() {
        let number = |bytes: &[u8]| Reader::new(bytes, 0).u64("n").map_err(|e| e.id());
        assert_eq!(number(&[0x80, 0x00]), Err("section.number"));
        assert_eq!(number(&[0xff; 9]), Err("section.truncated"));
        assert_eq!(number(&[0xff; 11]), Err("section.number"));
        let mut ten = [0xff; 10];
        ten[9] = 2;
        assert_eq!(number(&ten), Err("section.number"));
        assert!(
            Reader::new(&[0x80, 0x80, 0x80, 0x80, 0x10], 0)
                .u32("n")
                .is_err()
        );
    }

    #[test]
    fn a_count_cannot_promise_more_than_the_bytes_hold() {
        let mut bytes = Vec::new();
        put_number(&mut bytes, 1_000_000);
        let error = Reader::new(&bytes, 0)
            .count("n", 2_000_000, 1)
            .expect_err("no bytes follow");
        assert_eq!(error.id(), "section.truncated");
    }
}
