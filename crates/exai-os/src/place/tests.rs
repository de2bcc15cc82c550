use std::fs;
use std::io::Read as _;

use super::*;

fn text(place: &Place) -> String {
    let mut text = String::new();
    place.open().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_file_is_what_was_found_whatever_is_at_its_path_now() {
    let dir = tempfile::tempdir().unwrap();
    let directory = Place::find(dir.path()).unwrap();
    assert!(directory.is_directory());
    let path = directory.real_path().join("Äpfel und Birnen.txt");
    assert_eq!(Place::find(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    fs::write(&path, "first").unwrap();
    let place = Place::find(&dir.path().join("Äpfel und Birnen.txt")).unwrap();
    assert!(!place.is_directory());
    assert_eq!(place.real_path(), path);
    if cfg!(unix) {
        fs::rename(&path, dir.path().join("aside")).unwrap();
        fs::write(&path, "second").unwrap();
    }
    assert_eq!(text(&place), "first");
    assert!(directory.open().is_err());
}

#[test]
fn entries_are_told_with_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    fs::create_dir(dir.path().join("directory")).unwrap();
    let place = Place::find(dir.path()).unwrap();
    let mut found: Vec<_> = place.entries().unwrap().map(Result::unwrap).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let kinds: Vec<_> = found.iter().map(|entry| (entry.name.to_str().unwrap(), entry.kind)).collect();
    assert_eq!(kinds, [("directory", EntryKind::Directory), ("file", EntryKind::File)]);
    let age = found[1].modified.elapsed().unwrap_or_default();
    assert!(age.as_secs() < 3600, "{age:?}");
}

#[cfg(unix)]
#[test]
fn a_link_says_where_it_has_led() {
    use std::os::unix::fs::symlink;

    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().canonicalize().unwrap();
    fs::create_dir(real.join("a")).unwrap();
    fs::write(real.join("a/file"), "x").unwrap();
    symlink(real.join("a"), real.join("b")).unwrap();
    assert_eq!(Place::find(&real.join("b/file")).unwrap().real_path(), real.join("a/file"));
    let kind = |name: &str| {
        let entries = Place::find(&real).unwrap().entries().unwrap();
        entries.map(Result::unwrap).find(|entry| entry.name == name).unwrap().kind
    };
    assert_eq!((kind("a"), kind("b")), (EntryKind::Directory, EntryKind::Link));
    symlink("nowhere", real.join("c")).unwrap();
    assert_eq!(Place::find(&real.join("c")).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_special_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let special = ["/dev/zero", "/dev/tty", "/proc/self/mem", "/proc/self/environ", "/proc", "/sys/kernel"];
    for path in special.iter().map(Path::new).chain([&*fifo, &*socket]) {
        let error = Place::find(path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{}: {error}", path.display());
    }
}
