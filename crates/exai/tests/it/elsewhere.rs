//! A client that does not pass `EXAI_HOME` on gets another daemon, which has no servers and says where the servers are.

use std::fmt::Write as _;
use std::fs::File;
use std::process::Stdio;

use exai_test::eventually;
use serde_json::json;

use crate::support::{Instance, LIMIT, fixture, text};

/// More servers than in any other test, since exai names the daemon with the most servers first.
const SERVERS: usize = 40;

#[test]
fn a_daemon_that_hosts_nothing_says_where_the_servers_are() {
    let mut servers = String::new();
    for number in 0..SERVERS {
        write!(servers, "{}", fixture(&format!("s{number}"), &[])).expect("a text");
    }
    let (full, empty) = (Instance::new(&servers), Instance::new(""));
    let sentence = format!(
        "this daemon hosts nothing, but another of this account ({}) hosts {SERVERS} servers",
        full.home().display()
    );
    empty.ends(0, &["start"]);
    let place = full.home().display().to_string();
    let doctor = || text(&empty.exai(&["doctor"]).stdout);
    // Without a running daemon, the directory with the servers is not named.
    assert!(!empty.ends(0, &["status"]).contains(&place) && !doctor().contains(&place));
    full.ends(0, &["start"]);
    assert!(empty.ends(0, &["status"]).contains(&sentence));
    let said = doctor();
    assert!(said.contains(&sentence), "{said}");
    let mut client = empty.client("exai");
    let said = client.call("status", &json!({}));
    assert!(said.lines().take(3).any(|line| line.starts_with(&sentence)), "{said}");
    let stderr = empty.dir().join("stderr");
    let mut shim = empty.command(&["shim"]);
    shim.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(File::create(&stderr).expect("a file"));
    let mut shim = shim.spawn().expect("it starts");
    let heard = || std::fs::read_to_string(&stderr).expect("a file");
    eventually("the shim says it", LIMIT, || heard().contains(&sentence));
    shim.kill().expect("it can be killed");
    shim.wait().expect("it can be waited for");
    // A daemon with servers does not name other daemons.
    assert!(!full.ends(0, &["status"]).contains("hosts nothing"));
    full.ends(0, &["stop"]);
    assert!(!empty.ends(0, &["status"]).contains(&place));
}
