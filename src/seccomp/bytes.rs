//! A compiled filter on its way from who compiled it to the process that loads it.

use super::Program;
use super::program::Instruction;

/// Bytes of an instruction.
const LENGTH: usize = 8;

impl Program {
    /// The flags, then each instruction.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.flags.to_le_bytes().to_vec();
        for Instruction { code, jt, jf, k } in &self.instructions {
            bytes.extend(code.to_le_bytes());
            bytes.extend([*jt, *jf]);
            bytes.extend(k.to_le_bytes());
        }
        bytes
    }

    /// What [`Program::to_bytes`] wrote; nothing if it did not.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (flags, code) = bytes.split_first_chunk()?;
        let (instructions, []) = code.as_chunks::<LENGTH>() else {
            return None;
        };
        let read = |[c0, c1, jt, jf, k @ ..]: &[u8; LENGTH]| Instruction {
            code: u16::from_le_bytes([*c0, *c1]),
            jt: *jt,
            jf: *jf,
            k: u32::from_le_bytes(*k),
        };
        Some(Self {
            instructions: instructions.iter().map(read).collect(),
            flags: u64::from_le_bytes(*flags),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_arrives_as_it_was() {
        let mut program = crate::seccomp::wall::program(7).unwrap();
        program.flags = 0x1_0000_0002;
        let bytes = program.to_bytes();
        assert_eq!(Program::from_bytes(&bytes), Some(program));
        assert_eq!(Program::from_bytes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Program::from_bytes(&bytes[..7]), None);
    }
}
