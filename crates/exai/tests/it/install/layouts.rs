//! Random layouts and comments: after `install` and `uninstall` every byte is where it was.

use std::fs;

use exai_test::{Random, scaled};

use super::Home;
use crate::support::text;

/// A file of a client in a random layout.
struct Layout {
    random: Random,
    line_end: &'static str,
    unit: &'static str,
}

impl Layout {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let line_end = random.pick(&["\n", "\n", "\r\n"]);
        let unit = random.pick(&["  ", "    ", "\t", ""]);
        Layout { random, line_end, unit }
    }

    /// Blanks, and if the format has them, comments.
    fn gap(&mut self, comments: bool, depth: usize) -> String {
        let line = format!("{}{}", self.line_end, self.unit.repeat(depth));
        match self.random.below(if comments { 6 } else { 3 }) {
            0 => String::new(),
            1 => " ".to_owned(),
            2 => line,
            3 => format!("{line}// {{ \"exai\": [ä{line}"),
            4 => " /* }, \" */ ".to_owned(),
            _ => format!("{line}{line}//{line}"),
        }
    }

    fn json(&mut self, comments: bool, root: &str) -> String {
        let mut members = vec![format!("\"{root}\":{}", self.servers(comments))];
        members.truncate(self.random.below(4)); // sometimes there are no servers yet
        for extra in
            ["\"theme\": \"One { \\\" // Dark\"", "\"a\": [1, {\"b\": null}]", "\"\\u0065xai\": 1.50"]
        {
            if self.random.below(2) == 0 {
                members.insert(self.random.below(members.len() + 1), extra.to_owned());
            }
        }
        let before = self.gap(comments, 0);
        let whole = self.object(&members, comments, 1);
        format!("{before}{whole}{}", self.random.pick(&["", "\n", "\r\n", "\n\n"]))
    }

    fn servers(&mut self, comments: bool) -> String {
        let names = ["mine", "zwei ü", "a.b/c"];
        let count = self.random.below(names.len() + 1);
        let mut members = Vec::new();
        for name in &names[..count] {
            let args = self.random.pick(&["[]", "[\"-y\", \"x\"]", "[ \"a\\\\b\" ]"]);
            members.push(format!("\"{name}\": {{\"command\": \"x\", \"args\": {args}}}"));
        }
        format!(" {}", self.object(&members, comments, 2))
    }

    fn object(&mut self, members: &[String], comments: bool, depth: usize) -> String {
        let mut whole = "{".to_owned();
        for (place, member) in members.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let (before, after) = (self.gap(comments, depth), self.gap(comments, depth));
            whole.extend([comma, &before, member, &after]);
        }
        if comments && !members.is_empty() && self.random.below(2) == 0 {
            whole.push(',');
        }
        let last = self.gap(comments, depth - 1);
        format!("{whole}{last}}}")
    }

    fn toml(&mut self) -> String {
        let mut whole = String::new();
        let parts = [
            "model = \"o\" # [mcp_servers.exai]",
            "# command = 'x'",
            "",
            "[tui]",
            "theme = '''a\n[b]'''",
            "[mcp_servers.mine]\t# mine",
            "command = 'C:\\x' # }",
            "env = { A = \"1\", \"b c\" = '2' }",
            "[mcp_servers.\"zwei ü\"]",
            "command = \"y\"",
            "[[list]]",
            "a.b = 1",
        ];
        for part in parts {
            if self.random.below(5) > 0 || part.starts_with('[') {
                let gap = *self.random.pick(&["", "\n", "# x\n\n"]);
                whole.extend([gap, part, "\n"]);
            }
        }
        if self.random.below(3) == 0 {
            whole.pop();
        }
        whole.replace('\n', self.line_end)
    }

    /// Sometimes with a byte order mark, sometimes in UTF-16.
    fn encode(&mut self, text: &str) -> Vec<u8> {
        match self.random.below(6) {
            0 => ["\u{feff}", text].concat().into_bytes(),
            1 => ["\u{feff}", text].concat().encode_utf16().flat_map(u16::to_le_bytes).collect(),
            _ => text.as_bytes().to_vec(),
        }
    }
}

#[test]
fn every_byte_of_every_layout_comes_back() {
    let home = Home::new();
    for (client, file) in [
        ("auggie", ".augment/settings.json"),
        ("cursor", ".cursor/mcp.json"),
        ("codex", ".codex/config.toml"),
    ] {
        let count = scaled(6);
        for seed in 0..count as u64 {
            let mut layout = Layout::new(seed);
            let content = match client {
                "auggie" => layout.json(false, "mcpServers"),
                "cursor" => layout.json(true, "mcpServers"),
                _ => layout.toml(),
            };
            let before =
                if client == "codex" { content.clone().into_bytes() } else { layout.encode(&content) };
            let path = home.write(file, &before);
            let said = home.ends(0, &["install", client, "--yes"]);
            assert!(
                said.contains("will see ") && said.contains(" tools"),
                "{client} {seed}: {said}\n{content}"
            );
            assert_ne!(fs::read(&path).expect("the file"), before, "{client} {seed}");
            home.ends(0, &["uninstall", client]);
            let after = fs::read(&path).expect("the file");
            assert_eq!(text(&after), text(&before), "{client} {seed}");
            assert_eq!(after, before, "{client} {seed}");
            // Also where somebody has changed the file meanwhile, so that the saved bytes are of no use.
            home.ends(0, &["install", client, "--yes"]);
            let record = home.instance.home().join("installs.json");
            let forgotten =
                text(&fs::read(&record).expect("the record")).replace("\"written\": \"", "\"written\": \"x");
            fs::write(&record, forgotten).expect("it is written");
            home.ends(0, &["uninstall", client]);
            let after = fs::read(&path).expect("the file");
            assert_eq!(
                text(&after).trim_start_matches('\u{feff}'),
                content,
                "{client} {seed}: by taking the entry out"
            );
        }
        eprintln!("{client}: {count} of {count} layouts came back byte for byte");
    }
}
