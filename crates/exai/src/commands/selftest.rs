//! `exai selftest`: everything that exai promises, tried on this machine in a private instance.

use std::time::Instant;

use exai_proto::documents::{Case, SCHEMA, SelfTest};
use exai_proto::exit;

use crate::cli::JsonArgs;
use crate::error::Error;
use crate::printer::Printer;
use bench::{Bench, Interrupted};
use outcome::CaseOutcome;

pub(crate) mod server;

mod bench;
mod cleanup;
mod client;
mod connected;
mod decoy;
mod identity;
mod instance;
mod launchers;
mod many;
mod outcome;
mod restart;
mod single;
mod tree;
mod truth;
mod untried;

/// One case: its id, the promise, and how the promise is tried.
struct Promise {
    id: &'static str,
    criterion: &'static str,
    try_it: fn(&Bench) -> CaseOutcome,
}

const PROMISES: [Promise; 7] = [
    Promise {
        id: "single-daemon",
        criterion: "One daemon, however it is started, and it is the process its record names",
        try_it: single::run,
    },
    Promise {
        id: "two-processes-one-server",
        criterion: "The number of processes is predictable, and each one is explained",
        try_it: tree::run,
    },
    Promise {
        id: "multiple-clients",
        criterion: "Several MCP clients use it at the same time, each by one shim",
        try_it: many::run,
    },
    Promise {
        id: "not-connected",
        criterion: "No client is ever \"Not connected\", whatever dies",
        try_it: connected::run,
    },
    Promise {
        id: "restart",
        criterion: "Stopping ends every process, and starting again starts clean",
        try_it: restart::run,
    },
    Promise {
        id: "cleanup",
        criterion: "Cleaning up ends what was left behind, and nothing else",
        try_it: cleanup::run,
    },
    Promise {
        id: "truth",
        criterion: "A record of what is gone is called stale, and never believed",
        try_it: truth::run,
    },
];

pub(crate) fn run(args: &JsonArgs, printer: &Printer) -> Result<u8, Error> {
    let start = Instant::now();
    let interrupted = Interrupted::default();
    let told = interrupted.clone();
    exai_os::signal::when_asked_to_end(move || told.set())
        .map_err(|error| Error::failed(format!("cannot watch for Ctrl-C: {error}")))?;
    let bench = Bench::new(interrupted.clone());
    if let (Ok(bench), false) = (&bench, args.json) {
        let place = format!("a private instance in {}; your own is not touched", bench.path().display());
        printer.faint(&place)?;
    }
    let mut document = SelfTest { schema: SCHEMA, ok: true, cases: Vec::new() };
    for (number, promise) in (1..).zip(&PROMISES) {
        printer.progress(&format!("{number} of {}: {}…", PROMISES.len(), promise.criterion));
        let outcome = bench.as_ref().map_err(String::clone).and_then(promise.try_it);
        if interrupted.is_set() {
            // Everything that the case started has ended, and the other cases would fail in the same way.
            drop(bench);
            return Err(Error::failed("interrupted; everything that was started has ended"));
        }
        let case = case(promise, outcome);
        if !args.json {
            show(promise, &case, printer)?;
        }
        document.ok &= case.ok;
        document.cases.push(case);
    }
    let calls = bench.as_ref().map_or(0, Bench::answered);
    drop(bench);
    if args.json {
        printer.json(&document)?;
    } else {
        let took = bench::seconds(start.elapsed());
        printer.line("")?;
        printer.headline(&verdict(&document, calls, &took))?;
        help_wanted(printer)?;
    }
    Ok(if document.ok { exit::DONE } else { exit::FAILED })
}

fn case(promise: &Promise, outcome: CaseOutcome) -> Case {
    let ok = outcome.is_ok();
    let detail = outcome.unwrap_or_else(|why| why);
    Case { id: promise.id.to_owned(), ok, detail }
}

fn show(promise: &Promise, case: &Case, printer: &Printer) -> Result<(), Error> {
    printer.verdict(case.ok, promise.criterion)?;
    for line in case.detail.lines() {
        printer.line(&format!("      {line}"))?;
    }
    Ok(())
}

/// Asks for help with tests that were never run on this system.
fn help_wanted(printer: &Printer) -> Result<(), Error> {
    let untried = untried::here();
    if untried.is_empty() {
        return Ok(());
    }
    printer.line("")?;
    printer.line("Those who wrote exai had no such system. Should you try one of these, please tell them what you saw:")?;
    untried.iter().try_for_each(|check| printer.line(&format!("  - {check}")))
}

fn verdict(document: &SelfTest, calls: u64, took: &str) -> String {
    let all = document.cases.len();
    let failed: Vec<&str> =
        document.cases.iter().filter(|case| !case.ok).map(|case| case.id.as_str()).collect();
    if failed.is_empty() {
        return format!(
            "exai works on this machine: {all} of {all} cases passed in {took}, {calls} tool calls answered"
        );
    }
    let passed = all - failed.len();
    format!(
        "exai does not work as it should on this machine: {passed} of {all} cases passed in {took}; failed: {}",
        failed.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_one_sentence() {
        let case = |id: &str, ok| Case { id: id.to_owned(), ok, detail: String::new() };
        let of = |cases: Vec<Case>| SelfTest { schema: SCHEMA, ok: cases.iter().all(|case| case.ok), cases };
        assert_eq!(
            verdict(&of(vec![case("a", true)]), 3, "6.2 s"),
            "exai works on this machine: 1 of 1 cases passed in 6.2 s, 3 tool calls answered"
        );
        assert_eq!(
            verdict(&of(vec![case("a", true), case("b", false)]), 3, "6.2 s"),
            "exai does not work as it should on this machine: 1 of 2 cases passed in 6.2 s; failed: b"
        );
    }

    #[test]
    fn ids_are_unique() {
        let ids: std::collections::BTreeSet<&str> = PROMISES.iter().map(|promise| promise.id).collect();
        assert_eq!(ids.len(), PROMISES.len());
    }
}
