//! Clients and servers of both eras in a random order: no message is misrouted or lost, no request is answered twice, and
//! nobody hears what only the other era has. Servers of an unknown era end, are silent or answer nonsense at the question
//! for it, and speak another one in their next run. Clients continue calls with request states of their own, of others, used
//! ones and invented ones.

mod checks;
mod people;
mod programs;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use exai_mux::policy::{Policy, Share};
use exai_mux::{ClientId, Effect, Era, Event, InstanceId};
use exai_proto::Message;
use proptest::prelude::*;
use serde_json::Value;

use crate::random_eras::people::{Asked, GivenState, Person, Retry};
use crate::random_eras::programs::{Manner, Program, Question, Run, Say, Speaks};
use crate::support::{Bench, policy};

/// The servers: the era that the configuration demands, and whether messages are bridged for clients of the modern era.
pub(super) const SERVERS: [(&str, Option<Era>, bool); 5] = [
    ("old", Some(Era::Legacy), false),
    ("bridged", Some(Era::Legacy), true),
    ("new", Some(Era::Modern), false),
    ("odd", None, false),
    ("both", None, true),
];
/// Two of each style at each endpoint: each server, and all of them.
const PEOPLE: usize = 2 * 3 * (SERVERS.len() + 1);

/// All servers and clients.
pub(super) struct World {
    bench: Bench,
    /// What happens because of what has happened.
    next: VecDeque<Event>,
    people: Vec<Person>,
    /// The person of every link so far. A person has one link at a time.
    links: HashMap<ClientId, usize>,
    /// The requests that are not answered yet, by client and id.
    asked: BTreeMap<(ClientId, u64), Asked>,
    /// The request states that clients were given, oldest first.
    states: Vec<GivenState>,
    /// A call that nothing may reach: somebody tries to continue it who may not.
    out_of_reach: Option<String>,
    programs: BTreeMap<InstanceId, Program>,
    /// How each server runs the next time.
    runs: [Run; SERVERS.len()],
    /// The questions of legacy servers. A question's id is its index here.
    questions: Vec<Question>,
    /// How many calls were answered with a result.
    succeeded: usize,
}

impl World {
    fn new() -> Self {
        let configured = |(name, era, bridge): (&str, Option<Era>, bool)| {
            let share = if name == "bridged" { Share::Shared } else { Share::Auto };
            Policy { era, bridge, share, ..policy(name) }
        };
        let mut world = World {
            bench: Bench::new(SERVERS.into_iter().map(configured).collect()),
            next: VecDeque::new(),
            people: Vec::new(),
            links: HashMap::new(),
            asked: BTreeMap::new(),
            states: Vec::new(),
            out_of_reach: None,
            programs: BTreeMap::new(),
            runs: [Run { speaks: Speaks::Both, manner: Manner::Refuses }; SERVERS.len()],
            questions: Vec::new(),
            succeeded: 0,
        };
        for person in 0..PEOPLE {
            world.people.push(Person::new(person));
            world.link(person);
        }
        world
    }

    /// Gives the router an event, and then all that follows from it.
    fn step(&mut self, event: Event) {
        self.next.push_back(event);
        self.run();
    }

    /// Gives the router all events that are to come.
    fn run(&mut self) {
        while let Some(event) = self.next.pop_front() {
            for effect in self.bench.event(event) {
                self.carry_out(effect);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::ToServer { instance, bytes, .. } => {
                self.program_hears(instance, &parse(bytes.into_whole()));
            }
            Effect::ToClient { client, bytes, .. } => self.client_hears(client, &parse(bytes.into_whole())),
            Effect::Dropped { client, id } => self.dropped(client, &id),
            Effect::Start { instance, server, .. } => {
                let server = SERVERS.iter().position(|(name, ..)| **name == *server).expect("a known server");
                self.programs.insert(instance, Program::new(server, self.runs[server]));
                self.next.push_back(Event::Up { instance });
            }
            Effect::GiveUp { instance, reason } => self.end_program(instance, &reason),
            Effect::Stop { instance, .. } => {
                self.programs.get_mut(&instance).expect("it was started").is_gone = true;
            }
            Effect::Unserved { client, .. } => panic!("no daemon drains, and {client:?} is not served"),
            Effect::Ready { .. }
            | Effect::Pinged { .. }
            | Effect::DiscoveryChanged { .. }
            | Effect::BehaviourChanged { .. }
            | Effect::Repeatable { .. } => {}
        }
    }

    fn passes(&mut self, time: Duration) {
        self.bench.now += time;
        self.step(Event::Tick);
    }

    /// Lets all servers and clients answer everything while time passes.
    fn settle(&mut self) {
        for _ in 0..45 {
            self.answer_all();
            self.passes(Duration::from_secs(1));
        }
    }

    fn answer_all(&mut self) {
        for instance in self.programs.keys().copied().collect::<Vec<_>>() {
            while self.answer_first(instance) {}
        }
        while self.reply(0) {}
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Call { person, is_modern, server, kind } => self.call(person, is_modern, server, kind),
            Step::Say { at, say } => self.say(at, say),
            Step::Reply { at } => _ = self.reply(at),
            Step::Retry { at, retry } => self.retry(at, retry),
            Step::Cancel { at } => self.cancel(at),
            Step::Listen { person, has_uri } => self.listen(person, has_uri),
            Step::Change { at } => self.change(at),
            Step::Exit { at } => self.exit(at),
            Step::Restart { server } => self.step(Event::Restart { server: SERVERS[server].0.into() }),
            Step::Turn { server, run } => self.runs[server] = run,
            Step::Link { person } => self.link(person),
            Step::Wait { seconds } => self.passes(Duration::from_secs(seconds)),
        }
    }
}

fn parse(bytes: bytes::Bytes) -> Value {
    Message::parse(bytes.clone()).expect("everything sent is a message");
    serde_json::from_slice(&bytes).expect("messages are JSON")
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Call { person: usize, is_modern: bool, server: usize, kind: u8 },
    Say { at: usize, say: Say },
    Reply { at: usize },
    Retry { at: usize, retry: Retry },
    Cancel { at: usize },
    Listen { person: usize, has_uri: bool },
    Change { at: usize },
    Exit { at: usize },
    Restart { server: usize },
    Turn { server: usize, run: Run },
    Link { person: usize },
    Wait { seconds: u64 },
}

/// One step of the first `people`, each of which is the `every`th.
fn step(people: usize, every: usize) -> impl Strategy<Value = Step> {
    let person = move || (0..people).prop_map(move |person| person * every);
    let server = || 0..SERVERS.len();
    let say = prop_oneof![
        6 => Just(Say::Result),
        1 => Just(Say::Error),
        1 => Just(Say::Progress),
        1 => Just(Say::Log),
        4 => any::<bool>().prop_map(Say::NeedsInput),
    ];
    let retry = prop_oneof![
        5 => Just(Retry::Right),
        1 => Just(Retry::WithoutAnswer),
        1 => Just(Retry::Foreign),
        1 => Just(Retry::Invented),
        1 => Just(Retry::Changed),
    ];
    let speaks = prop_oneof![Just(Speaks::Legacy), Just(Speaks::Modern), Just(Speaks::Both)];
    let manner = prop_oneof![
        Just(Manner::Refuses),
        Just(Manner::Exits),
        Just(Manner::SaysNonsense),
        Just(Manner::IsSilent),
        Just(Manner::Hangs),
    ];
    prop_oneof![
        24 => (person(), any::<bool>(), server(), 0..10_u8)
            .prop_map(|(person, is_modern, server, kind)| Step::Call { person, is_modern, server, kind }),
        30 => (any::<usize>(), say).prop_map(|(at, say)| Step::Say { at, say }),
        8 => any::<usize>().prop_map(|at| Step::Reply { at }),
        10 => (any::<usize>(), retry).prop_map(|(at, retry)| Step::Retry { at, retry }),
        2 => any::<usize>().prop_map(|at| Step::Cancel { at }),
        2 => (person(), any::<bool>()).prop_map(|(person, has_uri)| Step::Listen { person, has_uri }),
        2 => any::<usize>().prop_map(|at| Step::Change { at }),
        1 => any::<usize>().prop_map(|at| Step::Exit { at }),
        1 => server().prop_map(|server| Step::Restart { server }),
        1 => (server(), speaks, manner)
            .prop_map(|(server, speaks, manner)| Step::Turn { server, run: Run { speaks, manner } }),
        1 => person().prop_map(|person| Step::Link { person }),
        3 => (0..4_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn play(steps: Vec<Step>) {
    let mut world = World::new();
    for step in steps {
        world.act(step);
    }
    world.settle();
    // Clients that do not continue their calls let them go.
    world.passes(Duration::from_mins(11));
    world.settle();
    world.check_rest();
    world.check_service();
    world.check_end();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_is_misrouted_lost_or_answered_twice_between_the_eras(
        steps in proptest::collection::vec(step(PEOPLE, 1), 0..1200),
    ) {
        play(steps);
    }

    #[test]
    fn nothing_is_mistaken_where_few_of_both_eras_use_few_servers(
        at in 0..6_usize,
        steps in proptest::collection::vec(step(6, 6), 0..500),
    ) {
        let shifted = |step| match step {
            Step::Call { person, is_modern, server, kind } => Step::Call { person: person + at, is_modern, server, kind },
            Step::Listen { person, has_uri } => Step::Listen { person: person + at, has_uri },
            Step::Link { person } => Step::Link { person: person + at },
            step => step,
        };
        play(steps.into_iter().map(shifted).collect());
    }
}
