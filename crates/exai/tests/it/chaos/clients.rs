//! The clients as the killer sees them: whose shim it may kill, which clients rest, and what all clients were told.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use exai_os::process::Identity;

use super::SERVERS;
use super::conversation::{Conversation, End};
use super::ledger::Call;
use crate::support::Instance;

/// The longest time that an answer may take.
pub(super) const LONGEST: Duration = Duration::from_secs(15);

pub(super) struct Clients {
    over: AtomicBool,
    resting: AtomicBool,
    slots: Vec<Slot>,
    successes: [Successes; SERVERS.len()],
    told: Mutex<Told>,
}

/// The state of one client: its shim, whether the shim is being killed, and whether the client rests.
#[derive(Default)]
pub(super) struct Slot {
    shim: Mutex<Option<Identity>>,
    pub(super) killed: AtomicBool,
    pub(super) rests: AtomicBool,
}

impl Slot {
    pub(super) fn appears(&self, shim: Option<Identity>) {
        *self.shim.lock().expect("a shim") = shim;
    }
}

/// The successful calls to one server.
#[derive(Default)]
struct Successes {
    count: AtomicU32,
    /// The time at which the latest of these calls was made.
    youngest: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Told {
    ok: u32,
    errors: BTreeMap<i64, u32>,
    shims: u32,
    longest: Duration,
    /// The number of answers that took longer than a second.
    slow: u32,
    complaints: Vec<String>,
    calls: Vec<Call>,
}

impl Clients {
    pub(super) fn new(count: usize) -> Self {
        Clients {
            over: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            slots: (0..count).map(|_| Slot::default()).collect(),
            successes: Default::default(),
            told: Mutex::default(),
        }
    }

    pub(super) fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, instance: &'scope Instance) {
        for number in 0..self.slots.len() {
            scope.spawn(move || {
                for life in 1.. {
                    if self.over() {
                        return;
                    }
                    self.told().shims += 1;
                    if let End::Over = Conversation::new(self, number, life, instance).hold() {
                        return;
                    }
                    self.slots[number].killed.store(false, Ordering::Relaxed);
                }
            });
        }
    }

    /// Ends the conversations of all clients.
    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.resting.store(true, Ordering::Relaxed);
    }

    pub(super) fn over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Makes the clients stop calling, and returns when every request is answered. The shims stay.
    pub(super) fn rest(&self) {
        self.resting.store(true, Ordering::Relaxed);
        let all_rest = || self.slots.iter().all(|slot| slot.rests.load(Ordering::Relaxed));
        let complained = || !self.complaints().is_empty();
        exai_test::eventually("every request is answered", LONGEST + LONGEST, || all_rest() || complained());
    }

    pub(super) fn resting(&self) -> bool {
        self.resting.load(Ordering::Relaxed)
    }

    pub(super) fn slot(&self, number: usize) -> &Slot {
        &self.slots[number]
    }

    pub(super) fn count(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The shim of a client, which learns here that its shim is about to be killed.
    pub(super) fn victim(&self, number: usize) -> Option<Identity> {
        let slot = &self.slots[number % self.slots.len()];
        let shim = slot.shim.lock().expect("a shim").clone();
        shim.inspect(|_| slot.killed.store(true, Ordering::Relaxed))
    }

    pub(super) fn count_answer(&self, took: Duration, code: Option<i64>) {
        let mut told = self.told();
        told.longest = told.longest.max(took);
        told.slow += u32::from(took > Duration::from_secs(1));
        match code {
            None => told.ok += 1,
            Some(code) => *told.errors.entry(code).or_default() += 1,
        }
    }

    pub(super) fn count_success(&self, server: usize, made: Instant) {
        let successes = &self.successes[server];
        successes.count.fetch_add(1, Ordering::Relaxed);
        let mut youngest = successes.youngest.lock().expect("a time");
        *youngest = (*youngest).max(Some(made));
    }

    /// The number of successful calls to each server.
    pub(super) fn answered(&self) -> Vec<u32> {
        self.successes.iter().map(|successes| successes.count.load(Ordering::Relaxed)).collect()
    }

    /// Whether each server has answered a call that was made after `then`.
    pub(super) fn succeeded_since(&self, then: Instant) -> bool {
        let youngest = |one: &Successes| *one.youngest.lock().expect("a time");
        self.successes.iter().all(|one| youngest(one).is_some_and(|made| made > then))
    }

    pub(super) fn complain(&self, sentence: String) {
        self.told().complaints.push(sentence);
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.told().complaints.clone()
    }

    /// Keeps the calls of a shim whose life is over.
    pub(super) fn note(&self, calls: Vec<Call>) {
        self.told().calls.extend(calls);
    }

    /// All calls of the shims whose lives are over.
    pub(super) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.told().calls)
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().expect("what they were told")
    }

    pub(super) fn figures(&self) -> String {
        let told = self.told();
        let by_server: Vec<String> =
            SERVERS.iter().zip(self.answered()).map(|(name, count)| format!("{name} {count}")).collect();
        format!(
            "{} clients, {} shims; {} answers ok (calls: {}), errors {:?}; longest answer {:.2?}, {} over 1 s",
            self.slots.len(),
            told.shims,
            told.ok,
            by_server.join(", "),
            told.errors,
            told.longest,
            told.slow
        )
    }
}
