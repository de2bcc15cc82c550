//! A shim with its client: it does with a [`Session`] what `exai-client/src/shim.rs` does, without threads.

use std::time::Duration;

use bytes::Bytes;
use exai_client::session::{self, Session};

use crate::client::{Client, Then};
use crate::link::{Down, Link, Up};
use crate::plan::Act;
use crate::world::{Event, World};

/// How long the daemon may be silent, and below it by how many milliseconds later a shim may notice.
const SILENCE: Duration = Duration::from_secs(10);
const LATER: u64 = 5_000;
/// How long a client waits after a failed `initialize` before it tries again.
const AGAIN: Duration = Duration::from_millis(300);

pub(crate) struct Shim {
    pub(crate) session: Session,
    pub(crate) client: Client,
    pub(crate) link: Option<u64>,
    pub(crate) killed: bool,
    /// When [`Event::Expire`] is due.
    due: Option<Duration>,
    /// The client's next replies: the time of each, and the link over which the client was asked.
    replies: Vec<(Duration, Option<u64>, String)>,
    /// How long the client's user thinks about the next question.
    pub(crate) ponders: Duration,
    cut_next: Option<(u64, bool, bool)>,
    tries: u32,
}

impl World {
    pub(crate) fn new_shim(&mut self) -> usize {
        let number = self.shims.len();
        self.shims.push(Shim {
            session: Session::new(self.instant()),
            client: Client::new(number, self.plan.is_modern(number)),
            link: None,
            killed: false,
            due: None,
            replies: Vec::new(),
            ponders: Duration::ZERO,
            cut_next: None,
            tries: 0,
        });
        self.after(Duration::ZERO, Event::Connect(number));
        self.after(Duration::ZERO, Event::Open(number));
        number
    }

    fn time(&self) -> (Duration, Duration) {
        (self.now, self.excused)
    }

    pub(crate) fn open(&mut self, number: usize) {
        let time = self.time();
        let shim = &self.shims[number];
        if self.calm || shim.killed {
            return;
        }
        if shim.client.unanswered().next().is_some() {
            // A second `initialize` gives up open requests, so the client waits until it has none.
            self.after(AGAIN, Event::Open(number));
        } else {
            let line = self.shims[number].client.open(time);
            self.told_by_client(number, vec![line]);
        }
    }

    pub(crate) fn say(&mut self, number: usize, acts: &[Act], batch: bool) {
        let time = self.time();
        // One client in four does not wait for the answer to `initialize`.
        let shim = &mut self.shims[number];
        if !shim.client.opened && number % 4 != 1 {
            return;
        }
        let mut lines: Vec<String> = acts.iter().filter_map(|act| shim.client.act(*act, time)).collect();
        // There are no batches in the modern era.
        if batch && !lines.is_empty() && !shim.client.modern {
            lines = vec![format!("[{}]", lines.join(","))];
        }
        self.told_by_client(number, lines);
    }

    pub(crate) fn reply(&mut self, number: usize) {
        let (now, shim) = (self.now, &mut self.shims[number]);
        let Some(at) = shim.replies.iter().position(|(when, ..)| *when <= now) else { return };
        let (_, spoken_over, line) = shim.replies.remove(at);
        self.late += u32::from(shim.link.is_some() && shim.link != spoken_over);
        self.told_by_client(number, vec![line]);
    }

    /// Handles lines that the shim reads from its client at once.
    fn told_by_client(&mut self, number: usize, lines: Vec<String>) {
        let now = self.instant();
        if self.shims[number].killed {
            return;
        }
        let (mut sending, mut answers) = (Vec::new(), Vec::new());
        for line in lines {
            let verdict = self.shims[number].session.accept_line(line.as_bytes(), now);
            self.note(|| {
                let sent = if verdict == session::LineAction::Send { "sent" } else { "not sent" };
                format!("client {number} -> {line} ({sent})")
            });
            match verdict {
                session::LineAction::Send => sending.push(line.into_bytes()),
                session::LineAction::Kept => {}
                session::LineAction::Answer(said) => answers.extend_from_slice(&said),
            }
        }
        self.write_lines(number, sending);
        self.tell_client(number, &answers);
        self.settle(number);
    }

    /// Writes lines that the session counts as sent. Lines that could not be written go back to the session.
    fn write_lines(&mut self, number: usize, lines: Vec<Vec<u8>>) {
        let written = self.write(number, &lines);
        if written < lines.len() {
            let now = self.instant();
            let unsent = lines[written..].iter().map(Vec::as_slice);
            self.note(|| format!("shim {number}: {} of {} lines are written", written, lines.len()));
            self.shims[number].session.unsent(unsent, now);
        }
    }

    /// Writes lines, and returns how many were written whole. A link that does not take all of them is broken.
    fn write(&mut self, number: usize, lines: &[Vec<u8>]) -> usize {
        let Some(id) = self.shims[number].link else { return 0 };
        for (at, line) in lines.iter().enumerate() {
            let Some(link) = self.links.get_mut(&id) else { return at };
            if link.broken || !link.up.takes(line.len()) {
                let lose = link.lose;
                self.break_link(id, lose);
                return at;
            }
            self.send_up(id, Up::Line(Bytes::copy_from_slice(line)));
        }
        lines.len()
    }

    pub(crate) fn send_up(&mut self, id: u64, frame: Up) {
        let delay = self.random.micros(2_000);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.up.last = link.up.last.max(self.now + delay);
        link.up.frames.push_back(frame);
        let when = link.up.last;
        self.at(when, Event::Up(id));
    }

    pub(crate) fn cut(&mut self, number: usize, bytes: u64, up: bool, lose: bool) {
        let Some(id) = self.shims[number].link else {
            self.shims[number].cut_next = Some((bytes, up, lose));
            return;
        };
        let Some(link) = self.links.get_mut(&id) else { return };
        link.lose = lose;
        if bytes == 0 {
            self.break_link(id, lose);
        } else if up {
            link.up.cut_after(bytes);
        } else {
            link.down.cut_after(bytes);
        }
    }

    /// Breaks a link: neither side can write to it any more, and both notice that.
    pub(crate) fn break_link(&mut self, id: u64, lose: bool) {
        let Some(link) = self.links.get_mut(&id).filter(|link| !link.broken) else { return };
        link.broken = true;
        if lose {
            link.up.frames.clear();
            link.down.frames.clear();
        }
        let noticed = link.down.last.max(self.now);
        self.note(|| {
            format!("link {id} breaks, what is under way {}", if lose { "is lost" } else { "arrives" })
        });
        self.send_up(id, Up::End);
        let delay = self.random.micros(2_000);
        self.at(noticed + delay, Event::Lost(id));
    }

    pub(crate) fn shim_reads(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let number = link.shim;
        let Some(frame) = link.down.frames.pop_front() else { return };
        if self.shims[number].link != Some(id) {
            return;
        }
        match frame {
            Down::Message(bytes) => {
                let verdict = self.shims[number].session.accept_message(&bytes);
                match verdict {
                    session::MessageAction::Forward => self.tell_client(number, &bytes),
                    session::MessageAction::Instead(lines) => self.tell_client(number, &lines),
                }
            }
            Down::Repeatable(tools) => self.shims[number].session.set_repeatable(tools),
            Down::Hold => {
                self.note(|| format!("shim {number} holds"));
                self.shims[number].session.hold();
                if self.links.get(&id).is_some_and(|link| !link.broken) {
                    self.send_up(id, Up::Held);
                }
            }
            Down::Bye(reason) => {
                self.note(|| format!("shim {number} is told goodbye: {reason:?}"));
                self.shims[number].session.note_goodbye(reason);
            }
            Down::End => self.shim_loses(id),
        }
        self.settle(number);
    }

    /// The shim gives up a daemon that has not answered for too long.
    pub(crate) fn shim_gives_up(&mut self, id: u64) {
        let Some(link) = self.links.get(&id) else { return };
        let shim = &self.shims[link.shim];
        if self.now < self.frozen && shim.link == Some(id) && shim.session.awaits_daemon() {
            self.break_link(id, false);
        }
    }

    pub(crate) fn watch_silence(&mut self) {
        let links: Vec<u64> = self.shims.iter().filter_map(|shim| shim.link).collect();
        for link in links {
            let delay = SILENCE + self.random.millis(LATER);
            self.after(delay, Event::Silent(link));
        }
    }

    pub(crate) fn shim_loses(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let number = link.shim;
        if self.shims[number].link != Some(id) {
            return;
        }
        self.break_link(id, false);
        let now = self.instant();
        self.shims[number].link = None;
        let answers = self.shims[number].session.link_lost(now);
        self.note(|| format!("shim {number} has lost link {id}"));
        self.tell_client(number, &answers);
        self.settle(number);
        let delay = self.random.millis(30);
        self.after(delay, Event::Connect(number));
    }

    /// A shim without a link looks for a daemon.
    pub(crate) fn connect(&mut self, number: usize) {
        if self.shims[number].killed || self.shims[number].link.is_some() {
            return;
        }
        self.shims[number].session.set_hopeless(false);
        let delay = self.random.millis(40);
        let life = self.daemon.as_ref().map(|daemon| daemon.life);
        if let (Some(life), true) = (life, self.now >= self.frozen) {
            return self.connected(number, life);
        }
        let may_start = self.shims[number].session.may_start();
        if may_start && life.is_none() && self.now >= self.unstartable && !self.birth {
            self.birth = true;
            self.after(delay, Event::Born);
        }
        let shim = &mut self.shims[number];
        if may_start && (self.now < self.unstartable || self.now < self.frozen) {
            // Every fourth failed try counts as hopeless until the next one: the client is told at once.
            shim.tries += 1;
            shim.session.set_trouble("nothing can be started".to_owned());
            shim.session.set_hopeless(shim.tries.is_multiple_of(4));
        }
        self.settle(number);
        let pause = self.random.millis(200);
        self.after(delay + pause, Event::Connect(number));
    }

    fn connected(&mut self, number: usize, life: u32) {
        self.last_link += 1;
        let id = self.last_link;
        let Some(client) = self.accept(id, number) else { return };
        self.links.insert(id, Link::new(number, life, client));
        self.greet(id);
        let now = self.instant();
        let shim = &mut self.shims[number];
        shim.link = Some(id);
        shim.tries = 0;
        if let Some((bytes, up, lose)) = shim.cut_next.take() {
            self.cut(number, bytes.max(1), up, lose);
        }
        let shim = &mut self.shims[number];
        let replay = shim.session.link_opened();
        let waiting = shim.session.take_waiting(now);
        self.note(|| {
            format!(
                "shim {number} has link {id} to daemon {life}: {} replayed, {} waited",
                replay.len(),
                waiting.len()
            )
        });
        if self.write(number, &replay) < replay.len() {
            let lose = self.links.get(&id).is_some_and(|link| link.lose);
            self.break_link(id, lose);
        }
        self.write_lines(number, waiting);
        self.settle(number);
    }

    pub(crate) fn expire(&mut self, number: usize) {
        let now = self.instant();
        let shim = &mut self.shims[number];
        shim.due = None;
        if !shim.killed {
            let answers = shim.session.expire(now);
            self.tell_client(number, &answers);
            self.settle(number);
        }
    }

    /// Schedules the next deadline of the session.
    fn settle(&mut self, number: usize) {
        let due = self.shims[number].session.deadline().map(|due| self.since_base(due));
        let shim = &mut self.shims[number];
        let earlier = due.filter(|due| shim.due.is_none_or(|set| *due < set));
        if let Some(due) = earlier {
            shim.due = Some(due);
            self.at(due, Event::Expire(number));
        }
    }

    fn tell_client(&mut self, number: usize, lines: &[u8]) {
        self.look_at_patience(number);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line = String::from_utf8_lossy(line);
            self.note(|| format!("client {number} <- {line}"));
            let client = &mut self.shims[number].client;
            let all_seen = self.all_configured && (self.all_chosen || !client.is_few());
            let heard = client.hear(&line, all_seen);
            let pause = self.random.millis(20);
            match heard {
                Ok(Then::Nothing) => {}
                Ok(Then::Confirm) => {
                    let line = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
                    self.replies_after(pause, number, line.to_owned());
                }
                Ok(Then::OpenAgain) => {
                    let tried = self.shims[number].client.calls.len() as u32;
                    self.after(AGAIN * tried.min(20), Event::Open(number));
                }
                Ok(Then::Say(line)) => {
                    let pause = std::mem::take(&mut self.shims[number].ponders).max(pause);
                    self.replies_after(pause, number, line);
                }
                Err(sentence) => self.fail(format!("client {number}: {sentence}")),
            }
        }
    }

    fn replies_after(&mut self, pause: Duration, number: usize, line: String) {
        let when = self.now + pause;
        let shim = &mut self.shims[number];
        shim.replies.push((when, shim.link, line));
        self.at(when, Event::Replies(number));
    }

    pub(crate) fn kill_shim(&mut self, number: usize) {
        self.shims[number].killed = true;
        if let Some(id) = self.shims[number].link.take() {
            let lose = self.random.percent(50);
            self.break_link(id, lose);
        }
    }
}
