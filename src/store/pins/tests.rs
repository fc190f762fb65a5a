//! What content-addressed files promise.

use super::*;

#[test]
fn what_was_put_again_is_as_new() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let address = files.put(b"one").unwrap();
    let old = |address: &str| {
        let file = File::options().write(true).open(path_of(dir.path(), address).unwrap()).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    };
    let limit = Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1));
    assert!(!files.remove(&address, limit).unwrap(), "it is new");
    old(&address);
    assert_eq!(files.put(b"one").unwrap(), address);
    assert!(!files.remove(&address, limit).unwrap(), "it was put again");
    old(&address);
    assert!(files.remove(&address, limit).unwrap() && !files.remove(&address, limit).unwrap());
}

/// Which file lies there: another one has another number, or came later.
fn identity(dir: &Path, address: &str) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt;
    let found = fs::metadata(path_of(dir, address).unwrap()).unwrap();
    let written = fs::metadata(dir.join(UNFINISHED)).unwrap();
    (found.ino(), written.mtime(), written.mtime_nsec())
}

#[test]
fn what_lies_there_is_not_written_again_in_this_life_or_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let address = files.put(b"the definition").unwrap();
    let first = identity(dir.path(), &address);
    assert_eq!(files.put(b"the definition").unwrap(), address);
    assert_eq!(identity(dir.path(), &address), first, "in this life");
    drop(files);
    let files = Files::open(dir.path()).unwrap();
    assert!(lock(&files.shelves).durable.get(&address).is_none(), "an earlier life is not believed");
    assert_eq!(files.put(b"the definition").unwrap(), address);
    assert_eq!(identity(dir.path(), &address), first, "in the next");
    assert!(lock(&files.shelves).durable.get(&address).is_some(), "it was synced again");
}

#[test]
fn what_is_not_whole_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let address = files.put(b"the definition").unwrap();
    for damaged in [b"the d".as_slice(), b"", b"THE definition", b"the definition and more"] {
        fs::write(path_of(dir.path(), &address).unwrap(), damaged).unwrap();
        assert_eq!(files.put(b"the definition").unwrap(), address);
        assert_eq!(files.get(&address).unwrap(), b"the definition");
    }
}

#[test]
fn what_was_removed_is_written_again_and_a_removal_meanwhile_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let address = files.put(b"one").unwrap();
    assert!(files.remove(&address, None).unwrap());
    assert!(lock(&files.shelves).durable.get(&address).is_none());
    // Synced before the removal, and told after it: that says nothing of what lies there by then.
    lock(&files.shelves).remember(&address, 0);
    assert!(lock(&files.shelves).durable.get(&address).is_none());
    assert_eq!(files.put(b"one").unwrap(), address);
    assert_eq!(files.get(&address).unwrap(), b"one");
}

#[test]
fn an_unfinished_file_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let mut writer = files.create().unwrap();
    writer.write_all(b"half").unwrap();
    drop(writer);
    assert_eq!(fs::read_dir(dir.path().join(UNFINISHED)).unwrap().count(), 0);
    std::mem::forget(files.create().unwrap());
    assert_eq!(fs::read_dir(dir.path().join(UNFINISHED)).unwrap().count(), 1);
    Files::open(dir.path()).unwrap();
    assert_eq!(fs::read_dir(dir.path().join(UNFINISHED)).unwrap().count(), 0, "after a crash");
}

#[test]
fn a_scratch_file_has_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let mut scratch = files.scratch().unwrap();
    let other = files.scratch().unwrap();
    assert_eq!(fs::read_dir(dir.path().join(UNFINISHED)).unwrap().count(), 0);
    scratch.write_all(b"passing").unwrap();
    let mut read = [0; 7];
    std::os::unix::fs::FileExt::read_exact_at(&scratch, &mut read, 0).unwrap();
    assert_eq!((&read, other.metadata().unwrap().len()), (b"passing", 0));
}

#[test]
fn changed_content_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let address = files.put(b"as it was").unwrap();
    fs::write(path_of(dir.path(), &address).unwrap(), b"as it is").unwrap();
    assert!(matches!(files.get(&address), Err(Error::NotGenuine(_))));
}

#[test]
fn no_text_names_a_file_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    for address in ["", "../../etc/passwd", &"a".repeat(63), &"A".repeat(64), &"/".repeat(64)] {
        assert!(matches!(files.get(address), Err(Error::NotKept(_))), "{address}");
    }
}
