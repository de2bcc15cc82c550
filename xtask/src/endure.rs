//! `cargo xtask endure`

use crate::process::{self, Outcome};
use crate::project;

pub(crate) const HELP: &str = "\
usage: cargo xtask endure [--debug] [NAME [NUMBER]]

Measures what takes long, with programs built for release, and prints the figures, each with what it may be.
Without a name: the list.

  --debug   with the programs and tests that cargo test builds; quicker to build, and worse figures";

/// Tests that are ignored in normal runs.
struct Endurance {
    name: &'static str,
    about: &'static str,
    tests: &'static [&'static str],
    /// The meaning of NUMBER, and the variable that passes it to the tests.
    number: Option<(&'static str, &'static str)>,
}

const ALL: &[Endurance] = &[
    Endurance {
        name: "routing",
        about: "a million calls of 200 clients with the same ids and tokens to three servers",
        tests: &["routing::a_million_calls_with_the_same_ids_and_tokens_come_back_to_their_clients"],
        number: Some(("calls", "EXAI_ENDURE_CALLS")),
    },
    Endurance {
        name: "kills",
        about: "a thousand kills of daemons, guards, servers and shims under 50 clients",
        tests: &["chaos::a_thousand_kills_under_load_leave_one_daemon_every_answer_and_no_orphan"],
        number: Some(("clients", "EXAI_CHAOS_CLIENTS")),
    },
    Endurance {
        name: "sign-ins",
        about: "20 clients of 10 servers under 1,000 ends of every token: pages, renewals, lost sign-ins",
        tests: &["sign_in::expiries::a_thousand_expiries_cost_one_page_per_server"],
        number: None,
    },
    Endurance {
        name: "slow",
        about: "a gibibyte for clients that do not read: memory, when they are cut, what others notice",
        tests: &[
            "endure::slow::a_gibibyte_that_nobody_reads_costs_a_bound_of_memory_and_delays_nobody",
            "endure::slow::a_client_for_whom_a_little_too_much_waits_is_cut_after_ten_seconds",
        ],
        number: None,
    },
    Endurance {
        name: "long",
        about: "one client and three that send messages of 30 MiB without end: what others notice",
        tests: &["endure::long::messages_of_thirty_mebibytes_cost_others_ten_milliseconds_at_most"],
        number: None,
    },
    Endurance {
        name: "overload",
        about: "ten times as many calls as a server can do: goodput, refusals, when it is over",
        tests: &["endure::overload::ten_times_the_capacity_costs_no_goodput_and_nobody_else_much"],
        number: None,
    },
    Endurance {
        name: "soak",
        about: "50 clients that come and go for 120 minutes: memory, descriptors, threads, what is held",
        tests: &["endure::soak::clients_that_come_and_go_for_hours_leave_nothing_behind"],
        number: Some(("minutes", "EXAI_ENDURE_MINUTES")),
    },
    Endurance {
        name: "sim",
        about: "100,000 seeds of the simulator of shims, daemons and servers",
        tests: &["every_request_gets_its_one_answer_whatever_breaks"],
        number: Some(("seeds", "EXAI_SIM_SEEDS")),
    },
];

pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let (debug, arguments) = match arguments {
        ["--debug", rest @ ..] => (true, rest),
        all => (false, all),
    };
    let (name, number) = match arguments {
        [] => {
            print!("{}", list());
            return Ok(());
        }
        [name] => (*name, None),
        [name, number] => (*name, Some(*number)),
        _ => return Err("takes a name and at most one number".to_owned()),
    };
    let Some(one) = ALL.iter().find(|one| one.name == name) else {
        return Err(format!("there is no {name:?}; `cargo xtask endure` lists what there is"));
    };
    let build = if debug { "dev" } else { "release" };
    println!("{name}: {} (built for {build})", one.about);
    let simulated = name == "sim";
    if !simulated {
        process::run(project::cargo().args(["build", "--workspace", "--bins", "--profile", build]))?;
    }
    let tests: Vec<String> = one.tests.iter().map(|test| format!("test(={test})")).collect();
    let mut command = project::cargo();
    command.args(["nextest", "run", "--package", "exai", "--test", if simulated { "sim" } else { "it" }]);
    command.args(["--run-ignored", "all", "--no-capture"]);
    command.args(["--no-fail-fast", "--cargo-profile", build, "-E", &tests.join(" | ")]);
    match (number, one.number) {
        (Some(number), Some((_, variable))) => {
            number.parse::<u64>().map_err(|_| format!("{number:?} is no number"))?;
            command.env(variable, number);
        }
        (Some(_), None) => return Err(format!("{name} takes no number")),
        (None, _) if simulated => {
            command.env("EXAI_SIM_SEEDS", "100000");
        }
        (None, _) => {}
    }
    process::run(&mut command)
}

fn list() -> String {
    let line = |one: &Endurance| {
        let number = one.number.map_or_else(String::new, |(what, _)| format!("[{}]", what.to_uppercase()));
        format!("  {:<8} {number:<10} {}\n", one.name, one.about)
    };
    let lines: String = ALL.iter().map(line).collect();
    format!("cargo xtask endure NAME:\n\n{lines}")
}
