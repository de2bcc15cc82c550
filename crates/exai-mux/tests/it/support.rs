//! A router with a clock of its own, and a transcript of its effects.

use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_mux::policy::{Policy, Share, ToolFilter};
use exai_mux::{ClientId, ClientName, Down, Effect, Endpoint, Era, Event, InstanceId, Router};
use exai_proto::{Message, Segments};
use serde_json::{Value, json};

pub(crate) struct Bench {
    pub(crate) router: Router,
    pub(crate) now: Instant,
    effects: Vec<Effect>,
    /// Whether the router's knowledge of a server has changed so far. The transcript leaves this out.
    pub(crate) learned: bool,
    /// Whether the observed behaviour of a server has changed so far. The transcript leaves this out too.
    pub(crate) measured: bool,
}

pub(crate) fn policy(name: &str) -> Policy {
    Policy {
        name: name.into(),
        revision: 1,
        share: Share::Auto,
        start_timeout: Duration::from_secs(20),
        call_timeout: Duration::from_mins(1),
        idle_stop: Duration::from_secs(90),
        eager: false,
        tools: ToolFilter::default(),
        one_at_a_time: false,
        crash_limit: 5,
        trusted: true,
        era: Some(Era::Legacy),
        bridge: false,
    }
}

impl Bench {
    pub(crate) fn new(policies: Vec<Policy>) -> Self {
        Bench::of_epoch(0, policies)
    }

    /// The router of a daemon with this epoch, for tests with several daemons.
    pub(crate) fn of_epoch(epoch: u32, policies: Vec<Policy>) -> Self {
        let mut bench = Bench {
            router: Router::new(epoch),
            now: Instant::now(),
            effects: Vec::new(),
            learned: false,
            measured: false,
        };
        assert_eq!(bench.event(Event::Configured { policies }), []);
        bench
    }

    /// Gives the router an event and returns the effects.
    pub(crate) fn event(&mut self, event: Event) -> Vec<Effect> {
        self.router.handle(event, self.now, &mut self.effects);
        std::mem::take(&mut self.effects)
    }

    /// Gives the router an event and returns the effects as text: `client 1 <- {…}`, `server 0 <- {…}`,
    /// `start a#1 as 0`.
    pub(crate) fn does(&mut self, event: Event) -> Vec<String> {
        let effects = self.event(event);
        let learned = |effect: &Effect| matches!(effect, Effect::DiscoveryChanged { .. });
        let measured = |effect: &Effect| matches!(effect, Effect::BehaviourChanged { .. });
        self.learned |= effects.iter().any(learned);
        self.measured |= effects.iter().any(measured);
        effects.iter().filter(|effect| !learned(effect) && !measured(effect)).map(show).collect()
    }

    pub(crate) fn open(&mut self, client: u64, endpoint: Endpoint) {
        self.open_as(client, endpoint, ClientName::Program);
    }

    pub(crate) fn open_as(&mut self, client: u64, endpoint: Endpoint, name: ClientName) {
        self.open_in(client, endpoint, name, None);
    }

    /// Opens a client that works in this directory.
    pub(crate) fn open_in(
        &mut self,
        client: u64,
        endpoint: Endpoint,
        name: ClientName,
        directory: Option<&str>,
    ) {
        let (client, directory) = (ClientId(client), directory.map(Into::into));
        assert_eq!(self.event(Event::Opened { client, endpoint, name, directory, stateless: false }), []);
    }

    pub(crate) fn says(&mut self, client: u64, text: &str) -> Vec<String> {
        self.does(Event::FromClient { client: ClientId(client), message: message(text) })
    }

    /// Like [`Bench::says`], while the daemon drains.
    pub(crate) fn says_late(&mut self, client: u64, text: &str) -> Vec<String> {
        self.does(Event::FromClientWhileDraining { client: ClientId(client), message: message(text) })
    }

    pub(crate) fn server_says(&mut self, instance: u64, text: &str) -> Vec<String> {
        self.does(Event::FromServer { instance: InstanceId(instance), message: message(text) })
    }

    pub(crate) fn up(&mut self, instance: u64) -> Vec<String> {
        self.does(Event::Up { instance: InstanceId(instance) })
    }

    pub(crate) fn down(&mut self, instance: u64, reason: &str) -> Vec<String> {
        let why = Down { stderr_tail: "tail".into(), ..Down::because(reason) };
        self.does(Event::Down { instance: InstanceId(instance), why })
    }

    pub(crate) fn passes(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        self.does(Event::Tick)
    }

    /// Lets time pass and ticks the router whenever it asks for a tick.
    pub(crate) fn lives(&mut self, time: Duration) -> Vec<String> {
        let end = self.now + time;
        let mut lines = Vec::new();
        while let Some(next) = self.router.next_tick(self.now).filter(|next| *next <= end) {
            self.now = next.max(self.now + Duration::from_millis(1));
            lines.extend(self.does(Event::Tick));
        }
        self.now = end;
        lines
    }

    /// Opens a client of one server, which sends `initialize` with these capabilities.
    pub(crate) fn introduced(&mut self, client: u64, server: &str, client_capabilities: &str) -> Vec<String> {
        self.open(client, Endpoint::One(server.into()));
        self.says(client, &initialize(client_capabilities))
    }

    /// Brings up an instance whose server declares every capability.
    pub(crate) fn ready(&mut self, instance: u64) -> Vec<String> {
        self.up(instance);
        self.server_says(instance, &format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, server_result()))
    }
}

pub(crate) fn server_result() -> String {
    json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {"listChanged": true}, "prompts": {}, "resources": {"subscribe": true}, "logging": {}},
        "serverInfo": {"name": "real", "version": "9", "x-vendor": 1},
        "instructions": "be kind",
    })
    .to_string()
}

pub(crate) fn initialize(capabilities: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"2025-06-18","capabilities":{capabilities},"clientInfo":{{"name":"c","version":"1"}}}}}}"#
    )
}

pub(crate) fn message(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).expect("a test's message is one")
}

fn show(effect: &Effect) -> String {
    match effect {
        Effect::ToClient { client, bytes, .. } => format!("client {} <- {}", client.0, text(bytes)),
        Effect::ToServer { instance, bytes, .. } => format!("server {} <- {}", instance.0, text(bytes)),
        Effect::Dropped { client, id } => format!("dropped {} {id:?}", client.0),
        Effect::Unserved { client, id } => format!("unserved {} {id:?}", client.0),
        Effect::Start { instance, server, number } => format!("start {server}#{number} as {}", instance.0),
        Effect::Stop { instance, .. } => format!("stop {}", instance.0),
        Effect::Ready { instance } => format!("ready {}", instance.0),
        Effect::Pinged { instance, sent, answered } => {
            format!("pinged {} with {sent} bytes: {answered}", instance.0)
        }
        Effect::DiscoveryChanged { server, .. } => format!("learned {server}"),
        Effect::BehaviourChanged { server } => format!("measured {server}"),
        Effect::Repeatable { client, tools } => format!("repeatable {}: {}", client.0, tools.join(" ")),
        Effect::GiveUp { instance, reason } => format!("give up {}: {reason}", instance.0),
    }
}

fn text(bytes: &Segments) -> String {
    let bytes = bytes.clone().into_whole();
    assert!(!bytes.contains(&b'\n'), "a message fits on one line");
    message(std::str::from_utf8(&bytes).expect("messages are UTF-8"));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The JSON of the only line for this receiver, such as "client 1".
pub(crate) fn only(lines: &[String], whom: &str) -> Value {
    let start = format!("{whom} <- ");
    let mut found = lines.iter().filter_map(|line| line.strip_prefix(&start));
    let line = found.next().unwrap_or_else(|| panic!("nothing goes to {whom}: {lines:#?}"));
    assert_eq!(found.next(), None, "more than one message goes to {whom}");
    serde_json::from_str(line).expect("messages are JSON")
}
