//! Everything that happens from outside: what clients want and what goes wrong, each at its time. All of it follows
//! from a seed. Steps can be left out, so that a failure can be made small.

use std::time::Duration;

use crate::random::Random;

/// The servers: one that speaks both eras, one that speaks the legacy era and is bridged, and one that speaks the modern era
/// alone. exai is configured not to trust what the last server says about its tools.
pub(crate) const SERVERS: [&str; 3] = ["a", "b", "c"];
/// `write` and `odd` must never be executed twice: `odd` declares that it is read-only and destructive.
pub(crate) const TOOLS: [&str; 6] = ["write", "write", "odd", "read", "again", "ask"];

/// Marks a plan whose clients all speak the legacy era.
const NO_ERAS: u64 = u64::MAX;

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) shims: usize,
    /// Which clients speak the modern era: see [`Plan::is_modern`].
    eras: u64,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A client writes these messages at once.
    Say {
        shim: usize,
        acts: Vec<Act>,
        batch: bool,
    },
    /// The client's current or next link is cut after this many more bytes, `up` to the daemon or down from it. Frames
    /// on their way still arrive unless `lose` is set.
    Cut {
        shim: usize,
        bytes: u64,
        up: bool,
        lose: bool,
    },
    /// The client's program and its shim are killed.
    KillShim {
        shim: usize,
    },
    KillDaemon,
    /// The daemon ends because another one replaces it, or because a person stops it.
    End {
        grace: Duration,
        stop: bool,
    },
    /// No daemon can start for this time.
    Unstartable(Duration),
    /// The daemon does nothing for this time.
    Freeze(Duration),
    /// The server dies after this many more messages.
    KillServer {
        server: usize,
        messages: u32,
    },
    /// The server stops answering, and if `deaf` also stops reading.
    Hang {
        server: usize,
        deaf: bool,
    },
    /// The next start takes this time, or fails.
    SlowStart {
        server: usize,
        delay: Duration,
    },
    FailStart {
        server: usize,
    },
    /// A person restarts the server.
    RestartServer {
        server: usize,
    },
    Configure(Change),
    /// The client's user thinks about the next question for this time.
    Ponder {
        shim: usize,
        delay: Duration,
    },
    /// The machine sleeps for this time.
    Jump(Duration),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Call {
        server: usize,
        tool: &'static str,
        progress: bool,
    },
    List,
    Ping,
    Subscribe,
    Level,
    /// Cancels the latest request, or the one that is `back` requests older.
    Cancel {
        back: usize,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// The configuration changes how the server is started.
    Revise(usize),
    Remove(usize),
    /// The configuration blocks the server's tool `write`.
    Block(usize),
    /// The clients named "few" may see some servers only (a bit each), and perhaps not their tool `read`.
    Choose {
        servers: u8,
        denied: bool,
    },
    /// The configuration becomes that of the beginning again.
    Restore,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        if random.percent(10) {
            return Plan::storm(seed, random);
        }
        if random.percent(5) {
            return Plan::consent(seed, random);
        }
        let shims = 1 + random.index(4);
        let count = 8 + random.index(40);
        let trouble = random.pick(&[5, 20, 40, 70]);
        // In some plans events follow each other quickly, so that a repeated request meets the next fault.
        let hurry = random.percent(30);
        let mut at = Duration::ZERO;
        let steps = (0..count).map(|_| {
            at += match random.below(8) {
                0 | 1 => Duration::ZERO,
                2 | 3 => random.micros(2_000),
                4 | 5 => random.millis(30),
                6 => random.millis(400),
                _ => random.millis(if hurry { 100 } else { 4_000 }),
            };
            let what = if random.percent(trouble) { fault(random, shims) } else { say(random, shims) };
            Step { at, what }
        });
        Plan { seed, shims, eras: seed, steps: steps.collect() }
    }

    /// Whether the client of this number speaks the modern era.
    pub(crate) fn is_modern(&self, client: usize) -> bool {
        self.eras != NO_ERAS && (self.eras + client as u64).is_multiple_of(3)
    }

    /// One client that makes only repeatable calls, and whose links soon break.
    fn storm(seed: u64, random: &mut Random) -> Self {
        let mut at = Duration::from_millis(500);
        let steps = (0..24).map(|_| {
            at += random.millis(120);
            let what = match random.below(5) {
                0 | 1 => {
                    let tool = random.pick(&["read", "again"]);
                    let act = Act::Call { server: 0, tool, progress: random.percent(50) };
                    What::Say { shim: 0, acts: vec![act; 1 + random.index(3)], batch: false }
                }
                2 => What::KillDaemon,
                _ => What::Cut { shim: 0, bytes: random.below(900), up: true, lose: random.percent(50) },
            };
            Step { at, what }
        });
        Plan { seed, shims: 1, eras: seed, steps: steps.collect() }
    }

    /// One client whose user thinks about each question longer than the link lasts over which it came. The daemon lives
    /// on, and asks the next question over the next link.
    fn consent(seed: u64, random: &mut Random) -> Self {
        let mut at = Duration::from_millis(500);
        // Client 1 is one that can be asked.
        let shim = 1;
        let steps = (0..24).map(|step| {
            at += random.millis(250);
            let what = match step % 4 {
                0 => What::Ponder { shim, delay: random.millis(2_000) },
                1 | 2 => {
                    let act = Act::Call { server: 1, tool: "ask", progress: false };
                    What::Say { shim, acts: vec![act], batch: false }
                }
                _ if random.percent(10) => What::KillDaemon,
                _ => What::Cut { shim, bytes: 0, up: true, lose: random.percent(50) },
            };
            Step { at, what }
        });
        Plan { seed, shims: 2, eras: NO_ERAS, steps: steps.collect() }
    }

    /// The plan without some of its steps.
    fn without(&self, from: usize, to: usize) -> Self {
        let mut less = self.clone();
        less.steps.drain(from..to);
        less
    }

    /// Removes all steps that are not needed to make `fails` return `true`: first halves, then quarters, down to single
    /// steps.
    pub(crate) fn shrink(mut self, fails: impl Fn(&Plan) -> bool) -> Self {
        let mut size = self.steps.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.steps.len() {
                let less = self.without(from, (from + size).min(self.steps.len()));
                if fails(&less) {
                    self = less;
                } else {
                    from += size;
                }
            }
            size /= 2;
        }
        self
    }
}

fn say(random: &mut Random, shims: usize) -> What {
    let count = random.pick(&[1, 1, 1, 2, 4]);
    let acts = (0..count).map(|_| match random.below(20) {
        0 | 1 => Act::List,
        2 => Act::Ping,
        3 => Act::Subscribe,
        4 => Act::Level,
        5 | 6 => Act::Cancel { back: random.index(3) },
        _ => Act::Call {
            server: random.index(SERVERS.len()),
            tool: random.pick(&TOOLS),
            progress: random.percent(30),
        },
    });
    let acts = acts.collect();
    What::Say { shim: random.index(shims), acts, batch: random.percent(5) }
}

fn fault(random: &mut Random, shims: usize) -> What {
    let (shim, server) = (random.index(shims), random.index(SERVERS.len()));
    match random.below(25) {
        0..=5 => What::Cut {
            shim,
            bytes: random.pick(&[0, 1, 7, 150, 240, 400, 600, 2000]),
            up: random.percent(60),
            lose: random.percent(50),
        },
        6..=8 => What::KillDaemon,
        9 | 10 => What::End { grace: random.millis(3_000), stop: random.percent(25) },
        11 => What::Unstartable(random.millis(25_000)),
        12 => What::Freeze(random.millis(20_000)),
        13 | 14 => What::KillServer { server, messages: random.below(4) as u32 },
        15 => What::Hang { server, deaf: random.percent(50) },
        16 => What::SlowStart { server, delay: random.millis(7_000) },
        17 => What::FailStart { server },
        18 => What::RestartServer { server },
        19..=21 => What::Configure(match random.below(6) {
            0 => Change::Revise(server),
            1 => Change::Remove(server),
            2 => Change::Block(server),
            3 | 4 => Change::Choose { servers: random.below(8) as u8, denied: random.percent(30) },
            _ => Change::Restore,
        }),
        22 => What::Jump(random.millis(60_000)),
        23 => What::Ponder { shim, delay: random.millis(5_000) },
        _ => What::KillShim { shim },
    }
}
