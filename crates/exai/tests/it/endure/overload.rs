//! Ten times as many calls as a server can handle.

use std::collections::HashMap;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Bystanders, Stop, percentile, verdict};
use crate::support::{Instance, fixture};
use crate::wire::{Wire, call};

/// How long the server works on a call. The capacity of the server follows from the number of calls it gets at a time.
const WORK_MS: u64 = 100;
/// Few enough to share the places at the server. More clients would get more places, four each, which would change the
/// peak.
const CLIENTS: usize = 4;
const TIMES: f64 = 10.0;
const PEAK: Duration = Duration::from_secs(5);
/// The queues fill in this time. The measurement begins after it.
const FILL: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(10);
/// Differences below this time do not count.
const NOISE: Duration = Duration::from_millis(10);

#[derive(Default)]
struct Tally {
    asked: usize,
    done: usize,
    refused: Vec<Duration>,
    /// The number of calls that were refused because they had waited too long for their turn.
    expired: usize,
    /// The time at which the last waiting call was done.
    drained: Option<Instant>,
}

#[test]
#[ignore = "takes a minute; `cargo xtask endure overload` runs it"]
fn ten_times_the_capacity_costs_no_goodput_and_nobody_else_much() {
    let instance = Instance::new(&fixture("fix", &[]));
    instance.ends(0, &["start"]);
    let address = Wire::address(&instance);
    let peak = closed_loop(&address);
    eprintln!("peak: {peak:.0} calls a second, {CLIENTS} clients that ask again when they are answered");
    let bystanders = Bystanders::default();
    let work = json!({"ms": WORK_MS, "message": "x"});
    std::thread::scope(|scope| {
        let _stop = Stop(&bystanders);
        scope.spawn(|| bystanders.watch(&address, "fix", ("delay", &work), Duration::from_millis(1)));
        let calm = Instant::now();
        std::thread::sleep(PEAK);
        let begin = Instant::now();
        let all: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let address = &address;
                scope.spawn(move || open_loop(address, peak * TIMES / CLIENTS as f64, begin))
            })
            .collect();
        let tallies: Vec<Tally> = all.into_iter().map(|thread| thread.join().expect("a client")).collect();
        let end = begin + FILL + MEASURED;
        std::thread::sleep(Duration::from_secs(5));
        let now = Instant::now();
        report(&bystanders, &tallies, peak, (calm, begin, end, now));
    });
}

fn report(
    bystanders: &Bystanders,
    tallies: &[Tally],
    peak: f64,
    (calm, begin, end, now): (Instant, Instant, Instant, Instant),
) {
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    let measured = MEASURED.as_secs_f64();
    let normal = percentile(&bystanders.times(calm, begin), 99);
    let during = percentile(&bystanders.times(begin, end), 99);
    let others = bystanders.between(begin + FILL, end).len();
    let goodput = (sum(|one| one.done) + others) as f64 / measured;
    let offered = sum(|one| one.asked) as f64 / (FILL + MEASURED).as_secs_f64();
    let refused: Vec<Duration> = tallies.iter().flat_map(|one| one.refused.iter().copied()).collect();
    let p99 = percentile(&refused, 99);
    let bound = 2 * normal.max(NOISE);
    let late = bystanders
        .between(end, now)
        .into_iter()
        .filter(|(_, took)| *took > bound)
        .map(|(at, took)| at + took);
    let back = late.max().map_or(Duration::ZERO, |last| last.duration_since(end));
    let drained = tallies.iter().filter_map(|one| one.drained).max();
    let drained = drained.map_or(Duration::ZERO, |last| last.saturating_duration_since(end));
    let (good, quick, soon) =
        (goodput >= 0.9 * peak, p99 <= Duration::from_millis(10), back <= Duration::from_secs(2));
    eprintln!("{offered:.0} calls a second were asked for, {:.1} times the peak, by as many", offered / peak);
    eprintln!(
        "goodput: {goodput:.0} a second, {:.0} % of the peak (90 needed): {}",
        goodput / peak * 100.0,
        verdict(good)
    );
    eprintln!(
        "{} refused with -31003, p50 {:.2?}, p99 {p99:.2?} (10 ms allowed): {}; {} more had waited for their turn for 15 s",
        refused.len(),
        percentile(&refused, 50),
        verdict(quick),
        sum(|one| one.expired)
    );
    eprintln!("a client that asks for one thing at a time: p99 {normal:.1?} before, {during:.1?} meanwhile");
    eprintln!(
        "back to normal for it {back:.1?} after the end (2 s allowed): {}; what waited by then was done after {drained:.1?}",
        verdict(soon)
    );
    assert!(good && quick && soon && !refused.is_empty(), "see above");
}

/// The calls per second that the server can handle at most.
fn closed_loop(address: &str) -> f64 {
    const DEEP: u64 = 24;
    let all_there = Barrier::new(CLIENTS);
    let client = || {
        let mut wire = Wire::open(address, Some("fix"));
        let work = json!({"ms": WORK_MS, "message": "x"});
        all_there.wait();
        let began = Instant::now();
        for id in 1..=DEEP {
            wire.call(&json!(id), "delay", &work);
        }
        let (mut done, mut last) = (0, DEEP);
        while began.elapsed() < PEAK {
            assert!(wire.receive()["result"].is_object());
            done += 1;
            last += 1;
            wire.call(&json!(last), "delay", &work);
        }
        for _ in 0..DEEP {
            wire.receive();
        }
        done
    };
    let done: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).sum()
    });
    f64::from(done) / PEAK.as_secs_f64()
}

/// Sends so many calls per second, whether they are answered or not.
fn open_loop(address: &str, rate: f64, begin: Instant) -> Tally {
    let mut wire = Wire::open(address, Some("fix"));
    let work = json!({"ms": WORK_MS, "message": "x"});
    let (mut tally, mut open) = (Tally::default(), HashMap::new());
    let end = begin + FILL + MEASURED;
    loop {
        let now = Instant::now();
        let due =
            if now < end { (now.duration_since(begin).as_secs_f64() * rate) as usize } else { tally.asked };
        while tally.asked < due {
            tally.asked += 1;
            wire.send(&call(&json!(tally.asked), "delay", &work));
            open.insert(tally.asked as u64, Instant::now());
        }
        if now >= end && open.is_empty() {
            return tally;
        }
        let next = begin + Duration::from_secs_f64((tally.asked + 1) as f64 / rate);
        let wait = if now < end { next } else { now + Duration::from_secs(20) };
        if let Some(message) =
            wire.receive_before(wait.max(now + Duration::from_micros(100))).expect("a link")
        {
            take(&message, &mut open, &mut tally, (begin + FILL, end));
        }
    }
}

fn take(
    message: &Value,
    open: &mut HashMap<u64, Instant>,
    tally: &mut Tally,
    (from, to): (Instant, Instant),
) {
    let Some(asked) = message["id"].as_u64().and_then(|id| open.remove(&id)) else { return };
    let now = Instant::now();
    match message["error"]["code"].as_i64() {
        None => {
            tally.done += usize::from((from..to).contains(&now));
            tally.drained = Some(now);
        }
        Some(-31003) if now.duration_since(asked) > Duration::from_secs(14) => tally.expired += 1,
        Some(-31003) => tally.refused.push(now.duration_since(asked)),
        Some(_) => panic!("{message}"),
    }
}
