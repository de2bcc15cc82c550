//! Changes of `config.toml` under a living daemon.

use std::process::Stdio;

use exai_test::eventually;
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT, fixture, text};

fn finding(instance: &Instance, id: &str) -> Option<Value> {
    let status = instance.status();
    let findings = status["findings"].as_array().expect("findings");
    findings.iter().find(|finding| finding["id"] == id).cloned()
}

fn log(instance: &Instance) -> String {
    std::fs::read_to_string(instance.home().join("log/daemon.log")).unwrap_or_default()
}

#[test]
fn saved_changes_take_effect_under_living_clients_and_leave_the_others_alone() {
    let instance = Instance::with_fixture(&[]);
    let mut all = instance.shim(&[]);
    all.initialize(&json!({}));
    let mut one = instance.client("fix");
    let pid = one.call("pid", &json!({}));
    assert_eq!(all.call("fix__pid", &json!({})), pid);

    instance.configure(&(fixture("fix", &[]) + &fixture("two", &[])));
    while all.receive()["method"] != "notifications/tools/list_changed" {}
    assert!(all.call("two__pid", &json!({})) != pid);
    assert_eq!(one.call("pid", &json!({})), pid, "a server that did not change keeps its process");

    instance.configure(&fixture("fix", &[]));
    eventually("the server is gone", LIMIT, || {
        instance.status()["servers"].as_array().map(Vec::len) == Some(2)
    });
    assert_eq!(one.call("pid", &json!({})), pid);
    assert_eq!(log(&instance).matches("configuration loaded").count(), 2);
}

#[test]
fn an_invalid_file_is_named_with_its_place_until_it_is_mended_and_everything_serves_on() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    let pid = client.call("pid", &json!({}));
    let good = std::fs::read_to_string(instance.home().join("config.toml")).expect("a file");
    instance.configure("[servers.fix]\ncomand = \"x\"\n");
    eventually("it is named", LIMIT, || finding(&instance, "config-invalid").is_some());
    let detail = finding(&instance, "config-invalid").expect("a finding")["detail"].to_string();
    assert!(detail.contains("config.toml:4:1: unknown field `comand`"), "{detail}");
    assert_eq!(client.call("pid", &json!({})), pid);
    assert_eq!(instance.status()["state"], "running");
    assert!(
        instance.exai(&["add", "other", "--no-check", "--", "true"]).status.code() != Some(0),
        "nothing is added to it"
    );

    std::fs::write(instance.home().join("config.toml"), good).expect("it is mended");
    eventually("the finding is gone", LIMIT, || finding(&instance, "config-invalid").is_none());
    assert_eq!(client.call("pid", &json!({})), pid);
    assert_eq!(log(&instance).matches("the configuration is invalid").count(), 1, "said once");
}

#[test]
fn a_file_that_is_gone_or_wants_another_port_changes_nothing_but_the_findings() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    let pid = client.call("pid", &json!({}));
    let file = instance.home().join("config.toml");
    let good = std::fs::read_to_string(&file).expect("a file");
    let port = instance.port();

    std::fs::remove_file(&file).expect("it is removed");
    eventually("it is missed", LIMIT, || finding(&instance, "config-missing").is_some());
    std::fs::write(&file, good.replace("port = 0", "port = 1")).expect("another port");
    eventually("a restart is asked for", LIMIT, || {
        finding(&instance, "config-port").is_some_and(|finding| finding["fix"] == "exai restart")
    });
    assert!(finding(&instance, "config-missing").is_none());
    assert_eq!(instance.port(), port);
    assert_eq!(client.call("pid", &json!({})), pid);
    std::fs::write(&file, good).expect("as before");
    eventually("nothing is to be said", LIMIT, || instance.status()["findings"] == json!([]));
}

#[test]
fn what_add_and_remove_make_live_is_loaded_once() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    instance.ends(
        0,
        &["add", "more", "--no-check", "--", exai_test::program("fixture-server").to_str().expect("a path")],
    );
    let mut more = instance.client("more");
    more.call("pid", &json!({}));
    instance.ends(0, &["remove", "more"]);
    instance.configure(&(fixture("fix", &[]) + &fixture("two", &[])));
    let mut two = instance.shim(&["--server", "two"]);
    eventually("the next change is live", LIMIT, || two.initialize(&json!({}))["result"].is_object());
    client.call("pid", &json!({}));
    assert_eq!(log(&instance).matches("configuration loaded").count(), 3);
}

/// The names of the servers in `status`, without the built-in one.
fn servers(status: &Value) -> Vec<String> {
    let all = status["servers"].as_array().expect("servers").iter();
    all.filter_map(|server| server["name"].as_str())
        .filter(|name| *name != "exai")
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_daemon_that_starts_with_a_typo_goes_on_with_the_last_good_configuration_and_says_so() {
    let instance = Instance::with_fixture(&[]);
    instance.client("fix").call("pid", &json!({}));
    instance.ends(0, &["stop"]);
    instance.configure("[servers.fix]\ncomand = \"x\"\n");
    let place = "config.toml:4:1: unknown field `comand`";
    let offline = instance.exai(&["doctor", "--json"]);
    let said = text(&offline.stdout);
    assert!(said.contains(place) && said.contains("starts with the last good configuration"), "{said}");
    let stopped = instance.exai(&["status"]);
    let said = text(&stopped.stdout) + &text(&stopped.stderr);
    assert!(said.contains(place) && said.contains("last good configuration"), "{said}");

    let mut client = instance.client("fix");
    assert_eq!(client.call("echo", &json!({"message": "as before"})), "as before");
    let found = finding(&instance, "config-invalid").expect("a finding");
    let detail = found["detail"].as_str().expect("a sentence");
    assert!(detail.contains(place) && detail.contains("the last good configuration ("), "{detail}");
    assert!(detail.contains("backups"), "{detail}");
    let doctor = text(&instance.exai(&["doctor", "--json"]).stdout);
    assert!(doctor.contains(place) && doctor.contains("in force"), "{doctor}");
    let mut own = instance.client("exai");
    let answer = own.ask("tools/call", &json!({"name": "status", "arguments": {}}));
    let first = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
    assert!(first.lines().nth(1).is_some_and(|line| line.contains(place)), "{first}");
    let started = instance.exai(&["start"]);
    assert!(started.status.success(), "{}", text(&started.stderr));
    assert!(text(&started.stderr).contains(place), "{}", text(&started.stderr));

    instance.configure(&fixture("mended", &[]));
    eventually("it is mended", LIMIT, || finding(&instance, "config-invalid").is_none());
    assert_eq!(servers(&instance.status()), ["mended"]);
}

#[test]
fn without_a_last_good_configuration_the_servers_that_are_right_are_hosted() {
    let instance =
        Instance::new(&format!("{}[servers.bad]\ncommand = \n{}", fixture("one", &[]), fixture("two", &[])));
    let mut client = instance.client("two");
    client.call("pid", &json!({}));
    assert_eq!(servers(&instance.status()), ["one", "two"]);
    let detail = finding(&instance, "config-invalid").expect("a finding")["detail"].to_string();
    assert!(detail.contains("config.toml:7:") && detail.contains("without bad"), "{detail}");

    // Without a readable configuration the daemon still runs, but has no servers.
    let instance = Instance::new("[this is no configuration");
    let mut client = instance.shim(&[]);
    assert!(client.initialize(&json!({}))["result"].is_object());
    assert_eq!(servers(&instance.status()), Vec::<String>::new());
}

#[test]
fn of_twelve_who_add_a_server_at_once_each_is_in_the_file() {
    let instance = Instance::new("");
    let add = |number: u32| {
        let name = format!("s{number}");
        let mut command = instance.command(&["add", &name, "--no-check", "--", "true"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let all: Vec<_> = (0..12).map(add).collect();
    for child in all {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(instance.json(&["list", "--json"])["servers"].as_array().map(Vec::len), Some(12 + 1));
}

#[track_caller]
fn shell(program: &str, args: &[&str]) {
    let ended = std::process::Command::new(program).args(args).status();
    assert!(ended.is_ok_and(|status| status.success()), "{program} {args:?}");
}

#[test]
fn a_file_that_others_may_write_is_made_private_or_refused_and_that_is_said() {
    let instance = Instance::with_fixture(&[]);
    let (home, file) = (instance.home(), instance.home().join("config.toml"));
    let mode = || exai_os::inspect::entry(&file).expect("the file").mode;
    shell("chmod", &["755", &home.display().to_string()]);
    shell("chmod", &["666", &file.display().to_string()]);
    // Any account could write this file, so it may hold the commands of another account.
    let refused = instance.exai(&["start"]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(5), "{said}");
    assert!(said.contains("config.toml") && said.contains("0666") && said.contains("chmod"), "{said}");
    assert_eq!(instance.exai(&["start"]).status.code(), Some(5), "it stays so");
    // Now no other account could have reached the file.
    shell("chmod", &["700", &home.display().to_string()]);
    let started = instance.exai(&["start"]);
    let said = text(&started.stderr);
    assert!(started.status.success() && said.contains("0666") && said.contains("private now"), "{said}");
    assert_eq!(mode(), Some(0o600));
    shell("chmod", &["666", &file.display().to_string()]);
    eventually("it is made private under the daemon as well", LIMIT, || mode() == Some(0o600));
    eventually("that is said", LIMIT, || finding(&instance, "config-loose").is_some());
    instance.client("fix").call("pid", &json!({}));
}

#[test]
fn what_is_mended_by_chmod_or_chown_is_read() {
    let instance = Instance::new("");
    let dots = instance.dir().join("dots");
    std::fs::create_dir(&dots).expect("a directory");
    let target = dots.join("exai.toml");
    std::fs::write(&target, format!("[daemon]\nport = 0\n{}", fixture("fix", &[]))).expect("a file");
    let file = instance.home().join("config.toml");
    std::fs::remove_file(&file).expect("the file");
    shell("ln", &["-s", "../dots/exai.toml", &file.display().to_string()]);
    shell("chmod", &["666", &target.display().to_string()]);
    // exai does not read the file, so the file cannot name a port, and the default port may belong to another program.
    let started = instance.command(&["start"]).env("EXAI_PORT", "0").status();
    assert!(started.expect("it runs").success());
    let detail = || finding(&instance, "config-invalid").map(|found| found["detail"].to_string());
    assert!(detail().is_some_and(|detail| detail.contains("0666")), "{:?}", detail());
    assert_eq!(servers(&instance.status()), Vec::<String>::new(), "it may be somebody else's");
    shell("chmod", &["644", &target.display().to_string()]);
    eventually("it is read", LIMIT, || detail().is_none() && servers(&instance.status()) == ["fix"]);
    shell("chmod", &["777", &dots.display().to_string()]);
    eventually("its directory counts", LIMIT, || detail().is_some_and(|detail| detail.contains("/dots")));
    shell("chmod", &["755", &dots.display().to_string()]);
    eventually("that is mended as well", LIMIT, || detail().is_none());
    if std::process::Command::new("chown")
        .arg("12345")
        .arg(&target)
        .status()
        .is_ok_and(|status| status.success())
    {
        eventually("its owner counts", LIMIT, || detail().is_some_and(|detail| detail.contains("12345")));
        shell("chown", &["0", &target.display().to_string()]);
        eventually("it is given back", LIMIT, || detail().is_none());
    }
}

#[test]
fn a_link_to_a_file_of_the_account_is_followed_and_edits_go_through_it() {
    let instance = Instance::with_fixture(&[]);
    let file = instance.home().join("config.toml");
    let dots = instance.dir().join("dots");
    std::fs::create_dir(&dots).expect("a directory");
    std::fs::rename(&file, dots.join("exai.toml")).expect("it is moved");
    shell("ln", &["-s", &dots.join("exai.toml").display().to_string(), &file.display().to_string()]);
    instance.client("fix").call("pid", &json!({}));
    // The daemon starts an added server at once, so the program must be a server.
    instance.ends(
        0,
        &["add", "more", "--no-check", "--", exai_test::program("fixture-server").to_str().expect("a path")],
    );
    assert!(std::fs::symlink_metadata(&file).expect("it is there").is_symlink());
    assert!(std::fs::read_to_string(dots.join("exai.toml")).expect("the file").contains("[servers.more]"));
    assert_eq!(std::fs::read_dir(&dots).expect("the directory").count(), 1, "nothing stays beside it");
    assert_eq!(servers(&instance.status()), ["fix", "more"]);
    assert_eq!(instance.status()["findings"], json!([]));
    let doctor = text(&instance.exai(&["doctor", "--json"]).stdout);
    let doctor: Value = serde_json::from_str(&doctor).expect("a document");
    let checks = doctor["checks"].as_array().expect("checks");
    let files = checks.iter().find(|check| check["id"] == "files").expect("the check");
    assert_eq!(files["status"], "pass", "{files}");
}
