//! Messages of D-Bus, as far as systemd is asked for scopes: written and read without effects.
//!
//! The format is that of the D-Bus specification ("Message Protocol"), little endian.

use thiserror::Error;

/// No message that this program understands is longer.
pub const LONGEST: usize = 1 << 20;

/// A value of a unit's property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `s`
    Text(String),
    /// `b`
    Flag(bool),
    /// `t`
    Number(u64),
    /// `au`
    Pids(Vec<u32>),
    /// `ay`: a set of small numbers as bits.
    Bits(Vec<u8>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Self::Text(_) => "s",
            Self::Flag(_) => "b",
            Self::Number(_) => "t",
            Self::Pids(_) => "au",
            Self::Bits(_) => "ay",
            Self::Pairs(_) => "a(ss)",
        }
    }
}

/// Arguments of a call.
#[derive(Debug, Clone, Copy)]
pub enum Argument<'a> {
    /// `s`
    Text(&'a str),
    /// `b`
    Flag(bool),
    /// `a(sv)`: properties.
    Properties(&'a [(&'static str, Value)]),
    /// `a(sa(sv))`: further units, of which there are none.
    NoUnits,
}

impl Argument<'_> {
    fn signature(self) -> &'static str {
        match self {
            Self::Text(_) => "s",
            Self::Flag(_) => "b",
            Self::Properties(_) => "a(sv)",
            Self::NoUnits => "a(sa(sv))",
        }
    }
}

/// Whom a call is for.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Bus name; none where there is no bus between.
    pub destination: Option<&'static str>,
    /// Object.
    pub path: &'static str,
    /// Interface.
    pub interface: &'static str,
}

/// What a message that was received is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// 1 call, 2 answer, 3 error, 4 signal.
    pub kind: u8,
    /// Which call it answers.
    pub answers: Option<u32>,
    /// A signal's name.
    pub member: String,
    /// An error's name.
    pub error: String,
    signature: String,
    body: Vec<u8>,
}

/// The bytes are no message.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the bus sent what is not a message of D-Bus")]
pub struct Malformed;

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(length(text.len()));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0
            .push(u8::try_from(signature.len()).expect("our signatures are short"));
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    /// An array whose elements are aligned to `to`; its length does not count the padding first.
    fn array(&mut self, to: usize, elements: impl FnOnce(&mut Self)) {
        self.number(0);
        let at = self.0.len() - 4;
        self.align(to);
        let start = self.0.len();
        elements(self);
        let bytes = length(self.0.len() - start);
        self.0[at..at + 4].copy_from_slice(&bytes.to_le_bytes());
    }

    fn variant(&mut self, value: &Value) {
        self.signature(value.signature());
        match value {
            Value::Text(text) => self.text(text),
            Value::Flag(flag) => self.number((*flag).into()),
            Value::Number(number) => {
                self.align(8);
                self.0.extend(number.to_le_bytes());
            }
            Value::Pids(pids) => self.array(4, |w| pids.iter().for_each(|pid| w.number(*pid))),
            Value::Bits(bits) => self.array(1, |w| w.0.extend(bits)),
            Value::Pairs(pairs) => self.array(8, |w| {
                for (a, b) in pairs {
                    w.align(8);
                    w.text(a);
                    w.text(b);
                }
            }),
        }
    }

    fn argument(&mut self, argument: Argument<'_>) {
        match argument {
            Argument::Text(text) => self.text(text),
            Argument::Flag(flag) => self.number(flag.into()),
            Argument::Properties(properties) => self.array(8, |w| {
                for (name, value) in properties {
                    w.align(8);
                    w.text(name);
                    w.variant(value);
                }
            }),
            Argument::NoUnits => self.array(8, |_| ()),
        }
    }

    /// A field of a message's header: `kind` is the signature of its value.
    fn field(&mut self, code: u8, kind: &str, value: &str) {
        self.align(8);
        self.0.push(code);
        self.signature(kind);
        match kind {
            "g" => self.signature(value),
            _ => self.text(value),
        }
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("what is sent is far below the longest message")
}

/// A call, ready to be sent.
pub fn call(serial: u32, target: Target, member: &str, arguments: &[Argument<'_>]) -> Vec<u8> {
    let mut body = Writer::default();
    for argument in arguments {
        body.argument(*argument);
    }
    let mut out = Writer::default();
    // Little endian, a call, no flags, version 1.
    out.0.extend([b'l', 1, 0, 1]);
    out.number(length(body.0.len()));
    out.number(serial);
    out.array(8, |w| {
        let mut field = |code, kind, text| w.field(code, kind, text);
        field(1, "o", target.path);
        field(2, "s", target.interface);
        field(3, "s", member);
        if let Some(name) = target.destination {
            field(6, "s", name);
        }
        if !arguments.is_empty() {
            let signature: String = arguments.iter().map(|one| one.signature()).collect();
            field(8, "g", &signature);
        }
    });
    out.align(8);
    out.0.extend(body.0);
    out.0
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(count).ok_or(Malformed)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(bytes)
    }

    fn align(&mut self, to: usize) -> Result<(), Malformed> {
        let padding = self.at.next_multiple_of(to) - self.at;
        self.take(padding).map(drop)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        self.align(4)?;
        let bytes = self.take(4)?.try_into().map_err(|_| Malformed)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn text_of(&mut self, length: usize) -> Result<&'a str, Malformed> {
        let text = self.take(length)?;
        if self.byte()? != 0 {
            return Err(Malformed);
        }
        std::str::from_utf8(text).map_err(|_| Malformed)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.number()?;
        self.text_of(usize::try_from(length).map_err(|_| Malformed)?)
    }

    fn signature(&mut self) -> Result<&'a str, Malformed> {
        let length = self.byte()?;
        self.text_of(length.into())
    }
}

/// How long the whole message is that starts with these sixteen bytes.
pub fn whole(start: &[u8; 16]) -> Result<usize, Malformed> {
    let mut reader = Reader {
        bytes: start,
        at: 4,
    };
    if start[0] != b'l' || start[3] != 1 {
        return Err(Malformed);
    }
    let body = reader.number()? as usize;
    reader.number()?;
    let fields = reader.number()? as usize;
    let header = fields
        .checked_add(16)
        .and_then(|end| end.checked_next_multiple_of(8));
    let all = header.and_then(|header| header.checked_add(body));
    all.filter(|length| *length <= LONGEST).ok_or(Malformed)
}

/// Reads a whole message.
pub fn read(message: &[u8]) -> Result<Received, Malformed> {
    let start = message.first_chunk::<16>().ok_or(Malformed)?;
    if whole(start)? != message.len() {
        return Err(Malformed);
    }
    let mut received = Received {
        kind: start[1],
        answers: None,
        member: String::new(),
        error: String::new(),
        signature: String::new(),
        body: Vec::new(),
    };
    let mut reader = Reader {
        bytes: message,
        at: 12,
    };
    let end = 16 + reader.number()? as usize;
    while reader.at < end {
        reader.align(8)?;
        let code = reader.byte()?;
        match reader.signature()? {
            "s" | "o" => {
                let text = reader.text()?.to_owned();
                match code {
                    3 => received.member = text,
                    4 => received.error = text,
                    _ => {}
                }
            }
            "g" => received.signature = reader.signature()?.to_owned(),
            "u" => {
                let number = reader.number()?;
                if code == 5 {
                    received.answers = Some(number);
                }
            }
            // Fields of a later version have other types.
            _ => return Err(Malformed),
        }
    }
    if reader.at != end {
        return Err(Malformed);
    }
    reader.align(8)?;
    received.body = message[reader.at..].to_vec();
    Ok(received)
}

impl Received {
    /// The texts and objects among the arguments, in order, up to the first of a kind that nothing
    /// here asks for.
    pub fn texts(&self) -> Result<Vec<&str>, Malformed> {
        let mut reader = Reader {
            bytes: &self.body,
            at: 0,
        };
        let mut texts = Vec::new();
        for kind in self.signature.chars() {
            match kind {
                's' | 'o' => texts.push(reader.text()?),
                'u' => {
                    reader.number()?;
                }
                _ => break,
            }
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANAGER: Target = Target {
        destination: Some("org.freedesktop.systemd1"),
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
    };

    /// A signal as systemd sends it.
    fn removed(job: &str, result: &str) -> Vec<u8> {
        let mut body = Writer::default();
        body.number(7);
        body.text(job);
        body.text("a.scope");
        body.text(result);
        let mut out = Writer(vec![b'l', 4, 1, 1]);
        out.number(length(body.0.len()));
        out.number(9);
        out.array(8, |w| {
            for (code, kind, text) in [(3, "s", "JobRemoved"), (8, "g", "uoss")] {
                w.field(code, kind, text);
            }
        });
        out.align(8);
        out.0.extend(body.0);
        out.0
    }

    #[test]
    fn what_is_written_is_what_the_specification_says() {
        // The example that every implementation sends first, byte for byte.
        let target = Target {
            destination: Some("org.freedesktop.DBus"),
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
        };
        let mut expected =
            b"l\x01\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00\x6e\x00\x00\x00".to_vec();
        expected.extend(b"\x01\x01o\x00\x15\x00\x00\x00/org/freedesktop/DBus\x00\x00\x00");
        expected.extend(b"\x02\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00\x00");
        expected.extend(b"\x03\x01s\x00\x05\x00\x00\x00Hello\x00\x00\x00");
        expected.extend(b"\x06\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00");
        let sent = call(1, target, "Hello", &[]);
        // The padding after the last field is the header's, not the array's.
        expected.resize(sent.len(), 0);
        expected[12] = 0x6d;
        assert_eq!(sent, expected);
        assert_eq!(whole(sent.first_chunk().unwrap()).unwrap(), sent.len());
    }

    #[test]
    fn calls_with_every_kind_of_property_are_whole() {
        let properties = [
            ("Description", Value::Text("x".into())),
            ("Delegate", Value::Flag(true)),
            ("TasksMax", Value::Number(u64::MAX)),
            ("PIDs", Value::Pids(vec![7])),
            ("AllowedCPUs", Value::Bits(vec![5])),
            ("DeviceAllow", Value::Pairs(vec![("a".into(), "rw".into())])),
        ];
        let arguments = [
            Argument::Text("a.scope"),
            Argument::Text("fail"),
            Argument::Properties(&properties),
            Argument::NoUnits,
        ];
        let sent = call(3, MANAGER, "StartTransientUnit", &arguments);
        let received = read(&sent).unwrap();
        assert_eq!(
            (received.kind, received.member.as_str()),
            (1, "StartTransientUnit")
        );
        assert_eq!(received.signature, "ssa(sv)a(sa(sv))");
        assert_eq!(received.texts().unwrap(), ["a.scope", "fail"]);
    }

    #[test]
    fn signals_are_read() {
        let received = read(&removed("/job/1", "done")).unwrap();
        assert_eq!((received.kind, received.member.as_str()), (4, "JobRemoved"));
        assert_eq!(received.texts().unwrap(), ["/job/1", "a.scope", "done"]);
    }

    #[test]
    fn bytes_that_are_no_message_are_an_error_and_nothing_else() {
        let good = removed("/job/1", "done");
        for cut in 0..good.len() {
            assert_eq!(read(&good[..cut]), Err(Malformed), "{cut}");
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                if let Ok(received) = read(&bad) {
                    let _ = received.texts();
                }
            }
        }
        let mut long = good.clone();
        long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(whole(long.first_chunk().unwrap()), Err(Malformed));
    }
}
