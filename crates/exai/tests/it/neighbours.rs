//! I08: a client that floods a server, and a server that hangs, cost other clients almost nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use exai_test::{program, scaled};
use serde_json::json;

use crate::support::{Client, Instance, fixture};

/// The number of calls that a flooding client has under way.
const FLOOD: usize = 200;
/// How long each of these calls takes, and below it the number of calls that a server handles at a time.
const CALL: Duration = Duration::from_millis(5);
const WINDOW: u32 = 64;

/// The durations of calls, sorted.
struct Times(Vec<Duration>);

impl Times {
    fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Times(times)
    }

    fn p(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

fn timed(client: &mut Client) -> Duration {
    let asked = Instant::now();
    assert_eq!(client.call("echo", &json!({"message": "x"})), "x");
    asked.elapsed()
}

/// The times of calls through exai and of calls to the same server over its own stdio, made in turns. The daemon is not
/// to blame for what the machine costs both of them.
fn measure(client: &mut Client, direct: &mut Client, calls: usize) -> (Times, Times) {
    let both: Vec<_> = (0..calls).map(|_| (timed(client), timed(direct))).collect();
    let (through, alone) = both.into_iter().unzip();
    (Times::new(through), Times::new(alone))
}

/// Keeps this many calls under way until it is told to stop, and returns how many were answered.
fn flood(mut client: Client, stop: &AtomicBool) -> usize {
    let delay = json!({"name": "delay", "arguments": {"ms": CALL.as_millis() as u64, "message": "x"}});
    let mut answered = 0;
    for _ in 0..FLOOD {
        client.request("tools/call", &delay);
    }
    while !stop.load(Ordering::Relaxed) {
        let answer = client.receive();
        assert!(answer["result"].is_object(), "{answer}");
        answered += 1;
        client.request("tools/call", &delay);
    }
    answered
}

#[test]
fn a_flood_and_a_server_that_hangs_cost_the_others_next_to_nothing() {
    let servers: String = ["flooded", "hangs", "third"].iter().map(|name| fixture(name, &[])).collect();
    let instance = Instance::new(&servers);
    let mut client = instance.client("third");
    let mut direct = Client::start(std::process::Command::new(program("fixture-server")));
    direct.initialize(&json!({}));
    let calls = scaled(300);
    measure(&mut client, &mut direct, 50);
    let (quiet, quiet_alone) = measure(&mut client, &mut direct, calls);

    let mut hanging = instance.client("hangs");
    for number in 0..FLOOD {
        let call = json!({"name": "hang", "arguments": {"label": number.to_string()}});
        hanging.request("tools/call", &call);
    }
    let (flooder, mut other) = (instance.client("flooded"), instance.client("flooded"));
    let stop = AtomicBool::new(false);
    let ((loud, loud_alone), share, answered, took) = thread::scope(|scope| {
        let begun = Instant::now();
        let flood = scope.spawn(|| flood(flooder, &stop));
        let measured = measure(&mut client, &mut direct, calls);
        let delay = json!({"ms": CALL.as_millis() as u64, "message": "mine"});
        let one = |_| {
            let asked = Instant::now();
            assert_eq!(other.call("delay", &delay), "mine");
            asked.elapsed()
        };
        let share = Times::new((0..scaled(100)).map(one).collect());
        let took = begun.elapsed();
        stop.store(true, Ordering::Relaxed);
        (measured, share, flood.join().expect("the flood"), took)
    });
    eprintln!(
        "a flood of {} calls/s beside a server that hangs: calls of others p50 {:.2?} to {:.2?}, p99 {:.2?} to {:.2?} \
         (directly: p99 {:.2?} to {:.2?}); calls of 5 ms at the flooded server p50 {:.1?}, p99 {:.1?}, at most {:.1?}",
        answered * 1000 / took.as_millis() as usize,
        quiet.p(50),
        loud.p(50),
        quiet.p(99),
        loud.p(99),
        quiet_alone.p(99),
        loud_alone.p(99),
        share.p(50),
        share.p(99),
        share.p(100),
    );
    // A call through exai passes between processes four times as often as a direct call. Each time it waits until the
    // machine, which is busy with the flood, runs the next process.
    let noise = 4 * loud_alone.p(99) + Duration::from_millis(20);
    assert!(loud.p(99) <= 2 * quiet.p(99) + noise, "p99 {:?}, with noise of {noise:?}", loud.p(99));
    assert!(share.p(100) <= CALL * WINDOW + noise, "at most {:?}, with noise of {noise:?}", share.p(100));
}
