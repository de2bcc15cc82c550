//! Strange files in the place of daemon.json, with and without a living daemon.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use exai_test::eventually;
use serde_json::Value;

use super::{SECOND, comes_and_goes, daemons, look, pid, run};
use crate::support::{Instance, text};

const FORMS: [&str; 12] = [
    "missing",
    "empty",
    "truncated",
    "garbage",
    "binary",
    "wrong schema",
    "future schema",
    "huge",
    "directory",
    "full directory",
    "fifo",
    "symlink",
];

/// The forms that any account can make here: Windows has no named pipes in directories, and lets few accounts make
/// links.
fn forms() -> Vec<&'static str> {
    FORMS.into_iter().filter(|form| !cfg!(windows) || !matches!(*form, "fifo" | "symlink")).collect()
}

/// Puts the form in the place of the record. `good` is the record that a daemon wrote.
fn put(form: &str, path: &Path, good: &[u8], victim: &Path) {
    let _ = std::fs::remove_file(path);
    let write = |bytes: &[u8]| std::fs::write(path, bytes).expect("it is written");
    match form {
        "missing" => {}
        "empty" => write(b""),
        "truncated" => write(&good[..good.len() / 2]),
        "garbage" => write(b"not json at all\n"),
        "binary" => write(&[0, 255, 254, 0, 7]),
        "wrong schema" => write(br#"{"schema":"one","pid":"me","endpoint":17}"#),
        "future schema" => {
            let mut record: Value = serde_json::from_slice(good).expect("a record");
            record["schema"] = 99.into();
            record["news"] = "from the future".into();
            write(record.to_string().as_bytes());
        }
        "huge" => {
            let file = std::fs::File::create(path).expect("a file");
            file.set_len(2 << 30).expect("a sparse file");
        }
        "directory" => std::fs::create_dir(path).expect("a directory"),
        "full directory" => std::fs::create_dir_all(path.join("kept")).expect("a directory"),
        "fifo" => run(Command::new("mkfifo").arg(path)),
        "symlink" => run(Command::new("ln").arg("-s").arg(victim).arg(path)),
        other => panic!("what is {other}?"),
    }
}

/// Runs `exai` and returns its exit code. The command must not take long.
fn quick(instance: &Instance, form: &str, args: &[&str]) -> Option<i32> {
    let begun = Instant::now();
    let code = instance.exai(args).status.code();
    assert!(begun.elapsed() < SECOND * 2, "{form}: exai {args:?} took {:?}", begun.elapsed());
    code
}

#[test]
fn a_living_daemon_puts_its_record_right_whatever_is_in_its_place() {
    let instance = Instance::new("");
    instance.ends(0, &["start"]);
    let daemon = pid(&instance);
    let path = instance.home().join("daemon.json");
    let victim = instance.dir().join("victim");
    std::fs::write(&victim, "mine").expect("a file");
    let good = std::fs::read(&path).expect("a record");
    let mut longest = std::time::Duration::ZERO;
    for form in forms() {
        put(form, &path, &good, &victim);
        let begun = Instant::now();
        let status = look(&instance);
        assert!(begun.elapsed() < SECOND * 2, "{form}: {:?}", begun.elapsed());
        let verdict = status["state"].as_str().unwrap_or_default();
        assert!(["starting", "running"].contains(&verdict), "{form}: a daemon lives: {status}");
        eventually(&format!("{form}: it is put right"), SECOND * 2, || {
            exai_os::private::read(&path, 1 << 20).is_ok_and(|found| found == good)
        });
        longest = longest.max(begun.elapsed());
        assert_eq!(quick(&instance, form, &["start"]), Some(0));
        assert_eq!(daemons(&instance), [daemon], "{form}");
    }
    eprintln!("{} forms of daemon.json put right, the longest in {longest:.2?}", forms().len());
    assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), "mine");
    let set_aside = std::fs::read_dir(instance.home())
        .expect("the directory")
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().join("kept").is_dir()));
    assert_eq!(set_aside.count(), 1, "what was in the way was not destroyed");
}

#[test]
fn without_a_daemon_nothing_in_the_place_of_its_record_is_believed_or_in_the_way() {
    let instance = Instance::new("");
    let path = instance.home().join("daemon.json");
    let victim = instance.dir().join("victim");
    std::fs::write(&victim, "mine").expect("a file");
    instance.ends(0, &["start"]);
    let good = std::fs::read(&path).expect("a record");
    instance.ends(0, &["stop"]);
    for form in forms() {
        put(form, &path, &good, &victim);
        let expected = if form == "future schema" { "stale" } else { "stopped" };
        assert_eq!(look(&instance)["state"], expected, "{form}");
        assert_eq!(quick(&instance, form, &["status"]), Some(3), "{form}");
        assert_eq!(quick(&instance, form, &["stop"]), Some(0), "{form}");
        comes_and_goes(&instance, form);
    }
    assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), "mine");
    eprintln!("{} forms of daemon.json without a daemon: told apart, never in the way", forms().len());
}

#[test]
fn a_link_in_the_place_of_the_log_is_named_in_the_error() {
    let instance = Instance::new("");
    let log = instance.home().join("log").join("daemon.log");
    std::fs::create_dir(log.parent().expect("a parent")).expect("a directory");
    let victim = instance.dir().join("victim");
    std::fs::write(&victim, "mine").expect("a file");
    put("symlink", &log, b"", &victim);
    let failed = instance.exai(&["start"]);
    let said = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("{}: is a symbolic link", log.display())), "{said}");
    assert_eq!(std::fs::read_to_string(&victim).expect("the victim"), "mine");
}
