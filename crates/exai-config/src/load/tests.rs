use std::time::Duration;

use super::*;
use crate::{Containment, EraChoice, ServerKind, Share, StartPolicy};

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::from_text(Path::new("config.toml"), text, None)
}

fn complaint(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

/// The example of the documentation, which has every key.
const FULL: &str = r#"
[daemon]
port = 9000
allowed_hosts = ["MCP.example.com", "box:8443"]
[servers.zeta]
command = "npx"
args = ["-y", "@modelcontextprotocol/server-everything"]
env = { LEVEL = "hunter2" }
cwd = "."
share = "project"
start = "eager"
idle_stop = "1h 30m"
start_timeout = "90 seconds"
call_timeout = "5m"
era = "legacy"
trusted = false
containment = "group"
tools = { allow = ["read*"], deny = ["*x"] }
max_processes = 3
[servers.docs]
url = "https://example.com/mcp"
headers = { Authorization = "Bearer hunter2" }
[servers.alpha]
command = "python"
url = "http://127.0.0.1:9001/mcp"
[clients.cursor]
servers = ["zeta", "gone"]
tools = { allow = ["zeta__*"], deny = ["*__x"] }
[clients."Visual Studio Code"]
"#;

#[test]
fn reads_every_key_and_keeps_the_order() {
    let config = parse(FULL).unwrap();
    assert_eq!(config.servers.names().collect::<Vec<_>>(), ["zeta", "docs", "alpha"]);
    let origin = Origin::File { path: "config.toml".into(), line: 3 };
    assert_eq!(config.daemon.port, Setting { value: 9000, origin });
    let hosts = &config.daemon.allowed_hosts;
    assert!(hosts.has("mcp.example.com") && hosts.has("box:8443") && !hosts.has("box"));
    let zeta = config.servers.get("zeta").unwrap();
    assert_eq!(zeta.kind(), ServerKind::Stdio);
    assert_eq!(zeta.args, ["-y", "@modelcontextprotocol/server-everything"]);
    assert_eq!(zeta.env["LEVEL"].expose(), "hunter2");
    assert_eq!((zeta.share, zeta.start, zeta.era), (Share::Project, StartPolicy::Eager, EraChoice::Legacy));
    assert_eq!((zeta.idle_stop, zeta.start_timeout), (Duration::from_mins(90), Duration::from_secs(90)));
    assert_eq!((zeta.containment, zeta.trusted, zeta.max_processes), (Containment::Group, false, 3));
    assert!(zeta.is_per_project());
    let docs = config.servers.get("docs").unwrap();
    assert_eq!((docs.kind(), docs.trusted), (ServerKind::Remote, false));
    let alpha = config.servers.get("alpha").unwrap();
    assert_eq!((alpha.kind(), alpha.trusted, alpha.max_processes), (ServerKind::Listening, true, 32));
    assert_eq!((alpha.idle_stop, alpha.call_timeout), (Duration::from_mins(15), Duration::from_mins(5)));
    assert!(!format!("{config:?}").contains("hunter2"));
    let clients: Vec<&str> = config.clients.iter().map(|(name, _)| name).collect();
    assert_eq!(clients, ["cursor", "Visual Studio Code"]);
    let (_, cursor) = config.clients.find("Cursor").unwrap();
    assert!(cursor.has_server("zeta") && cursor.has_server("gone") && !cursor.has_server("docs"));
    assert_eq!(
        (&cursor.tools.allow[..], &cursor.tools.deny[..]),
        (&["zeta__*".into()][..], &["*__x".into()][..])
    );
    let (_, code) = config.clients.find("visual studio code").unwrap();
    assert_eq!(code, &crate::ClientConfig::default());
    assert!(code.has_server("docs") && config.clients.find("zed").is_none());
}

#[test]
fn the_environment_wins_over_the_file_over_the_default() {
    assert_eq!(parse("").unwrap().daemon.port, Setting { value: 8079, origin: Origin::Default });
    let config = Config::from_text(Path::new("c"), FULL, Some("0".as_ref())).unwrap();
    let origin = Origin::Environment(environment::PORT);
    assert_eq!(config.daemon.port, Setting { value: 0, origin });
    let error = Config::from_text(Path::new("c"), "", Some("70000".as_ref())).unwrap_err();
    assert_eq!(error.to_string(), "EXAI_PORT=70000 is no port; it takes a number from 0 to 65535");
}

#[test]
fn errors_name_the_place() {
    let unknown = complaint("[servers.a]\ncommand = \"x\"\ncomand = \"y\"\n");
    assert!(unknown.starts_with("config.toml:3:1: unknown field `comand`"), "{unknown}");
    let syntax = complaint("[daemon]\nport = \n");
    assert!(syntax.starts_with("config.toml:2:8: "), "{syntax}");
    let port = complaint("[daemon]\nport = 70000\n");
    assert!(port.starts_with("config.toml:2:8: ") && !port.contains('\n'), "{port}");
    assert_eq!(
        complaint("[daemon]\nallowed_hosts = [\"a.example\", \"https://b.example\"]\n"),
        "config.toml:2:31: \"https://b.example\" in `allowed_hosts` has a scheme: write the host alone, as in \"b.example\""
    );
    let many = complaint(&format!("[daemon]\nallowed_hosts = {:?}\n", vec!["a"; 33]));
    assert!(many.ends_with("`allowed_hosts` may name 32 hosts"), "{many}");
    assert_eq!(
        complaint("\n[servers.a__b]\ncommand = \"x\"\n"),
        "config.toml:2:10: the server name `a__b` contains `__`, which separates server and tool"
    );
    assert_eq!(
        complaint("[servers.a]\ncommand = \"x\"\n[servers.A]\ncommand = \"y\"\n"),
        "config.toml:3:10: the server names `a` and `A` differ in case only"
    );
    assert_eq!(
        complaint("[servers.a]\nargs = []\n"),
        "config.toml:1:10: a server needs a `command` to run, a `url` to reach, or a `via` that leads to another exai"
    );
    let client = complaint("[clients.cursor]\nserver = [\"a\"]\n");
    assert!(client.starts_with("config.toml:2:1: unknown field `server`"), "{client}");
    assert_eq!(
        complaint("[clients.cursor]\n[clients.Cursor]\n"),
        "config.toml:2:10: the client names `cursor` and `Cursor` differ in case only"
    );
    assert_eq!(complaint("[clients.\" \"]\n"), "config.toml:1:10: a client needs a name");
    assert_eq!(
        complaint("[clients.\"a\\u001b\"]\n"),
        "config.toml:1:10: the name of a client holds a control character"
    );
    let long = complaint(&format!("[clients.{}]\n", "x".repeat(129)));
    assert!(long.ends_with("the name of a client has 129 characters, and 128 are the most"), "{long}");
    let span = complaint("[servers.a]\ncommand = \"x\"\nidle_stop = \"soon\"\n");
    assert!(span.starts_with("config.toml:3:13: a length of time is written like"), "{span}");
}

#[test]
fn refuses_what_makes_no_sense() {
    for body in [
        "command = \" \"",
        "command = \"x\"\nheaders = {}",
        "command = \"x\"\naccounts = { a = {} }",
        "command = \"x\"\nurl = \"http://127.0.0.1:9001/mcp\"\naccounts = { a = {} }",
        "url = \"wss://x\"\naccounts = { a = {} }",
        "url = \"https://x\"\nheaders = { authorization = \"b\" }\naccounts = { a = {} }",
        "url = \"https://x\"\naccounts = { \"a b\" = {} }",
        "url = \"https://x\"\naccounts = { \"a@b\" = {} }",
        "url = \"https://x\"\naccounts = { a = {}, A = {} }",
        "url = \"https://x\"\naccounts = { a = { directories = [\"work\"] } }",
        "url = \"https://x\"\naccounts = { a = { clients = [\" \"] } }",
        "url = \"https://x\"\naccounts = { a = { client = [\"x\"] } }",
        "url = \"https://x\"\nargs = []",
        "url = \"ftp://x\"",
        "url = \"http://\"",
        "url = \"https://user:pass@host/\"",
        "command = \"x\"\nurl = \"http://example.com\"",
        "command = \"x\"\nurl = \"http://127.0.0.1.example.com\"",
        "command = \"x\"\nurl = \"wss://127.0.0.1:9001/mcp\"",
        "command = \"x\"\nurl = \"ws://example.com\"",
        // One sign-in cannot be made in two ways.
        "url = \"https://x\"\n[servers.b]\nurl = \"https://x\"\nsign_in = { client_id = \"c\" }",
        "url = \"https://x\"\naccounts = { c = {} }\n[servers.b]\nurl = \"https://x\"\naccounts = { c = {} }\nsign_in = { scopes = [\"d\"] }",
        "url = \"wss://user:pass@host/\"",
        "url = \"ws:///mcp\"",
        "via = \"ssh://-x\"",
        "via = \"https://x\"",
        "via = \"ssh://x\"\ncommand = \"y\"",
        "via = \"ssh://x\"\nurl = \"https://y\"",
        "via = \"ssh://x\"\ncwd = \"y\"",
        "via = \"ssh://x\"\nheaders = {}",
        "via = \"ssh://x\"\nserver = \"a b\"",
        "via = \"ssh://x\"\nremote_command = \"-y\"",
        "command = \"x\"\nserver = \"y\"",
        "url = \"https://x\"\nremote_command = \"y\"",
        "command = \"x\"\nenv = { \"A=B\" = \"c\" }",
        "command = \"x\"\nstart_timeout = \"0s\"",
        "command = \"x\"\ncall_timeout = \"-1m\"",
        "command = \"x\"\nmax_processes = 0",
        "command = \"x\"\nshare = \"all\"",
        "command = \"x\"\ntools = { only = [] }",
        "command = \"x\"\n[clients.c]\ntools = \"auto\"",
        "command = \"x\"\n[clients.c]\nservers = \"a\"",
        "command = \"x\"\n[clients]\nservers = [\"a\"]",
    ] {
        let error = parse(&format!("[servers.a]\n{body}\n")).expect_err(body);
        assert!(matches!(error, ConfigError::Invalid { .. }), "{error}");
    }
}

#[test]
fn lists_say_how_a_server_is_spoken_to() {
    for (body, transport) in [
        ("command = \"x\"", "stdio"),
        ("command = \"x\"\nurl = \"http://127.0.0.1:9001/mcp\"", "http"),
        ("url = \"https://x/mcp\"", "http"),
        ("url = \"ws://127.0.0.1:9001/mcp\"", "ws"),
        ("url = \"wss://x/mcp\"", "ws"),
        ("via = \"ssh://x\"", "ssh"),
    ] {
        let config = parse(&format!("[servers.a]\n{body}\n")).expect(body);
        assert_eq!(config.servers.get("a").unwrap().transport(), transport, "{body}");
    }
}

#[test]
fn errors_do_not_show_values() {
    for value in ["4711", "true", "47.11", "4711-01-01", "[\"4711\"]", "{ x = \"4711\" }"] {
        let error = complaint(&format!("[servers.a]\ncommand = \"x\"\nenv = {{ PIN = {value} }}\n"));
        assert!(!error.contains("4711") && !error.contains("true"), "{error}");
        assert!(error.starts_with("config.toml:3:"), "{error}");
    }
}

/// Windows paths in double quotes: some are no valid text, others mean another path.
#[test]
fn backslashes_that_begin_escapes_are_explained() {
    let help = "in double quotes a backslash begins an escape: write paths in single quotes";
    for path in [r"C:\Users\me", r"C:\Program Files\x", r"C:\my\x", r"C:\temp\new", r"C:\x\exai"] {
        for server in [format!("command = \"{path}\""), format!("command = 'x'\ncwd = \"{path}\"")] {
            let error = complaint(&format!("[servers.a]\n{server}\n"));
            assert!(error.ends_with(help) && !error.contains('\t'), "{path}: {error}");
        }
    }
    assert!(!complaint("[servers.a]\ncommand = 7\n").contains(help));
}

#[test]
fn a_missing_file_is_an_empty_one_and_an_odd_one_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    assert!(load(&home).unwrap().servers.is_empty());
    std::fs::write(home.config(), "\u{feff}[servers.a]\ncommand = \"x\"\n").unwrap();
    assert_eq!(load(&home).unwrap().servers.len(), 1);
    for encode in [u16::to_le_bytes, u16::to_be_bytes] {
        let bytes = "\u{feff}[servers.a]\r\ncommand = \"ü\"\r\n".encode_utf16().flat_map(encode);
        std::fs::write(home.config(), bytes.collect::<Vec<u8>>()).unwrap();
        assert_eq!(load(&home).unwrap().servers.len(), 1);
    }
    std::fs::write(home.config(), b"\xff\xfe[\0d\0a").unwrap();
    assert!(load(&home).unwrap_err().to_string().ends_with("save the file as UTF-8"));
    std::fs::write(home.config(), b"# \xff\n").unwrap();
    assert!(
        load(&home)
            .unwrap_err()
            .to_string()
            .ends_with("config.toml:1:3: this is not UTF-8 text; save the file as UTF-8")
    );
    std::fs::remove_file(home.config()).unwrap();
    std::fs::create_dir(home.config()).unwrap();
    assert!(matches!(load(&home), Err(ConfigError::Read { .. })));
}

#[test]
fn a_server_of_another_exai_is_one_line() {
    let config = parse(
        "[servers.notes]\nvia = \"ssh://build\"\n\
         [servers.whole]\nvia = \"ssh://me@build:2222\"\nserver = \"*\"\nremote_command = \"~/exai\"\n\
         args = [\"-v\"]\nenv = { A = \"b\" }\ncrash_limit = 3\ntrusted = true\n",
    )
    .unwrap();
    let notes = config.servers.get("notes").unwrap();
    assert_eq!((notes.kind(), notes.crash_limit, notes.trusted), (ServerKind::Ssh, 0, false));
    let via = notes.via.as_ref().unwrap();
    assert_eq!(via.describe_hop(), "`notes` of the exai on build, over ssh");
    let whole = config.servers.get("whole").unwrap();
    assert_eq!((whole.kind(), whole.crash_limit, whole.trusted), (ServerKind::Ssh, 3, true));
    let via = whole.via.as_ref().unwrap();
    assert_eq!(via.describe_hop(), "all servers of the exai on me@build, port 2222, over ssh");
    assert!(via.ssh_args(&whole.args).join(" ").ends_with("me@build ~/exai shim"));
    assert_eq!(
        complaint("[servers.a]\nvia = \"ssh://x\"\ncommand = \"y\"\n"),
        "config.toml:3:11: a server has a `command` or a `via`, not both: another exai hosts it"
    );
    assert_eq!(
        complaint("[servers.a]\ncommand = \"y\"\nserver = \"b\"\n"),
        "config.toml:3:10: `server` is for a server with a `via`"
    );
}

#[test]
fn accounts_keep_the_order_of_the_file() {
    let config = parse(
        "[servers.a]\nurl = \"https://x/mcp\"\n[servers.a.accounts]\n\
         work = { clients = [\"cursor\"], directories = [\"~/work\", \"~\"] }\nprivate = {}\n",
    );
    let config = config.expect("it is valid");
    let accounts = &config.servers.get("a").expect("a server").accounts;
    assert_eq!(accounts.names().collect::<Vec<_>>(), ["work", "private"]);
    let mut work = accounts.iter().next().expect("an account").1.clone();
    let home = std::path::Path::new("no-such-home");
    work.resolve_directories(home);
    assert_eq!(work.clients, ["cursor"]);
    assert_eq!(work.directories, [home.join("work"), home.to_owned()].map(|path| path.display().to_string()));
}

#[test]
fn servers_with_one_url_may_be_signed_in_at_in_one_way_or_as_several_accounts() {
    for more in [
        "sign_in = { client_id = \"c\" }\n[servers.b]\nurl = \"https://x\"\nsign_in = { client_id = \"c\" }",
        "[servers.b]\nurl = \"https://x\"\naccounts = { c = {} }\nsign_in = { client_id = \"c\" }",
        "[servers.b]\nurl = \"https://y\"\nsign_in = { client_id = \"c\" }",
    ] {
        parse(&format!("[servers.a]\nurl = \"https://x\"\n{more}\n")).expect(more);
    }
}
