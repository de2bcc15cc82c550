//! `cargo xtask bench`
//!
//! Everything goes through real processes over stdio. *Direct* is the echo server of `exai-test` as the client's own
//! child, *exai* is `exai shim` in front of the same server. Only the tools of four servers that `npx` starts come from
//! the servers in .peers/, and the server over TLS is the echo server as a process of its own, to which *direct* is a client
//! with one connection. Each figure is measured in several rounds, direct and exai in turns, in an order that is
//! reversed from one round to the next, so that whatever disturbs the machine disturbs both.
//!
//! # The document of `--json`
//!
//! ```json
//! {
//!   "schema": 1,
//!   "measured_at": 1790000000,
//!   "machine": { "os": "linux", "cores": 2, "kernel": "6.1.0" },
//!   "quick": false,
//!   "rounds": 5,
//!   "figures": [{
//!     "name": "1 MiB call, p50",
//!     "unit": "ms",
//!     "direct": { "value": 1.2, "least": 1.1, "most": 1.4, "samples": 50 },
//!     "exai": { "value": 1.8, "least": 1.7, "most": 2.0, "samples": 50 },
//!     "ratio": 1.5,
//!     "target": { "of": "ratio", "at": "most", "limit": 1.8 },
//!     "met": true
//!   }]
//! }
//! ```
//!
//! `measured_at` is in seconds since 1970. `value` is the quantile over all samples (the median unless the name says
//! otherwise); `least` and `most` are the quantiles of the lowest and the highest round. `ratio` is exai's value
//! divided by direct's value. `of` is `ratio`, `exai` or `difference` (exai's value less direct's), `at` is `most` or `least`. A side that was not measured is
//! null, and so is everything that depends on it. `target` and `met` are null where there is no target.

mod client;
mod drive;
mod figures;
mod instance;
mod janitor;
mod lifecycle;
mod many;
mod measure;
mod memory;
mod npx;
mod processes;
mod remote;
mod report;
mod requests;
mod statistics;
mod watchdog;

use std::env::consts::EXE_SUFFIX;
use std::time::Duration;

use crate::process::{self, Outcome};
use crate::project;
use figures::Results;
use instance::Programs;
use janitor::Janitor;
use measure::{Bench, Effort};

pub(crate) const HELP: &str = "\
usage: cargo xtask bench [--quick] [--json FILE]

Builds the release programs and measures exai next to direct stdio to the same native echo server: calls,
throughput, starts, memory, a thousand clients at once, what looking after processes costs, servers elsewhere over TLS,
and the tools of four npx servers out of .peers/ (`cargo xtask peers`). Takes two minutes, and wants the machine for itself.

  --quick       fewer and shorter rounds: does it work, and roughly how fast
  --json FILE   also write the figures as JSON; the schema is at the top of xtask/src/bench.rs

A missed target is reported and is no failure: machines are noisy. Compare ratios within one run only.";

pub(crate) fn run(arguments: &[&str]) -> Outcome {
    if let [janitor::ARGUMENT, folder, exai] = arguments {
        return janitor::work(folder, exai);
    }
    let (quick, file) = options(arguments)?;
    let effort = if quick { QUICK } else { FULL };
    let results = measured(effort)?;
    print!("{}", report::table(&results));
    if let Some(file) = file {
        let document = report::document(&results, quick, effort.rounds);
        std::fs::write(file, format!("{document:#}\n")).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
}

const FULL: Effort =
    Effort { rounds: 5, calls: 400, big_calls: 10, flow: Duration::from_secs(1), starts: 8, first_starts: 2 };
const QUICK: Effort = Effort {
    rounds: 2,
    calls: 200,
    big_calls: 5,
    flow: Duration::from_millis(400),
    starts: 4,
    first_starts: 1,
};

fn options<'a>(mut arguments: &[&'a str]) -> Result<(bool, Option<&'a str>), String> {
    let (mut quick, mut file) = (false, None);
    loop {
        arguments = match arguments {
            [] => return Ok((quick, file)),
            ["--quick", rest @ ..] => {
                quick = true;
                rest
            }
            ["--json", path, rest @ ..] => {
                file = Some(*path);
                rest
            }
            _ => return Err("takes --quick and --json FILE".to_owned()),
        };
    }
}

/// Builds the programs and measures them in a folder that is removed afterwards.
fn measured(effort: Effort) -> Result<Results, String> {
    let program = |name: &str| project::target().join("release").join(format!("{name}{EXE_SUFFIX}"));
    let (exai, echo) = (program("exai"), program("echo-server"));
    process::run(project::cargo().args(["build", "--release", "--bins", "-p", "exai", "-p", "exai-test"]))?;
    let folder = tempfile::Builder::new().prefix("exai-bench-").tempdir();
    let folder = folder.map_err(|error| format!("a temporary folder cannot be made: {error}"))?;
    let janitor = Janitor::start(folder.path(), &exai)?;
    // From now on the janitor removes the folder.
    let results = Bench::new(&Programs { exai, echo, folder: folder.keep() }, effort).run();
    drop(janitor);
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_in_any_order() {
        assert_eq!(options(&[]), Ok((false, None)));
        assert_eq!(options(&["--json", "f", "--quick"]), Ok((true, Some("f"))));
        assert!(options(&["--json"]).is_err());
        assert!(options(&["--slow"]).is_err());
    }
}
