//! Which memories the engine gets.

use super::*;

fn memory_type(minimum: u32) -> MemoryType {
    MemoryType::new(minimum, None)
}

fn create(memories: &Arc<Memories>, minimum: u32) -> Box<dyn LinearMemory> {
    let ty = memory_type(minimum);
    let size = minimum as usize * WASM_PAGE;
    Creator(memories.clone())
        .new_memory(ty, size, None, Some(RESERVED), GUARD)
        .unwrap()
}

fn sum(memory: &dyn LinearMemory) -> u64 {
    // SAFETY: that many bytes are accessible, and the memory is borrowed as long as they are.
    let bytes = unsafe { std::slice::from_raw_parts(memory.as_ptr(), memory.byte_size()) };
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

#[test]
fn one_memory_of_the_right_type_gets_the_image_and_no_other() {
    let (memories, others) = (memories(None), memories(None));
    let layout = memories.layout(0, 20 * WASM_PAGE).unwrap();
    assert_eq!(sum(&*create(&memories, 1)), 0, "nothing was ordered");

    let armed = memories.arm(memory_type(1), Wanted::New(layout));
    // Such as the engine's heap for exceptions, which comes first and through the same creator.
    let heap = create(&memories, 3);
    assert_eq!((sum(&*heap), heap.byte_size()), (0, 3 * WASM_PAGE));
    assert_eq!(sum(&*create(&others, 1)), 0, "another kernel's");
    let elsewhere =
        std::thread::scope(|scope| scope.spawn(|| sum(&*create(&memories, 1))).join().unwrap());
    assert_eq!(elsewhere, 0, "another thread's");
    let first = create(&memories, 1);
    assert_eq!(first.byte_size(), 20 * WASM_PAGE);
    assert!(sum(&*first) > 0);
    let second = create(&memories, 1);
    assert_eq!((sum(&*second), second.byte_size()), (0, WASM_PAGE));
    let laid = armed.finish().unwrap();
    assert!(laid.has_image());
    assert!(laid.is(first.as_ptr(), first.byte_size()));
    assert!(!laid.is(second.as_ptr(), second.byte_size()));
    assert!(!laid.is(first.as_ptr(), WASM_PAGE));
    assert_eq!(sum(&*create(&memories, 1)), 0, "it is over");

    drop(memories.arm(memory_type(1), Wanted::New(layout)));
    assert_eq!(sum(&*create(&memories, 1)), 0, "it was given up");
    let armed = memories.arm(memory_type(1), Wanted::New(layout));
    assert!(armed.finish().is_none(), "nobody came");
    assert_eq!(sum(&*create(&memories, 1)), 0);
}

/// The heap for exceptions comes before the process's memory, and can be of the same type.
#[test]
fn the_heap_for_exceptions_takes_no_order_and_is_used_again() {
    let memories = memories(None);
    let layout = memories.layout(0, 20 * WASM_PAGE).unwrap();
    let heap = |minimum| {
        let size = minimum as usize * WASM_PAGE;
        let reserved = Some(EXCEPTION_HEAP);
        Creator(memories.clone())
            .new_memory(memory_type(minimum), size, None, reserved, 0)
            .unwrap()
    };
    let armed = memories.arm(memory_type(0), Wanted::New(layout));
    let mut first = heap(0);
    first.grow_to(WASM_PAGE).unwrap();
    // SAFETY: a page is accessible, and nobody else uses the memory.
    unsafe { first.as_ptr().write_bytes(0xaa, WASM_PAGE) };
    assert!(first.grow_to(EXCEPTION_HEAP + WASM_PAGE).is_err());
    let memory = create(&memories, 0);
    let laid = armed.finish().unwrap();
    assert!(laid.is(memory.as_ptr(), 20 * WASM_PAGE));
    let place = first.as_ptr();
    drop(first);
    let mut second = heap(0);
    assert_eq!((second.as_ptr(), second.byte_size()), (place, 0));
    second.grow_to(WASM_PAGE).unwrap();
    assert_eq!(sum(&*second), 0);
}

#[test]
fn an_order_that_does_not_fit_its_memory_makes_none() {
    let memories = memories(None);
    for size in [0, WASM_PAGE, RESERVED + WASM_PAGE] {
        let layout = Layout { size, image: None };
        let _armed = memories.arm(memory_type(2), Wanted::New(layout));
        let made = Creator(memories.clone()).new_memory(
            memory_type(2),
            2 * WASM_PAGE,
            None,
            Some(RESERVED),
            GUARD,
        );
        assert!(made.is_err(), "{size}");
    }
}
