//! Events in any order: every request gets exactly one answer, a request that must not be repeated is never repeated,
//! and each daemon has every open listen once.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A pseudo-random generator (xorshift), which gives the same numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A client, and the daemons that it meets.
struct World {
    session: Session,
    now: Instant,
    chance: Chance,
    linked: bool,
    last: u32,
    /// The requests of the client, and whether each is answered.
    asked: BTreeMap<u32, bool>,
    cancelled: BTreeSet<u32>,
    /// The ids of the requests that the current daemon has not answered, as they arrived.
    has: Vec<String>,
    /// How often each request has reached a daemon.
    reached: BTreeMap<u32, u32>,
    /// The requests that must not be repeated.
    once: BTreeSet<u32>,
    /// The open listens of the client, and whether each was acknowledged to it.
    listens: BTreeMap<u32, bool>,
    /// The listens that the current daemon has.
    listened: BTreeSet<u32>,
    /// How often the client was told of what may have changed.
    reminded: u32,
}

impl World {
    fn written(&mut self, line: &[u8]) {
        peek::peek_each(line, |_, peeked| {
            if let Peeked::Request { id, method } = peeked {
                let id = String::from_utf8(line[id].to_vec()).unwrap();
                if line[method] == *b"subscriptions/listen" {
                    assert!(self.listened.insert(id.parse().unwrap()), "{id} was written twice on one link");
                    return;
                }
                if let Ok(number) = id.parse() {
                    *self.reached.entry(number).or_default() += 1;
                }
                self.has.push(id);
            }
        });
    }

    fn told(&mut self, lines: &[u8]) {
        for value in values(lines) {
            if value.get("method").is_some() {
                if let Some(id) = value["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].as_u64()
                {
                    assert_eq!(self.listens.get(&(id as u32)), Some(&true), "not listened to: {value}");
                    self.reminded += 1;
                }
                continue;
            }
            let id = value["id"].as_u64().unwrap_or_else(|| panic!("the client asked nothing like {value}"))
                as u32;
            let answered = self.asked.get_mut(&id).unwrap();
            assert!(!*answered, "a second answer: {value}");
            assert!(!self.cancelled.contains(&id), "an answer of ours to what was cancelled: {value}");
            *answered = true;
            // `initialize` changes nothing, so it may be called unsent even when a daemon got it.
            if value["error"]["code"] == -31001 && id > 0 {
                assert_eq!(self.reached.get(&id), None, "it was sent: {value}");
            }
        }
    }

    fn up(&mut self, line: &[u8]) {
        match self.session.accept_line(line, self.now) {
            LineAction::Kept => {}
            LineAction::Answer(lines) => self.told(&lines),
            LineAction::Send if self.chance.below(10) == 0 => {
                // The line was not written whole.
                self.session.unsent(std::iter::once(line), self.now);
                self.lost();
            }
            LineAction::Send => self.written(line),
        }
    }

    fn lost(&mut self) {
        self.linked = false;
        self.has.clear();
        self.listened.clear();
        let lines = self.session.link_lost(self.now);
        self.told(&lines);
    }

    fn connect(&mut self) {
        self.linked = true;
        for line in self.session.link_opened() {
            self.written(&line);
        }
        for line in self.session.take_waiting(self.now) {
            self.written(&line);
        }
        if self.chance.below(2) == 0 {
            self.session.set_repeatable(vec!["make".to_owned()]);
        }
    }

    fn answer(&mut self) {
        if self.has.is_empty() {
            return;
        }
        let at = self.chance.below(self.has.len() as u64) as usize;
        let id = self.has.swap_remove(at);
        let id = Id::from_json(id.as_bytes());
        let answer = if self.chance.below(5) == 0 {
            answer::error(&id, -32602, "no")
        } else {
            answer::result(&id, br#"{"capabilities":{"tools":{"listChanged":true}}}"#)
        };
        match self.session.accept_message(&answer) {
            MessageAction::Instead(lines) => self.told(&lines),
            MessageAction::Forward => {
                let id: u32 = std::str::from_utf8(id.as_json()).unwrap().parse().unwrap();
                let answered = self.asked.get_mut(&id).unwrap();
                assert!(!*answered, "a second answer to {id}");
                *answered = true;
            }
        }
    }

    fn listen(&mut self) {
        self.last += 1;
        self.listens.insert(self.last, false);
        self.up(&listen(self.last, r#"{"toolsListChanged":true}"#));
    }

    /// The daemon acknowledges a listen, or ends it, or the client does.
    fn go_on_listening(&mut self) {
        let at = self.chance.below(self.listened.len().max(1) as u64) as usize;
        let Some(&id) = self.listened.iter().nth(at) else { return };
        match self.chance.below(8) {
            0 => {
                self.listened.remove(&id);
                let verdict = self.session.accept_message(&result(id));
                if verdict == MessageAction::Forward {
                    self.listens.remove(&id);
                }
            }
            1 => {
                self.listened.remove(&id);
                self.listens.remove(&id);
                self.up(&cancelled(id));
            }
            _ => match self.session.accept_message(&acknowledged(id, r#"{"toolsListChanged":true}"#)) {
                MessageAction::Forward => {
                    self.listens.insert(id, true);
                }
                MessageAction::Instead(lines) => {
                    assert!(self.listens[&id], "the client has no acknowledgement of {id}");
                    self.told(&lines);
                }
            },
        }
    }

    fn ask(&mut self) {
        self.last += 1;
        let id = self.last;
        let methods = ["tools/call", "tools/list", "tools/call", "resources/subscribe", "x/other", "ping"];
        let method = methods[self.chance.below(methods.len() as u64) as usize];
        let line = if method == "tools/call" { call(id) } else { request(id, method) };
        if matches!(method, "resources/subscribe" | "x/other") {
            self.once.insert(id);
        }
        self.asked.insert(id, false);
        self.up(&line);
    }

    fn cancel(&mut self) {
        let open = self.asked.iter().filter(|(id, answered)| **id > 0 && !**answered).map(|(id, _)| *id);
        let Some(id) = open.min_by_key(|id| id % 7) else { return };
        if self.cancelled.insert(id) {
            self.up(&cancelled(id));
        }
    }

    fn step(&mut self) {
        match self.chance.below(20) {
            0..=5 => self.ask(),
            6 if self.listens.len() < 5 => self.listen(),
            6 | 8 => self.go_on_listening(),
            7 => self.cancel(),
            9..=13 => self.answer(),
            14 if self.linked => self.lost(),
            14..=16 if !self.linked => self.connect(),
            15 if self.linked && self.chance.below(4) == 0 => self.session.hold(),
            16 if self.linked && self.chance.below(4) == 0 => {
                let reason = [ByeReason::Stop, ByeReason::Restart][self.chance.below(2) as usize];
                self.session.note_goodbye(reason);
                self.lost();
            }
            17 => self.session.set_hopeless(true),
            18 => self.session.set_hopeless(false),
            _ => self.now += SECOND * self.chance.below(6) as u32,
        }
        if self.session.deadline().is_some_and(|deadline| deadline <= self.now) {
            let lines = self.session.expire(self.now);
            self.told(&lines);
        }
    }
}

#[test]
fn every_request_gets_one_answer_and_what_may_do_harm_is_written_once() {
    let mut reminded = 0;
    for seed in 1..=300 {
        let now = Instant::now();
        let mut world = World {
            session: Session::new(now),
            now,
            chance: Chance(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed)),
            linked: false,
            last: 0,
            asked: BTreeMap::from([(0, false)]),
            cancelled: BTreeSet::new(),
            has: Vec::new(),
            reached: BTreeMap::new(),
            once: BTreeSet::new(),
            listens: BTreeMap::new(),
            listened: BTreeSet::new(),
            reminded: 0,
        };
        world.up(OPENING);
        for _ in 0..300 {
            world.step();
        }
        // The last daemon answers every request.
        if world.linked {
            world.lost();
        }
        world.connect();
        assert!(world.listened.iter().eq(world.listens.keys()), "seed {seed}: a listen is forgotten");
        while !world.has.is_empty() {
            world.answer();
        }
        assert!(world.session.is_idle() && !world.session.awaits_daemon(), "seed {seed}");
        let open: Vec<_> =
            world.asked.iter().filter(|(_, answered)| !**answered).map(|(id, _)| *id).collect();
        assert!(open.iter().all(|id| world.cancelled.contains(id)), "seed {seed}: no answer to {open:?}");
        for (id, times) in &world.reached {
            let most = if *id == 0 {
                u32::MAX
            } else if world.once.contains(id) {
                1
            } else {
                2
            };
            assert!(*times <= most, "seed {seed}: {id} was written {times} times");
        }
        reminded += world.reminded;
    }
    assert!(reminded > 100, "the client was told only {reminded} times of what may have changed");
}
