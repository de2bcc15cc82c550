use proptest::prelude::*;

use super::super::shown::{answers, show};
use super::*;

fn places() -> Places {
    Places {
        bundle: "/b".into(),
        home: "/h".into(),
        desktop: "/h/Desktop".into(),
        documents: "/h/Documents".into(),
        downloads: "/h/Downloads".into(),
    }
}

/// A manifest with these members, and one for `user_config`.
fn manifest(server: &str, settings: &str) -> String {
    format!(
        r#"{{"manifest_version": "0.3", "name": "n", "version": "1.0.0", "server": {server}, "user_config": {settings}}}"#
    )
}

fn plan_on(text: &str, files: &[&str], platform: Platform) -> Result<Plan, SourceError> {
    let mut places = places();
    if platform == Platform::Windows {
        places.bundle = r"C:\b".into();
    }
    Manifest::read(text)?.plan(&|path| files.contains(&path), &places, platform)
}

fn plan(text: &str) -> Plan {
    plan_on(text, &[], Platform::Linux).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn fill(plan: &Plan, pairs: &[(&str, &str)]) -> String {
    plan.fill(&answers(pairs)).map_or_else(|error| error.to_string(), |entry| show(&entry))
}

// The examples of MANIFEST.md, in one manifest each.
const FILESYSTEM: &str = r#"{
  "manifest_version": "0.3",
  "name": "filesystem",
  "display_name": "Filesystem",
  "version": "1.0.0",
  "description": "A server",
  "author": { "name": "A" },
  "server": {
    "type": "node",
    "entry_point": "server/index.js",
    "mcp_config": {
      "command": "node",
      "args": [
        "${__dirname}/server/index.js",
        "${user_config.allowed_directories}"
      ]
    }
  },
  "user_config": {
    "allowed_directories": {
      "type": "directory",
      "title": "Allowed Directories",
      "description": "Select directories the filesystem server can access",
      "multiple": true,
      "required": true,
      "default": ["${HOME}/Desktop", "${DOCUMENTS}"]
    }
  }
}"#;

const DATABASE: &str = r#"{
  "dxt_version": "0.1",
  "name": "database",
  "version": "1.0.0",
  "server": {
    "type": "python",
    "entry_point": "server/main.py",
    "mcp_config": {
      "command": "python",
      "args": ["server/main.py", "--database", "${user_config.database_path}", "--timeout", "${user_config.timeout}"],
      "env": { "READ_ONLY": "${user_config.read_only}", "API_KEY": "${user_config.api_key}", "PYTHONPATH": "${__dirname}/server/lib" }
    }
  },
  "user_config": {
    "database_path": { "type": "file", "title": "Database File", "description": "Path to your SQLite database file", "required": true },
    "read_only": { "type": "boolean", "title": "Read Only Mode", "default": true },
    "timeout": { "type": "number", "title": "Query Timeout (seconds)", "default": 30, "min": 1, "max": 300 },
    "api_key": { "type": "string", "title": "API Key", "sensitive": true, "required": false }
  }
}"#;

#[test]
fn several_directories_become_several_arguments() {
    let plan = plan(FILESYSTEM);
    let [question] = plan.questions() else { panic!("{:?}", plan.questions()) };
    assert_eq!((question.kind, question.multiple, question.required), (AnswerKind::Directory, true, true));
    assert_eq!(question.default, ["/h/Desktop", "/h/Documents"]);
    assert_eq!(question.description.as_deref(), Some("Select directories the filesystem server can access"));
    let start = "filesystem: node|/b/server/index.js";
    assert_eq!(fill(&plan, &[]), format!("{start}|/h/Desktop|/h/Documents cwd=/b"));
    assert_eq!(fill(&plan, &[("allowed_directories", "/a b|/c|/d")]), format!("{start}|/a b|/c|/d cwd=/b"));
}

#[test]
fn settings_of_every_type_are_asked_and_checked() {
    let plan = plan(DATABASE);
    let kinds: Vec<AnswerKind> = plan.questions().iter().map(|question| question.kind).collect();
    let number = AnswerKind::Number { min: Some(1), max: Some(300) };
    assert_eq!(kinds, [AnswerKind::File, AnswerKind::Flag, number, AnswerKind::Text]);
    assert_eq!(plan.entry().secrets, ["API_KEY"]);
    let start = "database: python|server/main.py|--database";
    for (pairs, filled) in [
        (&[][..], "`database_path` needs a value".to_owned()),
        (
            &[("database_path", "/d")],
            format!("{start}|/d|--timeout|30 READ_ONLY=true PYTHONPATH=/b/server/lib cwd=/b"),
        ),
        (
            &[
                ("database_path", "/d"),
                ("api_key", "${secret:K}"),
                ("read_only", "false"),
                ("timeout", "1.5"),
            ],
            format!(
                "{start}|/d|--timeout|1.5 READ_ONLY=false API_KEY=${{secret:K}} PYTHONPATH=/b/server/lib cwd=/b"
            ),
        ),
        (&[("database_path", "/d"), ("timeout", "0")], "`timeout` must be at least 1".to_owned()),
        (&[("database_path", "/d"), ("timeout", "301")], "`timeout` must be at most 300".to_owned()),
        (&[("database_path", "/d"), ("timeout", "soon")], "`timeout` must be a number".to_owned()),
        (&[("database_path", "/d"), ("read_only", "yes")], "`read_only` must be true or false".to_owned()),
        (&[("database_path", "/d|/e")], "`database_path` takes one value alone".to_owned()),
    ] {
        assert_eq!(fill(&plan, pairs), filled);
    }
}

#[test]
fn programs_of_the_bundle_are_found_on_each_platform() {
    let server = r#"{"type": "binary", "entry_point": "server/my-server", "mcp_config": {
        "command": "server/my-server", "args": ["--config", "server/config.json"], "env": {"A": "1", "B": "2"},
        "platform_overrides": {
          "win32": {"args": ["--config", "server/config-windows.json"]},
          "darwin": {"env": {"DYLD_LIBRARY_PATH": "${__dirname}/server/lib", "A": "3"}}}}}"#;
    let text = manifest(server, "{}");
    let files = ["server/my-server", "server/my-server.exe"];
    for (platform, line) in [
        (Platform::Linux, "n: /b/server/my-server|--config|server/config.json A=1 B=2 cwd=/b"),
        (
            Platform::Mac,
            "n: /b/server/my-server|--config|server/config.json B=2 DYLD_LIBRARY_PATH=/b/server/lib A=3 cwd=/b",
        ),
        (
            Platform::Windows,
            r"n: C:\b\server/my-server.exe|--config|server/config-windows.json A=1 B=2 cwd=C:\b",
        ),
    ] {
        assert_eq!(show(plan_on(&text, &files, platform).unwrap().entry()), line);
    }
    let error = plan_on(&text, &[], Platform::Linux).unwrap_err().to_string();
    assert!(error.ends_with("the program that starts the server is not in the bundle"), "{error}");
    for (command, line) in [
        ("${__dirname}/server/my-server", "n: /b/server/my-server cwd=/b"),
        ("./server/my-server", "n: /b/server/my-server cwd=/b"),
        ("/usr/bin/env", "n: /usr/bin/env cwd=/b"),
        ("npx", "n: npx cwd=/b"),
    ] {
        let text = manifest(&format!(r#"{{"mcp_config": {{"command": "{command}"}}}}"#), "{}");
        assert_eq!(show(plan_on(&text, &files, Platform::Linux).unwrap().entry()), line);
    }
}

#[test]
fn a_server_without_a_command_is_started_by_its_kind() {
    for (kind, line) in [
        ("uv", "n: uv|run|--directory|/b|src/server.py cwd=/b"),
        ("python", "n: python|/b/src/server.py cwd=/b"),
        ("node", "n: node|/b/src/server.py cwd=/b"),
        ("binary", "n: /b/src/server.py cwd=/b"),
    ] {
        let text = manifest(&format!(r#"{{"type": "{kind}", "entry_point": "src/server.py"}}"#), "{}")
            .replace("0.3", "0.4");
        assert_eq!(show(plan_on(&text, &["src/server.py"], Platform::Linux).unwrap().entry()), line);
    }
}

#[test]
fn places_and_separators_are_filled_in() {
    let args = r#"["${HOME}${/}x", "${DESKTOP}", "${DOWNLOADS}${pathSeparator}", "$HOME ${other} {env:X}"]"#;
    let text = manifest(&format!(r#"{{"mcp_config": {{"command": "x", "args": {args}}}}}"#), "{}");
    assert_eq!(show(plan(&text).entry()), "n: x|/h/x|/h/Desktop|/h/Downloads/|$HOME ${other} {env:X} cwd=/b");
    let windows = plan_on(&text, &[], Platform::Windows).unwrap();
    assert_eq!(show(windows.entry()), r"n: x|/h\x|/h/Desktop|/h/Downloads\|$HOME ${other} {env:X} cwd=C:\b");
}

#[test]
fn bad_manifests_say_what_and_where() {
    let config = |config: &str| manifest(&format!(r#"{{"mcp_config": {config}}}"#), "{}");
    let arg = |arg: &str| config(&format!(r#"{{"command": "x", "args": ["{arg}"]}}"#));
    let setting = |setting: &str| manifest(r#"{"mcp_config": {"command": "x"}}"#, setting);
    for (text, why) in [
        ("[]".to_owned(), "`manifest_version` must be one of: 0.1, 0.2, 0.3, 0.4"),
        (FILESYSTEM.replace("\"0.3\"", "\"9.0\""), "`manifest_version` must be one of: 0.1, 0.2, 0.3, 0.4"),
        (FILESYSTEM.replace("\"filesystem\"", "\"\""), "`name` is missing or too long"),
        (FILESYSTEM.replace("\"1.0.0\"", "1"), "`version` must be a text"),
        (FILESYSTEM.replace("\"server\"", "\"x\""), "`server` is missing"),
        (manifest("{}", "{}"), "`entry_point` is missing"),
        (
            manifest(r#"{"type": "java", "entry_point": "x"}"#, "{}"),
            "`type` must be node, python, binary or uv",
        ),
        (
            manifest(r#"{"type": "node", "entry_point": "../x"}"#, "{}"),
            "`entry_point` climbs out of the bundle",
        ),
        (config("{}"), "`command` is missing"),
        (config(r#"{"command": "x", "args": {}}"#), "`args` must be a list of texts"),
        (config(r#"{"command": "x", "env": {"A=B": "1"}}"#), "a name in `env` is not valid"),
        (arg("${user_config.nope}"), "`${user_config.…}` names a setting that is not in `user_config`"),
        (arg("${env:AWS_SECRET_ACCESS_KEY}"), "a text refers to a variable that bundles do not have"),
        (arg("${secret:GITHUB}"), "a text refers to a variable that bundles do not have"),
        (arg("${input:x}"), "a text refers to a variable that bundles do not have"),
        (arg("${client.cwd}"), "a text refers to a variable that bundles do not have"),
        (arg("$${HOME}"), "a text refers to a variable that bundles do not have"),
        (setting(r#"{"a": {"type": "list"}}"#), "`type` must be string, number, boolean, directory or file"),
        (
            setting(r#"{"a}": {"type": "string"}}"#),
            "a setting has no valid key, or one that another setting has",
        ),
        (
            setting(r#"{"a": {"type": "string"}, "a": {"type": "string"}}"#),
            "a setting has no valid key, or one that another setting has",
        ),
        (
            setting(r#"{"a": {"type": "string", "default": "${secret:X}"}}"#),
            "a text refers to a variable that bundles do not have",
        ),
        (
            setting(r#"{"a": {"type": "string", "default": "x$"}}"#),
            "a default refers to a variable that bundles do not have",
        ),
        (setting(r#"{"a": {"type": "string", "default": {}}}"#), "`default` must be a text"),
        (setting("5"), "`user_config` must be a table"),
        (
            FILESYSTEM.replace("\"author\"", "\"compatibility\": {\"platforms\": [\"darwin\"]}, \"author\""),
            "the bundle is not for this platform (linux)",
        ),
    ] {
        let error = plan_on(&text, &[], Platform::Linux).unwrap_err().to_string();
        assert!(error.ends_with(&format!(": {why}")), "{text}\n{error}");
        assert!(error.contains("line "), "{error}");
    }
}

proptest! {
    #[test]
    fn a_changed_manifest_makes_no_panic_and_refers_to_nothing_of_exai(
        which in 0_usize..2,
        at in 0_usize..1500,
        cut in 0_usize..40,
        with in prop::sample::select(&["", "\"", "{", "}", "[", "null", "${env:A}", "${secret:A}", "$", "{env:A}", "\\u0000", "1e999", "-1"][..]),
    ) {
        let text = [FILESYSTEM, DATABASE][which];
        let start = text.floor_char_boundary(at.min(text.len()));
        let end = text.floor_char_boundary((start + cut).min(text.len()));
        let text = format!("{}{with}{}", &text[..start], &text[end..]);
        if let Ok(plan) = plan_on(&text, &["server/index.js"], Platform::Linux) {
            let mut given = answers(&[("database_path", "/d")]);
            given.retain(|key, _| plan.questions().iter().any(|question| question.key == *key));
            if let Ok(mut entry) = plan.fill(&given) {
                // The name may be anything, and is made valid later.
                entry.name.clear();
                let line = show(&entry);
                let refers = line.contains("${env:") || line.contains("${secret:");
                prop_assert!(!refers, "{}", line);
            }
        }
    }
}
