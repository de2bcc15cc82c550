//! The state of the whole simulation, and the queue of its events.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use exai_mux::behaviour::ObservedBehaviour;
use exai_mux::policy::{Policy, Share, ToolFilter};
use exai_mux::{Choice, Discovery, Era, InstanceId};

use crate::daemon::Daemon;
use crate::link::Link;
use crate::plan::{Change, Plan, SERVERS, What};
use crate::random::Random;
use crate::shim::Shim;

pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(5);
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const IDLE_STOP: Duration = Duration::from_secs(4);

/// An event that is due at some time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    Step(usize),
    /// A frame arrives at the daemon, or with `Down` at the shim.
    Up(u64),
    Down(u64),
    /// A daemon writes all messages that wait for a link.
    Flush(u64),
    /// A shim notices that its link is gone, or with `Silent` closes it because the daemon does not answer.
    Lost(u64),
    Silent(u64),
    Connect(usize),
    Expire(usize),
    Open(usize),
    Born,
    Tick(u32),
    Started(u32, InstanceId),
    ServerReads(u32, InstanceId),
    ServerSays(u32, InstanceId),
    ServerEnds(u32, InstanceId),
    /// A client answers a server's question.
    Replies(usize),
}

/// All shims, links, daemons and servers, and what is known about them.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    base: Instant,
    pub(crate) now: Duration,
    queue: BTreeMap<(Duration, u64), Event>,
    queued: u64,
    /// All shims so far. The plan's numbers stand for the latest shim in each of the places below.
    pub(crate) shims: Vec<Shim>,
    pub(crate) places: Vec<usize>,
    pub(crate) links: HashMap<u64, Link>,
    pub(crate) last_link: u64,
    pub(crate) daemon: Option<Daemon>,
    pub(crate) lives: u32,
    pub(crate) birth: bool,
    pub(crate) frozen: Duration,
    pub(crate) unstartable: Duration,
    pub(crate) known: BTreeMap<String, (u64, Discovery)>,
    pub(crate) traits: BTreeMap<String, ObservedBehaviour>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) slow_start: [Duration; SERVERS.len()],
    pub(crate) fail_start: [bool; SERVERS.len()],
    /// Whether no server was ever missing from the configuration.
    pub(crate) all_configured: bool,
    /// What the clients named "few" may see, and whether that was everything all the time.
    pub(crate) choice: Choice,
    pub(crate) all_chosen: bool,
    /// Time that does not count as waiting: the machine slept, the daemon was frozen, or a server was changed.
    pub(crate) excused: Duration,
    /// Whether no client makes requests any more.
    pub(crate) calm: bool,
    pub(crate) failure: Option<String>,
    /// The story of the run, if it is wanted.
    pub(crate) story: Option<String>,
    /// The number of requests that were executed twice.
    pub(crate) twice: u32,
    /// The number of answers that a client gave over a later link than the one over which it was asked.
    pub(crate) late: u32,
}

pub(crate) fn policies() -> Vec<Policy> {
    let policy = |name: &str| Policy {
        name: name.into(),
        revision: 1,
        share: Share::Auto,
        start_timeout: START_TIMEOUT,
        call_timeout: CALL_TIMEOUT,
        idle_stop: IDLE_STOP,
        eager: false,
        tools: ToolFilter::default(),
        one_at_a_time: false,
        crash_limit: if name == "b" { 5 } else { 0 },
        trusted: name != "c",
        era: match name {
            "a" => None,
            "b" => Some(Era::Legacy),
            _ => Some(Era::Modern),
        },
        bridge: name != "c",
    };
    SERVERS.into_iter().map(policy).collect()
}

impl World {
    pub(crate) fn new(plan: Plan, with_story: bool) -> Self {
        let random = Random::new(plan.seed ^ 0x5eed);
        let mut world = World {
            random,
            base: Instant::now(),
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            queued: 0,
            shims: Vec::new(),
            places: Vec::new(),
            links: HashMap::new(),
            last_link: 0,
            daemon: None,
            lives: 0,
            birth: false,
            frozen: Duration::ZERO,
            unstartable: Duration::ZERO,
            known: BTreeMap::new(),
            traits: BTreeMap::new(),
            policies: policies(),
            slow_start: [Duration::ZERO; SERVERS.len()],
            fail_start: [false; SERVERS.len()],
            all_configured: true,
            choice: Choice::default(),
            all_chosen: true,
            excused: Duration::ZERO,
            calm: false,
            failure: None,
            story: with_story.then(String::new),
            twice: 0,
            late: 0,
            plan,
        };
        for place in 0..world.plan.shims {
            let shim = world.new_shim();
            world.places.push(shim);
            debug_assert_eq!(world.places.len(), place + 1);
        }
        for step in 0..world.plan.steps.len() {
            let at = world.plan.steps[step].at;
            world.at(at, Event::Step(step));
        }
        world
    }

    /// The current time in the form that the tested code takes.
    pub(crate) fn instant(&self) -> Instant {
        self.base + self.now
    }

    pub(crate) fn since_base(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.base)
    }

    pub(crate) fn at(&mut self, when: Duration, event: Event) {
        self.queued += 1;
        self.queue.insert((when.max(self.now), self.queued), event);
    }

    pub(crate) fn after(&mut self, delay: Duration, event: Event) {
        self.at(self.now + delay, event);
    }

    pub(crate) fn fail(&mut self, sentence: impl Into<String>) {
        if self.failure.is_none() {
            let sentence = sentence.into();
            self.note(|| format!("FAILED: {sentence}"));
            self.failure = Some(sentence);
        }
    }

    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            let _ = writeln!(story, "{:>10.3} ms  {}", self.now.as_secs_f64() * 1000.0, what());
        }
    }

    /// Handles the next event, if one is due before `end`.
    pub(crate) fn next(&mut self, end: Duration) -> bool {
        let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) else { return false };
        let ((when, _), event) = entry.remove_entry();
        // Events that were due while the machine slept happen late.
        self.now = self.now.max(when);
        match event {
            Event::Step(step) => self.step(step),
            Event::Up(link) => self.daemon_reads(link),
            Event::Down(link) => self.shim_reads(link),
            Event::Flush(link) => self.daemon_writes(link),
            Event::Lost(link) => self.shim_loses(link),
            Event::Silent(link) => self.shim_gives_up(link),
            Event::Connect(shim) => self.connect(shim),
            Event::Expire(shim) => self.expire(shim),
            Event::Open(shim) => self.open(shim),
            Event::Replies(shim) => self.reply(shim),
            Event::Born => self.daemon_is_born(),
            Event::Tick(life) => self.tick(life),
            Event::Started(life, instance) => self.server_started(life, instance),
            Event::ServerReads(life, instance) => self.server_reads(life, instance),
            Event::ServerSays(life, instance) => self.server_says(life, instance),
            Event::ServerEnds(life, instance) => self.server_ends(life, instance),
        }
        true
    }

    fn step(&mut self, step: usize) {
        let what = self.plan.steps[step].what.clone();
        if !matches!(what, What::Say { .. }) {
            self.note(|| format!("*** {what:?}"));
        }
        match what {
            What::Say { shim, acts, batch } => self.say(self.places[shim], &acts, batch),
            What::Cut { shim, bytes, up, lose } => self.cut(self.places[shim], bytes, up, lose),
            What::KillShim { shim } => {
                self.kill_shim(self.places[shim]);
                self.places[shim] = self.new_shim();
            }
            What::KillDaemon => self.kill_daemon(),
            What::End { grace, stop } => self.end_daemon(grace, stop),
            What::Unstartable(duration) => self.unstartable = self.now + duration,
            What::Freeze(duration) => self.freeze(duration),
            What::KillServer { server, messages } => self.doom_server(server, messages),
            What::Hang { server, deaf } => self.hang_server(server, deaf),
            What::SlowStart { server, delay } => self.slow_start[server] = delay,
            What::FailStart { server } => self.fail_start[server] = true,
            What::RestartServer { server } => self.restart_server(server),
            What::Configure(change) => self.change(change),
            What::Ponder { shim, delay } => self.shims[self.places[shim]].ponders = delay,
            What::Jump(duration) => {
                self.now += duration;
                self.excused += duration;
            }
        }
    }

    fn change(&mut self, change: Change) {
        // Requests that wait for a changed server begin to wait again.
        self.excused += START_TIMEOUT;
        match change {
            Change::Restore => {
                self.policies = policies();
                self.choice = Choice::default();
            }
            Change::Remove(server) => {
                self.all_configured = false;
                self.policies.retain(|policy| &*policy.name != SERVERS[server]);
            }
            Change::Choose { servers, denied } => {
                self.all_chosen = false;
                let chosen = SERVERS.iter().enumerate().filter(|(at, _)| servers & (1 << at) != 0);
                let deny = if denied { vec!["*__read".to_owned()] } else { Vec::new() };
                self.choice = Choice {
                    servers: Some(chosen.map(|(_, name)| (*name).into()).collect()),
                    tools: ToolFilter { deny, ..ToolFilter::default() },
                };
            }
            Change::Revise(server) => {
                self.policy(server).into_iter().for_each(|policy| policy.revision += 1);
            }
            Change::Block(server) => {
                let denied = vec!["write".to_owned()];
                self.policy(server).into_iter().for_each(|policy| policy.tools.deny.clone_from(&denied));
            }
        }
        self.configure();
    }

    fn policy(&mut self, server: usize) -> Option<&mut Policy> {
        self.policies.iter_mut().find(|policy| &*policy.name == SERVERS[server])
    }
}
