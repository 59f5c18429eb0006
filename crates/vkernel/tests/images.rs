//! A program cannot tell whether it or the host laid its initial image.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "it uses a part")]
mod common;

use std::io::Read;

use common::{FD_WRITE, Guest, IMAGE, Images, kernel, ticket};
use vkernel::exec::ExecTarget;
use vkernel::kernel::{ExitStatus, ProcessSpec};
use wasm_encoder::InstructionSink;

const SIZE: usize = (3 << 20) + 123;

/// Writes all of memory to descriptor 1, grows it, and then spoils all of it.
fn dump(sink: &mut InstructionSink<'_>) {
    let memory = wasm_encoder::MemArg {
        offset: 0,
        align: 2,
        memory_index: 0,
    };
    // The vector lies on the last page, behind the image.
    let vector = (SIZE as i32 + IMAGE as i32 + 4096) & !7;
    sink.i32_const(vector).i32_const(0).i32_store(memory);
    sink.i32_const(vector + 4)
        .memory_size(0)
        .i32_const(16)
        .i32_shl()
        .i32_store(memory);
    sink.i32_const(1)
        .i32_const(vector)
        .i32_const(1)
        .i32_const(vector + 8)
        .call(FD_WRITE)
        .drop();
    sink.i32_const(5).memory_grow(0).drop();
    sink.i32_const(0)
        .i32_const(0xaa)
        .memory_size(0)
        .i32_const(16)
        .i32_shl()
        .memory_fill(0);
}

/// What the program finds in its memory, several processes long.
fn found(images: Images) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let image = (0..SIZE).map(|at| (at % 253) as u8 | 1).collect();
    let guests = [
        Guest {
            name: "small",
            image: vec![1],
            body: |_| {},
        },
        Guest {
            name: "dump",
            image,
            body: dump,
        },
    ];
    let files = [ticket("/bin/dump", "dump"), ticket("/bin/small", "small")];
    let kernel = kernel(dir.path(), &guests, &files, &["write"], images);
    let run = || {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let spec = ProcessSpec {
            target: ExecTarget::Path("/bin/dump".into()),
            argv: vec![b"dump".to_vec()],
            env: Vec::new(),
            cwd: b"/".to_vec(),
            umask: 0o022,
            stdio: [None, Some(write), None],
            passed: Vec::new(),
        };
        let running = kernel.spawn(spec).unwrap();
        let mut bytes = Vec::new();
        std::fs::File::from(read).read_to_end(&mut bytes).unwrap();
        assert_eq!(running.wait(), ExitStatus::Code(0));
        bytes
    };
    (0..3).map(|_| run()).collect()
}

#[test]
fn memory_is_the_same_whoever_lays_the_image_and_nothing_of_a_process_stays() {
    let (by_guest, by_host) = (found(Images::Guest), found(Images::Host));
    assert!(by_guest[0].len() > SIZE);
    assert!(
        by_guest[0][IMAGE as usize..][..SIZE]
            .iter()
            .enumerate()
            .all(|(at, byte)| { *byte == (at % 253) as u8 | 1 })
    );
    for run in by_guest[1..].iter().chain(&by_host) {
        assert!(*run == by_guest[0]);
    }
}
