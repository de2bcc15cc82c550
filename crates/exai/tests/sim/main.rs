//! Shims, daemons and servers without processes, threads, sockets and clocks: the same seed makes the same things go
//! wrong in the same order. The tests run the real [`exai_client::session`] and [`exai_mux`], connected as in the real
//! programs.

#![expect(clippy::print_stderr, reason = "a test prints its figures, and a failure its story")]

mod choice;
mod client;
mod daemon;
mod link;
mod plan;
mod random;
mod rest;
mod server;
mod shim;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use plan::Plan;
use rest::Figures;
use world::World;

/// The number of seeds in each run of the tests.
const SEEDS: u64 = 2_000;

#[test]
fn every_request_gets_its_one_answer_whatever_breaks() {
    if let Some(seed) = switch("EXAI_SIM_SEED") {
        return show(seed, &Plan::of(seed));
    }
    let given = switch("EXAI_SIM_SEEDS");
    let seeds = given.unwrap_or(SEEDS);
    // A person who runs this by hand has the whole machine for it.
    let most = if given.is_some() { usize::MAX } else { 2 };
    let (next, failed) = (AtomicU64::new(0), Mutex::new(None::<u64>));
    let total = Mutex::new(Figures::default());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(most) {
            scope.spawn(|| {
                let mut figures = Figures::default();
                while failed.lock().expect("a seed").is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    match run(&Plan::of(seed), false) {
                        (Ok(one), _) => figures.add(&one),
                        (Err(_), _) => *failed.lock().expect("a seed") = Some(seed),
                    }
                }
                total.lock().expect("figures").add(&figures);
            });
        }
    });
    if let Some(seed) = *failed.lock().expect("a seed") {
        show(seed, &Plan::of(seed));
    }
    let total = total.lock().expect("figures");
    eprintln!("{seeds} seeds: {total}");
    total.cover_everything(seeds);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in [1, 7, 42] {
        let (_, one) = run(&Plan::of(seed), true);
        let (_, two) = run(&Plan::of(seed), true);
        assert!(one == two && one.lines().count() > 20, "seed {seed}");
    }
}

/// Runs a plan to its end, and then until everything rests. Returns the figures or the failure, and the story.
fn run(plan: &Plan, with_story: bool) -> (Result<Figures, String>, String) {
    let mut world = World::new(plan.clone(), with_story);
    let panicked = catch_unwind(AssertUnwindSafe(|| world.run())).is_err();
    let story = world.story.take().unwrap_or_default();
    let failure = world.failure.take().or_else(|| panicked.then(|| "it panicked".to_owned()));
    (failure.map_or_else(|| Ok(world.figures()), Err), story)
}

/// Prints the story of a seed. If the seed fails, first removes the steps that are not needed for that, and then
/// panics.
fn show(seed: u64, plan: &Plan) {
    let (Err(first), _) = run(plan, false) else {
        let (_, story) = run(plan, true);
        return eprintln!("{story}EXAI_SIM_SEED={seed} does not fail");
    };
    let kind = |sentence: &str| sentence.split(": ").nth(1).unwrap_or(sentence).to_owned();
    let same = |plan: &Plan| run(plan, false).0.is_err_and(|again| kind(&again) == kind(&first));
    let small = plan.clone().shrink(same);
    let (_, story) = run(&small, true);
    let steps: Vec<String> =
        small.steps.iter().map(|step| format!("  {:?}: {:?}", step.at, step.what)).collect();
    panic!("{story}\nneeded are:\n{}\n{first}\nEXAI_SIM_SEED={seed} reproduces it", steps.join("\n"));
}

/// A number from an environment variable with which a person controls the test.
fn switch(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test, not of the product")]
    let given = std::env::var(name).ok();
    given.map(|number| number.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
