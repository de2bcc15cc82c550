//! The measurements and their order.

use std::process::Command;
use std::time::{Duration, Instant};

use super::client::Client;
use super::figures::{Results, Series, Side};
use super::instance::{Instance, Programs};
use super::requests::{INITIALIZE, discover};
use super::watchdog::Watchdog;
use super::{drive, lifecycle, many, memory, npx, remote};

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// The numbers below are per round and side.
    pub(crate) calls: usize,
    pub(crate) big_calls: usize,
    pub(crate) flow: Duration,
    pub(crate) starts: usize,
    pub(crate) first_starts: usize,
}

const MEBIBYTE: usize = 1 << 20;
const CROWD: usize = 30;

/// One run of the bench.
pub(crate) struct Bench<'a> {
    programs: &'a Programs,
    effort: Effort,
    watchdog: Watchdog,
    results: Results,
}

/// A measurement: returns the samples of one side in one round. It may use the given instance, which is running.
type Measurement = fn(&Bench<'_>, Side, &Instance<'_>) -> Result<Vec<f64>, String>;

const MEASUREMENTS: [(Series, Measurement); 10] = [
    (Series::Call, |bench, side, up| bench.calls(side, up, 100, bench.effort.calls, 1e6)),
    (Series::ModernCall, |bench, side, up| bench.modern_calls(side, up)),
    (Series::Discover, |bench, side, up| bench.introductions(side, up, &discover())),
    (Series::Introduction, |bench, side, up| bench.introductions(side, up, INITIALIZE)),
    (Series::BigCall, |bench, side, up| bench.calls(side, up, MEBIBYTE, bench.effort.big_calls, 1e3)),
    (Series::OneClient, |bench, side, up| bench.flow(side, up, 1, 64)),
    (Series::ManyClients, |bench, side, up| bench.flow(side, up, 16, 16)),
    (Series::Start, |bench, side, up| bench.starts(side, up)),
    (Series::FirstStart, |bench, side, _| bench.first_starts(side)),
    (Series::Crowd, |bench, side, _| bench.crowd(side)),
];

impl<'a> Bench<'a> {
    pub(crate) fn new(programs: &'a Programs, effort: Effort) -> Self {
        Bench { programs, effort, watchdog: Watchdog::start(), results: Results::default() }
    }

    pub(crate) fn run(mut self) -> Result<Results, String> {
        self.measure_time()?;
        // Memory comes only now, without another daemon: pages that two daemons share would make each look smaller.
        memory::measure(self.programs, &self.watchdog, &mut self.results)?;
        lifecycle::measure(self.programs, &self.watchdog, &mut self.results)?;
        many::measure(self.programs, self.effort.rounds, &self.watchdog, &mut self.results)
            .map_err(|why| format!("a thousand clients: {why}"))?;
        remote::measure(
            self.programs,
            (self.effort.rounds, self.effort.calls),
            &self.watchdog,
            &mut self.results,
        )
        .map_err(|why| format!("servers elsewhere: {why}"))?;
        npx::measure(self.programs, self.effort.rounds, &self.watchdog, &mut self.results)
            .map_err(|why| format!("tools of npx servers: {why}"))?;
        Ok(self.results)
    }

    fn measure_time(&mut self) -> Result<(), String> {
        let up = Instance::of_both_eras(self.programs)?;
        // The server stays up after this client, and the environment of the account is now known to later daemons.
        Client::introduced(up.shim(), &self.watchdog)?.finish()?;
        for round in 0..self.effort.rounds {
            let mut sides = [Side::Direct, Side::Exai];
            if round % 2 == 1 {
                sides.reverse();
            }
            for (series, measurement) in MEASUREMENTS {
                for side in sides {
                    let samples = measurement(self, side, &up)
                        .map_err(|why| format!("{series:?} of {side:?} in round {}: {why}", round + 1))?;
                    self.results.add(series, side, samples);
                }
            }
        }
        Ok(())
    }

    fn command(&self, side: Side, instance: &Instance<'_>) -> Command {
        match side {
            Side::Direct => Command::new(&self.programs.echo),
            Side::Exai => instance.shim(),
        }
    }

    fn calls(
        &self,
        side: Side,
        up: &Instance<'_>,
        message: usize,
        number: usize,
        scale: f64,
    ) -> Result<Vec<f64>, String> {
        let mut client = Client::introduced(self.command(side, up), &self.watchdog)?;
        drive::sequential(&mut client, message, number / 10)?;
        let times = drive::sequential(&mut client, message, number)?;
        Ok(times.iter().map(|time| time.as_secs_f64() * scale).collect())
    }

    fn modern_calls(&self, side: Side, up: &Instance<'_>) -> Result<Vec<f64>, String> {
        let command = match side {
            Side::Direct => {
                let mut command = Command::new(&self.programs.echo);
                command.arg("--modern");
                command
            }
            Side::Exai => up.modern_shim(),
        };
        let mut client = Client::start(command, &self.watchdog)?;
        drive::sequential_modern(&mut client, 100, self.effort.calls / 10)?;
        let times = drive::sequential_modern(&mut client, 100, self.effort.calls)?;
        Ok(times.iter().map(|time| time.as_secs_f64() * 1e6).collect())
    }

    /// The times in which exai says from memory what a server has said of itself.
    fn introductions(&self, side: Side, up: &Instance<'_>, request: &[u8]) -> Result<Vec<f64>, String> {
        if side == Side::Direct {
            return Ok(Vec::new());
        }
        let mut client = Client::start(up.modern_shim(), &self.watchdog)?;
        drive::repeated(&mut client, request, 1)?;
        let times = drive::repeated(&mut client, request, self.effort.calls / 4)?;
        Ok(times.iter().map(|time| time.as_secs_f64() * 1e3).collect())
    }

    fn flow(
        &self,
        side: Side,
        up: &Instance<'_>,
        clients: usize,
        in_flight: usize,
    ) -> Result<Vec<f64>, String> {
        let mut clients = (0..clients)
            .map(|_| Client::introduced(self.command(side, up), &self.watchdog))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(vec![drive::flowing(&mut clients, in_flight, self.effort.flow)?])
    }

    /// The times from the start of a process until `initialize` is answered.
    fn starts(&self, side: Side, up: &Instance<'_>) -> Result<Vec<f64>, String> {
        let one = |_| {
            let start = Instant::now();
            let client = Client::introduced(self.command(side, up), &self.watchdog)?;
            let time = milliseconds(start);
            client.finish()?;
            Ok(time)
        };
        (0..self.effort.starts).map(one).collect()
    }

    /// The same times with neither a daemon nor a server running before.
    fn first_starts(&self, side: Side) -> Result<Vec<f64>, String> {
        let one = |_| {
            let instance = Instance::new(self.programs, 1)?;
            let command = self.command(side, &instance);
            let start = Instant::now();
            let client = Client::introduced(command, &self.watchdog)?;
            let time = milliseconds(start);
            drop(client);
            Ok(time)
        };
        (0..self.effort.first_starts).map(one).collect()
    }

    /// The time from the start of the first process until the last `initialize` is answered.
    fn crowd(&self, side: Side) -> Result<Vec<f64>, String> {
        let instance = Instance::new(self.programs, 1)?;
        let start = Instant::now();
        let mut clients = Vec::with_capacity(CROWD);
        for _ in 0..CROWD {
            let mut client = Client::start(self.command(side, &instance), &self.watchdog)?;
            client.send(INITIALIZE)?;
            clients.push(client);
        }
        for client in &mut clients {
            client.expect_welcome()?;
        }
        let time = milliseconds(start);
        if side == Side::Exai {
            one_daemon_one_server(&instance)?;
        }
        Ok(vec![time])
    }
}

/// Checks that all shims use one daemon, and that the daemon has started one server.
fn one_daemon_one_server(instance: &Instance<'_>) -> Result<(), String> {
    let status = instance.status()?;
    let length = |list: &serde_json::Value| list.as_array().map_or(0, Vec::len);
    let shims = length(&status["clients"]);
    let servers = status["servers"].as_array().into_iter().flatten();
    let echo: usize =
        servers.filter(|server| server["name"] == "echo1").map(|server| length(&server["instances"])).sum();
    if (shims, echo) == (CROWD, 1) {
        return Ok(());
    }
    Err(format!("{CROWD} shims should be with one daemon and one server: it has {shims}, and {echo} servers"))
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
