//! Each revision of clients with each kind of server, over each transport: one script, and a transcript that is the same
//! however the client is connected.
//!
//! The transcripts are in `matrix/golden`. `EXAI_WRITE_GOLDEN=1` writes them anew from what is heard through the shim.

mod detection;
mod received;
mod script;
mod transcript;

use std::path::Path;
use std::thread;

use exai_test::{eventually, program};
use received::Received;
use script::Player;
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT, switch};
use crate::ways::{Door, Party, WAYS};

/// A kind of server, and what clients of either era hear from it.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    switches: &'static [&'static str],
    is_bridged: bool,
    /// The revisions that it tells clients of the modern era.
    supported: &'static [&'static str],
    to_legacy: &'static str,
    to_modern: &'static str,
    /// What a client of the modern era hears that listens to changes, if it can.
    to_listening: Option<&'static str>,
}

const LEGACY_TO_LEGACY: &str = "legacy-client-legacy-server";
const LEGACY_TO_MODERN: &str = "legacy-client-modern-server";
const MODERN_TO_LEGACY: &str = "modern-client-legacy-server";
const MODERN_TO_BRIDGED: &str = "modern-client-bridged-server";
const MODERN_TO_MODERN: &str = "modern-client-modern-server";
const LISTENING_TO_BRIDGED: &str = "listening-client-bridged-server";
const LISTENING_TO_MODERN: &str = "listening-client-modern-server";

/// A server that can do both is to each client what it is in the client's era.
const KINDS: [Kind; 5] = [
    Kind {
        name: "legacy",
        switches: &["--era", "legacy"],
        is_bridged: false,
        supported: &[],
        to_legacy: LEGACY_TO_LEGACY,
        to_modern: MODERN_TO_LEGACY,
        to_listening: None,
    },
    Kind {
        name: "bridged",
        switches: &["--era", "legacy"],
        is_bridged: true,
        supported: &["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"],
        to_legacy: LEGACY_TO_LEGACY,
        to_modern: MODERN_TO_BRIDGED,
        to_listening: Some(LISTENING_TO_BRIDGED),
    },
    Kind {
        name: "modern",
        switches: &["--era", "modern"],
        is_bridged: false,
        supported: &["2026-07-28"],
        to_legacy: LEGACY_TO_MODERN,
        to_modern: MODERN_TO_MODERN,
        to_listening: Some(LISTENING_TO_MODERN),
    },
    Kind {
        name: "dual",
        switches: &["--era", "dual"],
        is_bridged: false,
        supported: &["2026-07-28", "2025-11-25"],
        to_legacy: LEGACY_TO_LEGACY,
        to_modern: MODERN_TO_MODERN,
        to_listening: Some(LISTENING_TO_MODERN),
    },
    Kind {
        name: "pinned",
        switches: &["--pin"],
        is_bridged: false,
        supported: &["2026-07-28"],
        to_legacy: LEGACY_TO_LEGACY,
        to_modern: MODERN_TO_MODERN,
        to_listening: Some(LISTENING_TO_MODERN),
    },
];

impl Kind {
    fn configuration(&self, instance: &Instance) -> String {
        let file = self.received(instance).path().display().to_string();
        let switches = [self.switches, &["--received", &file]].concat();
        let (name, command) = (self.name, json!(program("suite-server")));
        let (switches, bridged) = (json!(switches), self.is_bridged);
        format!("[servers.{name}]\ncommand = {command}\nargs = {switches}\nbridge = {bridged}\n")
    }

    fn received(&self, instance: &Instance) -> Received {
        Received::new(instance.dir().join(format!("{}.received", self.name)))
    }
}

fn hosting(kinds: &[Kind]) -> Instance {
    let instance = Instance::new("");
    let servers: Vec<String> = kinds.iter().map(|kind| kind.configuration(&instance)).collect();
    instance.configure(&servers.concat());
    instance
}

/// Compares with the transcript of this name.
fn compare(golden: &str, heard: &str, what: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/matrix/golden/{golden}.txt"));
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    if wanted == heard {
        return;
    }
    if switch("EXAI_WRITE_GOLDEN").is_some() {
        return std::fs::write(&path, heard).expect("the transcript is written");
    }
    let line = wanted.lines().zip(heard.lines()).take_while(|(one, other)| one == other).count();
    let from = line.saturating_sub(6);
    let part = |text: &str| text.lines().skip(from).take(12).collect::<Vec<_>>().join("\n");
    let (wanted, heard) = (part(&wanted), part(heard));
    panic!("{what}: not as {golden} from line {} on, which has\n{wanted}\nbut it was\n{heard}", line + 1);
}

/// All clients, over all transports, one after the other: they change the state of the server. A client of the modern
/// era turns to the legacy one in the end, on the same connection.
fn all_cells_of(kind: &Kind, instance: &Instance, door: &Door) {
    let enter = |way| {
        let party = Party::connect(instance, door, way, Some(kind.name));
        Player::new(party, "", kind.received(instance))
    };
    for way in WAYS {
        let what = |client: &str| format!("{client} at {} over {way:?}", kind.name);
        compare(kind.to_legacy, &enter(way).play_legacy("2025-06-18"), &what("2025-06-18"));
        compare(kind.to_legacy, &enter(way).play_legacy("2025-11-25"), &what("2025-11-25"));
        let mut both = enter(way);
        let (supported, heard) = both.play_modern();
        compare(kind.to_modern, &heard, &what("2026-07-28"));
        let wanted = if kind.supported.is_empty() { Value::Null } else { json!(kind.supported) };
        assert_eq!(supported, wanted, "{}", what("2026-07-28"));
        if let Some(golden) = kind.to_listening {
            compare(golden, &both.play_listening(), &what("2026-07-28 listening"));
        }
        compare(kind.to_legacy, &both.play_legacy("2025-11-25"), &what("2025-11-25 after 2026-07-28"));
    }
    // The server may go on with a cancelled call for ten seconds. What it logs meanwhile is told to nobody.
    for way in WAYS {
        let sessions = [Some("2025-11-25"), None];
        for session in sessions.into_iter().filter(|session| session.is_some() || kind.to_listening.is_some())
        {
            let heard = enter(way).play_cancelling(session);
            compare(
                "cancelling-client",
                &heard,
                &format!("{session:?} cancelling at {} over {way:?}", kind.name),
            );
        }
    }
}

/// Where all servers are one, tools have longer names, and what the clients of an era find depends on all servers.
#[test]
#[cfg_attr(windows, ignore = "slow under Wine, and the system has no part in it")]
fn every_client_hears_the_same_from_all_servers_over_every_transport() {
    let [legacy, bridged, modern, ..] = KINDS;
    let mixed = hosting(&[legacy, modern]);
    let modern_alone = hosting(&[bridged, modern]);
    // What is not known of a server is not offered.
    for instance in [&mixed, &modern_alone] {
        // A list of all does not wait long for a server that starts.
        eventually("all is known", LIMIT, || instance.exai(&["tools"]).status.success());
    }
    let enter = |instance: &Instance, door: &Door, way, kind: &Kind| {
        let party = Party::connect(instance, door, way, None);
        Player::new(party, &format!("{}__", kind.name), kind.received(instance))
    };
    let at_mixed = || {
        let door = Door::of(&mixed);
        for way in WAYS {
            let mut player = enter(&mixed, &door, way, &legacy);
            let (_, heard) = player.play_modern();
            compare("all-modern-client-with-a-legacy-server", &heard, &format!("over {way:?}"));
            compare("all-legacy-client", &player.play_legacy("2025-11-25"), &format!("over {way:?}"));
        }
    };
    let at_modern_alone = || {
        let door = Door::of(&modern_alone);
        for way in WAYS {
            let mut player = enter(&modern_alone, &door, way, &modern);
            let (_, heard) = player.play_modern();
            compare("all-modern-client-modern-server", &heard, &format!("over {way:?}"));
            let (_, heard) = enter(&modern_alone, &door, way, &bridged).play_modern();
            compare("all-modern-client-bridged-server", &heard, &format!("over {way:?}"));
        }
    };
    thread::scope(|scope| {
        scope.spawn(at_mixed);
        scope.spawn(at_modern_alone);
    });
}

#[test]
#[cfg_attr(windows, ignore = "slow under Wine, and the system has no part in it")]
fn every_client_hears_the_same_from_a_server_over_every_transport() {
    let instance = hosting(&KINDS);
    let door = Door::of(&instance);
    thread::scope(|scope| {
        for kind in &KINDS {
            scope.spawn(|| all_cells_of(kind, &instance, &door));
        }
    });
}
