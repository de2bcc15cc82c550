//! What was put into a file comes out again, and leaves every byte as it was: random layouts and comments.

use proptest::prelude::*;

use crate::format::*;

/// Answers a generator's questions from a row of random bytes, which proptest makes shorter when a test fails.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn below(&mut self, bound: u8) -> u8 {
        self.0.next().map_or(0, |byte| byte % bound)
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[usize::from(self.below(u8::try_from(texts.len()).unwrap()))]
    }
}

struct JsonWriter<'a> {
    choices: Choices<'a>,
    relaxed: bool,
    newline: &'static str,
    unit: &'static str,
    /// Whether the servers are a list.
    in_list: bool,
    /// Whether every token may have blanks and comments around it, or the file is in order.
    wild: bool,
    text: String,
}

impl JsonWriter<'_> {
    fn write_file(mut self) -> String {
        self.trivia();
        if self.choices.below(8) == 7 {
            return self.text;
        }
        let mut members: Vec<(&str, u8)> = vec![("other", 0), ("x\\\"y", 1), ("https://a", 2)];
        members.truncate(usize::from(self.choices.below(4)));
        if self.choices.below(3) > 0 {
            let at = usize::from(self.choices.below(4)).min(members.len());
            members.insert(at, if self.in_list { ("mcp", 8) } else { ("mcpServers", 9) });
        }
        let multi = self.choices.below(4) > 0;
        self.row(&members, 0, multi);
        self.trivia();
        if self.choices.below(2) == 0 {
            self.text.push_str(self.newline);
        }
        self.text
    }

    fn row(&mut self, members: &[(&str, u8)], depth: usize, multi: bool) {
        let is_list = members.first().is_none_or(|(_, kind)| *kind == 3) && depth == 2 && self.in_list;
        self.text.push(if is_list { '[' } else { '{' });
        for (index, (key, kind)) in members.iter().enumerate() {
            if index > 0 {
                self.text.push(',');
                if !multi {
                    self.text.push(' ');
                }
            }
            self.line(depth + 1, multi);
            if is_list {
                self.text.extend(["{\"name\": \"", key, "\"}"]);
                self.trivia();
                continue;
            }
            self.text.extend(["\"", key, "\""]);
            self.trivia();
            self.text.push_str(": ");
            self.trivia();
            match kind {
                0 => self.text.push_str("{\"a\": [1, 2.50, \"//\"], \"b\": {}}"),
                1 => self.text.push_str("1e3"),
                2 => self.text.push_str("\"{ /* no */ }\""),
                8 => {
                    let multi = self.choices.below(3) > 0;
                    let members = [("before", 1), ("servers", 9)];
                    let from = usize::from(self.choices.below(3));
                    self.row(&members[from.min(1)..if from == 2 { 1 } else { 2 }], depth + 1, multi);
                }
                9 => {
                    let kind = if self.in_list { 3 } else { 0 };
                    let servers = [("time", kind), ("git", kind), ("odd", kind.max(1))];
                    let count = usize::from(self.choices.below(4));
                    let inner_multi = self.choices.below(3) > 0;
                    self.row(&servers[..count], depth + 1, inner_multi);
                }
                _ => unreachable!(),
            }
            self.trivia();
        }
        if self.relaxed && !members.is_empty() && self.choices.below(2) == 0 {
            self.text.push(',');
        }
        self.trivia();
        let has_end_line = multi && (!members.is_empty() || self.choices.below(2) == 0);
        self.line(depth, has_end_line);
        self.text.push(if is_list { ']' } else { '}' });
    }

    fn line(&mut self, depth: usize, multi: bool) {
        if multi {
            self.trivia();
            self.text.push_str(self.newline);
            self.text.push_str(&self.unit.repeat(depth));
            if self.relaxed && self.choices.below(4) == 3 {
                self.text.push_str("// own line, \"}\"");
                self.text.push_str(self.newline);
                self.text.push_str(&self.unit.repeat(depth));
            }
        }
        self.trivia();
    }

    fn trivia(&mut self) {
        if !self.wild {
            return;
        }
        let newline = self.newline;
        let number = if self.relaxed { self.choices.below(16) } else { self.choices.below(11) };
        let piece = match number {
            0..=7 => String::new(),
            8 => "  ".to_owned(),
            9 => newline.to_owned(),
            10 => format!(" \t{newline}{newline} "),
            11 => format!(" // , }} {newline}"),
            12 => "/* \" */".to_owned(),
            13 => format!("/* a,{newline} b */"),
            14 => format!("//{newline}"),
            _ => format!("{newline}/**/ // x{newline}\t"),
        };
        self.text.push_str(&piece);
    }
}

fn json_file(bytes: &[u8], relaxed: bool, in_list: bool) -> String {
    let mut choices = Choices(bytes.iter());
    let newline = if choices.below(2) == 0 { "\n" } else { "\r\n" };
    let unit = choices.pick(&["  ", "    ", "\t"]);
    let wild = choices.below(2) == 0;
    JsonWriter { choices, relaxed, newline, unit, in_list, wild, text: String::new() }.write_file()
}

fn toml_file(bytes: &[u8]) -> String {
    let mut choices = Choices(bytes.iter());
    let newline = if choices.below(2) == 0 { "\n" } else { "\r\n" };
    let mut text = String::new();
    let comment = |choices: &mut Choices<'_>, text: &mut String| {
        for _ in 0..choices.below(3) {
            text.push_str(choices.pick(&["", "# note [a]", "  # indented", "#"]));
            text.push_str(newline);
        }
    };
    let servers = choices.below(6);
    comment(&mut choices, &mut text);
    let mut lines = vec![
        "model = \"o\" # why",
        "note = \"\"\"\n[mcp_servers.exai]\n\"\"\"",
        "a.b = 1",
        "c = [\n 1, # one\n]",
    ];
    lines.truncate(usize::from(choices.below(5)));
    match servers {
        1 => lines.push("mcp_servers = {}"),
        2 => lines.push("mcp_servers = { time = { command = 'uvx' } } # in one line"),
        3 => lines.push("mcp_servers.time.command = 'uvx'"),
        _ => {}
    }
    if servers == 4 {
        lines.extend(["[mcp_servers]", "git = { command = 'git' }", "time.command = 'uvx'"]);
    }
    if servers > 3 {
        lines.extend(["[mcp_servers.a] # first", "command = 'a'", "[mcp_servers.a.env]", "K = \"v\""]);
    }
    if choices.below(2) == 0 {
        lines.extend(["[projects.\"/a b\"]", "trust = true", "[[list]]", "[[list]]", "x = 1979-05-27"]);
    }
    for line in lines {
        comment(&mut choices, &mut text);
        text.push_str(&line.replace('\n', newline));
        text.push_str(choices.pick(&["", "  ", " # end"]));
        text.push_str(newline);
    }
    comment(&mut choices, &mut text);
    if choices.below(2) == 0 {
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
    }
    text
}

fn entry(name: &str) -> Value {
    Value::map([
        ("name", Value::text(name)),
        ("command", Value::text(r"C:\Program Files\exai\exai.exe")),
        ("args", Value::texts(["shim", "--client", "x"])),
        ("env", Value::map([("EXAI_HOME", Value::text("/a b"))])),
    ])
}

/// Sets one entry and then another, changes the first one, and takes both out again.
fn check_round_trip(format: Format, text: &str, path: &[&str], in_list: bool) -> Result<(), TestCaseError> {
    let spot = Spot { path, name: "exai", in_list };
    let other = Spot { path, name: "my other", in_list };
    let set = |text: &str, spot: Spot<'_>, value: &Value| {
        let edited = format.set(text, spot, value);
        edited.map_err(|error| TestCaseError::fail(format!("{error} in:\n{text}")))
    };
    let remove = |text: &str, spot: Spot<'_>, made: Option<&Made>| {
        let removed = format.remove(text, spot, made);
        removed.map_err(|error| TestCaseError::fail(format!("{error} in:\n{text}")))
    };
    let first = set(text, spot, &entry("exai"))?;
    prop_assert_eq!(&set(&first.text, spot, &entry("exai"))?.text, &first.text);
    prop_assert!(first.made.is_some(), "the entry is new");
    let removed = remove(&first.text, spot, first.made.as_ref())?;
    prop_assert_eq!(&removed, text, "after removal from:\n{}", first.text);

    let second = set(&first.text, other, &entry("my other"))?;
    let short = Value::map([("name", Value::text("exai")), ("command", Value::text("new"))]);
    let changed = set(&second.text, spot, &short)?;
    prop_assert_eq!(changed.made, None);
    let back = set(&changed.text, spot, &entry("exai"))?;
    prop_assert_eq!(&back.text, &second.text, "after two changes");
    prop_assert_eq!(&remove(&second.text, other, second.made.as_ref())?, &first.text);
    let left = format.parse(&remove(&second.text, spot, first.made.as_ref())?).unwrap().unwrap();
    prop_assert_eq!(left.at(&spot.full_path()), None);
    prop_assert_eq!(left.at(&other.full_path()), Some(&entry("my other")));
    check_switch(format, &second.text, spot)
}

/// Adds one key to an entry that is there, and takes it out again.
fn check_switch(format: Format, text: &str, spot: Spot<'_>) -> Result<(), TestCaseError> {
    let path = spot.full_path();
    let switch = Spot { path: &path, name: "disabled", in_list: false };
    let off = format.set(text, switch, &Value::Bool(true)).unwrap();
    let on = format.remove(&off.text, switch, off.made.as_ref());
    prop_assert_eq!(on.as_deref(), Ok(text), "after removal from:\n{}", off.text);
    Ok(())
}

/// A client that has read the file and has written it anew in its own layout: what was put in can be taken out all the same.
fn check_rewritten(text: &str) -> Result<(), TestCaseError> {
    let spot = Spot { path: &["mcpServers"], name: "exai", in_list: false };
    let edited = Format::Json.set(text, spot, &entry("exai")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&edited.text).unwrap();
    for rewritten in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
        let removed = Format::Json.remove(&rewritten, spot, edited.made.as_ref()).unwrap();
        let removed: Option<serde_json::Value> = serde_json::from_str(&removed).ok();
        let original: Option<serde_json::Value> = serde_json::from_str(text).ok();
        prop_assert_eq!(removed, original);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn strict_json_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        let text = json_file(&bytes, false, false);
        check_round_trip(Format::Json, &text, &["mcpServers"], false)?;
        check_rewritten(&text)?;
    }

    #[test]
    fn json_with_comments_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        check_round_trip(Format::Jsonc, &json_file(&bytes, true, false), &["mcpServers"], false)?;
    }

    #[test]
    fn lists_within_two_keys_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..160), relaxed: bool) {
        let format = if relaxed { Format::Jsonc } else { Format::Json };
        check_round_trip(format, &json_file(&bytes, relaxed, true), &["mcp", "servers"], true)?;
    }

    #[test]
    fn toml_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        check_round_trip(Format::Toml, &toml_file(&bytes), &["mcp_servers"], false)?;
    }

    #[test]
    fn no_text_makes_an_edit_panic(text in "[\\[\\]{}a\"',:=\\.#/*\\\\\r\n é😀1&!|>-]{0,60}") {
        for format in [Format::Json, Format::Jsonc, Format::Toml, Format::Yaml] {
            let spot = Spot { path: &["a"], name: "exai", in_list: false };
            if let Ok(edited) = format.set(&text, spot, &entry("exai")) {
                let back = format.remove(&edited.text, spot, edited.made.as_ref());
                prop_assert_eq!(back.as_ref(), Ok(&text), "{:?} from {}", format, edited.text);
            }
        }
    }
}
