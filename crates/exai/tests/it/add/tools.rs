//! `exai add --tools`: the EXAI tools, and the model servers of this machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::config;
use crate::support::{Instance, text};

/// Where nobody listens.
const NOBODY: &str = "127.0.0.1:1";

/// A model server that gives this answer to each request; it keeps silent without one. Returns its address.
fn model_server(answer: Option<&str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let answer = answer.map(str::to_owned);
    thread::spawn(move || {
        let mut silent = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let Some(answer) = &answer else {
                silent.push(stream);
                continue;
            };
            let mut head = BufReader::new(stream.try_clone().expect("a socket")).lines();
            let asked = head.next().and_then(Result::ok).unwrap_or_default();
            head.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            let status = if asked.starts_with("GET /v1/models ") { "200 OK" } else { "404 Not Found" };
            let length = answer.len();
            // Whoever asks may be gone.
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{answer}");
        }
    });
    address
}

fn list(ids: &[&str]) -> String {
    let models: Vec<_> = ids.iter().map(|id| json!({"id": id, "object": "model"})).collect();
    json!({"object": "list", "data": models}).to_string()
}

/// `exai add --tools` with these model servers.
fn add(instance: &Instance, args: &[&str], ollama: &str, lmstudio: &str) -> Output {
    let mut command = instance.command(&[&["add", "--tools", "--no-check"], args].concat());
    command.env("EXAI_LOCAL_MODELS", format!("{ollama},{lmstudio}")).output().expect("it runs")
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn the_tools_are_a_server_like_any_other() {
    let instance = Instance::new("# mine\n");
    let added = said(&add(&instance, &[], NOBODY, NOBODY), 0);
    assert!(added.contains("added ai; no daemon runs"), "{added}");
    assert!(
        added.contains("[providers.glm]") && added.contains("`exai secret set GLM`"),
        "how to add a provider: {added}"
    );
    let file = config(&instance);
    let listed = instance.json(&["list", "--json"]);
    let program = PathBuf::from(listed["servers"][0]["command"].as_str().expect("a command"));
    let real = |path: &Path| path.canonicalize().expect("a program");
    assert!(program.is_absolute() && real(&program) == real(&exai_test::program("exai")), "{listed}");
    let home = toml_text(&instance.home().display().to_string());
    assert!(file.contains("# mine\n"), "{file}");
    for line in [
        "[servers.ai]".to_owned(),
        "args = [\"tools-server\"]".to_owned(),
        format!("env = {{ EXAI_HOME = {home} }}"),
        "share = \"auto\"".to_owned(),
        "call_timeout = \"15m\"".to_owned(),
    ] {
        assert!(file.lines().any(|one| one == line), "{line}: {file}");
    }
    assert!(!file.contains("[providers"), "{file}");
    let again = said(&add(&instance, &[], NOBODY, NOBODY), 1);
    assert!(again.contains("there is a server `ai` already"), "{again}");
    said(&add(&instance, &["helper", "--timeout", "90"], NOBODY, NOBODY), 0);
    assert!(config(&instance).contains("[servers.helper]") && config(&instance).contains("\"90s\""));
    instance.ends(0, &["remove", "ai"]);
    assert!(!config(&instance).contains("[servers.ai]"));
    for wrong in [&["ai", "--", "x"][..], &["--url", "http://127.0.0.1:1"], &["-H", "a=b"], &["--set", "a=b"]]
    {
        said(&add(&instance, wrong, NOBODY, NOBODY), 2);
    }
    assert_eq!(instance.exai(&["add"]).status.code(), Some(2), "without --tools it takes a name");
}

/// A text as the editor of `config.toml` writes it.
fn toml_text(text: &str) -> String {
    if text.contains('\\') { format!("'{text}'") } else { format!("\"{text}\"") }
}

#[test]
fn a_local_model_server_is_offered_and_added_if_that_is_wanted() {
    let instance = Instance::new("");
    let ollama = model_server(Some(&list(&["qwen3:8b", "gpt-oss:20b"])));
    let block = format!("[providers.ollama]\nbase_url = \"http://{ollama}/v1\"\ndialect = \"ollama\"\n");
    let shown = said(&add(&instance, &[], &ollama, NOBODY), 0);
    assert!(shown.contains(&format!("Ollama answers at {ollama} and has 2 models")), "{shown}");
    for line in block.lines() {
        assert!(shown.contains(&format!("  {line}\n")), "{line}: {shown}");
    }
    assert!(shown.contains("`exai add --tools --force --yes`"), "{shown}");
    assert!(!config(&instance).contains("[providers"), "nobody has agreed: {}", config(&instance));

    let lmstudio = model_server(Some(&list(&[])));
    let added = said(&add(&instance, &["--force", "--yes"], &ollama, &lmstudio), 0);
    assert!(added.contains("added the provider ollama") && added.contains("LM Studio"), "{added}");
    let file = config(&instance);
    assert!(file.contains(&block) && file.contains("[providers.lmstudio]"), "{file}");

    let again = said(&add(&instance, &["--force", "--yes"], &ollama, &lmstudio), 0);
    assert!(!again.contains("Ollama") && !again.contains("[providers."), "there are providers: {again}");
    assert_eq!(config(&instance), file);
}

#[test]
fn what_is_no_model_server_is_left_alone_and_not_waited_for() {
    let instance = Instance::new("");
    let silent = model_server(None);
    for (number, answer) in
        ["", "[]", "{\"data\": 7}", "<html>", "{\"models\": []}", "nonsense"].iter().enumerate()
    {
        let other = model_server(Some(answer));
        let start = Instant::now();
        let shown = said(&add(&instance, &[&format!("t{number}"), "--yes"], &other, &silent), 0);
        assert!(start.elapsed() < Duration::from_secs(10), "it waited {:?}", start.elapsed());
        assert!(shown.contains("no provider of models is configured"), "{answer}: {shown}");
        assert!(!config(&instance).contains("[providers"), "{answer}");
    }
    // As Ollama says it before a model was fetched.
    let empty = model_server(Some(r#"{"object":"list","data":null}"#));
    let shown = said(&add(&instance, &[], &empty, &silent), 0);
    assert!(shown.contains("and has 0 models"), "{shown}");
    for wrong in ["127.0.0.1:1", "127.0.0.1:1,x", "192.0.2.1:1,127.0.0.1:1", "a:1,b:1"] {
        let mut command = instance.command(&["add", "--tools", "other", "--no-check"]);
        let output = command.env("EXAI_LOCAL_MODELS", wrong).output().expect("it runs");
        let complaint = said(&output, 2);
        assert!(complaint.contains("EXAI_LOCAL_MODELS is two addresses of this machine"), "{complaint}");
        assert!(!config(&instance).contains("[servers.other]"), "nothing was changed");
    }
}

#[test]
fn the_first_start_names_the_tools_once() {
    const SENTENCE: &str = "`exai add --tools` adds the EXAI tools";
    let instance = Instance::new("");
    assert_eq!(instance.ends(0, &["start"]).matches(SENTENCE).count(), 1);
    assert!(!instance.ends(0, &["start"]).contains(SENTENCE));
    instance.ends(0, &["stop"]);
    assert!(!instance.ends(0, &["start"]).contains(SENTENCE));
    let equipped = Instance::new("");
    said(&add(&equipped, &["mine"], NOBODY, NOBODY), 0);
    assert!(!equipped.ends(0, &["start"]).contains(SENTENCE));
}

#[cfg(unix)]
#[test]
fn on_a_terminal_a_person_decides_and_silence_is_no() {
    use crate::terminal::Terminal;

    let ollama = model_server(Some(&list(&["x"])));
    for (answer, is_added) in [("\n", false), ("n\n", false), ("y\n", true)] {
        let instance = Instance::new("");
        let places = format!("{ollama},{NOBODY}");
        let mut terminal = Terminal::with(
            &instance,
            &["add", "--tools", "--no-check"],
            &[("EXAI_LOCAL_MODELS", places.as_str())],
        );
        terminal.expect("[y/N] ");
        assert!(!config(&instance).contains("[servers.ai]"), "nothing is changed before the last question");
        terminal.press(answer);
        let (code, seen) = terminal.end();
        assert_eq!(code, Some(0), "{seen}");
        let file = config(&instance);
        assert!(file.contains("[servers.ai]"), "{file}");
        assert_eq!(file.contains("[providers.ollama]"), is_added, "{answer:?}: {file}");
    }
}
