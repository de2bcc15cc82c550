//! A server of another exai, over a real ssh: OpenSSH's client, and sshd or, where that is not installed, the ssh server of
//! the peers. Keys, configuration and known machines are the test's own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use exai_os::process;
use exai_test::{eventually, free_port, peers};
use serde_json::json;

use crate::faults::signal;
use crate::ssh::{Far, echo, far_row, leaves_nothing_behind, survives_the_death_of_both_daemons};
use crate::support::{Instance, LIMIT, text};

/// A machine that ssh can reach: this one. It can be reached until this is dropped.
struct Machine {
    dir: tempfile::TempDir,
    server: Child,
    /// Its processes that were stopped.
    frozen: Vec<u32>,
}

impl Machine {
    fn start() -> Machine {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["host_key", "user_key", "other_key"] {
            make_key(&dir.path().join(name));
        }
        fs::copy(dir.path().join("user_key.pub"), dir.path().join("authorized_keys")).expect("a copy");
        let (server, port, kind) = match start_sshd(dir.path()) {
            Some((server, port)) => (server, port, "sshd"),
            None => start_peer(dir.path()),
        };
        eprintln!("the ssh server is {kind}");
        let machine = Machine { dir, server, frozen: Vec::new() };
        machine.write_configuration(port);
        machine
    }

    /// The configuration of ssh names the machine and its keys, as a person's does.
    fn write_configuration(&self, port: u16) {
        let key = fs::read_to_string(self.path("host_key.pub")).expect("a key");
        let key = key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        fs::write(self.path("known_hosts"), format!("far.test {key}\n")).expect("a file");
        let host = |name: &str, identity: &str| {
            format!(
                "Host {name}\n HostName 127.0.0.1\n Port {port}\n User {}\n IdentityFile {}\n IdentitiesOnly yes\n \
                 IdentityAgent none\n HostKeyAlias far.test\n UserKnownHostsFile {}\n GlobalKnownHostsFile /dev/null\n \
                 StrictHostKeyChecking yes\n",
                account(),
                self.path(identity).display(),
                self.path("known_hosts").display()
            )
        };
        let all = host("far.test", "user_key") + &host("locked.test", "other_key");
        fs::write(self.path("config"), all).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Stops the processes of the ssh server, so that nothing is answered any more.
    fn freeze(&mut self) {
        let all = process::snapshot().expect("the process table");
        let mut stopped = vec![self.server.id()];
        while let Some(next) =
            all.iter().find(|one| stopped.contains(&one.ppid) && !stopped.contains(&one.pid))
        {
            stopped.push(next.pid);
        }
        for pid in &stopped {
            signal("STOP", *pid);
        }
        self.frozen = stopped;
    }

    /// Ends the ssh server, and what was stopped of it.
    fn end(&mut self) {
        for pid in self.frozen.drain(..) {
            signal("KILL", pid);
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// The keys of a server of the exai on this machine.
    fn server(&self, name: &str, host: &str, exai: &Path) -> String {
        format!(
            "[servers.{name}]\nvia = \"ssh://{host}\"\nserver = \"fix\"\nremote_command = {}\n\
             args = [\"-F\", {}, \"-o\", \"ServerAliveInterval=1\"]\n",
            json!(exai),
            json!(self.path("config"))
        )
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
    }
}

fn make_key(path: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).output();
    let made =
        made.expect("ssh-keygen runs; OpenSSH's client is needed, on Debian the package openssh-client");
    assert!(made.status.success(), "{}", text(&made.stderr));
}

/// The name of the account that runs the test: sshd lets nobody else in.
fn account() -> String {
    let output = Command::new("id").arg("-un").output().expect("id runs");
    text(&output.stdout).trim().to_owned()
}

/// Starts sshd. `None` where it is not installed, or may not run: as root it wants an account and a directory.
fn start_sshd(dir: &Path) -> Option<(Child, u16)> {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin"];
    let sshd =
        folders.map(|folder| Path::new(folder).join("sshd")).into_iter().find(|sshd| sshd.is_file())?;
    let port = free_port();
    let shown = |name: &str| dir.join(name).display().to_string();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nUsePAM no\nStrictModes no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\nPermitRootLogin prohibit-password\n",
        shown("host_key"),
        shown("authorized_keys")
    );
    fs::write(dir.join("sshd_config"), config).expect("a file");
    let command = || {
        let mut command = Command::new(&sshd);
        command.arg("-f").arg(dir.join("sshd_config")).stdin(Stdio::null());
        command
    };
    let tried = command().arg("-t").output().ok()?;
    if !tried.status.success() {
        eprintln!("sshd may not run: {}", text(&tried.stderr));
        return None;
    }
    let errors = fs::File::create(dir.join("sshd.log")).expect("a file");
    let server = command().args(["-D", "-e"]).stderr(errors).spawn().expect("sshd starts");
    eventually("sshd listens", LIMIT, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    Some((server, port))
}

/// Starts the ssh server of the peers, which ends with the test at the latest: then its stdin ends.
fn start_peer(dir: &Path) -> (Child, u16, &'static str) {
    let mut command = Command::new(peers::ssh_python());
    // A coroutine that the library forgets is no concern of the test.
    command.args(["-W", "ignore"]).arg(peers::folder().join("ssh_server.py"));
    command.arg(dir.join("host_key")).arg(dir.join("authorized_keys"));
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    let said = BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut line);
    said.expect("it says its port");
    (server, line.trim().parse().expect("a port"), "that of the peers")
}

#[test]
fn a_server_over_ssh_survives_the_death_of_both_daemons_and_leaves_nothing_behind() {
    let (machine, far) = (Machine::start(), Far::new());
    let near = Instance::new(&machine.server("far", "far.test", &far.exai()));
    let mut client = near.client("far");
    echo(&mut client, "through ssh");
    let status = near.ends(0, &["status"]);
    assert!(status.contains("via ssh on far.test"), "{status}");
    assert!(near.ends(0, &["why", "far"]).contains("it is `fix` of the exai on far.test, over ssh"));
    drop(client);
    survives_the_death_of_both_daemons(&near, &far);
    leaves_nothing_behind(&near, &far);
}

#[test]
fn what_ssh_itself_says_is_told() {
    let (mut machine, far) = (Machine::start(), Far::new());
    let nowhere = machine.path("no-exai-here");
    let servers = machine.server("locked", "locked.test", &far.exai())
        + &machine.server("bare", "far.test", &nowhere)
        + &machine.server("far", "far.test", &far.exai());
    let near = Instance::new(&servers);
    let refusal = |server: &str| {
        let output = near.exai(&["tools", server]);
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    let said = refusal("locked");
    assert!(said.contains("ssh to locked.test failed: ") && said.contains("Permission denied"), "{said}");
    assert!(said.contains("; try `ssh locked.test "), "{said}");
    let said = refusal("bare");
    assert!(said.contains("no-exai-here` on far.test") && said.contains("`remote_command`"), "{said}");
    let mut client = near.client("far");
    let mut ask =
        |message: &str| client.ask("tools/call", &json!({"name": "echo", "arguments": {"message": message}}));
    assert!(ask("while it is there")["error"].is_null());
    assert_eq!(far_row(&near)["state"], "ready");
    // Nobody says that the machine is gone: ssh finds out.
    machine.freeze();
    let answer = ask("gone").to_string();
    assert!(answer.contains("was lost (ssh to far.test failed: Timeout, server"), "{answer}");
    machine.end();
    let away = ask("away").to_string();
    assert!(away.contains("Connection refused"), "{away}");
}
