//! Memories of processes that fork.

use super::*;

/// A copy as its instance has it.
fn copy(memories: &Arc<Memories>, of: &Lease) -> Lease {
    memories.copy(&of.handle()).unwrap().lease
}

#[test]
fn a_copy_holds_what_its_original_held_and_neither_sees_the_other() {
    let mut state = 7u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    for (name, scan) in ways() {
        let memories = memories(scan);
        for round in 0..60 {
            // A family: memories with what each must hold, of a program with an image or without,
            // that was known to fork or not.
            let (program, forks) = (round % 2, round % 3 > 0);
            let first = lease(&memories, program, 20);
            if forks {
                will_fork(&first);
            }
            let mut family = vec![(vec![0; 20 * WASM_PAGE], first)];
            if program == 0 {
                family[0].0 = initial(20 * WASM_PAGE);
            }
            for step in 0..16 {
                let member = random(family.len());
                let room = family.len() < 5;
                let (held, lease) = &mut family[member];
                match random(4) {
                    // Few pages are copied, many are put into files.
                    0 | 1 => {
                        let most = [5000, held.len()][random(2)];
                        let len = 1 + random(most);
                        let at = random(held.len() - len + 1);
                        let byte = random(256) as u8;
                        held[at..at + len].fill(byte);
                        bytes(lease)[at..at + len].fill(byte);
                    }
                    2 if held.len() < 120 * WASM_PAGE => {
                        held.resize(held.len() + random(30) * WASM_PAGE, 0);
                        lease.grow_to(held.len()).unwrap();
                    }
                    _ if room => {
                        let copied = (held.clone(), copy(&memories, lease));
                        if forks {
                            will_fork(&copied.1);
                        }
                        family.push(copied);
                    }
                    _ => drop(family.remove(member)),
                }
                if family.is_empty() {
                    break;
                }
                for (held, lease) in &mut family {
                    assert!(bytes(lease) == held, "{name} {round} {step}");
                    assert!(!accessible(lease.as_ptr().wrapping_add(held.len())));
                }
            }
            drop(family);
            // What one of them was is as new for the next program.
            let mut next = lease(&memories, program, 20);
            let new = match program {
                0 => initial(20 * WASM_PAGE),
                _ => vec![0; 20 * WASM_PAGE],
            };
            assert!(bytes(&mut next) == new, "{name} {round}");
        }
    }
}

#[test]
fn what_a_program_that_forks_grew_by_is_shared_and_not_copied() {
    let memories = memories(ways().remove(0).1);
    let size = 60 * WASM_PAGE;
    let mut parent = lease(&memories, 0, 20);
    will_fork(&parent);
    // In steps, as allocators do; what comes first is copied, being little.
    for pages in [22, 24, 30, 60] {
        parent.grow_to(pages * WASM_PAGE).unwrap();
    }
    let shared = 24 * WASM_PAGE;
    bytes(&mut parent)[shared..].fill(1);
    let mut child = copy(&memories, &parent);
    let second = copy(&memories, &parent);
    for lease in [&parent, &child, &second] {
        assert_eq!(own_pages(lease, shared, size), 0);
    }
    // One page each is all that a write costs from then on.
    bytes(&mut parent)[shared] = 2;
    bytes(&mut child)[size - 1] = 3;
    let third = copy(&memories, &child);
    for (lease, first, last, own) in [
        (parent, 2, 1, 1),
        (child, 1, 3, 1),
        (second, 1, 1, 0),
        (third, 1, 3, 1),
    ] {
        let mut lease = lease;
        assert_eq!(own_pages(&lease, shared, size), own);
        let all = bytes(&mut lease);
        assert_eq!((all[shared], all[size - 1]), (first, last));
        assert!(all[shared + 1..size - 1].iter().all(|byte| *byte == 1));
    }
}

#[test]
fn generations_that_grow_hold_what_each_of_them_wrote() {
    let memories = memories(ways().remove(0).1);
    let mut generation = lease(&memories, 1, 1);
    let mut held = vec![0; WASM_PAGE];
    let mut ancestors = Vec::new();
    for number in 1..=40 {
        will_fork(&generation);
        let before = held.len();
        held.resize(before + 5 * WASM_PAGE, number);
        generation.grow_to(held.len()).unwrap();
        bytes(&mut generation)[before..].fill(number);
        let child = copy(&memories, &generation);
        // Only some live on.
        let parent = std::mem::replace(&mut generation, child);
        if number % 3 == 0 {
            ancestors.push((held.clone(), parent));
        }
        assert!(bytes(&mut generation) == held, "{number}");
    }
    for (held, mut lease) in ancestors {
        assert!(bytes(&mut lease) == held);
    }
}

#[test]
fn a_memory_whose_start_is_in_a_file_is_never_anothers() {
    let memories = memories(ways().remove(0).1);
    let mut original = lease(&memories, 1, 64);
    bytes(&mut original).fill(1);
    let copied = copy(&memories, &original);
    drop(copied);
    drop(original);
    assert!(memories.pool().bases().is_empty());
}

#[test]
fn one_that_only_grew_in_a_file_is_another_programs_as_new() {
    let memories = memories(ways().remove(0).1);
    let mut original = lease(&memories, 0, 20);
    will_fork(&original);
    original.grow_to(200 * WASM_PAGE).unwrap();
    bytes(&mut original)[19 * WASM_PAGE..].fill(0xaa);
    let mut copied = copy(&memories, &original);
    bytes(&mut copied)[19 * WASM_PAGE..].fill(0xbb);
    let places = [original.as_ptr(), copied.as_ptr()];
    drop((original, copied));
    assert_eq!(memories.pool().bases().len(), 2);
    for place in places {
        for at in [20, 30, 199] {
            assert!(!accessible(place.wrapping_add(at * WASM_PAGE)));
        }
    }
    let mut others: Vec<Lease> = (0..2).map(|_| lease(&memories, 0, 20)).collect();
    for next in &mut others {
        assert!(places.contains(&next.as_ptr()));
        assert!(bytes(next) == initial(20 * WASM_PAGE));
        next.grow_to(200 * WASM_PAGE).unwrap();
        let grown = &bytes(next)[20 * WASM_PAGE..];
        assert!(grown.iter().all(|byte| *byte == 0));
    }
}
