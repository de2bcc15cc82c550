mod readmes;

use proptest::prelude::*;
use std::time::Duration;

use self::readmes::READMES;
use super::super::shown::{answers, show};
use super::*;
use crate::Transport;

fn read_as(text: &str, name: Option<&str>) -> Result<Pasted, SourceError> {
    read_pasted(text, PasteOptions { name, is_program: &|_| false })
}

fn read(text: &str) -> Pasted {
    read_as(text, None).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn show_all(pasted: &Pasted) -> Vec<String> {
    pasted.servers.iter().map(show).collect()
}

#[test]
fn blocks_of_readmes_are_read() {
    for (source, text, servers) in READMES {
        assert_eq!(show_all(&read(text)), servers, "{source}");
    }
}

#[test]
fn the_file_of_vs_code_asks_for_its_inputs() {
    // <https://github.com/github/github-mcp-server>
    let text = r#"{
  "inputs": [
    { "type": "promptString", "id": "github_token", "description": "GitHub Personal Access Token", "password": true },
    { "type": "pickString", "id": "region", "description": "Where?", "options": ["eu", { "label": "US", "value": "us" }], "default": "eu" },
    { "type": "promptString", "id": "unused" }
  ],
  "servers": {
    "github": {
      "command": "docker",
      "args": ["run", "-i", "--rm", "-e", "GITHUB_PERSONAL_ACCESS_TOKEN", "ghcr.io/github/github-mcp-server"],
      "env": { "GITHUB_PERSONAL_ACCESS_TOKEN": "${input:github_token}" },
      "envFile": "${workspaceFolder}/.env"
    },
    "remote": { "type": "http", "url": "https://${input:region}.example.com/mcp", "headers": { "X": "${input:other}" } }
  }
}"#;
    let pasted = read(text);
    assert_eq!(
        show_all(&pasted),
        [
            "github: docker|run|-i|--rm|-e|GITHUB_PERSONAL_ACCESS_TOKEN|ghcr.io/github/github-mcp-server \
             GITHUB_PERSONAL_ACCESS_TOKEN=${input:github_token} env_file=${workspaceFolder}/.env",
            "remote: https://${input:region}.example.com/mcp X: ${input:other}",
        ]
    );
    let questions = &pasted.questions;
    let keys: Vec<&str> = questions.iter().map(|question| question.key.as_str()).collect();
    assert_eq!(keys, ["github_token", "region", "other"]);
    assert_eq!(questions[0].description.as_deref(), Some("GitHub Personal Access Token"));
    assert_eq!(questions.iter().map(|question| question.secret).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(questions[1].choices, ["eu", "us"]);
    assert_eq!(questions[1].default, ["eu"]);
    let unresolved = Warning::Unresolved { server: "github".into(), reference: "${workspaceFolder}".into() };
    assert_eq!(pasted.warnings, [unresolved]);

    let plans = pasted.into_plans();
    assert_eq!(plans[0].entry().secrets, ["GITHUB_PERSONAL_ACCESS_TOKEN"]);
    let error = plans[0].fill(&[].into()).unwrap_err();
    assert_eq!(error.to_string(), "`github_token` needs a value");

    assert_eq!(
        show(&plans[1].fill(&answers(&[("other", "x")])).unwrap()),
        "remote: https://eu.example.com/mcp X: x"
    );
    let wrong = answers(&[("other", "x"), ("region", "hunter2")]);
    assert_eq!(plans[1].fill(&wrong).unwrap_err().to_string(), "`region` must be one of: eu, us");
}

#[test]
fn other_shapes_are_read() {
    for (text, servers) in [
        // VS Code's settings.json before mcp.json, and opencode's next version.
        (r#"{"editor.x": 1, "mcp": {"inputs": [], "servers": {"a": {"command": "x"}}}}"#, vec!["a: x"]),
        (r#"{"mcpServers": {"a": {"command": "x"}}}, "#, vec!["a: x"]),
        (r#"{"amp.mcpServers": {"a": {"command": "x"}}}"#, vec!["a: x"]),
        // Augment Code: a list, and a command line in one text.
        (
            r#"[{"type":"stdio","id":"1","name":"a b","command":"npx -y x","arguments":"","disabled":true},
               {"type":"http","name":"b","url":"https://b"}]"#,
            vec!["a b: npx|-y|x (off)", "b: https://b"],
        ),
        (r#"{"augment.advanced": {"mcpServers": [{"name": "a", "command": "x"}]}}"#, vec!["a: x"]),
        (r#"{"a": {"command": "x"}, "version": 1}"#, vec!["a: x"]),
        (r#"{"name": "a", "command": "x", "args": "--flag 'a b'"}"#, vec!["a: x|--flag|a b"]),
        (
            r#"{"mcp": {"command": "x"}, "servers": {"url": "https://b"}}"#,
            vec!["mcp: x", "servers: https://b"],
        ),
        (r#"{"mcpServers": {}}"#, vec![]),
        // Keys of Goose, Continue and Codex.
        (
            r#"{"servers": {"a": {"cmd": "x", "envs": {"A": "1"}}, "b": {"url": "https://b", "requestOptions": {"headers": {"H": "1"}}}}}"#,
            vec!["a: x A=1", "b: https://b H: 1"],
        ),
        ("[mcp_servers.a]\ncommand = 'x'\nenv_vars = ['T']", vec!["a: x T=${env:T}"]),
        (
            r#"{"mcp": {"a": {"type": "remote", "url": "https://a", "enabled": false}}}"#,
            vec!["a: https://a (off)"],
        ),
        ("\u{feff}{\"a\": {\"command\": \"x\"}}\r\n", vec!["a: x"]),
        ("\"a\".command = 'x'", vec!["a: x"]),
        (
            "# Codex\nmodel = 'o'\n[mcp_servers.a]\nurl = 'https://a'\nbearer_token_env_var = 'T'\nenv_http_headers = { H = 'V' }\n\
          [mcp_servers.b]\ncommand = 'C:\\x y\\b.exe'\ncwd = '/w'\nenabled = false\n[mcp_servers.b.env]\nZ = '1'\nA = '2'",
            vec![
                "a: https://a H: ${env:V} Authorization: Bearer ${env:T}",
                "b: C:\\x y\\b.exe Z=1 A=2 cwd=/w (off)",
            ],
        ),
        (
            r#"{"mcpServers": {"a": {"command": "x", "env": {"A": "1", "B": true, "A": 2.50}}}}"#,
            vec!["a: x B=true A=2.50"],
        ),
        (
            r#"{"mcpServers": {"a": {"command": "x", "args": ["ä\u00e9\ud83d\ude00\n"]}}}"#,
            vec!["a: x|äé😀\n"],
        ),
    ] {
        assert_eq!(show_all(&read(text)), servers, "{text}");
    }
}

#[test]
fn a_bare_entry_takes_the_name_of_the_caller() {
    let text = r#"{"command": "npx", "args": ["-y", "x"]}"#;
    assert_eq!(show_all(&read_as(text, Some("mine")).unwrap()), ["mine: npx|-y|x"]);
    assert_eq!(
        read_as(text, None).unwrap_err().to_string(),
        "line 1, column 1: this server has no name; give it one"
    );
    assert_eq!(show_all(&read_as(r#"{"url": "https://x"}"#, Some("u")).unwrap()), ["u: https://x"]);
}

#[test]
fn time_outs_are_read_where_their_unit_is_known() {
    let seconds = Duration::from_secs;
    for (text, start, call) in [
        (r#"{"a": {"command": "x", "timeout": 30000, "trust": true}}"#, None, Some(seconds(30))),
        (r#"{"a": {"httpUrl": "https://x", "timeout": 5000}}"#, None, Some(seconds(5))),
        (r#"{"a": {"command": "x", "timeout": 60, "autoApprove": []}}"#, None, Some(seconds(60))),
        (r#"{"a": {"type": "streamableHttp", "url": "https://x", "timeout": 60}}"#, None, Some(seconds(60))),
        (r#"{"mcp": {"a": {"command": ["x"], "timeout": 5000}}}"#, Some(seconds(5)), None),
        (r#"{"a": {"command": "x", "timeout": 60}}"#, None, None),
        (r#"{"a": {"command": "x", "timeout": 1e99, "trust": true}}"#, None, None),
        (
            "[mcp_servers.a]\ncommand='x'\nstartup_timeout_sec = 20\ntool_timeout_sec = 1.5",
            Some(seconds(20)),
            Some(Duration::from_millis(1500)),
        ),
        ("[mcp_servers.a]\ncommand='x'\nstartup_timeout_ms = 20_000", Some(seconds(20)), None),
    ] {
        let pasted = read(text);
        assert_eq!(
            (pasted.servers[0].start_timeout, pasted.servers[0].call_timeout),
            (start, call),
            "{text}"
        );
    }
    let pasted = read(r#"{"a": {"command": "x", "timeout": 60}}"#);
    assert_eq!(pasted.warnings, [Warning::UnclearTimeout { server: "a".into() }]);
}

#[test]
fn tool_choices_are_read() {
    for (text, allow, deny) in [
        (r#"{"a": {"command": "x", "includeTools": ["r"], "excludeTools": ["w"]}}"#, vec!["r"], vec!["w"]),
        (r#"{"a": {"command": "x", "tools": ["*"]}}"#, vec![], vec![]),
        (r#"{"a": {"command": "x", "tools": ["r"], "disabledTools": ["w"]}}"#, vec!["r"], vec!["w"]),
        ("[mcp_servers.a]\ncommand='x'\nenabled_tools=['r']\ndisabled_tools=['w']", vec!["r"], vec!["w"]),
    ] {
        let tools = read(text).servers.remove(0).tools;
        assert_eq!(
            (tools.allow, tools.deny),
            (allow.into_iter().map(Into::into).collect(), deny.into_iter().map(Into::into).collect()),
            "{text}"
        );
    }
}

#[test]
fn a_command_line_in_command_is_split_and_that_is_said() {
    let pasted = read(r#"{"mcpServers": {"a": {"command": "npx -y x", "args": ["z"]}}}"#);
    assert_eq!(show_all(&pasted), ["a: npx|-y|x|z"]);
    let said = Warning::SplitCommand { server: "a".into(), program: "npx".into(), arguments: 2 };
    assert_eq!(pasted.warnings, [said]);
    let node = r#"{"a": {"command": "C:\\Program Files\\nodejs\\node.exe", "args": ["x.js"]}}"#;
    let is_program = |program: &str| program == r"C:\Program Files\nodejs\node.exe";
    let pasted = read_pasted(node, PasteOptions { name: None, is_program: &is_program }).unwrap();
    assert_eq!(show_all(&pasted), [r"a: C:\Program Files\nodejs\node.exe|x.js"]);
    assert_eq!(pasted.warnings, []);
}

#[test]
fn errors_say_what_and_where_and_quote_no_value() {
    for (text, error) in [
        ("", "line 1, column 1: there is nothing to read"),
        (" // nothing\n", "line 1, column 1: there is nothing to read"),
        (
            "{\n  \"mcpServers\": {\n    \"a\": { \"command\" \"hunter2\" }",
            "line 3, column 22: this is not valid JSON: expected colon after the string or word in object property",
        ),
        (
            "{\"a\": {\"command\": \"x\"}\n\"b\": {\"command\": \"hunter2\"}}",
            "line 1, column 23: this is not valid JSON: expected comma",
        ),
        ("\"a\": {\n  \"command\": hunter2 }", "line 2, column 14: this is not valid JSON: unexpected word"),
        (
            "[mcp_servers.a]\ncommand = hunter2",
            "line 2, column 11: this is not valid TOML: string values must be quoted, expected literal string",
        ),
        (
            "{}",
            "line 1, column 1: there is no server in this text; expected `mcpServers`, `servers`, `mcp`, `context_servers`, `mcp_servers`, or an entry with `command` or `url`",
        ),
        ("{\"mcpServers\": 5}", "line 1, column 16: `mcpServers` must be a table of servers"),
        ("{\"mcpServers\": {\"a\": 5}}", "line 1, column 22: a server must be a table"),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"args\": [[]]}}}",
            "line 1, column 48: `args` must be a list of texts",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"env\": {\"K\": {}}}}}",
            "line 1, column 52: the value of `K` in `env` must be a text",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"env\": {\"A=B\": \"hunter2\"}}}}",
            "line 1, column 46: a name in `env` is not valid",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"disabled\": \"no\"}}}",
            "line 1, column 51: `disabled` must be true or false",
        ),
        ("{\"mcpServers\": {\"a\": {}}}", "line 1, column 22: `a` has neither a command nor a URL"),
        (
            "{\"mcpServers\": {\"a\": {\"type\": \"http\", \"command\": \"x\"}}}",
            "line 1, column 22: `a` has the type of a URL, and no `url`",
        ),
        (
            "{\"mcpServers\": {\"a\": {\"type\": \"stdio\", \"url\": \"x\"}}}",
            "line 1, column 22: `a` has the type of a command, and no `command`",
        ),
        ("{\"mcpServers\": {\"a\": {\"command\": \" \"}}}", "line 1, column 34: `command` is empty"),
        (
            "```\n{}\n```\n```\n{}\n```",
            "line 4, column 1: the text has a second block in ```; give one alone",
        ),
        ("npx -y x", "line 1, column 5: this is not valid TOML: key with no value, expected `=`"),
    ] {
        assert_eq!(read_as(text, None).unwrap_err().to_string(), error, "{text}");
    }
}

#[test]
fn a_server_that_cannot_be_read_does_not_stop_the_others() {
    let pasted = read(
        "{\"mcpServers\": {\"a\": {\"command\": 5}, \"b\": {\"command\": \"x\"},\n \"b\": {\"command\": \"y\"}}}",
    );
    assert_eq!(show_all(&pasted), ["b: x"]);
    let said: Vec<String> = pasted.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "`a` is left out: line 1, column 34: `command` must be a text",
            "`b` is left out: line 2, column 2: another server has the same name"
        ]
    );
}

#[test]
fn what_is_too_deep_or_too_long_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        for depth in [65, 600, 100_000] {
            let text = format!("{{\"a\":{}0{}}}", open.repeat(depth), close.repeat(depth));
            let error = read_as(&text, None).unwrap_err().to_string();
            assert!(error.contains("nest"), "{error}");
        }
    }
    let toml = format!("a = {}0{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read_as(&toml, None).unwrap_err().to_string().contains("TOML"));
    let long = " ".repeat(MAX_TEXT_BYTES + 1);
    assert_eq!(read_as(&long, None).unwrap_err().to_string(), "the text has more than 8 MiB");
    let many =
        (0..=MAX_SERVERS).fold(String::new(), |text, n| text + &format!("\"s{n}\": {{\"command\": \"x\"}},"));
    let error = read_as(&many, None).unwrap_err().to_string();
    assert_eq!(error, "line 1, column 1: the text has more than 1000 servers");
}

/// Pieces that make texts which come near to valid ones.
const PIECES: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\n",
    " ",
    "//",
    "/*",
    "*/",
    "```",
    "~~~",
    "=",
    ".",
    "'",
    "\u{feff}",
    "ä",
    "\\ud83d",
    "\\u0000",
    "\"mcpServers\"",
    "\"servers\"",
    "\"mcp\"",
    "mcp_servers",
    "\"command\"",
    "\"args\"",
    "\"env\"",
    "\"url\"",
    "\"inputs\"",
    "\"id\"",
    "${input:x}",
    "${",
    "{env:A}",
    "npx -y",
    "C:\\a b\\c.exe",
    "null",
    "1e400",
    "true",
];

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in prop_oneof![
        ".{0,200}",
        prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40).prop_map(|pieces| pieces.concat()),
    ]) {
        if let Ok(pasted) = read_as(&text, Some("name")) {
            for server in &pasted.servers {
                let empty = match &server.transport {
                    Transport::Stdio { command, .. } => command.trim().is_empty(),
                    Transport::Url { url, .. } => url.is_empty(),
                };
                prop_assert!(!empty);
            }
        }
    }

    #[test]
    fn a_readme_that_is_cut_or_changed_makes_no_panic(which in 0..READMES.len(), at in 0_usize..400, with in prop::sample::select(&PIECES[..])) {
        let text = READMES[which].1;
        let at = text.floor_char_boundary(at.min(text.len()));
        let cut = read_as(&text[..at], None);
        let changed = read_as(&format!("{}{with}{}", &text[..at], &text[at..]), None);
        for error in [cut, changed].into_iter().filter_map(Result::err) {
            prop_assert!(!error.to_string().contains("YOUR_API_KEY"), "{}", error);
        }
    }
}
