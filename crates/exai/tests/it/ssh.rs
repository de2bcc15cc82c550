//! Servers of another exai, reached over ssh. Here a script plays ssh, and the other machine is this one; `peers::ssh` has a
//! real ssh and a real server for it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use exai_os::process;
use exai_test::eventually;
use serde_json::{Value, json};

use crate::faults::{daemon, end};
use crate::support::{Client, Instance, LIMIT, fixture, text};

/// The exai of the other machine, with one server `fix`.
pub(crate) struct Far {
    pub(crate) instance: Instance,
    /// What the fixture has executed.
    ledger: PathBuf,
}

impl Far {
    pub(crate) fn new() -> Far {
        let instance = Instance::new("");
        let ledger = instance.dir().join("ledger");
        instance.configure(&fixture("fix", &["--ledger", ledger.to_str().expect("a path")]));
        let exai = exai_test::program("exai");
        // An ssh server passes no EXAI_HOME on.
        let script = format!(
            "#!/bin/sh\nEXAI_HOME='{}' exec '{}' \"$@\"\n",
            instance.home().display(),
            exai.display()
        );
        write_script(&instance.dir().join("exai"), &script);
        instance.ends(0, &["start"]);
        Far { instance, ledger }
    }

    /// The path of exai there.
    pub(crate) fn exai(&self) -> PathBuf {
        self.instance.dir().join("exai")
    }

    pub(crate) fn executed(&self, label: &str) -> usize {
        fs::read_to_string(&self.ledger).unwrap_or_default().matches(label).count()
    }
}

pub(crate) fn write_script(path: &Path, text: &str) {
    fs::write(path, text).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it may be run");
}

/// A script in the place of ssh: it knows the machines `far` (this one), `locked` and `bare`. Like ssh it is one process, so
/// that nothing speaks on when it is killed.
const SSH: &str = "#!/bin/sh
while :; do case \"$1\" in -T) shift ;; -o | -p) shift 2 ;; *) break ;; esac; done
host=$1
shift
case \"$host\" in
locked) echo 'Welcome!' >&2; echo 'me@locked: Permission denied (publickey).' >&2; exit 255 ;;
esac
exec env PATH=/usr/bin:/bin sh -c \"exec $*\"
";

/// The PATH of an instance in whose directory the script is.
fn path_with_ssh(near: &Instance) -> String {
    let folder = near.dir().join("bin");
    fs::create_dir_all(&folder).expect("a directory");
    write_script(&folder.join("ssh"), SSH);
    format!("{}:/usr/bin:/bin", folder.display())
}

/// An instance that has the server `fix` of the other one as `far`; `more` are keys of it.
fn reaching(far: &Far, more: &str) -> Instance {
    let near = Instance::new("");
    let (path, exai) = (path_with_ssh(&near), far.exai());
    near.configure(&format!(
        "[servers.far]\nvia = \"ssh://far\"\nenv = {{ PATH = {} }}\nremote_command = {}\n{more}\n",
        json!(path),
        json!(exai)
    ));
    near
}

pub(crate) fn far_row(near: &Instance) -> Value {
    let status = near.status();
    let row = status["servers"].as_array().expect("servers").iter().find(|row| row["name"] == "far");
    row.unwrap_or_else(|| panic!("{status}")).clone()
}

/// The process of ssh.
pub(crate) fn ssh_process(near: &Instance) -> process::Identity {
    let row = far_row(near);
    let pid = row["instances"][0]["root_pid"].as_u64().unwrap_or_else(|| panic!("{row}"));
    let pid = u32::try_from(pid).expect("a pid");
    process::identify(pid).expect("the process table").expect("it lives")
}

pub(crate) fn echo(client: &mut Client, message: &str) {
    assert_eq!(client.call("echo", &json!({"message": message})), message);
}

/// Has both daemons killed, the other machine's first, and checks that the client's next calls are answered.
pub(crate) fn survives_the_death_of_both_daemons(near: &Instance, far: &Far) {
    let mut client = near.client("far");
    echo(&mut client, "before");
    end(&daemon(&far.instance));
    echo(&mut client, "after the far daemon's death");
    end(&daemon(near));
    echo(&mut client, "after the near daemon's death");
    end(&daemon(&far.instance));
    end(&daemon(near));
    echo(&mut client, "after both");
}

/// Stops the exai of this machine, and checks that nothing is left of it here, and no client there.
pub(crate) fn leaves_nothing_behind(near: &Instance, far: &Far) {
    let ssh = ssh_process(near);
    near.ends(0, &["stop"]);
    let gone = || process::identify(ssh.pid).expect("the process table").as_ref() != Some(&ssh);
    eventually("ssh has ended", LIMIT, gone);
    eventually("the exai there has no client", LIMIT, || {
        far.instance.status()["clients"].as_array().is_some_and(Vec::is_empty)
    });
    far.instance.ends(0, &["stop"]);
    let status = far.instance.exai(&["status"]);
    assert_eq!(status.status.code(), Some(3), "{}", text(&status.stdout));
}

#[test]
fn a_server_of_another_exai_is_one_like_any_other_and_its_machine_is_named() {
    let far = Far::new();
    let near = reaching(&far, "server = \"fix\"");
    let mut client = near.client("far");
    echo(&mut client, "hello");
    let row = far_row(&near);
    assert_eq!((&row["via"], &row["state"]), (&json!("far"), &json!("ready")), "{row}");
    let shown = near.ends(0, &["status"]);
    assert!(shown.contains("via ssh on far, 1 instance"), "{shown}");
    let why = near.ends(0, &["why", "far"]);
    assert!(why.contains("it is `fix` of the exai on far, over ssh"), "{why}");
    let listed = near.json(&["list", "--json"]);
    assert_eq!(listed["servers"][0]["transport"], "ssh", "{listed}");
    assert!(near.ends(0, &["list"]).contains("`fix` of the exai on far, over ssh"));
    // A second client uses the same ssh, as that of any server over stdio.
    echo(&mut near.client("far"), "again");
    assert_eq!(far.instance.status()["clients"].as_array().map(Vec::len), Some(1));
    drop(client);
    leaves_nothing_behind(&near, &far);
    assert!(near.ends(3, &["status"]).contains("via ssh on far"));
}

#[test]
fn a_whole_exai_is_one_server() {
    let far = Far::new();
    let near = reaching(&far, "server = \"*\"");
    let mut client = near.client("far");
    assert_eq!(client.call("fix__echo", &json!({"message": "through"})), "through");
    assert!(near.ends(0, &["why", "far"]).contains("all servers of the exai on far, over ssh"));
}

#[test]
fn both_daemons_may_be_killed() {
    let far = Far::new();
    // The next exai there is a descendant of the script, unlike that of an ssh server, and must not end with it.
    let near = reaching(&far, "server = \"fix\"\ncontainment = \"group\"");
    survives_the_death_of_both_daemons(&near, &far);
    leaves_nothing_behind(&near, &far);
}

#[test]
fn a_call_on_a_broken_connection_is_not_made_again_and_the_next_one_connects_anew() {
    let far = Far::new();
    let near = reaching(&far, "server = \"fix\"");
    let mut client = near.client("far");
    let id = client.request("tools/call", &json!({"name": "hang", "arguments": {"label": "once"}}));
    eventually("the call is executed", LIMIT, || far.executed("once") == 1);
    end(&ssh_process(&near));
    let answer = client.answer(&id);
    assert_eq!(answer["error"]["code"], -31005, "{answer}");
    assert!(
        answer["error"]["message"].to_string().contains("may or may not have been carried out"),
        "{answer}"
    );
    echo(&mut client, "next");
    assert_eq!(far.executed("once"), 1);
}

#[test]
fn what_stands_in_the_way_is_said_when_the_server_is_added() {
    let far = Far::new();
    let near = Instance::new("");
    let path = format!("PATH={}", path_with_ssh(&near));
    let add = |args: &[&str]| {
        let output = near.exai(&[&["add", "--env", &path], args].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout) + &text(&output.stderr)
    };
    let exai = far.exai();
    let exai = exai.to_str().expect("a path");
    let said = add(&["far", "--via", "ssh://far", "--server", "fix", "--remote-command", exai]);
    assert!(said.starts_with("added far: ") && said.contains(" tools"), "{said}");
    let said = add(&["locked", "ssh://locked"]);
    let wanted = "could not be reached: ssh to locked failed: me@locked: Permission denied (publickey); try `ssh locked";
    assert!(said.contains(wanted), "{said}");
    let said = add(&["bare", "ssh://bare"]);
    assert!(said.contains("there is no `exai` on bare") && said.contains("`remote_command`"), "{said}");
    let said = add(&["gone", "--via", "ssh://far", "--remote-command", exai]);
    assert!(
        said.contains("added gone, but it does not start") && said.contains("no server is called"),
        "{said}"
    );
    for (args, sentence) in [
        (&["x", "--via", "ssh://-oProxyCommand=x"][..], "names no machine"),
        (&["x", "--server", "y", "--", "z"], "belong to a server of another exai"),
        (&["x", "ssh://far", "-H", "A=b"], "belongs to a server with a URL"),
    ] {
        let output = near.exai(&[&["add"], args].concat());
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(sentence), "{said}");
    }
}
