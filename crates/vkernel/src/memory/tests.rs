//! Memories that were used cannot be told from new ones, whatever happens on the way.

mod copy;
mod creator;

use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use megabinary::section::{FORMAT_VERSION, Program, Section, Segment};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use super::scan::{Doubt, PageMap, Run, Scan};
use super::*;

const WASM_PAGE: usize = 64 << 10;
const RESERVED: usize = 64 << 20;
const GUARD: usize = 1 << 20;
const IMAGE: usize = 200_000;

fn page() -> usize {
    rustix::param::page_size()
}

/// Images of two programs: the first has 200,000 bytes at 70,000 and 70,000 at 1,000,000, the
/// second has none.
fn images() -> Images {
    let data: Vec<u8> = (0..IMAGE).map(|at| (at % 251) as u8 | 1).collect();
    let segment = |address, data_offset, len| Segment {
        address,
        data_offset,
        len,
    };
    let program = |name: &str, segments: Vec<Segment>| Program {
        name: name.parse().unwrap(),
        entry: format!("{name}_start").parse().unwrap(),
        min_pages: 20,
        max_pages: None,
        segments,
        extra_exports: Vec::new(),
    };
    let large = vec![
        segment(70_000, 0, IMAGE as u32),
        segment(1_000_000, 10, 70_000),
    ];
    let section = Section {
        format_version: FORMAT_VERSION,
        name: "box".parse().unwrap(),
        version: "1.0".parse().unwrap(),
        vkernel_version: ">=0.2.0".parse().unwrap(),
        image_switch: "image".into(),
        programs: vec![program("large", large), program("small", Vec::new())],
        targets: Vec::new(),
    };
    let bytes = crate::image::append(vec![0; 100], &section, &data, page() as u64).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    Images::open(&file).unwrap()
}

/// What the first program's memory holds at the start.
fn initial(size: usize) -> Vec<u8> {
    let byte = |at: usize| (at % 251) as u8 | 1;
    let mut bytes = vec![0; size];
    for at in 0..IMAGE {
        bytes[70_000 + at] = byte(at);
    }
    for at in 0..70_000 {
        bytes[1_000_000 + at] = byte(10 + at);
    }
    bytes
}

fn page_map() -> OwnedFd {
    std::fs::File::open("/proc/self/pagemap").unwrap().into()
}

/// The three ways there are to tell own pages, by name.
fn ways() -> Vec<(&'static str, Option<Box<dyn Scan>>)> {
    vec![
        ("by the page map", Some(Box::new(PageMap::new(page_map())))),
        ("not at all", None),
        (
            "by the page map, all swapped",
            Some(Box::new(Swapped::new())),
        ),
    ]
}

fn memories(scan: Option<Box<dyn Scan>>) -> Arc<Memories> {
    Arc::new(Memories::with_scan(images(), scan))
}

fn lease(memories: &Arc<Memories>, program: usize, pages: usize) -> Lease {
    let layout = memories.layout(program, pages * WASM_PAGE).unwrap();
    assert_eq!(layout.image.is_some(), program == 0);
    memories.lease(layout, RESERVED, GUARD).unwrap()
}

fn bytes(lease: &mut Lease) -> &mut [u8] {
    // SAFETY: that many bytes are accessible, and the lease is borrowed as long as they are.
    unsafe { std::slice::from_raw_parts_mut(lease.as_ptr(), lease.byte_size()) }
}

/// What the kernel does before a program runs that can fork.
fn will_fork(lease: &Lease) {
    lease.handle().with(Slot::will_fork).unwrap();
}

/// How many pages from `start` to `end` are a memory's own.
fn own_pages(lease: &Lease, start: usize, end: usize) -> usize {
    let base = lease.as_ptr() as usize;
    let mut runs = vec![Run::default(); 1024];
    let range = base + start..base + end;
    let found = PageMap::new(page_map()).scan(range, &mut runs).unwrap();
    let bytes = runs[..found].iter().map(|run| run.end - run.start);
    bytes.sum::<u64>() as usize / page()
}

/// Whether the host's kernel can read the byte at `at`, asked in a way that does not fault.
fn accessible(at: *const u8) -> bool {
    let (_read, write) = rustix::pipe::pipe().unwrap();
    // SAFETY: the call checks the address and gives EFAULT where nothing can be read.
    unsafe { libc::write(write.as_raw_fd(), at.cast(), 1) == 1 }
}

/// The page map's answers, as if the host had swapped everything out.
struct Swapped(PageMap);

impl Swapped {
    fn new() -> Swapped {
        Swapped(PageMap::new(page_map()))
    }
}

impl Scan for Swapped {
    fn works(&self) -> bool {
        true
    }

    fn scan(&self, range: Range<usize>, runs: &mut [Run]) -> Result<usize, Doubt> {
        let found = self.0.scan(range, runs)?;
        for run in &mut runs[..found] {
            run.categories = 1 << 4;
        }
        Ok(found)
    }
}

/// Gives the same answer to everything.
struct Says(Result<Vec<Run>, ()>, AtomicUsize);

impl Scan for Says {
    fn works(&self) -> bool {
        true
    }

    fn scan(&self, range: Range<usize>, runs: &mut [Run]) -> Result<usize, Doubt> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let answer = self.0.as_ref().map_err(|()| Doubt)?;
        for (run, says) in runs.iter_mut().zip(answer) {
            *run = Run {
                start: says.start.wrapping_add(range.start as u64),
                end: says.end.wrapping_add(range.start as u64),
                ..*says
            };
        }
        Ok(answer.len())
    }
}

#[test]
fn what_a_process_filled_with_a_pattern_no_other_can_read() {
    for (name, scan) in ways() {
        let memories = memories(scan);
        for round in 0..6 {
            let mut lease = lease(&memories, 0, 20);
            if round % 2 == 1 {
                will_fork(&lease);
            }
            let base = lease.as_ptr();
            assert!(
                bytes(&mut lease) == initial(20 * WASM_PAGE),
                "{name} {round}"
            );
            lease.grow_to(300 * WASM_PAGE).unwrap();
            let all = bytes(&mut lease);
            assert!(all[20 * WASM_PAGE..].iter().all(|byte| *byte == 0));
            all.fill(0xaa);
            drop(lease);
            let waiting = memories.pool().bases();
            assert!(waiting.contains(&(base as usize)), "{name}");
            // Nothing of what it grew by is there, not even its addresses.
            assert!(!accessible(base.wrapping_add(20 * WASM_PAGE)));
            assert!(!accessible(base.wrapping_add(299 * WASM_PAGE)));
        }
    }
}

#[test]
fn any_use_of_memories_leaves_them_as_new() {
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    for (name, scan) in ways() {
        let memories = memories(scan);
        let mut live: Vec<Lease> = Vec::new();
        for step in 0..400 {
            if live.len() == 3 {
                live.remove(random(3));
            }
            let program = random(2);
            let pages = if program == 0 { 20 } else { 1 + random(30) };
            let mut lease = lease(&memories, program, pages);
            let all = bytes(&mut lease);
            match program {
                0 => assert!(*all == initial(pages * WASM_PAGE), "{name} {step}"),
                _ => assert!(all.iter().all(|byte| *byte == 0), "{name} {step}"),
            }
            for _ in 0..random(40) {
                let at = random(all.len());
                let end = (at + random(20_000)).min(all.len());
                all[at..end].fill(random(256) as u8);
            }
            if random(2) == 0 {
                lease.grow_to((pages + 1 + random(50)) * WASM_PAGE).unwrap();
                let grown = &mut bytes(&mut lease)[pages * WASM_PAGE..];
                assert!(grown.iter().all(|byte| *byte == 0), "{name} {step}");
                grown.fill(0xbb);
            }
            live.push(lease);
        }
    }
}

#[test]
fn beyond_the_size_and_in_the_guards_nothing_is_accessible() {
    let memories = memories(Some(Box::new(PageMap::new(page_map()))));
    for _ in 0..3 {
        let mut lease = lease(&memories, 1, 2);
        let at = |offset: isize| lease.as_ptr().wrapping_offset(offset);
        assert!(accessible(at(0)) && accessible(at(2 * WASM_PAGE as isize - 1)));
        let outside = [-1, -(GUARD as isize), 2 * WASM_PAGE as isize];
        for offset in outside
            .into_iter()
            .chain([RESERVED as isize, (RESERVED + GUARD - 1) as isize])
        {
            assert!(!accessible(at(offset)), "{offset}");
        }
        lease.grow_to(3 * WASM_PAGE).unwrap();
        assert!(accessible(lease.as_ptr().wrapping_add(3 * WASM_PAGE - 1)));
        assert!(!accessible(lease.as_ptr().wrapping_add(3 * WASM_PAGE)));
        lease.grow_to(RESERVED).unwrap();
        assert!(lease.grow_to(RESERVED + WASM_PAGE).is_err());
        assert!(lease.grow_to(WASM_PAGE).is_err());
    }
}

#[test]
fn swapped_pages_are_the_images_again_and_not_brought_in_for_it() {
    let memories = memories(Some(Box::new(Swapped::new())));
    let mut used = lease(&memories, 0, 20);
    bytes(&mut used).fill(0xaa);
    let base = used.as_ptr() as usize;
    drop(used);
    let mut runs = [Run::default(); 8];
    let own = PageMap::new(page_map()).scan(base..base + 20 * WASM_PAGE, &mut runs);
    assert_eq!(own.unwrap(), 0, "given back, not written over");
    assert!(bytes(&mut lease(&memories, 0, 20)) == initial(20 * WASM_PAGE));
}

#[test]
fn on_any_doubt_a_memory_is_thrown_away() {
    let page = page() as u64;
    let run = |start: u64, end: u64| Run {
        start,
        end,
        categories: 1 << 3,
    };
    let too_many = vec![run(0, page); 1000];
    let beyond = 20 * WASM_PAGE as u64;
    for answer in [
        Err(()),
        Ok(too_many),
        Ok(vec![run(page, 0)]),
        Ok(vec![run(0, beyond + page)]),
        Ok(vec![run(0u64.wrapping_sub(page), page)]),
        Ok(vec![run(1, page)]),
        Ok(vec![run(0, page + 1)]),
    ] {
        let memories = memories(Some(Box::new(Says(answer.clone(), AtomicUsize::new(0)))));
        bytes(&mut lease(&memories, 0, 20)).fill(0xaa);
        assert_eq!(memories.pool().bases().len(), 0, "{answer:?}");
        assert!(bytes(&mut lease(&memories, 0, 20)) == initial(20 * WASM_PAGE));
    }
}

#[test]
fn a_page_map_of_another_process_or_of_none_is_not_believed() {
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let of_child = std::fs::File::open(format!("/proc/{}/pagemap", child.id()));
    let null = std::fs::File::open("/dev/null").unwrap();
    for file in [of_child.unwrap(), null] {
        let mut runs = [Run::default(); 8];
        let here = runs.as_ptr() as usize / page() * page();
        let scan = PageMap::new(file.into());
        assert!(scan.scan(here..here + page(), &mut runs).is_err());
        let memories = memories(Some(Box::new(scan)));
        bytes(&mut lease(&memories, 0, 20)).fill(0xaa);
        // Everything was given back instead.
        let base = memories.pool().bases()[0];
        let own = PageMap::new(page_map()).scan(base..base + 20 * WASM_PAGE, &mut runs);
        assert_eq!(own.unwrap(), 0);
        assert!(bytes(&mut lease(&memories, 0, 20)) == initial(20 * WASM_PAGE));
    }
    child.kill().and_then(|()| child.wait()).unwrap();
}

#[test]
fn only_written_pages_are_a_memorys_own_and_all_of_them() {
    let memories = memories(None);
    let mut lease = lease(&memories, 0, 20);
    let scan = PageMap::new(page_map());
    let base = lease.as_ptr() as usize;
    let own = |scan: &PageMap| {
        let mut runs = [Run::default(); 64];
        let found = scan.scan(base..base + 20 * WASM_PAGE, &mut runs).unwrap();
        let pages = runs[..found].iter().flat_map(|run| {
            (run.start as usize..run.end as usize)
                .step_by(page())
                .map(|at| (at - base) / page())
        });
        pages.collect::<Vec<_>>()
    };
    // Reading brings pages of the file, and the page of zeros.
    let sum: usize = bytes(&mut lease)
        .iter()
        .map(|byte| usize::from(*byte))
        .sum();
    assert!(sum > 0);
    assert!(own(&scan).is_empty());
    for at in [0, 5, 20, 21, 250] {
        bytes(&mut lease)[at * page() + 7] = 9;
    }
    assert_eq!(own(&scan), [0, 5, 20, 21, 250]);
    // A fragmented memory has more runs than fit: that is a doubt, not a part of the answer.
    let mut few = [Run::default(); 4];
    assert!(scan.scan(base..base + 20 * WASM_PAGE, &mut few).is_err());
}

#[test]
fn what_waits_is_bounded_in_number_and_in_bytes() {
    let memories = memories(Some(Box::new(PageMap::new(page_map()))));
    let mut many: Vec<Lease> = (0..80).map(|_| lease(&memories, 1, 20)).collect();
    for lease in &mut many {
        bytes(lease).fill(1);
    }
    drop(many);
    let bases = memories.pool().bases();
    assert_eq!(bases.len(), 64);
    let scan = PageMap::new(page_map());
    let resident = bases.iter().map(|base| {
        let mut runs = [Run::default(); 8];
        let found = scan.scan(*base..*base + 20 * WASM_PAGE, &mut runs).unwrap();
        runs[..found]
            .iter()
            .map(|run| run.end - run.start)
            .sum::<u64>()
    });
    let resident: Vec<u64> = resident.collect();
    assert!(resident.iter().all(|bytes| *bytes <= 512 << 10));
    assert!(resident.iter().sum::<u64>() <= 8 << 20);
    // As many programs as there may be: memories are laid out anew, and as new.
    for pages in 1..=100 {
        let mut lease = lease(&memories, 1, pages);
        assert!(bytes(&mut lease).iter().all(|byte| *byte == 0));
        bytes(&mut lease).fill(2);
        drop(lease);
        let mut lease = super::tests::lease(&memories, 0, 20);
        assert!(bytes(&mut lease) == initial(20 * WASM_PAGE));
        assert_eq!(memories.pool().bases().len(), 63);
    }
}
