//! Real trees: the process that is judged to be the server is the one that answers as the server.

mod peers;

use std::path::Path;
use std::time::{Duration, Instant};

use exai_os::descent_tag::DescentTag;
use exai_os::process::{Kill, ProcessInfo, identify, snapshot};
use exai_os::tree::{Guard, KillScope, Launch};
use exai_supervisor::tree::{
    Exchange, Facts, Judgement, Listening, Observation, Pipes, Role, count, judge, listeners, look, members,
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::support::{Bench, LIMIT};

/// A tree with which this test speaks. The tree and its guard end when this is dropped.
struct Tree {
    contained: exai_os::tree::Tree,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// The test never reads this pipe, but keeps it open: a write to a closed pipe would end the writer.
    _stderr: ChildStderr,
    pipes: Pipes,
    initialized: u64,
}

impl Tree {
    /// Starts the tree and waits for its first answer.
    async fn start(program: &str, args: &[&str], folder: &Path) -> Self {
        let env: Vec<_> = std::env::vars_os().collect();
        let launch = Launch {
            program: exai_os::search::resolve(program, folder, &env).unwrap(),
            args: args.iter().map(Into::into).collect(),
            env,
            cwd: folder.to_owned(),
            kill_scope: KillScope::Descendants,
            descent_tag: DescentTag::new("test", &folder.display().to_string(), KillScope::Descendants),
            guard: Guard {
                program: exai_test::program("exai"),
                args: ["guard", "test", "fix#1"].map(Into::into).to_vec(),
                env: Vec::new(),
            },
        };
        let (contained, streams) = exai_os::tree::start(&launch, |_, _| {}).unwrap();
        let pipes = Pipes::between(&streams).unwrap();
        let (stdin, stdout) = (streams.stdin, BufReader::new(streams.stdout));
        let mut tree = Tree { contained, stdin, stdout, _stderr: streams.stderr, pipes, initialized: 0 };
        tree.ask("ping", "{}").await;
        tree.initialized = exai_os::process_facts::clock().unwrap();
        tree
    }

    async fn shell(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start("/bin/sh", &["-c", script], folder.path()).await
    }

    /// Sends a request; returns the length of the request in bytes, and the answer.
    async fn ask(&mut self, method: &str, params: &str) -> (usize, String) {
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{params}}}\n");
        let mut answer = String::new();
        let talk = async {
            self.stdin.write_all(line.as_bytes()).await.unwrap();
            self.stdout.read_line(&mut answer).await.unwrap();
        };
        timeout(LIMIT, talk).await.expect("an answer in time");
        assert!(answer.contains("result"), "{answer}");
        (line.len(), answer)
    }

    /// The pid that the server itself reports.
    async fn own_word(&mut self) -> u32 {
        let (_, answer) = self.ask("tools/call", r#"{"name":"pid","arguments":{}}"#).await;
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["result"]["content"][0]["text"].as_str().unwrap().parse().unwrap()
    }

    fn members(&self) -> Vec<ProcessInfo> {
        members(&snapshot().unwrap(), self.contained.guard(), self.contained.root(), &self.contained.roster())
    }

    /// Everything that is known about these members so far.
    fn seen<'a>(&self, members: &'a [Facts]) -> Observation<'a> {
        Observation {
            members,
            guard: self.contained.guard().map(|guard| guard.pid),
            root: self.contained.root().pid,
            exchange: None,
            initialized: Some(self.initialized),
            listening: None,
        }
    }

    fn judge(&self, exchange: Option<&Exchange>) -> Judgement {
        let facts = look(&self.members(), Some(self.pipes));
        judge(&Observation { exchange, ..self.seen(&facts) })
    }

    /// Pings the server, and judges the tree by the exchange.
    async fn ping(&mut self) -> Judgement {
        let members = self.members();
        let before = count(&members);
        let (sent, answer) = self.ask("ping", "{}").await;
        let look = || {
            let exchange = Exchange::between(&before, &count(&members), sent as u64, answer.len() as u64);
            self.judge(Some(&exchange))
        };
        // The kernel counts written bytes only after it has woken the reader.
        let deadline = Instant::now() + Duration::from_millis(200);
        let mut found = look();
        while !found.is_confirmed() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
            found = look();
        }
        found
    }

    /// Pings until the roles are the expected ones: a launcher may still be busy with other work for a moment.
    async fn becomes(&mut self, expected: &str) -> Judgement {
        let deadline = Instant::now() + LIMIT;
        loop {
            let found = self.ping().await;
            if roles(&found) == expected {
                return found;
            }
            assert!(Instant::now() < deadline, "{}, not {expected}: {found:#?}", roles(&found));
        }
    }

    /// Waits for these roles, and checks that the server among them is the process that names itself.
    async fn is(&mut self, expected: &str) -> Judgement {
        let found = self.becomes(expected).await;
        assert_eq!(found.server, Some(self.own_word().await), "{found:#?}");
        found
    }
}

/// `sh launcher shell, fixture-server server!`, without the guard that is always first.
fn roles(judgement: &Judgement) -> String {
    assert_eq!(judgement.processes[0].role, Role::Guard);
    let all = judgement.processes.iter().skip(1).map(|process| {
        let role = match process.role {
            Role::Guard => panic!("a second guard"),
            Role::Launcher { kind } => format!("launcher {}", kind.unwrap_or("?")),
            Role::Server { confirmed } => format!("server{}", if confirmed { "!" } else { "?" }),
            Role::Helper => "helper".to_owned(),
        };
        format!("{} {role}", process.name)
    });
    all.collect::<Vec<String>>().join(", ")
}

fn fixture() -> String {
    exai_test::program("fixture-server").to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_server_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::start(&fixture(), &[], folder.path()).await;
    assert_eq!(roles(&tree.judge(None)), "fixture-server server?");
    let found = tree.is("fixture-server server!").await;
    assert_eq!(found.explanation, None);
    let evidence = &found.processes[1].evidence;
    let expected = [
        "holds the stdin pipe",
        "holds the stdout pipe",
        "did the I/O of the last ping",
        "answered initialize",
    ];
    assert_eq!(*evidence, expected);
}

#[tokio::test]
async fn a_shell_that_waits() {
    let mut tree = Tree::shell(&format!("{}; true", fixture())).await;
    assert_eq!(roles(&tree.judge(None)), "sh launcher shell, fixture-server server?");
    let found = tree.is("sh launcher shell, fixture-server server!").await;
    let pid = found.server.unwrap();
    assert_eq!(
        found.explanation.unwrap(),
        format!("2 processes, 1 server (fixture-server, pid {pid}): sh is a shell")
    );
    assert!(found.processes[1].evidence.contains(&"did none of the I/O of the last ping".to_owned()));
}

#[tokio::test]
async fn a_script_without_exec() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("start.sh"), format!("{}\nexit 0\n", fixture())).unwrap();
    let mut tree = Tree::start("/bin/sh", &["start.sh"], folder.path()).await;
    let found = tree.is("sh launcher shell, fixture-server server!").await;
    assert!(found.processes[1].evidence.contains(&"sh start.sh".to_owned()));
}

#[tokio::test]
async fn tee_before_and_after() {
    let mut tree = Tree::shell(&format!("tee /dev/null | {}", fixture())).await;
    tree.is("sh launcher shell, tee launcher relay, fixture-server server!").await;
    let mut tree = Tree::shell(&format!("{} | tee /dev/null", fixture())).await;
    tree.is("sh launcher shell, fixture-server server!, tee launcher relay").await;
    // `sed` does the same, but the signatures do not know this program.
    let mut tree = Tree::shell(&format!("sed -u s/x/x/ | {}", fixture())).await;
    tree.is("sh launcher shell, sed launcher relay, fixture-server server!").await;
}

#[tokio::test]
async fn a_server_whose_children_have_its_stdio() {
    let script = format!("{} --children-inherit 2 --children 1; true", fixture());
    let mut tree = Tree::shell(&script).await;
    let helper = "fixture-server helper";
    tree.is(&format!("sh launcher shell, fixture-server server!, {helper}, {helper}, {helper}")).await;
}

#[tokio::test]
async fn roles_stay_with_the_living() {
    let mut tree = Tree::shell(&format!("{}; sleep 60; true", fixture())).await;
    let found = tree.is("sh launcher shell, fixture-server server!").await;
    let server = identify(found.server.unwrap()).unwrap().unwrap();
    exai_os::process::kill_verified(&server, Kill::Force).unwrap();
    exai_test::eventually("the shell goes on", LIMIT, || {
        let left = look(&tree.members(), Some(tree.pipes));
        left.len() == 3 && left[2].args.first().is_some_and(|program| program == "sleep")
    });
    // This process has the pipes, but it started after `initialize` was answered, or at most in the same tick.
    let found = tree.judge(None);
    assert!(!found.is_confirmed());
    assert_ne!(found.server, Some(server.pid));
}

#[tokio::test]
async fn twenty_servers_are_looked_at_in_time() {
    let script = format!("{} --children-inherit 1; true", fixture());
    let mut trees = Vec::new();
    for _ in 0..20 {
        trees.push(Tree::shell(&script).await);
    }
    let look_at_all = || {
        // The time of the snapshot does not count: it depends on all processes of the machine.
        let table = snapshot().unwrap();
        let start = Instant::now();
        let judged = trees.iter().map(|tree| {
            let rows =
                members(&table, tree.contained.guard(), tree.contained.root(), &tree.contained.roster());
            let facts = look(&rows, Some(tree.pipes));
            judge(&tree.seen(&facts)).processes.len()
        });
        assert_eq!(judged.sum::<usize>(), 80);
        start.elapsed()
    };
    // Other load on the machine can make one look slower but never faster, so one fast look is enough.
    exai_test::eventually("60 processes and their guards in 25 ms", LIMIT, || {
        look_at_all() < Duration::from_millis(25)
    });
}

#[tokio::test]
async fn a_listener_of_the_tree_and_a_stranger() {
    let tree = Tree::shell(&format!("{} --children-inherit 1; true", fixture())).await;
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let rows = tree.members();
    assert_eq!(listeners(&rows, addr).unwrap(), [] as [u32; 0]);
    let stranger = exai_os::port::owner(addr).unwrap();
    assert_eq!(stranger, Some(std::process::id()));
    let listening = Listening { addr, members: Vec::new(), stranger };
    let facts = look(&rows, None);
    let found = judge(&Observation { listening: Some(&listening), initialized: None, ..tree.seen(&facts) });
    assert_eq!(found.server, None);
    assert!(
        found
            .explanation
            .unwrap()
            .ends_with(&format!("on {addr} listens pid {}, which is none of this tree", std::process::id()))
    );
}

#[tokio::test]
async fn who_left_its_parent() {
    let mut tree = Tree::shell(&format!("(setsid sleep 60 &); {}; true", fixture())).await;
    let guard = tree.contained.guard().unwrap().pid;
    exai_test::eventually("sleep lost its parent", LIMIT, || {
        tree.members().iter().any(|row| row.name == "sleep" && row.ppid == guard)
    });
    // This process also holds the stdout pipe (but not stdin, which a shell takes from background processes), and it
    // takes no part in the conversation.
    let expected = [
        "holds the stdout pipe",
        "did none of the I/O of the last ping",
        "lost its parent; the guard has it",
    ];
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = tree.is("sh launcher shell, fixture-server server!, sleep helper").await;
        if found.processes[3].evidence == expected {
            break;
        }
        // Its start may still read something during a ping.
        assert!(Instant::now() < deadline, "{:?}", found.processes[3].evidence);
    }
}

#[tokio::test]
async fn a_job_knows_its_pipes() {
    let mut bench = Bench::fixture(&[]);
    bench.ready().await;
    let rows = members(&snapshot().unwrap(), bench.job.guard(), bench.job.root(), &bench.job.roster());
    let facts = look(&rows, bench.job.pipes());
    let held: Vec<(Option<bool>, Option<bool>)> = facts.iter().map(|one| (one.stdin, one.stdout)).collect();
    assert_eq!(held, [(Some(false), Some(false)), (Some(true), Some(true))]);
    bench.job.stop(exai_supervisor::limits::STOP_GRACE);
    bench.end().await;
}
