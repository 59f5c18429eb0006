use std::os::unix::fs::PermissionsExt;

use super::*;

fn id(text: &str) -> ContainerId {
    text.parse().unwrap()
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("root"));
    (dir, store)
}

fn keep(_: &ContainerDir) -> Result<(), StoreError> {
    panic!("nothing here was left by a dead create")
}

#[test]
fn only_the_owner_can_enter() {
    let (dir, store) = store();
    store.create(&id("a"), keep).unwrap();
    for path in ["root", "root/a"] {
        let mode = std::fs::metadata(dir.path().join(path))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700, "{path}");
    }
}

#[test]
fn a_root_that_others_can_write_is_refused() {
    let (dir, store) = store();
    std::fs::create_dir(dir.path().join("root")).unwrap();
    std::fs::set_permissions(dir.path().join("root"), PermissionsExt::from_mode(0o777)).unwrap();
    assert!(matches!(
        store.create(&id("a"), keep),
        Err(StoreError::Unsafe { .. })
    ));
}

#[test]
fn an_id_is_taken_while_its_create_is_at_work() {
    let (_dir, store) = store();
    let _held = store.create(&id("a"), keep).unwrap();
    assert!(matches!(
        store.create(&id("a"), keep),
        Err(StoreError::Exists(_))
    ));
    store.create(&id("b"), keep).unwrap();
}

#[test]
fn what_a_dead_create_left_is_cleared_first() {
    let (_dir, store) = store();
    let (dir, lock) = store.create(&id("a"), keep).unwrap();
    dir.write_intent(&Intent::default()).unwrap();
    drop(lock);
    let cleared = std::cell::Cell::new(0);
    store
        .create(&id("a"), |left| {
            assert_eq!(left.intent().unwrap(), Some(Intent::default()));
            cleared.set(cleared.get() + 1);
            Ok(())
        })
        .unwrap();
    assert_eq!(cleared.get(), 1);
}

#[test]
fn the_lock_of_a_removed_directory_is_worth_nothing() {
    let (_dir, store) = store();
    let (dir, lock) = store.create(&id("a"), keep).unwrap();
    let second = store.open(&id("a")).unwrap();
    dir.remove().unwrap();
    drop(lock);
    assert!(matches!(second.try_lock(), Err(StoreError::NotFound(_))));
    // Nor does the old holder get the new container's lock.
    let _again = store.create(&id("a"), keep).unwrap();
    assert!(second.try_lock().is_err());
}

#[test]
fn a_start_without_a_waiting_process_fails_and_a_second_start_too() {
    let (_dir, store) = store();
    let (dir, _lock) = store.create(&id("a"), keep).unwrap();
    let fifo = dir.make_fifo().unwrap();
    dir.release().unwrap();
    let mut byte = [0];
    assert_eq!(rustix::io::read(&fifo, &mut byte).unwrap(), 1);
    assert!(dir.release().is_err());
}

#[test]
fn damaged_state_is_named() {
    let (_dir, store) = store();
    let (dir, _lock) = store.create(&id("a"), keep).unwrap();
    for damage in [&b""[..], b"{", b"[]", b"\xff\xfe", b"{\"id\":1}"] {
        dir.write(STATE, damage).unwrap();
        let message = dir.record().unwrap_err().to_string();
        assert!(message.contains("state.json"), "{message}");
    }
}

#[test]
fn listing_passes_over_what_is_not_a_container() {
    let (dir, store) = store();
    assert!(store.ids().unwrap().is_empty());
    for name in ["b", "a"] {
        store.create(&id(name), keep).unwrap();
    }
    std::fs::write(dir.path().join("root/file"), "").unwrap();
    std::fs::create_dir(dir.path().join("root/.hidden")).unwrap();
    assert_eq!(store.ids().unwrap(), [id("a"), id("b")]);
}
