//! The small pieces on their own.
#![expect(clippy::disallowed_methods, reason = "tests set up files in place")]

use std::fs;
use std::io::{Read, Write};

use mambafleet_artifacts::{
    StoreError, append_file, atomic_write, atomic_write_json, create_dir_durable,
};

#[test]
fn an_atomic_write_leaves_the_readers_of_the_old_content_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    atomic_write(&path, b"old content").unwrap();
    let mut reader = fs::File::open(&path).unwrap();
    atomic_write_json(&path, &[1, 2]).unwrap();
    let mut seen = String::new();
    reader.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "old content");
    assert_eq!(fs::read_to_string(&path).unwrap(), "[\n  1,\n  2\n]\n");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn an_atomic_write_that_fails_keeps_the_old_content_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("taken");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("inside"), "x").unwrap();
    let error = atomic_write(&path, b"new").unwrap_err();
    assert!(matches!(error, StoreError::Io { op: "replace", .. }), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let error = atomic_write(&dir.path().join("absent/file"), b"new").unwrap_err();
    assert!(error.to_string().contains("absent"), "{error}");
}

#[cfg(unix)]
#[test]
fn atomically_written_files_are_as_readable_as_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
    fs::write(dir.path().join("plain"), "").unwrap();
    atomic_write(&dir.path().join("atomic"), b"").unwrap();
    assert_eq!(mode("atomic"), mode("plain"));
}

#[test]
fn directories_are_made_with_all_above_them() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    create_dir_durable(&deep).unwrap();
    create_dir_durable(&deep).unwrap();
    assert!(deep.is_dir());
    fs::write(dir.path().join("file"), "").unwrap();
    assert!(create_dir_durable(&dir.path().join("file")).is_err());
    assert!(create_dir_durable(&dir.path().join("file/below")).is_err());
}

#[test]
fn appending_keeps_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    for line in ["one\n", "two\n"] {
        append_file(&path).unwrap().write_all(line.as_bytes()).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    assert!(append_file(dir.path()).is_err());
}
