//! `exai add` on a terminal: questions, their answers, and interruptions.

use exai_test::eventually;
use serde_json::json;

use super::config;
use crate::support::{Instance, LIMIT};
use crate::terminal::Terminal;

/// A file with two ways to have a server, one of which asks for a secret and something else.
fn write_server(instance: &Instance) -> String {
    let server = json!({"name": "io.github.x/asking", "version": "1.0.0", "packages": [
        {"registryType": "npm", "identifier": "asking", "version": "1.0.0", "environmentVariables": [
            {"name": "API_KEY", "description": "The key\u{1b}[2J", "isRequired": true, "isSecret": true},
            {"name": "MODE", "choices": ["fast", "slow"], "isRequired": true}]},
        {"registryType": "pypi", "identifier": "asking-py", "version": "1.0.0"},
    ]});
    let file = instance.dir().join("server.json");
    std::fs::write(&file, server.to_string()).expect("a file");
    file.to_str().expect("a path").to_owned()
}

fn answer_one(terminal: &mut Terminal, question: &str, answer: &str) {
    if question == "API_KEY: " {
        terminal.expect_hidden(question);
    } else {
        terminal.expect(question);
    }
    terminal.press(answer);
}

#[test]
fn a_person_chooses_answers_and_agrees() {
    let instance = Instance::new("");
    let file = write_server(&instance);
    let mut terminal = Terminal::new(&instance, &["add", "--no-check", &file]);
    for (question, answer) in [
        ("which one? [1] ", "7\n"),
        ("which one? [1] ", "1\n"),
        ("API_KEY: ", "\n"),
        ("API_KEY: ", "h1dden\n"),
        ("MODE: ", "quick\n"),
        ("MODE: ", "slow\n"),
        ("add it as asking? [Y/n] ", "y\n"),
    ] {
        answer_one(&mut terminal, question, answer);
    }
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(0), "{seen}");
    for expected in [
        "a number from 1 to 2",
        "must be one of: fast, slow",
        r"The key\u{1b}[2J",
        "npx -y asking@1.0.0",
        "API_KEY=${secret:asking.API_KEY}",
        "added asking",
    ] {
        assert!(seen.contains(expected), "{expected}: {seen}");
    }
    assert!(!seen.contains("h1dden"), "{seen}");
    let written = config(&instance);
    assert!(
        written.contains("env = { API_KEY = \"${secret:asking.API_KEY}\", MODE = \"slow\" }"),
        "{written}"
    );
}

#[test]
fn a_question_that_is_interrupted_or_answered_with_no_adds_nothing() {
    let instance = Instance::new("");
    let file = write_server(&instance);
    let steps =
        [("which one? [1] ", "1\n"), ("API_KEY: ", "h1dden\n"), ("MODE: ", "slow\n"), ("[Y/n] ", "n\n")];
    for stop in 0..=steps.len() {
        for keys in ["\u{3}", "\u{4}"] {
            let mut terminal = Terminal::new(&instance, &["add", "--no-check", &file]);
            for (at, (question, answer)) in steps.iter().enumerate().take(stop + 1) {
                answer_one(&mut terminal, question, if at == stop { keys } else { answer });
            }
            let (code, seen) = terminal.end();
            let refused = stop == steps.len();
            assert_eq!(code == Some(0), refused, "{stop} {keys:?}: {seen}");
            assert!(!refused || seen.contains("was not added"), "{seen}");
            assert!(!config(&instance).contains("asking"), "{stop} {keys:?}: {}", config(&instance));
            assert!(!instance.home().join("secrets.toml").exists(), "{stop} {keys:?}");
        }
    }
}

#[test]
fn the_questions_of_all_servers_come_before_the_first_change() {
    let instance = Instance::new("");
    let block = json!({
        "inputs": [{"id": "one", "type": "promptString"}, {"id": "two", "type": "promptString"}],
        "servers": {
            "first": {"command": "x", "env": {"A": "${input:one}"}},
            "second": {"command": "x", "env": {"B": "${input:two}"}},
        },
    });
    let file = instance.dir().join("mcp.json");
    std::fs::write(&file, block.to_string()).expect("a file");
    let mut terminal = Terminal::new(&instance, &["add", "--no-check", file.to_str().expect("a path")]);
    terminal.expect("one: ");
    terminal.press("a\n");
    terminal.expect("two: ");
    terminal.press("\u{4}");
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(1), "{seen}");
    assert!(!config(&instance).contains("first"), "{}", config(&instance));
}

#[test]
fn ctrl_c_during_the_trial_leaves_the_server_added() {
    let instance = Instance::new("");
    let fixture = super::fixture();
    let mut terminal = Terminal::new(&instance, &["add", "slow", "--", &fixture, "--hang-at-start"]);
    terminal.expect("trying it (Ctrl-C leaves it added)");
    terminal.press("\u{3}");
    let (code, seen) = terminal.end();
    assert_ne!(code, Some(0), "{seen}");
    assert!(config(&instance).contains("[servers.slow]"), "{seen}");
    eventually("the daemon knows the server", LIMIT, || {
        instance.json(&["list", "--json"])["servers"][0]["name"] == "slow"
    });
}

#[test]
fn the_secrets_of_a_removed_server_are_asked_about() {
    for (answer, is_kept) in [("y\n", false), ("\n", true)] {
        let instance = Instance::new("");
        instance.ends(0, &["add", "one", "--no-check", "-e", "API_KEY=h1dden", "--", "x"]);
        let mut terminal = Terminal::new(&instance, &["remove", "one"]);
        terminal.expect("forget them? [y/N] ");
        terminal.press(answer);
        let (code, seen) = terminal.end();
        assert_eq!(code, Some(0), "{seen}");
        let kept = std::fs::read_to_string(instance.home().join("secrets.toml")).unwrap_or_default();
        assert_eq!(kept.contains("one.API_KEY"), is_kept, "{seen}");
    }
}
