//! Other environments, other names of the same directory, and other accounts.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::{Stranger, daemon, end, identify, record};
use crate::support::{Instance, text};

/// Whether the tests run as root, which may act for other accounts.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0)
}

/// Fault 9: The record names a process of another account, by its true identity.
#[test]
fn a_record_that_names_another_accounts_process_is_no_trouble() {
    let instance = Instance::new("");
    instance.ends(0, &["start"]);
    let mut record = record(&instance);
    end(&daemon(&instance));
    // Root may signal every process, so here exai must decide by itself not to do it.
    let other = is_root().then(|| {
        Stranger::start(Command::new("setpriv").args(["--reuid=65534", "--clear-groups", "sleep", "600"]))
    });
    let theirs =
        other.as_ref().map_or_else(|| identify(1).expect("the first"), |other| other.identity.clone());
    record["pid"] = json!(theirs.pid);
    record["identity"] = json!({"boot": theirs.boot, "pid": theirs.pid, "start": theirs.start});
    for command in ["stop", "start", "restart"] {
        std::fs::write(instance.home().join("daemon.json"), record.to_string()).expect("a record");
        let begun = std::time::Instant::now();
        instance.ends(0, &[command]);
        eprintln!("{command} beside a record of another account's process: {:.2?}", begun.elapsed());
        assert!(identify(theirs.pid).as_ref() == Some(&theirs), "{command}");
        instance.ends(0, &["stop"]);
    }
    instance.ends(3, &["status"]);
}

/// Fault 32: One account, one directory, one daemon, whatever the environment says and whatever name the directory has.
#[test]
fn other_environments_and_other_names_of_the_directory_lead_to_the_same_daemon() {
    let instance = Instance::new("");
    instance.ends(0, &["start"]);
    let expected = daemon(&instance).pid;
    let elsewhere = instance.dir().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("a directory");
    let link = instance.dir().join("link");
    std::os::unix::fs::symlink(instance.home(), &link).expect("a link");
    let environments: [&[(&str, &str)]; 5] = [
        &[("HOME", "/nowhere")],
        &[("XDG_RUNTIME_DIR", "/nowhere"), ("XDG_STATE_HOME", "/nowhere"), ("XDG_CONFIG_HOME", "/nowhere")],
        &[("TMPDIR", "/nowhere"), ("USER", "nobody"), ("LOGNAME", "nobody")],
        &[("SUDO_USER", "nobody"), ("SUDO_UID", "65534")],
        &[],
    ];
    let names: [PathBuf; 5] = [
        instance.home(),
        instance.home().join(""),
        instance.home().join("../home"),
        PathBuf::from("home"),
        link,
    ];
    let mut number = 0;
    for (round, environment) in environments.into_iter().enumerate() {
        for name in &names {
            number += 1;
            let run = |args: &[&str]| {
                let mut command = instance.command(args);
                command.current_dir(instance.dir()).env("EXAI_HOME", name);
                if round == 4 {
                    // An almost empty environment, as a desktop gives to its programs.
                    command.env_clear().env("EXAI_HOME", name);
                }
                command.envs(environment.iter().copied()).output().expect("it runs")
            };
            let started = run(&["start"]);
            let said = text(&started.stdout) + &text(&started.stderr);
            assert!(
                started.status.success() && said.contains("already running"),
                "{environment:?} {name:?}: {said}"
            );
            let status = run(&["status", "--json"]);
            let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("a document");
            assert_eq!(status["daemon"]["pid"], json!(expected), "{environment:?} {name:?}");
        }
    }
    let second = |name: &PathBuf| {
        let mut command = instance.command(&["serve"]);
        command.current_dir(instance.dir()).env("EXAI_HOME", name).stderr(std::process::Stdio::null());
        command.spawn().expect("it starts")
    };
    for mut second in names.iter().map(second).collect::<Vec<_>>() {
        assert_eq!(second.wait().expect("it ends").code(), Some(75), "another daemon holds the lock");
    }
    eprintln!("{number} environments and names: one daemon");
}

/// Fault 32: Root in the directory of another account, or the other way round: exai refuses with a sentence, and starts
/// and makes nothing.
#[test]
fn a_directory_of_another_account_is_refused_in_words() {
    if !is_root() {
        eprintln!("skipped: only root can be two accounts");
        return;
    }
    let instance = Instance::new("");
    let home = instance.home();
    let entries = |home: &Path| std::fs::read_dir(home).expect("the directory").count();
    let before = entries(&home);
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).expect("it is given away");
    for args in [&["start"][..], &["serve"], &["stop"]] {
        let output = instance.exai(args);
        let said = text(&output.stderr);
        eprintln!(
            "{args:?}, as root, for another's directory: exit {:?}: {}",
            output.status.code(),
            said.trim()
        );
        if args != ["stop"] {
            assert!(!output.status.success() && said.contains("uid 65534"), "{args:?}: {said}");
        }
    }
    assert_eq!(entries(&home), before, "nothing was put there");
    std::os::unix::fs::chown(&home, Some(0), Some(0)).expect("it is taken back");
}
