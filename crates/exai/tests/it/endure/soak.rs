//! Clients that come and go for hours. The resources of the daemon must not grow.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::{Process, Uses};
use super::verdict;
use super::visitors::{Answers, Place};
use crate::support::{Instance, fixture, switch};

const VISITORS: u64 = 50;
/// The names in `counters` of everything that the daemon holds for clients.
const HELD: [&str; 9] = [
    "clients",
    "instances",
    "in_flight",
    "waiting",
    "gatherings",
    "owed",
    "subscriptions",
    "asked",
    "queued_bytes",
];
/// How long the daemon may take to come to rest. It forgets what clients leave behind after ten seconds.
const CALM: Duration = Duration::from_secs(40);
/// A figure that stays the same for so long has come to rest.
const SAME: Duration = Duration::from_millis(1500);
/// How much more memory a daemon may use with each hour, and the length of a run from which on this figure means
/// anything.
const SLOPE_KIB: f64 = 1024.0;
const MEANINGFUL: Duration = Duration::from_hours(1);

#[test]
fn clients_that_come_and_go_for_a_while_leave_nothing_behind() {
    soak(Duration::from_secs(6), Duration::from_millis(500));
}

#[test]
#[ignore = "takes hours; `cargo xtask endure soak` runs it"]
fn clients_that_come_and_go_for_hours_leave_nothing_behind() {
    let minutes = switch("EXAI_ENDURE_MINUTES").unwrap_or(120);
    soak(Duration::from_mins(minutes), Duration::from_secs(10));
}

fn soak(length: Duration, period: Duration) {
    let short = "idle_stop = \"1s\"\n# They end by themselves after a quarter of an hour.\ncrash_limit = 0\n";
    let instance = Instance::new(&(fixture("fix", &[]) + short));
    instance.ends(0, &["start"]);
    let daemon = Process::of(&instance);
    let place = Place::of(&instance);
    let mut answers = Answers::new();
    // This makes everything that the daemon makes once and then keeps.
    churn(&place, &instance, length / 8, true, &mut answers, || {});
    let base = at_rest(&instance, &daemon, None);
    eprintln!("at rest after {} answers: {}", answers.values().sum::<u64>(), show(base));
    let (began, mut samples) = (Instant::now(), Vec::new());
    let mut next = Duration::ZERO;
    let visits = churn(&place, &instance, length, false, &mut answers, || {
        if began.elapsed() >= next {
            next += period;
            samples.push((began.elapsed(), daemon.uses()));
        }
    });
    let after = at_rest(&instance, &daemon, Some(base));
    report(&samples, visits, &answers, base, after);
    let held = held(&instance);
    eprintln!("held for clients: {held:?}: {}", verdict(held.iter().all(|(_, count)| *count == 0)));
    assert_eq!(
        (after.descriptors, after.threads <= base.threads),
        (base.descriptors, true),
        "{base:?} {after:?}"
    );
    assert!(length < MEANINGFUL || slope(&samples) <= SLOPE_KIB, "its memory grows");
}

/// Lets visitors come and go for `length`, and returns how many there were when all have left. Unless they are
/// `polite`, some visitors leave with a call under way.
fn churn(
    place: &Place,
    instance: &Instance,
    length: Duration,
    polite: bool,
    answers: &mut Answers,
    mut look: impl FnMut(),
) -> u64 {
    let (over, visits, all) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(Answers::new()));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..VISITORS)
            .map(|_| {
                scope.spawn(|| {
                    let mut own = Answers::new();
                    while !over.load(Ordering::Relaxed) {
                        let number = visits.fetch_add(1, Ordering::Relaxed);
                        place.visit(instance, number, polite, &mut own);
                    }
                    let mut all = all.lock().expect("answers");
                    for (code, count) in own {
                        *all.entry(code).or_default() += count;
                    }
                })
            })
            .collect();
        let began = Instant::now();
        // The first visitor that fails ends the whole run.
        while began.elapsed() < length && !threads.iter().any(std::thread::ScopedJoinHandle::is_finished) {
            look();
            std::thread::sleep(Duration::from_millis(100).min(length));
        }
        over.store(true, Ordering::Relaxed);
    });
    for (code, count) in all.into_inner().expect("answers") {
        *answers.entry(code).or_default() += count;
    }
    visits.into_inner()
}

/// Waits until all visitors have left, and returns the daemon's resources, which must be no more than `before`, if
/// given.
fn at_rest(instance: &Instance, daemon: &Process, before: Option<Uses>) -> Uses {
    let held = || held(instance);
    let begun = Instant::now();
    while held().iter().any(|(_, count)| *count > 0) {
        assert!(begun.elapsed() < CALM, "something is held: {:?}", held());
        std::thread::sleep(Duration::from_millis(100));
    }
    let few = |one: Uses| (one.descriptors, one.threads);
    let (mut last, mut since) = (daemon.uses(), Instant::now());
    // The command that asks for the status is a client too, and idle threads live for ten seconds.
    while since.elapsed() < SAME || before.is_some_and(|before| !is_back(last, before)) {
        let now = daemon.uses();
        if few(now) != few(last) {
            since = Instant::now();
        }
        last = now;
        if begun.elapsed() > CALM {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    last
}

fn is_back(now: Uses, before: Uses) -> bool {
    now.descriptors == before.descriptors && now.threads <= before.threads
}

/// The counters of what is held for clients. The instance of exai's own server always exists and does not count.
fn held(instance: &Instance) -> Vec<(&'static str, u64)> {
    let counters: Value = instance.status()["counters"].clone();
    let count = |name| counters[name].as_u64().unwrap_or_default();
    let own = |name| u64::from(name == "instances");
    HELD.map(|name| (name, count(name).saturating_sub(own(name)))).into()
}

fn report(samples: &[(Duration, Uses)], visits: u64, answers: &Answers, base: Uses, after: Uses) {
    let most = samples.iter().map(|(_, uses)| uses.rss_kib).max().unwrap_or_default();
    let length = samples.last().map_or(Duration::ZERO, |(at, _)| *at);
    eprintln!(
        "{visits} visits of {VISITORS} clients (link, shim, HTTP, WebSocket) in {length:.0?}, answers by code {answers:?}"
    );
    eprintln!("memory at most {} MiB; at rest after that: {}", most / 1024, show(after));
    let slope = slope(samples);
    if length < MEANINGFUL {
        eprintln!("too short for a slope of its memory to mean anything ({slope:+.0} KiB an hour)");
    } else {
        let judged = verdict(slope <= SLOPE_KIB);
        eprintln!(
            "slope of its memory after the first quarter: {slope:+.0} KiB an hour (1024 allowed): {judged}"
        );
    }
    eprintln!("descriptors and threads back to what they were: {}", verdict(is_back(after, base)));
}

fn show(uses: Uses) -> String {
    let known = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let (descriptors, threads) = (known(uses.descriptors), known(uses.threads));
    format!("{} MiB, {descriptors} descriptors, {threads} threads", uses.rss_kib / 1024)
}

/// The growth of the memory in KiB per hour after the first quarter of the run, by linear regression.
fn slope(samples: &[(Duration, Uses)]) -> f64 {
    let rest = &samples[samples.len() / 4..];
    let points: Vec<(f64, f64)> =
        rest.iter().map(|(at, uses)| (at.as_secs_f64() / 3600.0, uses.rss_kib as f64)).collect();
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let over: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let under: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if under > 0.0 { over / under } else { 0.0 }
}
