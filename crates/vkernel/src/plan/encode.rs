//! The plan as a file: a header with the digest of the rest, then records of fixed size.
//!
//! The file never leaves the machine and lies where only root can write. The digest is there to
//! notice a file cut short by a crash, and the version of this program so that bit numbers of
//! host calls, which are its own, are never read by another.

use megabinary::capability::HostCallSet;
use megabinary::digest::Digest;

use crate::engine::Code;

use super::{ExecRule, List, NetworkPolicy, Plan, Program, TargetRecord, Text};

/// First bytes of a plan; the number is the layout's.
const MAGIC: &[u8; 16] = b"megarun plan 03\n";
/// Magic, program version padded with zeros, SHA-256 of the body.
const HEADER: usize = 16 + 16 + 32;
const PROGRAM: usize = 40;
const TARGET: usize = 32 + 16 + 4 + 8 * 4 + 4;
/// Stands for the start of a text that is not there.
const ABSENT: u32 = u32::MAX;
const NOT_THERE: Text = Text {
    start: ABSENT,
    len: 0,
};

/// Why bytes are not a plan this program can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Not a plan, or another layout of it.
    #[error(
        "reading the container's plan: it is not a plan of this format; create the container again"
    )]
    NotAPlan,
    /// Written by another version of this program.
    #[error(
        "reading the container's plan: version {found} of megarun wrote it, this is {}; \
         create the container again",
        env!("CARGO_PKG_VERSION")
    )]
    Version {
        /// The version that wrote it.
        found: String,
    },
    /// Damaged.
    #[error("reading the container's plan: it is damaged ({0}); create the container again")]
    Damaged(&'static str),
}

impl Plan {
    /// The plan as bytes, for [`Plan::decode`] of the same version of this program.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.targets.len() * TARGET + self.pool.len() + 256);
        body.extend_from_slice(self.container_id.as_bytes());
        put(
            &mut body,
            &[self.networking as u32, self.exec as u32, self.code as u32],
        );
        for text in [self.name, self.version, self.image_switch] {
            put(&mut body, &[text.start, text.len]);
        }
        let counts = [
            self.programs.len(),
            self.targets.len(),
            self.list.len(),
            self.pool.len(),
        ];
        // Every count is below 2^32: the builder counts texts and lists in u32, and programs and
        // targets are fewer than the bytes that name them.
        put(&mut body, &counts.map(|count| count as u32));
        for program in &self.programs {
            let Program {
                entry,
                name,
                min_pages,
                max_pages,
                deliver,
                fork,
            } = program;
            let deliver = deliver.unwrap_or(NOT_THERE);
            put(
                &mut body,
                &[
                    entry.start,
                    entry.len,
                    name.start,
                    name.len,
                    *min_pages,
                    *max_pages,
                    deliver.start,
                    deliver.len,
                    fork.start,
                    fork.count,
                ],
            );
        }
        for record in &self.targets {
            body.extend_from_slice(record.digest.as_bytes());
            body.extend_from_slice(&record.rights.bits().to_le_bytes());
            put(&mut body, &[record.program]);
            for text in [record.path, record.tool] {
                let text = text.unwrap_or(NOT_THERE);
                put(&mut body, &[text.start, text.len]);
            }
            for list in [record.args, record.exec] {
                put(&mut body, &[list.start, list.count]);
            }
            put(&mut body, &[u32::from(record.shares_entry)]);
        }
        for text in &self.list {
            put(&mut body, &[text.start, text.len]);
        }
        body.extend_from_slice(self.pool.as_bytes());

        let mut out = Vec::with_capacity(HEADER + body.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&version());
        out.extend_from_slice(Digest::of(&body).as_bytes());
        out.extend_from_slice(&body);
        out
    }

    /// Reads what [`Plan::encode`] wrote. Total: any bytes give a plan or a named error.
    pub fn decode(bytes: &[u8]) -> Result<Plan, PlanError> {
        let (header, body) = bytes.split_at_checked(HEADER).ok_or(PlanError::NotAPlan)?;
        if header[..16] != *MAGIC {
            return Err(PlanError::NotAPlan);
        }
        if header[16..32] != version() {
            let found = String::from_utf8_lossy(&header[16..32]);
            return Err(PlanError::Version {
                found: found.trim_end_matches('\0').to_owned(),
            });
        }
        if header[32..] != *Digest::of(body).as_bytes() {
            return Err(PlanError::Damaged("its digest does not match"));
        }
        decode_body(body)
    }
}

fn decode_body(body: &[u8]) -> Result<Plan, PlanError> {
    let mut rest = Reader(body);
    let container_id = Digest::from_bytes(rest.bytes()?);
    let networking = match rest.u32()? {
        0 => NetworkPolicy::None,
        1 => NetworkPolicy::Restricted,
        2 => NetworkPolicy::Host,
        _ => return Err(PlanError::Damaged("network policy")),
    };
    let exec = match rest.u32()? {
        0 => ExecRule::Any,
        1 => ExecRule::Listed,
        _ => return Err(PlanError::Damaged("exec rule")),
    };
    let code = match rest.u32()? {
        0 => Code::Plain,
        1 => Code::Exceptions,
        _ => return Err(PlanError::Damaged("kind of code")),
    };
    let (name, version, image_switch) = (rest.text()?, rest.text()?, rest.text()?);
    let [programs, targets, list, pool] = [rest.u32()?, rest.u32()?, rest.u32()?, rest.u32()?];
    // Sizes are compared with what is there before anything is allocated for them.
    let expected = programs as u64 * PROGRAM as u64
        + targets as u64 * TARGET as u64
        + list as u64 * 8
        + u64::from(pool);
    if expected != rest.0.len() as u64 {
        return Err(PlanError::Damaged("its length"));
    }
    let programs: Vec<Program> = (0..programs)
        .map(|_| rest.program())
        .collect::<Result<_, _>>()?;
    let targets: Vec<TargetRecord> = (0..targets)
        .map(|_| rest.target())
        .collect::<Result<_, _>>()?;
    let list: Vec<Text> = (0..list).map(|_| rest.text()).collect::<Result<_, _>>()?;
    let pool = std::str::from_utf8(rest.0)
        .map_err(|_| PlanError::Damaged("text"))?
        .to_owned();
    let plan = Plan {
        container_id,
        name,
        version,
        image_switch,
        networking,
        exec,
        code,
        programs,
        targets,
        list,
        pool,
    };
    plan.check()?;
    Ok(plan)
}

impl Plan {
    /// Checks what the accessors rely on: every range inside its pool, targets in order.
    fn check(&self) -> Result<(), PlanError> {
        let whole = |text: Text| {
            let start = text.start as usize;
            start
                .checked_add(text.len as usize)
                .is_some_and(|end| self.pool.get(start..end).is_some())
        };
        let inside = |list: List| {
            (list.start as usize)
                .checked_add(list.count as usize)
                .is_some_and(|end| end <= self.list.len())
        };
        let texts_hold = [self.name, self.version, self.image_switch]
            .into_iter()
            .all(whole)
            && self.list.iter().copied().all(whole)
            && self.programs.iter().all(|program| {
                whole(program.entry)
                    && whole(program.name)
                    && program.deliver.is_none_or(whole)
                    && inside(program.fork)
            });
        let targets_hold = self.targets.iter().all(|record| {
            record.path.is_none_or(whole)
                && record.tool.is_none_or(whole)
                && inside(record.args)
                && inside(record.exec)
                && (record.program as usize) < self.programs.len()
        });
        let ordered = self
            .targets
            .windows(2)
            .all(|pair| pair[0].digest < pair[1].digest);
        match (texts_hold, targets_hold, ordered) {
            (false, _, _) => Err(PlanError::Damaged("a text's place")),
            (_, false, _) => Err(PlanError::Damaged("a target")),
            (_, _, false) => Err(PlanError::Damaged("the order of targets")),
            _ => Ok(()),
        }
    }
}

fn version() -> [u8; 16] {
    let mut field = [0; 16];
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    field[..version.len()].copy_from_slice(version);
    field
}

fn put(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], PlanError> {
        let (head, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(PlanError::Damaged("it ends early"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, PlanError> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Result<Text, PlanError> {
        Ok(Text {
            start: self.u32()?,
            len: self.u32()?,
        })
    }

    fn optional(&mut self) -> Result<Option<Text>, PlanError> {
        let text = self.text()?;
        Ok((text.start != ABSENT).then_some(text))
    }

    fn list(&mut self) -> Result<List, PlanError> {
        Ok(List {
            start: self.u32()?,
            count: self.u32()?,
        })
    }

    fn program(&mut self) -> Result<Program, PlanError> {
        Ok(Program {
            entry: self.text()?,
            name: self.text()?,
            min_pages: self.u32()?,
            max_pages: self.u32()?,
            deliver: self.optional()?,
            fork: self.list()?,
        })
    }

    fn target(&mut self) -> Result<TargetRecord, PlanError> {
        Ok(TargetRecord {
            digest: Digest::from_bytes(self.bytes()?),
            rights: HostCallSet::from_bits(u128::from_le_bytes(self.bytes()?)),
            program: self.u32()?,
            path: self.optional()?,
            tool: self.optional()?,
            args: self.list()?,
            exec: self.list()?,
            shares_entry: self.u32()? != 0,
        })
    }
}
