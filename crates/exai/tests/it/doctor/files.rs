//! Strange files in the place of the state directory and of each file in it.

use std::path::Path;

use serde_json::json;

use super::{finds, shell, stopped};

#[test]
fn loose_modes_are_reported_and_not_changed() {
    let instance = stopped();
    let set = |path: &Path, mode: &str| shell("chmod", &[mode, &path.display().to_string()]);
    let mode = |path: &Path| exai_os::inspect::entry(path).expect("it is there").mode;
    let (home, token) = (instance.home(), instance.home().join("token"));
    set(&token, "644");
    finds(&instance, "files", "warn", &["token", "0644", "chmod 600"]);
    set(&home, "755");
    finds(&instance, "state-dir", "warn", &["0755", "chmod 700"]);
    set(&home.join("log"), "777");
    finds(&instance, "files", "warn", &["/log ", "0777"]);
    assert_eq!((mode(&home), mode(&token)), (Some(0o755), Some(0o644)), "it only reports");
}

#[test]
fn whatever_stands_in_the_place_of_a_file_ends_in_a_sentence() {
    let places = ["daemon.json", "token", "instance.lock", "config.toml"];
    for place in places {
        let instance = stopped();
        let path = instance.home().join(place);
        let put: [(&str, &dyn Fn()); 3] = [
            ("a named pipe", &|| {
                shell("mkfifo", &[&path.display().to_string()]);
            }),
            ("a directory", &|| std::fs::create_dir(&path).expect("a directory")),
            ("a symbolic link", &|| {
                shell("ln", &["-s", "/etc/passwd", &path.display().to_string()]);
            }),
        ];
        for (kind, put) in put {
            // Windows has no named pipes in directories, and lets few accounts make links.
            if cfg!(windows) && kind != "a directory" {
                continue;
            }
            let _ = std::fs::remove_file(&path);
            put();
            if place != "config.toml" || kind != "a symbolic link" {
                finds(&instance, "files", "fail", &[place, kind]);
            }
            // The configuration may be a link to a file of root, but this link leads to no such file.
            match place {
                "instance.lock" => _ = finds(&instance, "daemon-lock", "fail", &[place]),
                "config.toml" => _ = finds(&instance, "config", "fail", &[place]),
                _ => {}
            }
            let removed = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
            removed.expect("it is still there");
        }
    }
}

#[test]
fn a_state_directory_that_is_none_is_said() {
    let instance = stopped();
    let home = instance.home();
    let link = |to: &str| {
        shell("ln", &["-s", &instance.dir().join(to).display().to_string(), &home.display().to_string()]);
    };
    std::fs::rename(&home, instance.dir().join("away")).expect("it is moved");
    finds(&instance, "state-dir", "pass", &["does not exist yet"]);
    std::fs::write(&home, "").expect("a file");
    finds(&instance, "state-dir", "fail", &["not a directory", "EXAI_HOME"]);
    if cfg!(windows) {
        return; // few accounts may make links there
    }
    std::fs::remove_file(&home).expect("it is removed");
    link("nowhere");
    finds(&instance, "state-dir", "fail", &["leads nowhere"]);
    std::fs::remove_file(&home).expect("it is removed");
    link("away");
    finds(&instance, "state-dir", "pass", &["a link to"]);
}

#[test]
fn records_that_were_damaged_or_left_are_counted() {
    let instance = stopped();
    for garbage in ["", "{", "[]", "{\"schema\":1}"] {
        std::fs::write(instance.home().join("daemon.json"), garbage).expect("a file");
        finds(&instance, "files", "warn", &["daemon.json is ignored"]);
    }
    std::fs::remove_file(instance.home().join("daemon.json")).expect("it is removed");
    let dead = json!({"boot": "earlier", "pid": 2, "start": 1});
    let record = json!({"schema": 1, "instance": "x", "daemon": dead, "server": "fix", "id": "fix#1",
        "started_at": "2026-01-01T00:00:00Z", "containment": "strict", "processes": []});
    std::fs::write(instance.home().join("servers/fix.1.x.json"), record.to_string()).expect("a record");
    std::fs::write(instance.home().join("servers/torn.json"), "{").expect("a record");
    finds(&instance, "left-behind", "warn", &["1 record", "1 file", "exai cleanup"]);
}
