//! `cargo xtask test`

use std::process::Command;
use std::time::Instant;

use crate::process::{self, Outcome};
use crate::{lints, peers, project, tidy};

pub(crate) const HELP: &str = "\
usage: cargo xtask test [--fast]

Every check and every test, in this order: peers, format, tidy, programs and lints, tests, documentation
tests, features. Stops at the first that fails and says how to run it alone.

  --fast   without installing the peers, without the tests that need them, without documentation tests

The tests need cargo-nextest; it is installed from the crate registry if it is missing. NEXTEST_PROFILE
chooses a profile of .config/nextest.toml.";

/// One step of the run.
struct Step {
    name: &'static str,
    /// The command that runs this step alone.
    alone: &'static str,
    run: fn(&Step) -> Outcome,
    /// Whether `--fast` leaves it out.
    slow: bool,
}

const STEPS: &[Step] = &[
    Step { name: "peers", alone: "cargo xtask peers", run: |_| peers::run(&[]), slow: true },
    Step { name: "format", alone: "cargo fmt --all --check", run: cargo, slow: false },
    Step { name: "tidy", alone: "cargo xtask tidy", run: |_| tidy::run(&[]), slow: false },
    // The tests start the programs, and nextest builds only those of the packages that it tests. What is compiled is
    // linted at the same time; all at once, because the tests ask for more features of the dependencies, which would be
    // compiled twice otherwise.
    Step {
        name: "programs and lints",
        alone: "cargo clippy --workspace --all-targets -- -D warnings",
        run: |_| process::run(lints::cargo().args(["build", "--workspace", "--all-targets"])),
        slow: false,
    },
    Step { name: "tests", alone: "cargo nextest run --workspace", run: nextest, slow: false },
    Step {
        name: "documentation tests",
        alone: "cargo test --doc --workspace",
        run: |step| run_alone(lints::cargo(), step),
        slow: true,
    },
    // The product must not need a feature that only a dependency of the tests asks for.
    Step { name: "features", alone: "cargo check --package exai", run: cargo, slow: true },
];

pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let fast = match arguments {
        [] => false,
        ["--fast"] => true,
        _ => return Err("takes only --fast".to_owned()),
    };
    let steps: Vec<&Step> = STEPS.iter().filter(|step| !(fast && step.slow)).collect();
    let start = Instant::now();
    for (index, step) in steps.iter().enumerate() {
        let place = format!("[{}/{}] {}", index + 1, steps.len(), step.name);
        println!("{place} …");
        let began = Instant::now();
        let outcome = if fast && step.name == "tests" { fast_tests() } else { (step.run)(step) };
        outcome.map_err(|why| {
            format!("step {} failed: {why}\nto run this step alone: {}", step.name, step.alone)
        })?;
        println!("{place}: done in {:.1} s", began.elapsed().as_secs_f64());
    }
    println!("all {} steps passed in {:.1} s", steps.len(), start.elapsed().as_secs_f64());
    Ok(())
}

/// Runs the command in `alone`.
fn cargo(step: &Step) -> Outcome {
    run_alone(project::cargo(), step)
}

/// Runs the command in `alone` with this cargo.
fn run_alone(mut cargo: Command, step: &Step) -> Outcome {
    process::run(cargo.args(step.alone.split_whitespace().skip(1)))
}

fn nextest(step: &Step) -> Outcome {
    install_nextest()?;
    run_alone(lints::cargo(), step)
}

fn fast_tests() -> Outcome {
    install_nextest()?;
    process::run(lints::cargo().args(["nextest", "run", "--workspace", "--profile", "fast"]))
}

pub(crate) fn install_nextest() -> Outcome {
    if process::output(project::cargo().args(["nextest", "--version"])).is_ok() {
        return Ok(());
    }
    println!("      cargo-nextest is missing; installing it takes some minutes, once");
    process::run(project::cargo().args(["install", "--locked", "cargo-nextest"]))
}
