//! I03: a message from a server reaches exactly the clients for which it is meant, whatever transport they use.

use std::collections::BTreeSet;

use exai_test::{Random, scaled};
use serde_json::{Value, json};

use crate::support::{Instance, fixture};
use crate::ways::{Door, Party, WAYS};

const SERVERS: [&str; 2] = ["a", "b"];
const URIS: [&str; 3] = ["test://static", "test://big", "test://binary"];
const LEVELS: [&str; 4] = ["debug", "info", "warning", "error"];

/// A client, and the messages that it should get.
struct Listener {
    party: Party,
    /// The only server of this client; `None` for a client of all servers.
    own: Option<usize>,
    level: usize,
    subscriptions: BTreeSet<(usize, &'static str)>,
    /// The methods of the list changes of which this client must still be told. A client of all servers gets several
    /// changes in one message.
    changed: BTreeSet<String>,
}

impl Listener {
    /// The next message, except announcements of changed lists on the endpoint of all servers.
    #[track_caller]
    fn receive(&mut self) -> Value {
        loop {
            let message = self.party.receive();
            if !self.is_told_together(&message) {
                return message;
            }
        }
    }

    fn is_told_together(&mut self, message: &Value) -> bool {
        let method = message["method"].as_str().unwrap_or_default();
        let is = self.own.is_none() && method.ends_with("/list_changed");
        if is {
            self.changed.remove(method);
        }
        is
    }

    fn uses(&self, server: usize) -> bool {
        self.own.is_none_or(|own| own == server)
    }

    /// The name by which this client calls a tool of a server.
    fn tool(&self, server: usize, tool: &str) -> String {
        if self.own.is_some() { tool.to_owned() } else { format!("{}__{tool}", SERVERS[server]) }
    }
}

struct Room {
    listeners: Vec<Listener>,
    heard: usize,
}

impl Room {
    /// Makes one client call a tool. Waits until every client has got its message, and fails if a client gets any
    /// other.
    fn call(
        &mut self,
        who: usize,
        server: usize,
        call: (&str, Value),
        for_whom: impl Fn(&Listener) -> bool,
        what: &str,
    ) -> Value {
        let (tool, arguments) = call;
        let params = json!({"name": self.listeners[who].tool(server, tool), "arguments": arguments, "_meta": {"progressToken": 7}});
        let id = self.listeners[who].party.request("tools/call", &params);
        let mut answer = None;
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            let mut missing =
                usize::from(if tool == "progress" { number == who } else { for_whom(listener) });
            while missing > 0 || (number == who && answer.is_none()) {
                let message = listener.receive();
                if number == who && message.get("method").is_none() && message["id"] == id {
                    answer = Some(message);
                } else {
                    assert!(
                        missing > 0,
                        "{number} has heard what is for others: {message} after {params} of {who}"
                    );
                    assert!(
                        message.to_string().contains(what),
                        "{number}: {message} instead of {what} of {params}"
                    );
                    missing -= 1;
                    self.heard += 1;
                }
            }
        }
        answer.expect("an answer")
    }

    /// Checks that no client has got another message: the message sent now must be the next one that each client gets.
    fn nothing_else(&mut self) {
        for server in 0..SERVERS.len() {
            let who = self.listeners.iter().position(|listener| listener.uses(server)).expect("one");
            let end = format!("end of {server}");
            let say = json!({"level": "emergency", "text": end});
            self.call(who, server, ("log", say), |listener| listener.uses(server), &end);
        }
    }
}

fn room(instance: &Instance, door: &Door) -> Room {
    let mut listeners = Vec::new();
    for way in WAYS {
        for own in [Some(0), Some(1), None] {
            let mut party = Party::join(instance, door, way, own.map(|own: usize| SERVERS[own]), &json!({}));
            for (server, name) in
                SERVERS.iter().enumerate().filter(|(server, _)| own.is_none_or(|own| own == *server))
            {
                let prefix = if own.is_some() { String::new() } else { format!("{name}__") };
                // The servers have the same tools, but each has its own name in its environment.
                let env = party.call(&format!("{prefix}env"), &json!({"name": "WHO"}));
                assert_eq!(env, SERVERS[server]);
            }
            for method in ["tools/list", "resources/list", "prompts/list"] {
                assert!(party.ask(method, &json!({}))["result"].is_object());
            }
            assert!(party.ask("logging/setLevel", &json!({"level": "debug"}))["result"].is_object());
            party.aside.clear();
            listeners.push(Listener {
                party,
                own,
                level: 0,
                subscriptions: BTreeSet::new(),
                changed: BTreeSet::new(),
            });
        }
    }
    Room { listeners, heard: 0 }
}

#[test]
#[cfg_attr(windows, ignore = "slow under Wine, and the system has no part in it")]
fn a_thousand_events_reach_exactly_those_they_are_for() {
    let servers: String =
        SERVERS.iter().map(|name| fixture(name, &[]) + &format!("env = {{ WHO = \"{name}\" }}\n")).collect();
    let instance = Instance::new(&servers);
    let door = Door::of(&instance);
    let mut room = room(&instance, &door);
    room.nothing_else();
    let mut random = Random::new(3);
    let (events, mut collisions) = (scaled(1000), 0);
    for event in 0..events {
        let server = random.below(SERVERS.len());
        let users: Vec<usize> =
            (0..room.listeners.len()).filter(|who| room.listeners[*who].uses(server)).collect();
        let who = *random.pick(&users);
        match random.below(7) {
            0 => {
                let steps = json!({"steps": 1, "ms": 0});
                room.call(who, server, ("progress", steps), |_| false, "\"progressToken\":7");
            }
            1 => {
                let (level, text) = (random.below(LEVELS.len()), format!("event {event}"));
                let lowest = users.iter().map(|who| room.listeners[*who].level).min().unwrap_or_default();
                let say = json!({"level": LEVELS[level], "text": text});
                let wanted = |listener: &Listener| listener.uses(server) && listener.level <= level;
                let answer = room.call(who, server, ("log", say), wanted, &text);
                let said = answer["result"]["content"][0]["text"] == "sent";
                assert!(
                    said || level < lowest,
                    "the server says at least what the most curious wants to hear"
                );
            }
            2 => {
                let uri = *random.pick(&URIS);
                let subscribed = |listener: &Listener| listener.subscriptions.contains(&(server, uri));
                let anybody = room.listeners.iter().any(subscribed);
                let answer = room.call(who, server, ("touch_resource", json!({"uri": uri})), subscribed, uri);
                assert_eq!(answer["result"]["content"][0]["text"] == "sent", anybody, "{answer}");
            }
            3 => {
                let kind = *random.pick(&["tools", "prompts", "resources"]);
                let what = format!("notifications/{kind}/list_changed");
                for listener in room.listeners.iter_mut().filter(|listener| listener.own.is_none()) {
                    listener.changed.insert(what.clone());
                }
                let users = |listener: &Listener| listener.own == Some(server);
                room.call(who, server, (&format!("change_{kind}"), json!({})), users, &what);
            }
            4 => {
                let level = random.below(LEVELS.len());
                let listener = &mut room.listeners[who];
                listener.level = level;
                let set = listener.party.ask("logging/setLevel", &json!({"level": LEVELS[level]}));
                assert!(set["result"].is_object(), "{set}");
            }
            5 => {
                let uri = *random.pick(&URIS);
                let listener = &mut room.listeners[who];
                // Where two servers have a resource, clients of all servers see that of the first server.
                let owner = listener.own.unwrap_or(0);
                let gone = listener.subscriptions.remove(&(owner, uri));
                let method = if gone { "resources/unsubscribe" } else { "resources/subscribe" };
                if !gone {
                    listener.subscriptions.insert((owner, uri));
                }
                let answer = listener.party.ask(method, &json!({"uri": uri}));
                assert!(answer["result"].is_object(), "{answer}");
            }
            _ => {
                let answer = room.call(who, server, ("env", json!({"name": "WHO"})), |_| false, "");
                assert_eq!(answer["result"]["content"][0]["text"], SERVERS[server], "{answer}");
                collisions += 1;
            }
        }
        for listener in &mut room.listeners {
            let aside = std::mem::take(&mut listener.party.aside);
            let others: Vec<Value> =
                aside.into_iter().filter(|message| !listener.is_told_together(message)).collect();
            assert_eq!(others, [Value::Null; 0], "event {event}");
        }
    }
    room.nothing_else();
    for listener in &mut room.listeners {
        while !listener.changed.is_empty() {
            let message = listener.party.receive();
            assert!(listener.is_told_together(&message), "{message}");
        }
    }
    eprintln!(
        "{events} events, 9 clients over shims, WebSockets and HTTP: {} notifications heard, each by exactly \
         those it was for; {collisions} calls of tools whose names collide, 0 at the wrong server",
        room.heard
    );
}
