//! `exai import` and `restore`: the servers of the clients become exai's, and the clients get back what they had.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use exai_test::authorization_server::{AuthorizationServer, Options};
use exai_test::program;
use serde_json::{Value, json};

use crate::support::{Client, Instance, text};
use crate::user_home::Home;

/// A home directory without any server in exai.
fn empty_home() -> Home {
    Home::of(Instance::new(""))
}

/// Every file of the clients, and exai's own configuration.
fn read_all(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    read_below(&home.path, &mut found);
    for name in ["config.toml", "secrets.toml"] {
        let path = home.instance.home().join(name);
        found.extend(fs::read(&path).ok().map(|bytes| (path, bytes)));
    }
    found
}

/// Where programs of this system keep their settings, below the home directory.
fn settings(rest: &str) -> String {
    let base = match std::env::consts::OS {
        "windows" => "AppData/Roaming",
        "macos" => "Library/Application Support",
        _ => ".config",
    };
    format!("{base}/{rest}")
}

fn read_below(directory: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_below(&path, found);
        } else {
            found.insert(path.clone(), fs::read(&path).expect("a file"));
        }
    }
}

/// The words of JSON for the fixture server that calls itself `name`.
fn fixture(name: &str) -> (String, String) {
    (json!(program("fixture-server")).to_string(), json!(["--name", name]).to_string())
}

/// Eight clients with 25 servers: which client has which, under which name.
struct Fleet {
    home: Home,
    /// The ids of the clients, and the numbers of their servers.
    clients: Vec<(&'static str, Vec<u32>)>,
}

impl Fleet {
    fn new() -> Self {
        let home = empty_home();
        let clients = vec![
            ("claude-code", vec![1, 2, 3, 4, 5, 6]),
            ("cursor", vec![1, 2, 3, 7, 8]),
            ("vscode", vec![2, 9, 10, 11, 12]),
            ("codex", vec![1, 13, 14]),
            ("zed", vec![15, 16]),
            ("opencode", vec![3, 17, 18, 19]),
            ("cline", vec![20, 21, 22]),
            ("gemini-cli", (1..=25).collect()),
        ];
        let fleet = Fleet { home, clients };
        fleet.write_files();
        fleet
    }

    fn numbers(&self, client: &str) -> &[u32] {
        &self.clients.iter().find(|(id, _)| *id == client).expect("a client").1
    }

    /// The entries of a client, one line each.
    fn entries(&self, client: &str, line: impl Fn(&str, &str, &str) -> String) -> String {
        let entry = |number: &u32| {
            let (command, args) = fixture(&format!("s{number}"));
            line(&format!("s{number}"), &command, &args)
        };
        self.numbers(client).iter().map(entry).collect()
    }

    fn write_files(&self) {
        let plain = |name: &str, command: &str, args: &str| {
            format!("    \"{name}\": {{\"command\": {command}, \"args\": {args}}},\n")
        };
        let without_last_comma = |entries: String| entries.trim_end().trim_end_matches(',').to_owned();
        let write = |name: &str, text: String| self.home.write(name, text);
        let entries = without_last_comma(self.entries("claude-code", plain));
        write(
            ".claude.json",
            format!(
                "{{\n  \"numStartups\": 7,\n  \"mcpServers\": {{\n{entries}\n  }},\n  \"projects\": {{\"/srv/p\": \
                 {{\"mcpServers\": {{}}}}}}\n}}"
            ),
        );
        let tabbed = |name: &str, command: &str, args: &str| {
            format!(
                "\t\t// {name} is mine\n\t\t\"{name}\": {{ \"command\": {command}, \"args\": {args} }}, // {name}\n"
            )
        };
        let entries = self.entries("cursor", tabbed);
        write(".cursor/mcp.json", format!("{{\n\t\"mcpServers\": {{\n{entries}\t}}\n}}\n"));
        let entries = self.entries("vscode", |name, command, args| {
            format!("    \"{name}\": {{\"type\": \"stdio\", \"command\": {command}, \"args\": {args}}},\n")
        });
        let ask = "\"asks\": {\"command\": \"x\", \"env\": {\"T\": \"${input:t}\"}}";
        write(
            &settings("Code/User/mcp.json"),
            format!(
                "{{\n  \"inputs\": [{{\"id\": \"t\"}}],\n  \"servers\": {{\n{entries}    {ask}\n  }}\n}}\n"
            )
            .replace('\n', "\r\n"),
        );
        let entries = self.entries("codex", |name, command, args| {
            format!("\n[mcp_servers.{name}] # mine\ncommand = {command}\nargs = {args}\nenv = {{ B = \"2\", A = \"1\" }}\nenabled_tools = [\"echo\"]\n")
        });
        write(".codex/config.toml", format!("model = \"o\" # mine\n{entries}\n[tui]\ntheme = \"x\"\n"));
        let zed = match std::env::consts::OS {
            "windows" => "AppData/Roaming/Zed/settings.json",
            _ => ".config/zed/settings.json",
        };
        let entries = self.entries("zed", plain);
        write(
            zed,
            format!(
                "// Zed\n{{\n  \"theme\": \"One\",\n  \"context_servers\": {{\n{entries}  }},\n  \"vim_mode\": true,\n}}\n"
            ),
        );
        let entries = self.entries("opencode", |name, command, args| {
            let words = format!("[{command}, {}", args.strip_prefix('[').expect("a list"));
            format!("    \"{name}\": {{\"type\": \"local\", \"command\": {words}, \"enabled\": true}},\n")
        });
        write(".config/opencode/opencode.jsonc", format!("{{ \"mcp\": {{\n{entries}}} }}"));
        let entries = without_last_comma(self.entries("cline", |name, command, args| {
            format!("    \"{name}\": {{\"command\": {command}, \"args\": {args}, \"disabled\": false, \"timeout\": 60}},\n")
        }));
        write(
            &settings("Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"),
            format!("{{\"mcpServers\":{{{entries}}}}}"),
        );
        let entries = self.entries("gemini-cli", plain);
        write(
            ".gemini/settings.json",
            format!("\u{feff}{{\n  \"mcpServers\": {{\n{entries}  }},\n  \"ui\": {{}}\n}}\n")
                .replace('\n', "\r\n"),
        );
    }
}

/// What a client sees through the entry of exai in its file: the names of the servers, and the tools of each.
fn seen_by(home: &Home, client: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut shim = Client::start(home.command(&["shim", "--client", client]));
    shim.initialize(&json!({}));
    let listed = shim.ask("tools/list", &json!({}))["result"].clone();
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for tool in listed["tools"].as_array().expect("tools") {
        let (server, tool) = tool["name"].as_str().and_then(|name| name.split_once("__")).expect("a name");
        seen.entry(server.to_owned()).or_default().insert(tool.to_owned());
    }
    seen
}

#[test]
fn a_takeover_of_eight_clients_with_25_servers_leaves_each_what_it_saw_and_is_undone_byte_for_byte() {
    let fleet = Fleet::new();
    let home = &fleet.home;
    let before = read_all(home);
    let said = home.ends(0, &["import", "--takeover", "--yes"]);
    assert!(said.contains("found 28 servers in 53 entries"), "{said}");
    assert!(said.contains("all 28 work, with "), "{said}");
    assert!(said.contains("asks stays there: the client asks for `t`"), "{said}");
    let whole: BTreeSet<String> = {
        let tools = home.instance.json(&["tools", "s25", "--json"]);
        let names = tools["tools"].as_array().expect("tools").iter();
        names.map(|one| one["tool"]["name"].as_str().expect("a name").to_owned()).collect()
    };
    for (client, numbers) in &fleet.clients {
        let seen = seen_by(&fleet.home, client);
        // Codex has other variables and a choice of tools, so its servers are other ones than those of the others.
        let expected: BTreeMap<String, BTreeSet<String>> = numbers
            .iter()
            .map(|number| match *client {
                "codex" if *number == 1 => (format!("s{number}-2"), BTreeSet::from(["echo".to_owned()])),
                "codex" => (format!("s{number}"), BTreeSet::from(["echo".to_owned()])),
                "gemini-cli" if matches!(number, 13 | 14) => (format!("s{number}-2"), whole.clone()),
                _ => (format!("s{number}"), whole.clone()),
            })
            .collect();
        assert_eq!(seen, expected, "{client}");
    }
    let said = home.ends(0, &["restore"]);
    assert!(said.contains("config.toml is what it was"), "{said}");
    let after = read_all(home);
    for (path, bytes) in &before {
        assert_eq!(after.get(path).map(|bytes| text(bytes)), Some(text(bytes)), "{}", path.display());
    }
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert!(home.ends(0, &["restore"]).contains("nothing to restore"));
}

#[test]
fn a_server_that_is_added_later_is_seen_by_all_and_taken_over_like_the_first() {
    let home = empty_home();
    let (command, args) = fixture("one");
    let entry = |name: &str| {
        let (command, args) = fixture(name);
        format!("{{\"command\": {command}, \"args\": {args}}}")
    };
    home.write(".cursor/mcp.json", format!("{{\"mcpServers\": {{\"one\": {}}}}}", entry("one")));
    home.write(
        ".codex/config.toml",
        format!(
            "[mcp_servers.one]\ncommand = {command}\nargs = {args}\n[mcp_servers.two]\ncommand = \"y\"\n"
        ),
    );
    home.ends(0, &["import", "--takeover", "--yes", "--no-check"]);
    let path = home.instance.home().join("config.toml");
    let own = text(&fs::read(&path).expect("the file")) + "\n[clients.zed]\nservers = [\"one\"]\n";
    fs::write(&path, own).expect("it is written");
    let said = home.ends(0, &["add", "other", "--no-check", "--", "x"]);
    assert!(
        said.contains("zed does not see other: `servers` of [clients.zed]"),
        "a choice of one's own: {said}"
    );
    let path = home.path.join(".cursor/mcp.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    document["mcpServers"]["three"] = serde_json::from_str(&entry("three")).expect("JSON");
    fs::write(&path, document.to_string()).expect("it is written");
    home.ends(0, &["import", "--takeover", "--yes", "--no-check"]);
    let config = text(&fs::read(home.instance.home().join("config.toml")).expect("the file"));
    assert!(config.contains("[clients.cursor]\nservers = [\"one\", \"other\", \"three\"]"), "{config}");
    let said = home.ends(0, &["restore", "cursor"]);
    let config = text(&fs::read(home.instance.home().join("config.toml")).expect("the file"));
    assert!(!config.contains("[clients.cursor]") && config.contains("[servers.three]"), "{said} {config}");
    let mine: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    assert_eq!(mine["mcpServers"].as_object().expect("servers").keys().collect::<Vec<_>>(), ["one", "three"]);
}

#[test]
fn what_a_user_has_forbidden_by_the_names_of_servers_is_not_lost() {
    let home = empty_home();
    let (command, args) = fixture("one");
    let before = format!("{{\"mcpServers\": {{\"files\": {{\"command\": {command}, \"args\": {args}}}}}}}");
    let path = home.write(".claude.json", &before);
    let rules = "{\"permissions\": {\"deny\": [\"mcp__files__write_file\"]}}";
    home.write(".claude/settings.json", rules);
    let said = home.ends(1, &["import", "--takeover", "--yes", "--no-check"]);
    assert!(said.contains("mcp__files__write_file") && said.contains("--each"), "{said}");
    assert_eq!(text(&fs::read(&path).expect("the file")), before, "the client keeps its servers");
    home.ends(0, &["import", "--takeover", "--each", "--yes", "--no-check"]);
    let document: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    let args = &document["mcpServers"]["files"]["args"];
    assert_eq!(*args, json!(["shim", "--client", "claude-code", "--server", "files"]));
}

#[test]
fn a_choice_of_tools_holds_for_a_server_that_exai_has_already() {
    let home = empty_home();
    let (command, args) = fixture("one");
    let server = format!("command = {command}\nargs = {args}\n");
    home.instance.configure(&format!("[servers.kept]\n{server}"));
    home.write(".codex/config.toml", format!("[mcp_servers.mine]\n{server}enabled_tools = [\"echo\"]\n"));
    home.write(".cursor/mcp.json", "{\"mcpServers\": {\"two\": {\"command\": \"y\"}}}");
    home.ends(0, &["import", "--takeover", "--yes", "--no-check"]);
    home.instance.know(&["kept"]);
    let seen = seen_by(&home, "codex");
    assert_eq!(seen, BTreeMap::from([("kept".to_owned(), BTreeSet::from(["echo".to_owned()]))]));
    // Later servers keep theirs as well.
    let path = home.path.join(".codex/config.toml");
    let more = text(&fs::read(&path).expect("the file"))
        + &format!(
            "[mcp_servers.later]\ncommand = {command}\nargs = [\"--name\", \"later\"]\ndisabled_tools = [\"echo\"]\n"
        );
    fs::write(&path, more).expect("it is written");
    home.ends(0, &["import", "--takeover", "--yes", "--no-check"]);
    home.instance.know(&["kept", "later"]);
    let seen = seen_by(&home, "codex");
    assert_eq!(seen["kept"], BTreeSet::from(["echo".to_owned()]));
    assert!(!seen["later"].contains("echo") && seen["later"].len() > 20, "{seen:?}");
}

#[test]
fn with_each_the_entries_keep_their_names() {
    let home = empty_home();
    let (command, args) = fixture("one");
    let before = format!(
        "{{\"mcpServers\": {{\"My Files\": {{\"command\": {command}, \"args\": {args}}}, \"remote\": {{\"url\": \"https://example.com\"}}}}}}"
    );
    let path = home.write(".cursor/mcp.json", &before);
    home.ends(0, &["import", "--takeover", "--each", "--yes"]);
    let document: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    let servers = document["mcpServers"].as_object().expect("servers");
    assert_eq!(servers.keys().collect::<Vec<_>>(), ["My Files", "remote"]);
    assert_eq!(servers["My Files"]["args"], json!(["shim", "--client", "cursor", "--server", "My-Files"]));
    home.ends(0, &["restore"]);
    assert_eq!(text(&fs::read(&path).expect("the file")), before);
}

#[test]
fn a_takeover_that_is_killed_at_any_step_is_undone_byte_for_byte() {
    for place in ["import.announced", "import.written", "change.recorded", "change.written"] {
        let home = empty_home();
        let (command, args) = fixture("one");
        let entry =
            format!("{{\"command\": {command}, \"args\": {args}, \"env\": {{\"API_KEY\": \"s3cret\"}}}}");
        home.write(
            ".cursor/mcp.json",
            format!("{{\n  \"mcpServers\": {{\"one\": {entry}, // mine\n  }}\n}}"),
        );
        home.write(".claude.json", format!("{{\"mcpServers\": {{\"two\": {entry}}}}}"));
        let before = read_all(&home);
        let killed = home
            .command(&["import", "--takeover", "--yes", "--no-check"])
            .env("EXAI_FAILPOINTS", format!("{place}=kill"))
            .output()
            .expect("it runs");
        assert!(!killed.status.success(), "{place}: it was killed");
        let said = home.ends(0, &["restore"]);
        assert_eq!(read_all(&home), before, "{place}: {said}");
    }
}

#[test]
fn what_the_user_changes_after_a_takeover_stays_and_the_rest_comes_back() {
    let home = empty_home();
    let (command, args) = fixture("one");
    let entry = format!("{{\"command\": {command}, \"args\": {args}}}");
    let path = home.write(".cursor/mcp.json", format!("{{\"mcpServers\": {{\"one\": {entry}}}}}"));
    let toml =
        home.write(".codex/config.toml", format!("[mcp_servers.one]\ncommand = {command}\nargs = {args}\n"));
    home.ends(0, &["import", "--takeover", "--yes", "--no-check"]);
    let mut document: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    document["mcpServers"]["mine"] = json!({"command": "later"});
    fs::write(&path, document.to_string()).expect("it is written");
    let changed = text(&fs::read(&toml).expect("the file")) + "# later\n";
    fs::write(&toml, changed).expect("it is written");
    let said = home.ends(0, &["add", "other", "--no-check", "--", "x"]);
    assert!(!said.contains("see other"), "all clients have everything: {said}");
    let said = home.ends(0, &["restore"]);
    assert!(
        said.contains("the imported servers are out of config.toml; the rest is as you left it"),
        "{said}"
    );
    let document: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    let mine: Value = serde_json::from_str(&entry).expect("JSON");
    assert_eq!(document, json!({"mcpServers": {"mine": {"command": "later"}, "one": mine}}));
    let toml = text(&fs::read(&toml).expect("the file"));
    assert_eq!(toml, format!("[mcp_servers.one]\ncommand = {command}\nargs = {args}\n# later\n"));
    let config = text(&fs::read(home.instance.home().join("config.toml")).expect("the file"));
    assert!(config.contains("[servers.other]") && !config.contains("[servers.one]"), "{config}");
}

#[test]
fn what_exai_cannot_host_or_start_stays_with_its_client() {
    let home = empty_home();
    let (command, args) = fixture("one");
    let server = AuthorizationServer::start(Options::default());
    let url = server.url("/mcp");
    let path = home.write(
        ".cursor/mcp.json",
        format!(
            "{{\"mcpServers\": {{\"works\": {{\"command\": {command}, \"args\": {args}}}, \"fails\": {{\"command\": \
             \"no-such-program-at-all\"}}, \"off\": {{\"command\": \"x\", \"disabled\": true}}, \"far\": {{\"url\": \
             \"{url}\"}}, \"here\": {{\"command\": \"x\", \"args\": [\"${{workspaceFolder}}\"]}}, \
             \"none\": {{}}}}}}"
        ),
    );
    let broken = home.write(".gemini/settings.json", "{\n\"mcpServers\": {,}}");
    let said = home.ends(1, &["import", "--takeover", "--yes"]);
    for sentence in [
        "fails does not start: ",
        "off stays there: it is switched off there",
        "far wants somebody to sign in first",
        "here stays there: it uses ${workspaceFolder}",
        "none stays there: it has neither a command nor a URL",
        "settings.json: ",
        "line 2",
        "exai stands in the place of 1 server; the others stay its own",
    ] {
        assert!(said.contains(sentence), "{sentence}: {said}");
    }
    let document: Value = serde_json::from_slice(&fs::read(&path).expect("the file")).expect("JSON");
    let names: Vec<&String> = document["mcpServers"].as_object().expect("servers").keys().collect();
    assert_eq!(names, ["exai", "fails", "far", "here", "none", "off"]);
    assert_eq!(text(&fs::read(&broken).expect("the file")), "{\n\"mcpServers\": {,}}");
}

#[test]
fn without_a_word_of_the_user_nothing_is_changed_and_no_secret_is_shown() {
    let home = empty_home();
    let (command, args) = fixture("one");
    home.write(
        ".cursor/mcp.json",
        format!(
            "{{\n\"mcpServers\": {{\n\"one\": {{\"command\": {command}, \"args\": {args}, \"env\": {{\"API_KEY\": \
             \"hunter2hunter2\"}}}}\n}}}}"
        ),
    );
    let before = read_all(&home);
    assert!(home.ends(0, &["import", "--dry-run"]).contains("nothing was changed"));
    let said = home.ends(1, &["import"]);
    assert!(said.contains("no terminal to ask on") && said.contains("--yes"), "{said}");
    assert_eq!(read_all(&home), before);
    let said = home.ends(0, &["import", "--takeover", "--yes"]);
    assert!(!said.contains("hunter2") && said.contains("<hidden>"), "{said}");
    let config = text(&fs::read(home.instance.home().join("config.toml")).expect("the file"));
    assert!(
        config.contains("# from cursor\n[servers.one]") && config.contains("${secret:one.API_KEY}"),
        "{config}"
    );
    // A second import finds nothing new: what exai stands in the place of is exai's.
    let said = home.ends(0, &["import", "--yes"]);
    assert!(said.contains("no client has a server that exai could host"), "{said}");
    let said = home.ends(2, &["import", "--from", "nobody"]);
    assert!(said.contains("there is no client `nobody`"), "{said}");
}

#[test]
fn what_runs_mcp_remote_is_told_how_to_do_without() {
    let home = empty_home();
    let entry = |url: &str| json!({"command": "npx", "args": ["-y", "mcp-remote@latest", url]});
    let servers = json!({"mcpServers": {
        "linear": entry("https://mcp.linear.app/sse"),
        "keyed": entry("https://mcp.example.com/mcp?key=h1dden"),
    }});
    home.write(".cursor/mcp.json", servers.to_string());
    let said = home.ends(0, &["import", "--dry-run"]);
    assert!(said.contains("`exai add linear https://mcp.linear.app/sse --force`"), "{said}");
    assert!(said.contains("`exai login linear --from mcp-remote`"), "{said}");
    assert!(said.contains("`exai add keyed URL --force`"), "{said}");
}
