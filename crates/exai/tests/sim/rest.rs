//! The conditions that must hold at the end, when nothing breaks any more.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use exai_client::session::DAEMON_WAIT_TIMEOUT;
use exai_mux::Choice;
use exai_mux::counts::Counts;

use crate::client::{Call, Told};
use crate::link::Link;
use crate::shim::Shim;
use crate::world::{CALL_TIMEOUT, IDLE_STOP, START_TIMEOUT, World};

/// How long the router may gather the lists of several servers.
const GATHERING: Duration = Duration::from_secs(10);
/// Clocks are checked four times a second, and messages take time to arrive.
const SLACK: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(crate) struct Figures {
    answers: BTreeMap<i64, u64>,
    requests: u64,
    executed: u64,
    twice: u64,
    late: u64,
    resumed: u64,
    lives: u64,
    links: u64,
    /// How many calls were continued with the input that they needed, how many listens were acknowledged, and how much
    /// they were told.
    continued: u64,
    listens: u64,
    told: u64,
}

impl World {
    /// The longest time that a request may be without an answer.
    fn most(call: &Call) -> Duration {
        let once = START_TIMEOUT + CALL_TIMEOUT + GATHERING;
        // A call that may be repeated may take the same time again.
        let runs = if call.most == 1 { 1 } else { 2 };
        DAEMON_WAIT_TIMEOUT + once * runs + SLACK
    }

    pub(crate) fn look_at_patience(&mut self, number: usize) {
        let shim = &self.shims[number];
        let excused = |call: &Call| self.excused.saturating_sub(call.excused);
        let late = |call: &&Call| self.now.saturating_sub(call.at) > World::most(call) + excused(call);
        let late = shim.client.unanswered().find(late).map(|call| call.nonce.clone());
        if let Some(nonce) = late.filter(|_| !shim.killed) {
            self.fail(format!("client {number}: nobody answers: {nonce}"));
        }
    }

    /// Runs the whole plan, and then goes on until everything rests.
    pub(crate) fn run(&mut self) {
        let last = self.plan.steps.last().map_or(Duration::ZERO, |step| step.at);
        while self.failure.is_none() && self.next(last) {}
        self.now = self.now.max(last);
        self.note(|| "*** nothing breaks any more".to_owned());
        self.unstartable = self.now;
        // A client of one server that it may not see would try to open a session for ever.
        self.choice = Choice::default();
        self.configure();
        let end = self.now + self.frozen.saturating_sub(self.now) + 2 * World::longest();
        while self.failure.is_none() && !self.rests() && self.next(end) {}
        // No request is open any more, so any answer from here on is one too many.
        self.calm = true;
        let calm = self.now + Duration::from_secs(2);
        while self.failure.is_none() && self.next(calm) {}
        for number in 0..self.shims.len() {
            self.look_at_client(number);
        }
        self.look_at_router("at rest");
        for number in 0..self.shims.len() {
            self.kill_shim(number);
        }
        let end = self.now + IDLE_STOP + 2 * CALL_TIMEOUT + SLACK;
        while self.failure.is_none() && self.next(end) {}
        self.look_at_router("without clients");
        self.look_at_what_is_left();
    }

    fn longest() -> Duration {
        DAEMON_WAIT_TIMEOUT + (START_TIMEOUT + CALL_TIMEOUT + GATHERING) * 2 + SLACK
    }

    fn rests(&self) -> bool {
        let shims = || self.shims.iter().filter(|shim| !shim.killed);
        let served = |shim: &Shim| shim.link.is_some_and(|link| self.serves(&self.links[&link]));
        let stopped = self.daemon.is_none() && !self.birth;
        self.now >= self.frozen
            && (shims().all(served) || stopped && shims().all(|shim| !shim.session.may_start()))
            && shims().all(|shim| {
                shim.client.opened
                    && shim.session.is_idle()
                    && !shim.session.awaits_daemon()
                    && shim.client.unanswered().next().is_none()
            })
            && self.daemon.as_ref().is_none_or(|daemon| !daemon.router.is_busy())
    }

    /// Whether the link leads to a daemon that is not stopping.
    fn serves(&self, link: &Link) -> bool {
        let daemon = self.daemon.as_ref().filter(|daemon| !daemon.is_stopping());
        !link.broken && daemon.is_some_and(|daemon| daemon.life == link.life)
    }

    fn look_at_client(&mut self, number: usize) {
        let shim = &self.shims[number];
        if shim.killed {
            return;
        }
        let open: Vec<&str> = shim.client.unanswered().map(|call| call.nonce.as_str()).collect();
        let idle =
            shim.session.is_idle() && !shim.session.awaits_daemon() && shim.session.deadline().is_none();
        let deaf = shim.client.listens().find(|listen| !listen.acknowledged);
        let failure = if !open.is_empty() {
            format!("client {number}: never answered: {open:?}")
        } else if deaf.is_some() && shim.link.is_some() {
            format!("client {number}: a listen was never acknowledged")
        } else if !idle {
            format!("client {number}: its session does not rest: {:?}", shim.session)
        } else {
            return;
        };
        self.fail(failure);
    }

    fn look_at_router(&mut self, when: &str) {
        let Some(daemon) = &self.daemon else { return };
        let views = daemon.router.clients();
        let counts = daemon.router.counts();
        if daemon.router.is_busy() || views.iter().any(|view| view.in_flight > 0) || counts.gatherings > 0 {
            self.fail(format!("the router {when}: it is busy: {counts:?}, {views:?}"));
        }
    }

    /// Checks the daemon when no client is left and everything has had the time to end.
    fn look_at_what_is_left(&mut self) {
        let now = self.instant();
        let Some(daemon) = &self.daemon else { return };
        let counts = daemon.router.counts();
        if counts != Counts::default() || daemon.router.next_tick(now).is_some() {
            self.fail(format!("the router without clients: something is left: {counts:?}"));
        } else if !daemon.servers.is_empty() {
            self.fail("the daemon without clients: servers are left");
        }
    }

    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures {
            twice: u64::from(self.twice),
            late: u64::from(self.late),
            lives: u64::from(self.lives),
            links: self.last_link,
            ..Figures::default()
        };
        for shim in &self.shims {
            for (code, count) in &shim.client.heard {
                *figures.answers.entry(*code).or_default() += u64::from(*count);
            }
            figures.resumed += u64::from(shim.client.resumed);
            figures.requests += shim.client.calls.len() as u64;
            let listens = || shim.client.listens().filter(|listen| listen.acknowledged);
            figures.listens += listens().count() as u64;
            figures.told += listens().map(|listen| u64::from(listen.told)).sum::<u64>();
            let continued = |(at, call): &(usize, &Call)| call.root != *at && call.told == Told::Done;
            figures.continued += shim.client.calls.iter().enumerate().filter(continued).count() as u64;
            figures.executed += shim.client.calls.iter().map(|call| u64::from(call.executed)).sum::<u64>();
            debug_assert!(shim.client.calls.iter().all(|call| call.told != Told::Done
                || call.server.is_none()
                || shim.client.calls[call.root].executed > 0));
        }
        figures
    }
}

impl Figures {
    pub(crate) fn add(&mut self, more: &Figures) {
        for (code, count) in &more.answers {
            *self.answers.entry(*code).or_default() += count;
        }
        self.requests += more.requests;
        self.executed += more.executed;
        self.twice += more.twice;
        self.late += more.late;
        self.resumed += more.resumed;
        self.lives += more.lives;
        self.links += more.links;
        self.continued += more.continued;
        self.listens += more.listens;
        self.told += more.told;
    }

    /// Checks that many seeds together have seen all kinds of outcomes.
    pub(crate) fn cover_everything(&self, seeds: u64) {
        for code in [0, -31001, -31002, -31003, -31004, -31005, -31006, -31008] {
            let seen = self.answers.contains_key(&code);
            assert!(seeds < 1000 || seen, "nobody was told {code}: {self}");
        }
        assert!(seeds < 1000 || self.twice > 0, "nothing was executed twice: {self}");
        assert!(seeds < 1000 || self.late > 0, "no client has answered over a later link: {self}");
        assert!(seeds < 1000 || self.resumed > 0, "no second run was heard of: {self}");
        assert!(seeds < 1000 || self.continued > 0, "no call was continued: {self}");
        assert!(seeds < 1000 || self.listens > 0 && self.told > 0, "nobody has listened: {self}");
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { answers, requests, executed, twice, late, resumed, lives, links, .. } = self;
        let Figures { continued, listens, told, .. } = self;
        write!(
            f,
            "{requests} requests over {links} links to {lives} daemons, answers by code {answers:?}, \
             {executed} calls executed, {twice} of them a second time as they may be, whose progress was heard of \
             {resumed} times, {late} answers over a later link, {continued} calls continued with input, {listens} listens \
             that were told {told} times"
        )
    }
}
