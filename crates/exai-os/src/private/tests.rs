use std::fs;
#[cfg(unix)]
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[cfg(unix)]
#[test]
fn creates_tightens_and_leaves_alone() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("a/b");
    assert_eq!(ensure_dir(&home).unwrap(), DirChecked::Created);
    assert_eq!(mode(&home), 0o700);
    assert_eq!(ensure_dir(&home).unwrap(), DirChecked::AsItShouldBe);
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(ensure_dir(&home).unwrap(), DirChecked::Tightened { was: Some(0o755) });
    assert_eq!(mode(&home), 0o700);
}

/// Under Wine a new directory is open to all accounts. On Windows the test first has to open it.
#[cfg(windows)]
#[test]
fn takes_a_directory_from_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("made by hand");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("file"), "kept").unwrap();
    if !crate::build::under_wine() {
        let mut icacls = std::process::Command::new("icacls");
        assert!(icacls.arg(&home).args(["/grant", "*S-1-1-0:(OI)(CI)M"]).status().unwrap().success());
    }
    let open_to_others = || crate::inspect::entry(&home).unwrap().open_to_others;
    assert!(open_to_others());
    assert_eq!(ensure_dir(&home).unwrap(), DirChecked::Tightened { was: None });
    assert!(!open_to_others());
    assert_eq!(ensure_dir(&home).unwrap(), DirChecked::AsItShouldBe);
    assert_eq!(read(&home.join("file"), 10).unwrap(), b"kept");
    assert_eq!(ensure_dir(&dir.path().join("ours")).unwrap(), DirChecked::Created);
    assert!(!crate::inspect::entry(&dir.path().join("ours")).unwrap().open_to_others);
}

/// A virus scanner may have a file open that was just written.
#[cfg(windows)]
#[test]
fn who_looks_at_a_file_for_a_moment_hinders_nobody() {
    use std::os::windows::fs::OpenOptionsExt as _;
    use std::time::Duration;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "old").unwrap();
    let looked_at = |shared| {
        let file = fs::OpenOptions::new().read(true).share_mode(shared).open(&path).unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            drop(file);
        })
    };
    let reader = looked_at(0);
    assert_eq!(read(&path, 10).unwrap(), b"old");
    reader.join().unwrap();
    let reader = looked_at(1);
    write_atomic(&path, b"new").unwrap();
    reader.join().unwrap();
    assert_eq!(read(&path, 10).unwrap(), b"new");
    let reader = looked_at(1);
    remove(&path).unwrap();
    reader.join().unwrap();
    assert!(!path.exists());
}

#[cfg(unix)]
#[test]
fn follows_a_link_only_to_a_directory_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    symlink(dir.path(), &link).unwrap();
    ensure_dir(&link).unwrap();
    assert_eq!(mode(dir.path()), 0o700);
    // Unless the tests run as root, this directory belongs to another account.
    if !rustix::process::geteuid().is_root() {
        let foreign = dir.path().join("foreign");
        symlink("/", &foreign).unwrap();
        assert!(matches!(ensure_dir(&foreign), Err(DirError::Foreign { .. })));
    }
    let dangling = dir.path().join("dangling");
    symlink(dir.path().join("nothing"), &dangling).unwrap();
    assert!(ensure_dir(&dangling).is_err());
}

#[cfg(unix)]
#[test]
fn never_takes_a_shared_directory_from_the_others() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    assert!(matches!(ensure_dir(dir.path()), Err(DirError::Shared { .. })));
    assert_eq!(mode(dir.path()), 0o1777);
    assert!(ensure_dir(Path::new("/")).is_err());
}

#[test]
fn refuses_what_is_not_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(ensure_dir(&file), Err(DirError::NotADirectory { .. })));
}

#[test]
fn writes_and_reads_back_with_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    assert_eq!(read(&path, 10).unwrap_err().kind(), io::ErrorKind::NotFound);
    write_atomic(&path, b"one").unwrap();
    write_atomic(&path, b"three").unwrap();
    assert_eq!(read(&path, 5).unwrap(), b"three");
    #[cfg(unix)]
    assert_eq!(mode(&path), 0o600);
    assert_eq!(read(&path, 4).unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays behind");
    remove(&path).unwrap();
    remove(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn never_hangs_on_what_is_not_a_regular_file() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    assert!(read(&fifo, 10).is_err());
    assert!(open_append(&fifo).is_err());
    assert!(read(dir.path(), 10).is_err());
    let target = dir.path().join("target");
    fs::write(&target, "secret").unwrap();
    let link = dir.path().join("link");
    symlink(&target, &link).unwrap();
    assert!(read(&link, 10).is_err());
    assert!(open_append(&link).is_err());
    remove(&link).unwrap();
    assert!(target.exists(), "the link goes, not its target");
}

#[test]
fn a_failed_write_leaves_no_temporary_file() {
    let dir = tempfile::tempdir().unwrap();
    let taken = dir.path().join("taken");
    fs::create_dir(&taken).unwrap();
    assert!(write_atomic(&taken, b"x").is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
#[test]
fn what_others_may_write_is_trusted_only_where_nobody_else_can_enter() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "mine").unwrap();
    set_mode(&path, 0o666);
    set_mode(dir.path(), 0o700);
    assert_eq!(read_trusted(&path, 10).unwrap(), b"mine");
    assert_eq!(exposed(dir.path(), &path), None);
    set_mode(dir.path(), 0o711);
    let refused = read_trusted(&path, 10).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    assert!(
        refused.to_string().contains("mode 0666") && refused.to_string().contains("chmod go-w"),
        "{refused}"
    );
    assert_eq!(exposed(dir.path(), &path), Some(0o666));
    let before = Stamp::of(&path);
    assert_eq!(tighten(&path).unwrap(), Some(0o666));
    assert_eq!((mode(&path), tighten(&path).unwrap()), (0o600, None));
    assert_ne!(Stamp::of(&path), before, "who may write it belongs to the stamp");
    assert_eq!(read_trusted(&path, 10).unwrap(), b"mine");
    assert_eq!(exposed(dir.path(), &path), None);
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_where_nobody_else_can_replace_anything_on_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let (home, dots) = (root.join("home"), root.join("dots"));
    fs::create_dir_all(dots.join("deep")).unwrap();
    fs::create_dir(&home).unwrap();
    for directory in [&root, &home, &dots, &dots.join("deep")] {
        set_mode(directory, 0o755);
    }
    let (target, link) = (dots.join("deep/file"), home.join("link"));
    fs::write(&target, "mine").unwrap();
    set_mode(&target, 0o644);
    symlink("../dots/deep", home.join("way")).unwrap();
    symlink("way/file", &link).unwrap();
    assert_eq!(read_trusted(&link, 10).unwrap(), b"mine");
    assert_eq!(trusted_place(&link).unwrap(), target);
    let refused = |what: &str| {
        let (error, place) = (read_trusted(&link, 10).unwrap_err(), trusted_place(&link));
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{what}: {error}");
        assert!(place.is_err() || what == "the file", "{what}: {place:?}");
    };
    let stamp = Stamp::of(&link);
    for (what, path, open, right) in [
        ("the file", &target, 0o666, 0o644),
        ("its directory", &dots.join("deep"), 0o777, 0o755),
        ("the one above", &dots, 0o757, 0o755),
        ("that of the link", &home, 0o777, 0o755),
    ] {
        set_mode(path, open);
        refused(what);
        assert_ne!(Stamp::of(&link), stamp, "{what}");
        set_mode(path, right);
    }
    // In a sticky directory no account can move the files of another one.
    set_mode(&dots, 0o1777);
    assert_eq!(read_trusted(&link, 10).unwrap(), b"mine");
    assert_eq!(tighten(&link).unwrap(), None, "what a link leads to is left as it is");
    fs::remove_file(&target).unwrap();
    let nothing = read_trusted(&link, 10).unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::InvalidData, "{nothing}");
    symlink(&link, &target).unwrap();
    assert!(read_trusted(&link, 10).unwrap_err().to_string().contains("leads nowhere"));
}

/// Only root can give a file to another account.
#[cfg(unix)]
#[test]
fn what_belongs_to_somebody_else_is_not_trusted_and_when_it_is_given_back_that_is_seen() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "whose").unwrap();
    let give = |owner| std::os::unix::fs::chown(&path, Some(owner), None).unwrap();
    give(12_345);
    let stamp = Stamp::of(&path);
    assert!(read_trusted(&path, 10).unwrap_err().to_string().contains("belongs to uid 12345"));
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(read_trusted(&link, 10).is_err());
    give(0);
    assert_eq!(
        (read_trusted(&path, 10).unwrap(), read_trusted(&link, 10).unwrap()),
        (b"whose".to_vec(), b"whose".to_vec())
    );
    assert_ne!(Stamp::of(&path), stamp);
}
