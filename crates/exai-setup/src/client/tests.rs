//! Each row on a file as it is found in the wild: read, installed into, and put back byte for byte.

mod samples;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::format::{EditError, Edited};
use crate::{Encoding, ServerEntry, TextFile, Transport};

fn launch(client: &Client) -> Launch {
    Launch {
        program: r"C:\Program Files\exai\exai.exe".to_owned(),
        client: client.id.to_owned(),
        server: None,
        home: Some("/home/me/exai state".to_owned()),
        port: Some("0".to_owned()),
    }
}

fn directories(platform: Platform) -> Directories {
    Directories {
        platform,
        home: PathBuf::from("/h"),
        app_data: None,
        local_app_data: None,
        config_home: None,
        project: Some(PathBuf::from("/p")),
        variables: BTreeMap::new(),
    }
}

/// A text with the line ends of Windows.
fn with_carriage_returns(text: &str) -> String {
    text.replace('\n', "\r\n")
}

#[test]
fn every_row_is_complete() {
    let mut ids = Vec::new();
    for client in clients() {
        assert_eq!(find_client(client.id).map(|found| found.display_name), Some(client.display_name));
        assert!(client.documentation.starts_with("https://"), "{}", client.id);
        assert!(client.reload.ends_with('.'), "{}", client.id);
        assert!(client.id == "jetbrains" || !client.processes.is_empty(), "{}", client.id);
        assert!(!ids.contains(&client.id), "{} is there twice", client.id);
        ids.push(client.id);
    }
    let expected = [
        "claude-desktop",
        "lm-studio",
        "jetbrains",
        "cursor",
        "vscode",
        "vscode-insiders",
        "windsurf",
        "antigravity",
        "zed",
        "augment",
        "cline",
        "roo",
        "claude-code",
        "codex",
        "gemini-cli",
        "qwen-code",
        "auggie",
        "copilot-cli",
        "opencode",
        "amp",
        "continue",
        "goose",
    ];
    assert_eq!(ids, expected);
    assert_eq!(find_client("Cursor").map(|client| client.id), None);
}

#[test]
fn every_sample_is_read() {
    for sample in samples::SAMPLES {
        let client = find_client(sample.client).unwrap();
        let file = &client.files[sample.file];
        for text in [sample.text.to_owned(), with_carriage_returns(sample.text)] {
            let found =
                client.read_servers(file, &text).unwrap_or_else(|error| panic!("{}: {error}", sample.client));
            let servers: Vec<_> = found.servers.into_iter().map(|found| found.entry).collect();
            assert_eq!(servers, (sample.servers)(), "{}", sample.client);
            let unread: Vec<_> = found.unread.iter().map(|unread| unread.name.as_str()).collect();
            assert_eq!(unread, sample.unread, "{}", sample.client);
        }
    }
}

#[test]
fn every_file_with_servers_has_a_sample() {
    for client in clients() {
        for (index, file) in client.files.iter().enumerate().filter(|(_, file)| file.scope == Scope::User) {
            let is_like = |sample: &&samples::Sample| {
                let other = &client.files[sample.file];
                (other.format, other.pointer, other.container) == (file.format, file.pointer, file.container)
            };
            let of_client = samples::SAMPLES.iter().filter(|sample| sample.client == client.id);
            // The two builds of VS Code have the same files in two places.
            assert!(
                client.id == "vscode-insiders" || of_client.clone().any(|sample| is_like(&sample)),
                "{} {index}",
                client.id
            );
        }
    }
}

#[test]
fn the_entry_goes_into_every_file_and_out_again() {
    for client in clients() {
        let mut texts: Vec<&str> = vec!["", "\n"];
        texts.extend(
            samples::SAMPLES.iter().filter(|sample| sample.client == client.id).map(|sample| sample.text),
        );
        for file in client.files.iter().filter(|file| file.is_edited()) {
            for text in texts.iter().flat_map(|text| [(*text).to_owned(), with_carriage_returns(text)]) {
                check_install(client, file, &text);
            }
        }
    }
}

fn check_install(client: &Client, file: &ConfigFile, text: &str) {
    let launch = launch(client);
    // The samples of one file of a client do not all fit the other files.
    let Ok(found) = client.read_servers(file, text) else { return };
    let edited = match client.put(file, text, "exai", &launch) {
        Err(EditError::NotAContainer { .. }) => return,
        edited => edited.unwrap_or_else(|error| panic!("{}: {error} in:\n{text}", client.id)),
    };
    let after = client.read_servers(file, &edited.text).unwrap();
    assert_eq!(after.servers.len(), found.servers.len() + 1, "{}:\n{}", client.id, edited.text);
    let ours = &after.servers.iter().find(|server| server.entry.name == "exai").unwrap().entry;
    let expected = Transport::Stdio {
        command: launch.program.clone(),
        args: vec!["shim".to_owned(), "--client".to_owned(), client.id.to_owned()],
        env: launch.env(),
        cwd: None,
        env_file: None,
    };
    assert_eq!(ours.transport, expected, "{}", client.id);
    assert!(starts_exai(ours) && !ours.disabled, "{}", client.id);
    assert!(!text.contains("\r\n") || !edited.text.replace("\r\n", "").contains('\n'), "{}", client.id);
    assert_eq!(client.put(file, &edited.text, "exai", &launch).unwrap().text, edited.text, "{}", client.id);

    let back = client.take_out(file, &edited.text, "exai", edited.made.as_ref());
    assert_eq!(back.as_deref(), Ok(text), "{} from:\n{}", client.id, edited.text);
}

#[test]
fn every_server_can_be_switched_off_and_taken_out_alone() {
    for sample in samples::SAMPLES {
        let client = find_client(sample.client).unwrap();
        let file = &client.files[sample.file];
        for text in [sample.text.to_owned(), with_carriage_returns(sample.text)] {
            for server in (sample.servers)() {
                if file.is_edited() {
                    check_switch(client, file, &text, &server);
                    check_removal(client, file, &text, &server.name);
                }
            }
        }
    }
}

fn check_switch(client: &Client, file: &ConfigFile, text: &str, server: &ServerEntry) {
    let Some(off) = client.switch_off(file, text, &server.name).unwrap() else {
        assert_eq!(client.switch, Switch::None);
        return;
    };
    let mut expected = client.read_servers(file, text).unwrap();
    for found in &mut expected.servers {
        found.entry.disabled |= found.entry.name == server.name;
    }
    assert_eq!(client.read_servers(file, &off.text).unwrap(), expected, "{}:\n{}", client.id, off.text);
    let on = client.switch_on(file, &off.text, &server.name, off.made.as_ref()).unwrap();
    if server.disabled {
        assert_eq!(off.text, text, "{}", client.id);
    } else {
        assert_eq!(on, text, "{} from:\n{}", client.id, off.text);
    }
}

fn check_removal(client: &Client, file: &ConfigFile, text: &str, name: &str) {
    let rest = client.take_out(file, text, name, None).unwrap();
    let mut expected = client.read_servers(file, text).unwrap();
    expected.servers.retain(|found| found.entry.name != name);
    assert_eq!(client.read_servers(file, &rest).unwrap(), expected, "{}:\n{rest}", client.id);
    let again = client.take_out(file, &rest, name, None);
    assert_eq!(again, Err(EditError::NotFound { name: name.to_owned() }));
}

#[test]
fn the_bytes_of_every_encoding_come_back() {
    let client = find_client("claude-desktop").unwrap();
    let file = &client.files[1];
    let sample = samples::SAMPLES.iter().find(|sample| sample.client == client.id).unwrap();
    let text = with_carriage_returns(sample.text);
    for encoding in [Encoding::Utf8, Encoding::Utf8WithMark, Encoding::Utf16LittleEnd, Encoding::Utf16BigEnd]
    {
        let bytes = TextFile { text: text.clone(), encoding }.encode(&text, false);
        let read = TextFile::decode(&bytes).unwrap();
        let edited = client.put(file, &read.text, "exai", &launch(client)).unwrap();
        let written = read.encode(&edited.text, client.rejects_mark);
        assert_eq!(TextFile::decode(&written).unwrap().encoding, Encoding::Utf8);
        let back = client.take_out(file, &edited.text, "exai", edited.made.as_ref()).unwrap();
        assert_eq!(read.encode(&back, client.rejects_mark), bytes);
    }
}

#[test]
fn a_strict_client_with_comments_in_its_file_is_refused_with_the_place() {
    let client = find_client("claude-desktop").unwrap();
    let text = "{\n  // mine\n  \"mcpServers\": {}\n}\n";
    let error = client.put(&client.files[1], text, "exai", &launch(client)).unwrap_err();
    assert_eq!(error.to_string(), "Comments are not allowed (line 2, column 3)");
    let error = client.put(&client.files[1], "{\"mcpServers\": []}", "exai", &launch(client)).unwrap_err();
    assert_eq!(error.to_string(), "mcpServers is not a map (line 1, column 16)");
    let twice = "{\"mcpServers\": {},\n \"mcpServers\": {}}";
    let error = client.put(&client.files[1], twice, "exai", &launch(client)).unwrap_err();
    assert_eq!(error.to_string(), "the file has mcpServers twice, the second time in line 2, column 2");
}

#[test]
fn what_a_user_has_added_to_our_entry_stays() {
    let client = find_client("roo").unwrap();
    let old = r#"{"mcpServers": {"exai": {"command": "/old/exai", "args": ["shim"], "env": {"A": "1"}, "alwaysAllow": ["x"], "disabled": true}}}"#;
    let edited = client
        .put(&client.files[0], old, "exai", &Launch { home: None, port: None, ..launch(client) })
        .unwrap();
    let expected = r#"{"mcpServers": {"exai": {"command": "C:\\Program Files\\exai\\exai.exe", "args": ["shim", "--client", "roo"], "alwaysAllow": ["x"], "disabled": true}}}"#;
    assert_eq!(edited, Edited { text: expected.to_owned(), made: None });
}

#[test]
fn one_entry_per_server_keeps_the_names() {
    let client = find_client("codex").unwrap();
    let each = Launch { server: Some("time".to_owned()), home: None, port: None, ..launch(client) };
    let edited = client.put(&client.files[0], "", "my.time", &each).unwrap();
    let expected = "[mcp_servers.\"my.time\"]\ncommand = 'C:\\Program Files\\exai\\exai.exe'\nargs = [\"shim\", \"--client\", \"codex\", \"--server\", \"time\"]\n";
    assert_eq!(edited.text, expected);
}

#[test]
fn snippets_are_read_by_their_client() {
    for client in clients() {
        let names = ["exai", "files", "time"];
        let entry_of =
            |name: &str| (name.to_owned(), Launch { server: Some(name.to_owned()), ..launch(client) });
        let text = client.snippet(&names.map(entry_of));
        let value = client.snippet.format.parse(&text).unwrap().unwrap();
        for name in names {
            let path: Vec<_> = client.snippet.pointer.iter().copied().chain([name]).collect();
            let entry = read_entry(name, value.at(&path).expect(client.id), &client.rules).unwrap();
            assert!(starts_exai(&entry), "{}", client.id);
            assert!(
                matches!(&entry.transport, Transport::Stdio { env, .. } if *env == launch(client).env()),
                "{}",
                client.id
            );
        }
    }
    let goose = find_client("goose").unwrap();
    let launch = Launch { program: "/bin/exai".to_owned(), home: None, port: None, ..launch(goose) };
    let lines = goose.snippet(&[("exai".to_owned(), launch)]);
    let expected = "extensions:\n  exai:\n    enabled: true\n    type: \"stdio\"\n    name: \"exai\"\n    cmd: \"/bin/exai\"\n    \
                    args: [\"shim\", \"--client\", \"goose\"]\n    envs: {}\n    timeout: 300\n";
    assert_eq!(lines, expected);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_name_and_path_can_be_written(name in "\\PC{1,12}|[\\x00-\\x7f]{1,12}", program in "[\\x01-\\x7fä😀]{0,20}") {
        let program = format!("/{program}");
        for client in clients() {
            let launch = Launch { program: program.clone(), ..launch(client) };
            let text = client.snippet(&[(name.clone(), launch)]);
            let value = client.snippet.format.parse(&text).unwrap().unwrap();
            let path: Vec<_> = client.snippet.pointer.iter().copied().chain([name.as_str()]).collect();
            let entry = read_entry(&name, value.at(&path).expect(client.id), &ReadRules { splits_command: false, ..client.rules });
            let Transport::Stdio { command, .. } = entry.unwrap().transport else { panic!("{}", client.id) };
            if !program.contains(['$', '{']) {
                proptest::prop_assert_eq!(command, program.clone());
            }
        }
    }
}

#[test]
fn files_are_where_each_platform_has_them() {
    let first = |id: &str, platform| {
        let client = find_client(id).unwrap();
        let main = client.files.iter().find(|file| file.role == Role::Main).unwrap();
        main.paths(&directories(platform))
    };
    let cases = [
        ("claude-desktop", Platform::Windows, "/h/AppData/Roaming/Claude/claude_desktop_config.json"),
        (
            "claude-desktop",
            Platform::MacOs,
            "/h/Library/Application Support/Claude/claude_desktop_config.json",
        ),
        ("claude-desktop", Platform::Linux, "/h/.config/Claude/claude_desktop_config.json"),
        ("vscode", Platform::Windows, "/h/AppData/Roaming/Code/User/mcp.json"),
        ("vscode", Platform::MacOs, "/h/Library/Application Support/Code/User/mcp.json"),
        ("zed", Platform::MacOs, "/h/.config/zed/settings.json"),
        ("zed", Platform::Windows, "/h/AppData/Roaming/Zed/settings.json"),
        ("opencode", Platform::Windows, "/h/.config/opencode/opencode.jsonc"),
        ("codex", Platform::Linux, "/h/.codex/config.toml"),
        ("claude-code", Platform::Windows, "/h/.claude.json"),
    ];
    for (id, platform, path) in cases {
        assert_eq!(first(id, platform).first().map(PathBuf::as_path), Some(Path::new(path)), "{id}");
    }
    let packaged = find_client("claude-desktop").unwrap().files[0].paths(&directories(Platform::Windows));
    let expected = "/h/AppData/Local/Packages/Claude_*/LocalCache/Roaming/Claude/claude_desktop_config.json";
    assert_eq!(packaged, [PathBuf::from(expected)]);
    assert_eq!(
        find_client("claude-desktop").unwrap().files[0].paths(&directories(Platform::Linux)),
        [] as [PathBuf; 0]
    );
}

#[test]
fn a_variable_moves_the_file() {
    let mut directories = directories(Platform::Linux);
    let moved = [
        ("CODEX_HOME", "codex", "/v/config.toml"),
        ("GEMINI_CLI_HOME", "gemini-cli", "/v/.gemini/settings.json"),
        ("QWEN_HOME", "qwen-code", "/v/settings.json"),
        ("AMP_SETTINGS_FILE", "amp", "/v"),
        ("CONTINUE_GLOBAL_DIR", "continue", "/v/config.yaml"),
    ];
    directories.variables.extend(moved.map(|(name, ..)| (name.to_owned(), PathBuf::from("/v"))));
    directories.config_home = Some(PathBuf::from("/x"));
    let paths = |id: &str| find_client(id).unwrap().files[0].paths(&directories);
    for (name, id, path) in moved {
        assert_eq!(paths(id), [PathBuf::from(path)], "{name}");
    }
    assert_eq!(paths("zed"), [PathBuf::from("/x/zed/settings.json")]);
    assert_eq!(paths("cursor"), [PathBuf::from("/h/.cursor/mcp.json")]);
    let variables = location_variables();
    assert!(variables.contains(&"CODEX_HOME") && variables.contains(&"CLAUDE_CONFIG_DIR"), "{variables:?}");
}
