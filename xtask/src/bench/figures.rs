//! The figures, their targets, and the measured samples.

use std::collections::HashMap;

use super::statistics::{Rounds, Summary};

/// The side that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Direct,
    Exai,
}

/// The subject of a measurement. Several figures may come from one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Series {
    Call,
    ModernCall,
    Discover,
    Introduction,
    BigCall,
    OneClient,
    ManyClients,
    Start,
    FirstStart,
    Crowd,
    Shim,
    IdleDaemon,
    AllMemory,
    AllProcesses,
    HundredShims,
    Gone,
    Status,
    Ps,
    Guard,
    Watcher,
    NpxServers,
    ClientMemory,
    CallOfMany,
    Flat,
    RemoteCall,
    RemoteSession,
    RemoteRequests,
}

/// The value that a figure should have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    None,
    AtMost(f64),
    AtLeast(f64),
    RatioAtMost(f64),
    /// By how much exai's value may be above direct's.
    AddsAtMost(f64),
}

/// One row of the table.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) series: Series,
    pub(crate) percent: usize,
    pub(crate) target: Target,
}

pub(crate) const FIGURES: [Figure; 28] = [
    figure("100 B call, p50", "µs", Series::Call, Target::None),
    Figure { percent: 95, ..figure("100 B call, p95", "µs", Series::Call, Target::None) },
    figure("100 B call in the modern era, p50", "µs", Series::ModernCall, Target::None),
    figure("server/discover through a running shim, p50", "ms", Series::Discover, Target::AtMost(3.0)),
    figure("initialize through a running shim, p50", "ms", Series::Introduction, Target::AtMost(3.0)),
    figure("1 MiB call, p50", "ms", Series::BigCall, Target::RatioAtMost(1.8)),
    figure("calls, 1 client x 64 in flight", "/s", Series::OneClient, Target::AtLeast(80_000.0)),
    figure("calls, 16 clients x 16 in flight", "/s", Series::ManyClients, Target::AtLeast(55_000.0)),
    figure("start, daemon up", "ms", Series::Start, Target::AtMost(4.0)),
    figure("start, nothing running", "ms", Series::FirstStart, Target::AtMost(60.0)),
    figure("30 starts at once, nothing running", "ms", Series::Crowd, Target::RatioAtMost(2.0)),
    figure(
        "all tools of 4 npx servers, from a client's start",
        "ms",
        Series::NpxServers,
        Target::AtMost(20.0),
    ),
    figure("PSS of the idle daemon", "MiB", Series::IdleDaemon, Target::AtMost(8.0)),
    figure("PSS of one shim among 20", "MiB", Series::Shim, Target::AtMost(0.8)),
    figure("PSS, 20 clients x 5 echo servers", "MiB", Series::AllMemory, Target::None),
    figure("processes, 20 clients x 5 echo servers", "", Series::AllProcesses, Target::None),
    figure("100 shims at once, nothing running", "ms", Series::HundredShims, Target::AtMost(1000.0)),
    figure("kill -9 of the daemon until 60 processes are gone", "ms", Series::Gone, Target::AtMost(250.0)),
    figure("exai status, 20 servers x 3 processes", "ms", Series::Status, Target::AtMost(20.0)),
    figure("exai ps, 20 servers x 3 processes", "ms", Series::Ps, Target::AtMost(60.0)),
    figure("PSS of one guard among 20", "MiB", Series::Guard, Target::AtMost(1.0)),
    figure("idle daemon with 20 servers, of one core", "%", Series::Watcher, Target::AtMost(0.5)),
    figure("PSS of the daemon for one client among 1,000", "KiB", Series::ClientMemory, Target::AtMost(45.0)),
    figure("100 B call of one after the other of 1,000 clients, p50", "µs", Series::CallOfMany, Target::None),
    figure("that by the same with 1 client", "x", Series::Flat, Target::AtMost(1.2)),
    figure(
        "100 B call of a server over loopback TLS, p50",
        "µs",
        Series::RemoteCall,
        Target::AddsAtMost(500.0),
    ),
    figure(
        "PSS of the daemon for one of 2,000 idle sessions elsewhere",
        "KiB",
        Series::RemoteSession,
        Target::AtMost(40.0),
    ),
    figure("requests of these in 5 s", "", Series::RemoteRequests, Target::AtMost(0.0)),
];

const fn figure(name: &'static str, unit: &'static str, series: Series, target: Target) -> Figure {
    Figure { name, unit, series, percent: 50, target }
}

/// The numbers of a figure.
pub(crate) struct Line {
    pub(crate) direct: Option<Summary>,
    pub(crate) exai: Option<Summary>,
    pub(crate) ratio: Option<f64>,
    /// Whether the target is met; `None` where there is no target or no measurement.
    pub(crate) met: Option<bool>,
}

/// All samples of a run.
#[derive(Debug, Default)]
pub(crate) struct Results(HashMap<(Series, Side), Rounds>);

impl Results {
    /// Adds one round.
    pub(crate) fn add(&mut self, series: Series, side: Side, samples: Vec<f64>) {
        self.0.entry((series, side)).or_default().push(samples);
    }

    pub(crate) fn line(&self, figure: &Figure) -> Line {
        let summary = |side| Summary::of(self.0.get(&(figure.series, side))?, figure.percent);
        let (direct, exai) = (summary(Side::Direct), summary(Side::Exai));
        let value = exai.map(|exai| exai.value);
        let ratio = direct.zip(value).map(|(direct, value)| value / direct.value);
        let met = match figure.target {
            Target::None => None,
            Target::AtMost(limit) => value.map(|value| value <= limit),
            Target::AtLeast(limit) => value.map(|value| value >= limit),
            Target::RatioAtMost(limit) => ratio.map(|ratio| ratio <= limit),
            Target::AddsAtMost(limit) => {
                direct.zip(value).map(|(direct, value)| value - direct.value <= limit)
            }
        };
        Line { direct, exai, ratio, met }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_held_against_the_right_number() {
        let mut results = Results::default();
        results.add(Series::Start, Side::Direct, vec![1.0]);
        results.add(Series::Start, Side::Exai, vec![3.0]);
        let met = |target| results.line(&figure("x", "ms", Series::Start, target)).met;
        assert_eq!(met(Target::None), None);
        assert_eq!(met(Target::AtMost(3.0)), Some(true));
        assert_eq!(met(Target::AtLeast(4.0)), Some(false));
        assert_eq!(met(Target::RatioAtMost(2.9)), Some(false));
        let unmeasured = results.line(&figure("x", "ms", Series::Shim, Target::AtMost(1.0)));
        assert_eq!(unmeasured.met, None);
    }
}
