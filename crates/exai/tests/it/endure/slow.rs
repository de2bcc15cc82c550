//! Clients that do not read while servers produce much for them.

use std::time::{Duration, Instant};

use exai_test::eventually;
use serde_json::json;

use super::process::Process;
use super::{Bystanders, Stop, percentile, verdict};
use crate::support::{Instance, LIMIT, fixture};
use crate::wire::Wire;

const MIB: usize = 1024 * 1024;
/// How much more memory the daemon may use because of these clients.
const MORE_KIB: u64 = 32 * 1024;
/// How long such a client may stay connected, and how often the daemon checks it.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(500);
/// Differences below this time do not count.
const NOISE: Duration = Duration::from_millis(1);

#[test]
fn clients_that_do_not_read_a_hundred_mebibytes_are_cut_and_cost_a_bound_of_memory() {
    let figures = produce(100, Duration::from_secs(1));
    assert!(figures.more_kib <= MORE_KIB && figures.longest <= PATIENCE, "see above");
}

#[test]
#[ignore = "takes a minute; `cargo xtask endure slow` runs it"]
fn a_gibibyte_that_nobody_reads_costs_a_bound_of_memory_and_delays_nobody() {
    let figures = produce(1024, Duration::from_secs(5));
    assert!(figures.more_kib <= MORE_KIB && figures.longest <= PATIENCE && figures.undelayed, "see above");
}

struct Figures {
    more_kib: u64,
    longest: Duration,
    undelayed: bool,
}

/// Makes the server produce this much for clients that do not read, one after the other. Each is cut off long before
/// that.
fn produce(mebibytes: u64, calm: Duration) -> Figures {
    let instance = Instance::new(&(fixture("fix", &[]) + &fixture("other", &[])));
    instance.ends(0, &["start"]);
    let address = Wire::address(&instance);
    let daemon = Process::of(&instance);
    let log = || std::fs::read_to_string(instance.home().join("log/daemon.log")).unwrap_or_default();
    let cut = || log().matches("does not read what waits for it").count();
    let mut counter = Wire::open(&address, Some("fix"));
    let bystanders = Bystanders::default();
    let echo = ("echo", &json!({"message": "x"}));
    let mut read = 0;
    std::thread::scope(|scope| {
        let _stop = Stop(&bystanders);
        for _ in 0..4 {
            scope.spawn(|| bystanders.watch(&address, "other", echo, Duration::from_millis(4)));
        }
        // The first calls start the servers.
        eventually("everybody is served", LIMIT, || bystanders.calls.lock().expect("times").len() > 100);
        let idle = Instant::now();
        std::thread::sleep(calm);
        let base = daemon.uses().rss_kib;
        // Producing and carrying so much costs the machine time even with a client that reads, so the test compares
        // with that.
        let began = Instant::now();
        while began.elapsed() < calm {
            let mut reader = Wire::open(&address, Some("fix"));
            for id in 1..=64 {
                reader.call(&json!(id), "big", &json!({"bytes": MIB}));
            }
            for id in 1..=64 {
                reader.answer(&json!(id));
                read += 1;
            }
        }
        daemon.forget_peak();
        let middle = Instant::now();
        let (mut rounds, mut longest, mut produced) = (0, Duration::ZERO, 0);
        while produced < mebibytes {
            let deaf = Wire::open(&address, Some("fix"));
            let asked = Instant::now();
            for id in 1..=64 {
                deaf.call(&json!(id), "big", &json!({"bytes": MIB}));
            }
            rounds += 1;
            eventually("the client is cut", LIMIT, || cut() == rounds);
            longest = longest.max(asked.elapsed());
            counter.call(&json!(rounds), "calls", &json!({}));
            let answer = counter.answer(&json!(rounds));
            let calls =
                answer["result"]["content"][0]["text"].as_str().and_then(|text| text.parse::<u64>().ok());
            // The number includes the calls of the counter itself and of the reader.
            produced = calls.unwrap_or_default().saturating_sub(rounds as u64 + read);
        }
        let end = Instant::now();
        let more_kib = daemon.peak_kib().saturating_sub(base);
        let (before, during) = (bystanders.times(began, middle), bystanders.times(middle, end));
        let (p99_before, p99_during) = (percentile(&before, 99), percentile(&during, 99));
        let p99_idle = percentile(&bystanders.times(idle, began), 99);
        let undelayed = p99_during <= 2 * p99_before.max(NOISE);
        eprintln!(
            "{produced} MiB produced for {rounds} clients that do not read, in {:.1?}",
            end.duration_since(middle)
        );
        eprintln!(
            "the daemon's memory: {} MiB, at most {:.1} MiB more (32 allowed): {}",
            base / 1024,
            more_kib as f64 / 1024.0,
            verdict(more_kib <= MORE_KIB)
        );
        eprintln!(
            "cut after at most {longest:.1?} with a log line (10 s allowed): {}",
            verdict(longest <= PATIENCE)
        );
        eprintln!(
            "the others' p99: {p99_idle:.2?} with nothing else to do, {p99_before:.2?} while {read} MiB are read ({} \
             calls), {p99_during:.2?} while nobody reads them ({} calls; twice as much allowed, or {:?}): {}",
            before.len(),
            during.len(),
            2 * NOISE,
            verdict(undelayed)
        );
        Figures { more_kib, longest, undelayed }
    })
}

#[test]
#[ignore = "takes twelve seconds; `cargo xtask endure slow` runs it"]
fn a_client_for_whom_a_little_too_much_waits_is_cut_after_ten_seconds() {
    let instance = Instance::new(&fixture("fix", &[]));
    instance.ends(0, &["start"]);
    let deaf = Wire::open(&Wire::address(&instance), Some("fix"));
    let asked = Instant::now();
    for id in 1..=4 {
        deaf.call(&json!(id), "big", &json!({"bytes": 2 * MIB}));
    }
    let log = || std::fs::read_to_string(instance.home().join("log/daemon.log")).unwrap_or_default();
    eventually("the client is cut", LIMIT, || log().contains("does not read what waits for it"));
    let took = asked.elapsed();
    eprintln!("8 MiB wait for a client that does not read: it is cut after {took:.1?} (10 s and one look)");
    assert!(took <= PATIENCE + 2 * LOOK, "{took:?}");
}
