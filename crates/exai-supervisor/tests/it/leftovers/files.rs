//! Strange files in the directory of records: the cleanup never follows a link and never hangs, and it always gives a
//! reason.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use exai_supervisor::leftovers::{self, CleanupOutcome};
use exai_supervisor::record::TreeRole;

use super::scene::{Scene, Sleeper, recorded};

const NAME: &str = "everything.1.0123456789abcdef.json";

/// Runs a command in a directory; `false` where the command does not exist or fails.
fn run(dir: &Path, line: &[&str]) -> bool {
    let status = Command::new(line[0]).args(&line[1..]).current_dir(dir).status();
    status.is_ok_and(|status| status.success())
}

type Make = Box<dyn Fn(&Path) -> bool>;

fn file(bytes: &'static [u8]) -> Make {
    Box::new(move |path| std::fs::write(path, bytes).is_ok())
}

fn huge(path: &Path) -> bool {
    std::fs::File::create(path).and_then(|file| file.set_len(2 << 30)).is_ok()
}

#[test]
fn what_lies_in_the_directory_is_told_and_at_most_removed() {
    let command = |line: &'static [&'static str]| -> Make {
        Box::new(move |path: &Path| {
            let name = path.to_str().expect("a name");
            let line: Vec<&str> = line.iter().map(|word| if *word == "@" { name } else { *word }).collect();
            run(path.parent().expect("a directory"), &line)
        })
    };
    // For each case: the name, the content, whether the cleanup removes the file, and the words of the reason.
    let cases: Vec<(&str, Make, bool, &str)> = vec![
        (NAME, file(b""), true, "is empty"),
        (NAME, file(b"garbage"), true, "is no record"),
        (NAME, file(b"{\"schema\":1,\"instance\":\"0123"), true, "is no record"),
        (NAME, file(b"\0\0\0\0\0\0\0\0"), true, "is no record"),
        (NAME, file(b"\xff\xfe{}"), true, "is no record"),
        (NAME, file(b"{}"), true, "is no record"),
        (NAME, file(b"null"), true, "is no record"),
        (NAME, file(b"[[[[[[[["), true, "is no record"),
        (NAME, file(b"{\"schema\":1}"), true, "is no record"),
        (NAME, file(b"{\"schema\":-1}"), true, "is no record"),
        (NAME, file(b"{\"schema\":2}"), false, "schema 2"),
        (NAME, file(b"{\"schema\":99,\"processes\":\"new\"}"), false, "schema 99"),
        ("garbage.json", file(b"garbage"), true, "is no record"),
        ("empty.json", file(b""), true, "is empty"),
        ("package.json", file(b"{\"name\":\"a person's\"}"), false, "its name is not ours"),
        ("notes.txt", file(b"a person's"), false, "a name that is not ours"),
        ("everything.1.0123456789abcdef.json.bak", file(b"x"), false, "a name that is not ours"),
        (".hidden", file(b"x"), false, "a name that is not ours"),
        (NAME, Box::new(|path| std::fs::write(path, "[".repeat(1 << 20)).is_ok()), true, "is no record"),
        (NAME, Box::new(huge), true, "2048 MiB"),
        ("huge.json", Box::new(huge), false, "2048 MiB"),
        (NAME, Box::new(|path| std::fs::create_dir(path).is_ok()), false, "a directory"),
        (NAME, command(&["mkfifo", "@"]), false, "a pipe"),
        (NAME, command(&["ln", "-s", "../victim.json", "@"]), false, "a link"),
        (NAME, command(&["ln", "-s", "/nowhere", "@"]), false, "a link"),
        (NAME, command(&["ln", "-s", "@", "@"]), false, "a link"),
        (NAME, command(&["ln", "-s", "/dev/zero", "@"]), false, "a link"),
        (NAME, command(&["ln", "-s", "..", "@"]), false, "a link"),
        (NAME, command(&["ln", "../victim.json", "@"]), true, "is no record"),
        (".x.json.1.1.0.tmp", command(&["mkfifo", "@"]), false, "a pipe"),
        (".x.json.1.1.0.tmp", command(&["ln", "-s", "../victim.json", "@"]), false, "a link"),
        (".x.json.1.1.0.tmp", Box::new(|path| std::fs::create_dir(path).is_ok()), false, "a directory"),
    ];
    let mut longest = Duration::ZERO;
    for (name, make, removed, reason) in &cases {
        let scene = Scene::new();
        let victim = scene.dir.path().join("victim.json");
        std::fs::write(&victim, "garbage, and dear to somebody").expect("a victim");
        let path = scene.servers().join(name);
        if !make(&path) {
            continue; // this system cannot make such a file
        }
        let start = Instant::now();
        let (found, _) = scene.end();
        longest = longest.max(start.elapsed());
        let [file] = found.files.as_slice() else { panic!("{name} ({reason}): {found:?}") };
        assert!(file.reason.contains(reason), "{name}: {} has not: {reason}", file.reason);
        let gone = std::fs::symlink_metadata(&path).is_err();
        assert_eq!((file.removable, gone), (*removed, *removed), "{name}: {}", file.reason);
        assert_eq!(file.outcome == Some(CleanupOutcome::Removed), *removed);
        let text = std::fs::read_to_string(&victim).expect("the victim is there");
        assert_eq!(text, "garbage, and dear to somebody", "{name}");
    }
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

#[test]
fn records_that_are_nearly_right() {
    let scene = Scene::new();
    let decoy = Sleeper::sleep();
    let record = scene.record("everything#1", vec![recorded(&decoy.identity, TreeRole::Root)]);
    let good = serde_json::to_string(&record).expect("a record");
    let pid = decoy.pid().to_string();
    let path = scene.servers().join(NAME);
    let copies = [
        "everything.2.0123456789abcdef.json",
        "other.1.0123456789abcdef.json",
        "everything.1.fedcba9876543210.json",
        "copy.json",
    ];
    for name in copies {
        let copy = scene.servers().join(name);
        std::fs::write(&copy, &good).expect("a copy");
        let (found, _) = scene.end();
        assert!(found.trees.is_empty() && found.files[0].reason.contains("is a copy"), "{name}: {found:?}");
        std::fs::remove_file(copy).expect("it is still there");
    }
    let broken = [
        good.replace(&pid, "9999999999"),
        good.replace(&pid, "-1"),
        good.replace(&pid, "1e3"),
        good.replace(&pid, &format!("\"{pid}\"")),
        good.replace("\"place\":\"root\"", "\"place\":\"president\""),
        good.replace("\"strict\"", "\"everything\""),
        good.replace("\"pid\"", "\"PID\""),
        good[..good.len() / 2].to_owned(),
        good.clone() + "}",
    ];
    for text in broken {
        std::fs::write(&path, &text).expect("a file");
        let (found, _) = scene.end();
        assert!(found.trees.is_empty(), "{text}");
        assert!(found.files[0].outcome == Some(CleanupOutcome::Removed), "{text}: {found:?}");
    }
    assert!(decoy.lives());
}

#[test]
fn other_accounts_files_and_those_that_cannot_be_read() {
    let scene = Scene::new();
    let path = scene.servers().join(NAME);
    std::fs::write(&path, "garbage").expect("a file");
    // Only root can give a file to another account.
    if run(&scene.servers(), &["chown", "65534", NAME]) && !exai_os::ownership::file_is_ours(&path).unwrap() {
        let (found, _) = scene.end();
        assert!(found.files[0].reason.contains("another account") && path.exists(), "{found:?}");
        assert!(run(&scene.servers(), &["chown", "0", NAME]));
    }
    if run(&scene.servers(), &["chmod", "000", NAME]) {
        let (found, _) = scene.end();
        // Root can read the file all the same, and then its content counts as garbage.
        let left = found.files[0].reason.contains("cannot be read");
        assert_eq!(path.exists(), left, "{found:?}");
    }
}

#[test]
fn temporary_files_are_left_behind_after_a_minute() {
    let scene = Scene::new();
    let names = [".everything.1.0123.json.77.18ab.0.tmp", ".daemon.json.1.0.12.tmp"];
    for name in names {
        std::fs::write(scene.servers().join(name), "half").expect("a file");
    }
    assert!(scene.end().0.is_empty(), "somebody may be writing it");
    for name in names {
        let file = std::fs::File::options().write(true).open(scene.servers().join(name)).expect("the file");
        file.set_modified(SystemTime::now() - Duration::from_secs(61)).expect("its time is set");
    }
    assert_eq!(leftovers::temporaries(&scene.servers()).expect("a look").len(), 2);
    let (found, _) = scene.end();
    assert!(
        found.files.len() == 2
            && found.files.iter().all(|file| file.outcome == Some(CleanupOutcome::Removed))
    );
}

#[test]
fn a_directory_that_is_a_link_is_not_looked_into() {
    let scene = Scene::new();
    let mine = scene.dir.path().join("mine");
    std::fs::create_dir(&mine).expect("a directory");
    std::fs::write(mine.join(NAME), "garbage").expect("a file");
    std::fs::remove_dir(scene.servers()).expect("it was empty");
    if !run(scene.dir.path(), &["ln", "-s", "mine", "servers"]) {
        return;
    }
    let (found, _) = scene.end();
    assert!(found.files.len() == 1 && found.files[0].reason.contains("is no directory"), "{found:?}");
    assert!(mine.join(NAME).exists());
}
