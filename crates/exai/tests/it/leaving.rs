//! F09: clients that leave during their calls, politely or not. Nothing that belongs to them stays behind.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use exai_test::{eventually, scaled};
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT, fixture};

/// How long a shim may outlive its client. The shim waits for answers for three quarters of this time.
const SHIM: Duration = Duration::from_secs(2);
/// The same limit for a machine that is busy for a moment.
const BUSY: Duration = Duration::from_secs(4);
const AT_ONCE: usize = 20;

/// How a client ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The client closes its side of the pipe, as clients do when a user closes them.
    Stdin,
    /// The client is killed together with its shim.
    Killed,
}

fn leave(mut client: Client, how: End) -> Duration {
    match how {
        End::Stdin => client.finish(),
        End::Killed => {
            let begun = Instant::now();
            client.kill();
            begun.elapsed()
        }
    }
}

/// Starts clients one after the other; each makes a call that is never answered, and leaves. Returns how long each shim
/// outlived its client.
fn come_and_go(instance: &Instance, worker: usize, times: usize) -> Vec<Duration> {
    let mut outlived = Vec::new();
    for round in 0..times {
        let how = if round % 3 == 0 { End::Stdin } else { End::Killed };
        let mut client = instance.client("fix");
        let label = format!("call {worker}-{round}.");
        client.request("tools/call", &json!({"name": "hang", "arguments": {"label": label}}));
        // The answer to this later call shows that the first call has arrived.
        client.call("echo", &json!({"message": "x"}));
        outlived.push(leave(client, how));
    }
    outlived
}

#[test]
#[cfg_attr(windows, ignore = "slow under Wine, and the system has no part in it")]
fn what_two_hundred_clients_leave_in_the_middle_of_a_call_is_cancelled_and_forgotten() {
    let times = scaled(200) / AT_ONCE;
    // The daemon waits for late answers to the calls of clients that have left, but not longer than the call timeout.
    let instance = Instance::new(&(fixture("fix", &[]) + "call_timeout = \"4s\"\n"));
    let mut watcher = instance.client("fix");
    watcher.call("echo", &json!({"message": "warm"}));
    let rest = counters(&instance);
    let begun = Instant::now();
    let mut outlived: Vec<Duration> = thread::scope(|scope| {
        let instance = &instance;
        let workers: Vec<_> =
            (0..AT_ONCE).map(|worker| scope.spawn(move || come_and_go(instance, worker, times))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    });
    let took = begun.elapsed();
    let mut labels = || {
        let all: Value = serde_json::from_str(&watcher.call("cancelled", &json!({}))).expect("a list");
        let mut labels: BTreeMap<String, usize> = BTreeMap::new();
        for one in all.as_array().expect("a list") {
            *labels.entry(one["label"].to_string()).or_default() += 1;
        }
        labels
    };
    let gone = Instant::now();
    eventually("the server hears of all of them", LIMIT, || labels().len() == times * AT_ONCE);
    assert!(labels().values().all(|times| *times == 1), "{:?}", labels());
    let heard = gone.elapsed();
    eventually("nothing is left", LIMIT, || counters(&instance) == rest);
    outlived.sort();
    let (most, longest) = (outlived[outlived.len() * 19 / 20], outlived[outlived.len() - 1]);
    assert!(most <= SHIM && longest <= BUSY, "shims lived for {most:?}, {longest:?} without their clients");
    eprintln!(
        "{} clients left in the middle of a call within {took:.1?}: 19 of 20 shims gone after {most:.2?}, all after {longest:.2?}; all \
         calls cancelled at the server {:.0?} after the last had left, nothing left in the counters",
        times * AT_ONCE,
        heard
    );
}

/// The counters of everything that the daemon holds for clients, and the number of its processes.
fn counters(instance: &Instance) -> Vec<(String, Value)> {
    let held =
        ["clients", "in_flight", "waiting", "gatherings", "owed", "subscriptions", "asked", "queued_bytes"];
    let all = instance.status()["counters"].clone();
    let mut held: Vec<(String, Value)> = held.map(|name| (name.to_owned(), all[name].clone())).into();
    held.push(("processes".to_owned(), instance.status()["processes"]["actual"].clone()));
    held
}
