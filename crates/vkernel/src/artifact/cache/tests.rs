use std::convert::Infallible;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use megabinary::digest::Digest;

use super::*;

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn key() -> CacheKey {
    CacheKey::of(&Digest::of(b"code"))
}

fn private() -> (tempfile::TempDir, Cache) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open_or_create(&dir.path().join("a/b")).unwrap();
    (dir, cache)
}

fn refused<T>(result: Result<T, CacheError>) -> String {
    match result {
        Err(error @ CacheError::Untrusted { .. }) => error.to_string(),
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("it was used"),
    }
}

#[test]
fn what_was_stored_is_found_again_and_only_under_its_key() {
    let (_dir, cache) = private();
    assert!(cache.lookup(&key()).unwrap().is_none());
    cache.store(&key(), b"compiled").unwrap();
    let mut text = String::new();
    let mut file = cache.lookup(&key()).unwrap().unwrap().0;
    std::io::Read::read_to_string(&mut file, &mut text).unwrap();
    assert_eq!(text, "compiled");
    assert!(
        cache
            .lookup(&CacheKey::of(&Digest::of(b"other")))
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_directory_others_can_write_is_refused() {
    let (_dir, cache) = private();
    for mode in [0o720, 0o702, 0o777, 0o1777] {
        chmod(cache.path(), mode);
        assert!(refused(Cache::open(cache.path())).contains("lets others write"));
    }
    chmod(cache.path(), 0o755);
    Cache::open(cache.path()).unwrap();
}

#[test]
fn a_directory_below_one_others_can_write_is_refused_unless_sticky() {
    let (_dir, cache) = private();
    let parent = cache.path().parent().unwrap().to_owned();
    chmod(&parent, 0o777);
    assert!(refused(Cache::open(cache.path())).contains("others can replace it"));
    chmod(&parent, 0o1777);
    Cache::open(cache.path()).unwrap();
}

#[test]
fn files_others_could_have_written_are_never_loaded() {
    let (_dir, cache) = private();
    let path = cache.path().join(artifact_name(&key()));
    cache.store(&key(), b"compiled").unwrap();
    chmod(&path, 0o420);
    assert!(refused(cache.lookup(&key())).contains("lets others write"));
    chmod(&path, 0o402);
    refused(cache.lookup(&key()));

    std::fs::remove_file(&path).unwrap();
    std::fs::write(cache.path().join("elsewhere"), b"compiled").unwrap();
    symlink("elsewhere", &path).unwrap();
    assert!(refused(cache.lookup(&key())).contains("symbolic link"));

    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(refused(cache.lookup(&key())).contains("not a regular file"));

    std::fs::remove_dir(&path).unwrap();
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a NUL-terminated path.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    assert!(refused(cache.lookup(&key())).contains("not a regular file"));
}

#[test]
fn another_users_directory_or_file_is_refused() {
    if !geteuid().is_root() {
        // Only root can give files away; the mode checks above cover the other half.
        return;
    }
    let (_dir, cache) = private();
    cache.store(&key(), b"compiled").unwrap();
    chown(cache.path().join(artifact_name(&key())), Some(12345), None).unwrap();
    assert!(refused(cache.lookup(&key())).contains("belongs to user 12345"));
    chown(cache.path(), Some(12345), None).unwrap();
    assert!(refused(Cache::open(cache.path())).contains("belongs to user 12345"));
    chown(cache.path(), Some(0), None).unwrap();
    chown(cache.path().parent().unwrap(), Some(12345), None).unwrap();
    assert!(refused(Cache::open(cache.path())).contains("others can replace it"));
}

#[test]
fn many_who_ask_at_once_compile_once() {
    let (_dir, cache) = private();
    let compiled = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            // Each opens the cache anew, as separate processes do: flock is per open file.
            let cache = Cache::open(cache.path()).unwrap();
            let compiled = &compiled;
            scope.spawn(move || {
                let artifact = cache.get_or_compile(&key(), || {
                    compiled.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(50));
                    Ok::<_, Infallible>(b"compiled".to_vec())
                });
                artifact.unwrap();
            });
        }
    });
    assert_eq!(compiled.load(Ordering::SeqCst), 1);
}

#[test]
fn a_failed_compilation_leaves_nothing_and_the_next_one_may_succeed() {
    let (_dir, cache) = private();
    let failed = cache.get_or_compile(&key(), || Err::<Vec<u8>, _>("out of memory"));
    assert!(failed.unwrap_err().to_string().contains("out of memory"));
    assert!(cache.lookup(&key()).unwrap().is_none());
    cache
        .get_or_compile(&key(), || Ok::<_, Infallible>(vec![1]))
        .unwrap();
}
