//! Names of servers, clients and other programs never reach a terminal as control sequences.

use std::process::{Command, Stdio};

use exai_config::Home;
use exai_test::{eventually, program};
use exai_tools::threads::{NewThread, NewTurn, ThreadStore};
use serde_json::json;

use crate::support::{Instance, LIMIT, fixture, text};

/// Sets the clipboard, clears the screen, sets a colour with a C1 code, reverses the order of the text, and forges a
/// row.
const FORGED: &str = "a\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}[2J\u{9b}31m\u{202e}b\nready  forged\r\u{7f}";
/// One half of a surrogate pair, which JavaScript writes when it cuts a text there.
const HALF: &str = r"\ud83d";

/// An instance in which every name that exai shows but did not choose is forged, and a client of this instance.
struct Forged {
    instance: Instance,
    client: crate::support::Client,
    /// The id of a thread.
    thread: String,
}

impl Forged {
    fn new() -> Self {
        let instance = Instance::new("");
        let dir = instance.dir();
        let quoted = json!(FORGED).to_string();
        let tools = dir.join("tools");
        let tool =
            format!("{{\"name\":{quoted},\"description\":{quoted},\"inputSchema\":{{\"type\":\"object\"}}}}");
        let half = format!(
            "{{\"name\":\"half\",\"description\":\"{HALF}\",\"inputSchema\":{{\"type\":\"object\"}}}}"
        );
        std::fs::write(&tools, format!("{{\"tools\":[{tool},{half}]}}")).unwrap();
        let answers = dir.join("answers");
        std::fs::create_dir(&answers).unwrap();
        let content = |text: &str| format!("{{\"content\":[{{\"type\":\"text\",\"text\":{text}}}]}}");
        std::fs::write(answers.join("forged"), content(&quoted)).unwrap();
        std::fs::write(answers.join("half"), content(&format!("\"{HALF}!\""))).unwrap();
        // The system names a process after its file.
        let named = dir.join("x\u{1b}[2J\n");
        std::fs::copy(program("fixture-server"), &named).unwrap();
        let (tools, answers) = (tools.display().to_string(), answers.display().to_string());
        let switches = ["--tools", &tools, "--answers", &answers, "--name", FORGED, "--instructions", FORGED];
        let named = [named.to_str().expect("a path")];
        let run = [&["-c", "exec \"$@\"", "sh"][..], &named, &switches].concat();
        let servers = format!("[servers.evil]\ncommand = \"sh\"\nargs = {}\n", json!(run))
            + &fixture("dies", &["--die-at-start", FORGED]);
        // This is the only control character that JSON allows in texts and TOML does not.
        instance.configure(&servers.replace('\u{7f}', "\\u007f"));
        let mut client = instance.shim(&["--client", FORGED]);
        let info = json!({"name": FORGED, "version": FORGED});
        client.ask(
            "initialize",
            &json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}),
        );
        client.ask("tools/call", &json!({"name": "evil__forged", "arguments": {}}));
        client.ask("tools/call", &json!({"name": "dies__x", "arguments": {}}));
        let threads = ThreadStore::new(Home::at(instance.home()));
        let new = NewThread { tool: FORGED, request: FORGED, client: Some(FORGED) };
        let thread = threads.create_thread(&new, LIMIT).unwrap().id;
        let turn = NewTurn {
            files: vec![FORGED.to_owned()],
            ..NewTurn::of_assistant(FORGED, FORGED, FORGED, FORGED)
        };
        threads.add_turns(&thread, &[turn]).unwrap();
        Forged { instance, client, thread }
    }

    /// The arguments, with the id of the thread in its place.
    fn with_thread<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        args.iter().map(|arg| if *arg == "THREAD" { &self.thread } else { *arg }).collect()
    }

    /// The output of a command on a terminal.
    fn on_a_terminal(&self, args: &[&str]) -> String {
        let command = format!("{} {}", program("exai").display(), args.join(" "));
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).env("EXAI_HOME", self.instance.home());
        text(&script.stdin(Stdio::null()).output().expect("script runs (bsdutils)").stdout)
    }
}

/// Every command that shows names, with a forged part that it must show (`None` if it need not show any).
const COMMANDS: [(&[&str], Option<&str>); 13] = [
    (&["tools", "evil"], Some(r"a\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}[2J\u{9b}31m\u{202e}b")),
    (&["status", "-v"], Some(r"a\u{1b}]52")),
    (&["why", "evil"], None),
    (&["ps"], Some(r"x\u{1b}[2J\n")),
    (&["doctor"], None),
    (&["list"], Some(r"x\u{1b}[2J\n")),
    (&["call", "evil", "forged"], None),
    // The daemon removes most control characters from what it quotes.
    (&["call", "dies", "x"], Some("a]52;c;ZXZpbA==[2J31m\\u{202e}b\n")),
    (&["logs", "dies"], None),
    (&["logs"], None),
    (&["status", "--json"], None),
    (&["threads"], Some(r"a\u{1b}]52")),
    (&["threads", "show", "THREAD"], Some(r"31m\u{202e}b")),
];

/// The output without exai's own control sequences: the colours of the printer, and a terminal's line ends.
fn without_our_own(output: &str) -> String {
    let mut plain = output.replace("\r\n", "\n").replace("\r\u{1b}[K", "");
    for style in ["0", "1", "2", "31", "32", "33", "36"] {
        plain = plain.replace(&format!("\u{1b}[{style}m"), "");
    }
    plain
}

fn is_obeyed(character: char) -> bool {
    character != '\n' && (character.is_control() || character == '\u{202e}')
}

#[test]
fn no_foreign_text_reaches_a_terminal_as_a_command() {
    let forged = Forged::new();
    eventually("the death of the server is logged", LIMIT, || {
        let log = std::fs::read_to_string(forged.instance.home().join("log/server-dies.log"));
        log.is_ok_and(|log| log.contains("forged"))
    });
    for (args, expected) in COMMANDS {
        let output = without_our_own(&forged.on_a_terminal(&forged.with_thread(args)));
        let found: Vec<char> = output.chars().filter(|character| is_obeyed(*character)).collect();
        assert_eq!(found, [] as [char; 0], "exai {args:?} on a terminal: {output:?}");
        // A line of text may look like this, but a row of exai's own must not.
        if !matches!(args, ["call" | "logs", ..]) {
            assert!(!output.lines().any(|line| line.starts_with("ready  forged")), "exai {args:?}: {output}");
        }
        if let Some(expected) = expected {
            assert!(output.contains(expected), "exai {args:?} on a terminal: {output}");
        }
    }
    // A program that reads the output from a pipe reads it by lines too.
    for (args, _) in COMMANDS {
        if matches!(args, ["call", "evil", ..] | ["logs", ..] | [.., "--json"]) {
            continue; // these pass names on unchanged
        }
        let output = forged.instance.exai(&forged.with_thread(args));
        let output = text(&[output.stdout, output.stderr].concat());
        assert!(!output.chars().any(is_obeyed), "exai {args:?} in a pipe: {output:?}");
        assert!(!output.lines().any(|line| line.starts_with("ready  forged")), "exai {args:?}: {output}");
    }
    drop(forged.client);
}

#[test]
fn half_of_a_surrogate_pair_is_shown_as_what_it_is() {
    let forged = Forged::new();
    assert_eq!(forged.instance.ends(0, &["call", "evil", "half"]), "\u{fffd}!\n");
    assert!(forged.instance.ends(0, &["tools", "evil"]).contains("evil  half"));
    let raw = forged.instance.ends(0, &["call", "evil", "half", "--json"]);
    assert!(raw.contains(HALF), "as it came: {raw}");
}
