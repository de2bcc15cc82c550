//! What an edited file looks like.

use crate::Value;
use crate::format::*;

fn put(format: Format, text: &str, path: &[&str]) -> String {
    let value = Value::map([("command", Value::text("/bin/exai")), ("args", Value::texts(["shim"]))]);
    format.set(text, Spot { path, name: "exai", in_list: false }, &value).unwrap().text
}

#[test]
fn json_keeps_the_layout_of_the_file() {
    let entry = r#"{"command": "/bin/exai", "args": ["shim"]}"#;
    let lines = |indent: &str, unit: &str| {
        format!(
            "{{\n{indent}{unit}\"command\": \"/bin/exai\",\n{indent}{unit}\"args\": [\"shim\"]\n{indent}}}"
        )
    };
    let (two, four, tab) = (lines("    ", "  "), lines("        ", "    "), lines("\t\t", "\t"));
    let cases = [
        ("", format!("{{\n  \"mcpServers\": {{\n    \"exai\": {two}\n  }}\n}}\n")),
        ("// none\n", format!("// none\n{{\n  \"mcpServers\": {{\n    \"exai\": {two}\n  }}\n}}\n")),
        ("{}", format!("{{\n  \"mcpServers\": {{\n    \"exai\": {two}\n  }}\n}}")),
        (
            "{\n    \"a\": 1 // one\n}\n",
            format!(
                "{{\n    \"a\": 1, // one\n    \"mcpServers\": {{\n        \"exai\": {four}\n    }}\n}}\n"
            ),
        ),
        (
            "{\n\t\"mcpServers\": {\n\t\t\"b\": {}, // b\n\t\t// later\n\t},\n}\n",
            format!(
                "{{\n\t\"mcpServers\": {{\n\t\t\"b\": {{}}, // b\n\t\t\"exai\": {tab},\n\t\t// later\n\t}},\n}}\n"
            ),
        ),
        (
            r#"{"mcpServers": {"b": {} /* b */}, "c": 1}"#,
            format!(r#"{{"mcpServers": {{"b": {{}}, "exai": {entry} /* b */}}, "c": 1}}"#),
        ),
        (r#"{"mcpServers": {}}"#, format!(r#"{{"mcpServers": {{"exai": {entry}}}}}"#)),
    ];
    for (text, expected) in cases {
        assert_eq!(put(Format::Jsonc, text, &["mcpServers"]), expected);
    }
}

#[test]
fn toml_gets_a_section_behind_every_comment() {
    let section = "[mcp_servers.exai]\ncommand = \"/bin/exai\"\nargs = [\"shim\"]";
    let cases = [
        ("", format!("{section}\n")),
        ("a = 1\n# [mcp_servers.old]\n# command = 'x'\n", format!("a = 1\n# [mcp_servers.old]\n# command = 'x'\n\n{section}\n")),
        ("a = 1\r\n", format!("a = 1\n\n{section}\n").replace('\n', "\r\n")),
        ("a = 1 # one", format!("a = 1 # one\n\n{section}")),
        (
            "mcp_servers = { b = { command = 'b' } } # in one line\n",
            "mcp_servers = { b = { command = 'b' }, exai = { command = \"/bin/exai\", args = [\"shim\"] } } # in one line\n".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(put(Format::Toml, text, &["mcp_servers"]), expected);
    }
}

#[test]
fn what_others_write_into_and_around_an_entry_goes_with_it_or_stays() {
    let spot = Spot { path: &["mcp_servers"], name: "exai", in_list: false };
    let text = "a = 1\n\n# our server\n[mcp_servers.exai] # here\ncommand = 'exai'\n# why\nargs = []\n\n# b\n[b]\n\n\
                [mcp_servers.exai.tools.x]\napproval_mode = 'approve'\n\n[mcp_servers.c]\nd = 1\n";
    let expected = "a = 1\n\n# our server\n\n# b\n[b]\n\n[mcp_servers.c]\nd = 1\n";
    assert_eq!(Format::Toml.remove(text, spot, None).as_deref(), Ok(expected));

    let spot = Spot { path: &["s"], name: "exai", in_list: false };
    let text = "{\n  \"s\": {\n    // ours\n    \"exai\": {\"x\": 1}, // why\n    \"b\": 2\n  }\n}";
    let expected = "{\n  \"s\": {\n    // ours // why\n    \"b\": 2\n  }\n}";
    assert_eq!(Format::Jsonc.remove(text, spot, None).as_deref(), Ok(expected));
    // A line comment needs the end of its line.
    let text = "{\n  \"s\": { // all\n  \"exai\": {}}\n}";
    assert_eq!(Format::Jsonc.remove(text, spot, None).as_deref(), Ok("{\n  \"s\": { // all\n  }\n}"));
}

#[test]
fn containers_that_others_use_by_now_stay() {
    let spot = Spot { path: &["s"], name: "exai", in_list: false };
    let made = Made { containers: 2, inner: Some(String::new()) };
    for (text, expected) in [
        (r#"{"s": {"exai": {}}}"#, ""),
        (r#"{"s": {"exai": {}, "b": {}}}"#, r#"{"s": {"b": {}}}"#),
        (r#"{"s": {"exai": {}}, "t": 1}"#, r#"{"t": 1}"#),
        (r#"{"s": {/* mine */ "exai": {}}, "t": 1}"#, r#"{"s": {/* mine */}, "t": 1}"#),
    ] {
        assert_eq!(Format::Jsonc.remove(text, spot, Some(&made)).as_deref(), Ok(expected));
    }
}

#[test]
fn what_was_made_can_be_stored() {
    let made = Made { containers: 1, inner: Some(" // none\n".to_owned()) };
    let stored = serde_json::to_string(&made).unwrap();
    assert_eq!(stored, r#"{"containers":1,"inner":" // none\n"}"#);
    assert_eq!(serde_json::from_str::<Made>(&stored).unwrap(), made);
    assert_eq!(serde_json::from_str::<Made>(r#"{"containers":0}"#).unwrap(), Made::default());
}

#[test]
fn a_place_that_cannot_be_edited_is_refused() {
    let refused = |format: Format, text: &str, path: &[&str], value: Value| {
        let spot = Spot { path, name: "x", in_list: false };
        format.set(text, spot, &value).unwrap_err().to_string()
    };
    let map = || Value::map([("a", Value::Bool(true))]);
    let cases = [
        (refused(Format::Json, "[]", &["s"], map()), "the file is not a map (line 1, column 1)"),
        (refused(Format::Json, "{\n \"s\": null}", &["s"], map()), "s is not a map (line 2, column 7)"),
        (
            refused(Format::Json, "{\"s\": {\"x\": 1, \"x\": 2}}", &["s"], map()),
            "the file has x twice, the second time in line 1, column 16",
        ),
        (refused(Format::Toml, "s = 1\n", &["s"], map()), "s is not a map (line 1, column 5)"),
        (
            refused(Format::Toml, "[a]\ns.b = 1\n", &["a", "s"], Value::Bool(true)),
            "the file writes this server in dotted keys: edit the file by hand",
        ),
        (refused(Format::Yaml, "a: 1", &["s"], map()), "exai does not change YAML: edit the file by hand"),
        (refused(Format::Json, "{", &["s"], map()), "Unterminated object (line 1, column 1)"),
    ];
    for (error, expected) in cases {
        assert_eq!(error, expected);
    }
}
