//! Kills the daemon, guards, servers and shims at random moments while clients of both eras of MCP call tools
//! without pause. There must never be two daemons, a request without its own single answer, a call executed twice, a
//! leftover process, or a stranger that is ended.

mod clients;
mod conversation;
mod kills;
mod ledger;
mod recovery;
mod world;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exai_test::{eventually, program};
use serde_json::{Value, json};

use crate::support::{Instance, behind_a_shell, switch, text};
use clients::Clients;
use kills::Killer;
use ledger::Ledgers;
use recovery::Recovery;
use world::World;

/// How long after the last kill a process may still exist that belongs to no tree.
const CALM: Duration = Duration::from_secs(5);
/// The number of kills between two recoveries, unless EXAI_CHAOS_BURST says otherwise.
const BURST: u32 = 8;
const SERVERS: [&str; 3] = ["plain", "launched", "escaping"];

/// Fewer under Wine, where everything takes ten times as long.
const KILLS: u32 = if cfg!(windows) { 40 } else { 120 };

#[test]
fn a_hundred_and_twenty_kills_under_load_leave_one_daemon_every_answer_and_no_orphan() {
    chaos(KILLS, 12);
}

#[test]
#[ignore = "takes minutes; CONTRIBUTING.md says how to run it"]
fn a_thousand_kills_under_load_leave_one_daemon_every_answer_and_no_orphan() {
    chaos(1000, 50);
}

fn chaos(kills: u32, clients: usize) {
    let seed = switch("EXAI_CHAOS_SEED").unwrap_or_else(now);
    let clients = switch("EXAI_CHAOS_CLIENTS").map_or(clients, |count| count as usize);
    let burst = switch("EXAI_CHAOS_BURST").map_or(BURST, |count| count as u32);
    eprintln!(
        "chaos: {kills} kills, EXAI_CHAOS_SEED={seed} EXAI_CHAOS_CLIENTS={clients} EXAI_CHAOS_BURST={burst}"
    );
    let token = format!("chaos-{}-{seed}", std::process::id());
    let instance = Instance::new("");
    let ledgers = Ledgers::new(instance.dir());
    instance.configure(&servers(instance.dir(), &token, &ledgers));
    instance.ends(0, &["start"]);
    let repeatable = ledger::repeatable(&instance);
    assert!(repeatable.contains("echo") && !repeatable.contains("append"), "{repeatable:?}");
    let world = World::new(&instance, &token);
    let clients = Clients::new(clients);
    let mut killer = Killer::new(seed, &world, &clients, &token);
    let begun = Instant::now();
    thread::scope(|scope| {
        let over = Over(&world, &clients);
        scope.spawn(|| world.watch());
        clients.start(scope, &instance);
        Recovery::default().wait(&clients, &instance);
        let mut recovery = Recovery::default();
        while killer.done() < kills {
            // All trees are complete now, so the decoy can copy the marks of a living one.
            killer.add_decoy(&instance);
            killer.burst(burst.min(kills - killer.done()));
            recovery.wait(&clients, &instance);
        }
        let took = begun.elapsed();
        eprintln!("{} kills in {took:.1?}: {}", killer.done(), killer.figures());
        eprintln!("{}", recovery.figures());
        comes_to_rest(&instance, &world, &clients, &killer);
        drop(over);
    });
    eprintln!("{}", clients.figures());
    eprintln!("{}", world.figures());
    let (bad, worst) = (clients.complaints(), world.complaints());
    assert!(bad.is_empty() && worst.is_empty(), "{bad:#?}\n{worst:#?}");
    instance.ends(0, &["stop"]);
    let decoys = killer.decoys();
    let left = || world.everybody_of_ours(&decoys);
    eventually("stop leaves nothing", Duration::from_secs(2), || left().is_empty());
    killer.decoys_live();
    let (figures, complaints) = ledgers.read().compare(&clients.calls(), &repeatable);
    eprintln!("{figures}");
    assert!(complaints.is_empty(), "{} complaints: {complaints:#?}", complaints.len());
}

/// Stops the threads also where an assertion fails.
struct Over<'a>(&'a World, &'a Clients);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.1.stop();
        self.0.over.store(true, Ordering::Relaxed);
    }
}

fn servers(dir: &Path, token: &str, ledgers: &Ledgers) -> String {
    let fixture = program("fixture-server").display().to_string();
    // exai must not give up on a server because of the kills, so it counts no crashes. Clients of either era use each
    // server; the first speaks both eras, and has a process for each.
    let server = |at: usize, command: &str| {
        format!("[servers.{}]\n{command}crash_limit = 0\nbridge = true\n", SERVERS[at])
    };
    let shell = |at: usize, script: &str, batch: &str| {
        let dir = dir.join(SERVERS[at]);
        std::fs::create_dir(&dir).expect("a directory");
        server(at, &behind_a_shell(&dir, script, batch))
    };
    let file = |at: usize| ledgers.file(at).display().to_string();
    let name = |at: usize| format!("{token}-{}", SERVERS[at]);
    let more = |at: usize| format!("--name {} --ledger {} --ignore-stdin-eof", name(at), file(at));
    let launched = format!("{fixture} {} --children 2; true", more(1));
    let escaping = format!(
        "setsid -f env -i {fixture} --name {token} --sleep; sh -c '{fixture} {} --children 1; true'; true",
        more(2)
    );
    let launched_batch = format!("FIXTURE {} --children 2\nexit /b", more(1));
    let escaping_batch = format!(
        "start \"\" /b FIXTURE --name {token} --sleep <nul >nul 2>&1\ncmd /c FIXTURE {} --children 1\nexit /b",
        more(2)
    );
    let plain = json!(["--dual", "--name", name(0), "--ledger", file(0)]);
    server(0, &format!("command = {}\nargs = {plain}\n", json!(fixture)))
        + &shell(1, &launched, &launched_batch)
        + &shell(2, &escaping, &escaping_batch)
}

fn comes_to_rest(instance: &Instance, world: &World, clients: &Clients, killer: &Killer<'_>) {
    clients.rest();
    let begun = Instant::now();
    instance.ends(0, &["start"]);
    let decoys = killer.decoys();
    let mut left = Vec::new();
    while begun.elapsed() < CALM {
        left = world.left_over(&decoys, instance);
        if left.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let took = begun.elapsed();
    assert!(
        left.is_empty(),
        "{} processes belong to nobody {CALM:?} after the last kill: {left:#?}",
        left.len()
    );
    eprintln!("calm after {took:.2?}: everything that lives belongs to a tree that is hosted");
    eventually("as many processes as expected", CALM, || {
        let processes = &instance.status()["processes"];
        processes["expected"] == processes["actual"] && processes["unexpected"] == json!([])
    });
    let output = instance.exai(&["cleanup", "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).expect("a document");
    let found = said["found"].as_array().expect("what was found");
    // Windows soon gives the pid of an ended process to another one, and the cleanup then says this.
    let reused = |one: &&Value| cfg!(windows) && one["reason"] == "identity does not match the record";
    let named = found.iter().filter(|one| !reused(one));
    let pids: BTreeSet<u64> = named.filter_map(|one| one["pid"].as_u64()).collect();
    let decoys: BTreeSet<u64> = decoys.iter().map(|pid| u64::from(*pid)).collect();
    // A process that is killed while it writes leaves half a file, which the cleanup removes when the file is a minute
    // old.
    let half = |one: &Value| one["reason"] == "is a temporary file of a writer that was killed";
    let left_alone = found.iter().all(|one| one["action"] == "leave" || half(one));
    assert!(left_alone && pids.is_subset(&decoys), "decoys {decoys:?}: {}{said:#}", text(&output.stderr));
    eprintln!(
        "cleanup names {} of {} decoys, and {} records",
        pids.len(),
        decoys.len(),
        found.len() - pids.len()
    );
    killer.decoys_live();
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_millis() as u64)
}
