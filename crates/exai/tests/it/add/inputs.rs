//! Each kind of input that `exai add` takes, with an example from the documentation of the client that has it.

use super::{add, config};
use crate::support::{Instance, text};

/// Where an example stands.
enum Given {
    /// On the command line.
    Words(&'static [&'static str]),
    /// On stdin, with these words.
    Stdin(&'static [&'static str], &'static str),
    /// In a file.
    File(&'static str, &'static str),
}

use Given::{File, Stdin, Words};

/// What it is, the example, and what `config.toml` has then.
const INPUTS: [(&str, Given, &str); 17] = [
    (
        "a command",
        Words(&["memory", "--", "npx", "-y", "@modelcontextprotocol/server-memory"]),
        "[servers.memory]\ncommand = \"npx\"\nargs = [\"-y\", \"@modelcontextprotocol/server-memory\"]\n",
    ),
    (
        "a command without `--`",
        Words(&["everything", "npx", "-y", "@modelcontextprotocol/server-everything"]),
        "[servers.everything]\ncommand = \"npx\"\nargs = [\"-y\", \"@modelcontextprotocol/server-everything\"]\n",
    ),
    (
        "a URL: code.claude.com/docs/en/mcp",
        Words(&["notion", "https://mcp.notion.com/mcp"]),
        "[servers.notion]\nurl = \"https://mcp.notion.com/mcp\"\n",
    ),
    (
        "`mcpServers`: modelcontextprotocol.io/docs/develop/connect-local-servers",
        Stdin(
            &["-"],
            r#"{
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/Users/username/Desktop"]
    }
  }
}"#,
        ),
        "[servers.filesystem]\ncommand = \"npx\"\nargs = [\"-y\", \"@modelcontextprotocol/server-filesystem\", \"/Users/username/Desktop\"]\n",
    ),
    (
        "`servers` with `inputs`: code.visualstudio.com/docs/copilot/reference/mcp-configuration",
        Stdin(
            &["--set", "perplexity-key=pplx-0", "-"],
            r#"{
  "inputs": [
    { "type": "promptString", "id": "perplexity-key", "description": "Perplexity API Key", "password": true }
  ],
  "servers": {
    "Perplexity": {
      "type": "stdio",
      "command": "npx",
      "args": ["-y", "server-perplexity-ask"],
      "env": { "PERPLEXITY_API_KEY": "${input:perplexity-key}" }
    }
  }
}"#,
        ),
        "[servers.Perplexity]\ncommand = \"npx\"\nargs = [\"-y\", \"server-perplexity-ask\"]\nenv = { PERPLEXITY_API_KEY = \"${secret:Perplexity.perplexity-key}\" }\n",
    ),
    (
        "`mcp_servers`: github.com/openai/codex, docs/config.md",
        Stdin(
            &["-"],
            "[mcp_servers.context7]\ncommand = \"npx\"\nargs = [\"-y\", \"@upstash/context7-mcp\"]\ntool_timeout_sec = 90\n",
        ),
        "[servers.context7]\ncommand = \"npx\"\nargs = [\"-y\", \"@upstash/context7-mcp\"]\ncall_timeout = \"90s\"\n",
    ),
    (
        "`mcp`: opencode.ai/docs/mcp-servers",
        Stdin(
            &["-"],
            r#"{
  "$schema": "https://opencode.ai/config.json",
  "mcp": {
    "mcp_everything": {
      "type": "local",
      "command": ["npx", "-y", "@modelcontextprotocol/server-everything"],
    },
  },
}"#,
        ),
        "[servers.mcp_everything]\ncommand = \"npx\"\nargs = [\"-y\", \"@modelcontextprotocol/server-everything\"]\n",
    ),
    (
        "one bare entry: the JSON of `claude mcp add-json`",
        Stdin(&["weather", "-"], r#"{"type":"stdio","command":"/path/to/weather-cli","args":["--max","5"]}"#),
        "[servers.weather]\ncommand = \"/path/to/weather-cli\"\nargs = [\"--max\", \"5\"]\n",
    ),
    (
        ".mcp.json: code.claude.com/docs/en/mcp",
        File(
            ".mcp.json",
            r#"{
  "mcpServers": {
    "shared-server": { "command": "/path/to/server", "args": [], "env": {} }
  }
}"#,
        ),
        "[servers.shared-server]\ncommand = \"/path/to/server\"\n",
    ),
    (
        ".vscode/mcp.json: code.visualstudio.com/docs/copilot/reference/mcp-configuration",
        File(
            ".vscode/mcp.json",
            r#"{
  "servers": {
    "playwright": { "command": "npx", "args": ["-y", "@microsoft/mcp-server-playwright"] } // with a comment
  }
}"#,
        ),
        "[servers.playwright]\ncommand = \"npx\"\nargs = [\"-y\", \"@microsoft/mcp-server-playwright\"]\n",
    ),
    (
        ".cursor/mcp.json: cursor.com/docs/context/mcp",
        File(
            ".cursor/mcp.json",
            "\u{feff}{\r\n  \"mcpServers\": {\r\n    \"server-name\": {\r\n      \"command\": \"npx\",\r\n      \"args\": [\"-y\", \"mcp-server\"],\r\n      \"env\": { \"API_KEY\": \"value\" }\r\n    }\r\n  }\r\n}\r\n",
        ),
        "[servers.server-name]\ncommand = \"npx\"\nargs = [\"-y\", \"mcp-server\"]\nenv = { API_KEY = \"${secret:server-name.API_KEY}\" }\n",
    ),
    (
        "the link of Cursor: forum.cursor.com",
        Words(&[
            "cursor://anysphere.cursor-deeplink/mcp/install?name=postgres&config=eyJjb21tYW5kIjoibnB4IiwiYXJncyI6WyIteSIsIkBtb2RlbGNvbnRleHRwcm90b2NvbC9zZXJ2ZXItcG9zdGdyZXMiLCJwb3N0Z3Jlc3FsOi8vbG9jYWxob3N0L215ZGIiXX0%3D",
        ]),
        "[servers.postgres]\ncommand = \"npx\"\nargs = [\"-y\", \"@modelcontextprotocol/server-postgres\", \"postgresql://localhost/mydb\"]\n",
    ),
    (
        "the link of VS Code: github.com/microsoft/playwright-mcp",
        Words(&[
            "https://insiders.vscode.dev/redirect?url=vscode%3Amcp%2Finstall%3F%257B%2522name%2522%253A%2522playwright%2522%252C%2522command%2522%253A%2522npx%2522%252C%2522args%2522%253A%255B%2522%2540playwright%252Fmcp%2540latest%2522%255D%257D",
        ]),
        "[servers.playwright]\ncommand = \"npx\"\nargs = [\"@playwright/mcp@latest\"]\n",
    ),
    (
        "the link of LM Studio",
        Words(&[
            "lmstudio://add_mcp?name=operant-mcp&config=eyJjb21tYW5kIjoibnB4IiwiYXJncyI6WyIteSIsIm9wZXJhbnQtbWNwIl19",
        ]),
        "[servers.operant-mcp]\ncommand = \"npx\"\nargs = [\"-y\", \"operant-mcp\"]\n",
    ),
    (
        "the link of Goose: block.github.io/goose/docs/mcp/fetch-mcp",
        Words(&["goose://extension?cmd=uvx&arg=mcp-server-fetch&id=fetch&name=Fetch"]),
        "[servers.Fetch]\ncommand = \"uvx\"\nargs = [\"mcp-server-fetch\"]\n",
    ),
    (
        "a whole command line in one string, and a name that is not valid here",
        Stdin(&["-"], r#"{"mcpServers": {"My Server.v2": {"command": "npx -y @scope/my-server"}}}"#),
        "[servers.My-Server-v2]\ncommand = \"npx\"\nargs = [\"-y\", \"@scope/my-server\"]\n",
    ),
    (
        "the .mcp.json of a plugin of Claude Code: code.claude.com/docs/en/plugins-reference",
        File(
            "plugin/.mcp.json",
            r#"{
  "plugin-database": {
    "command": "${CLAUDE_PLUGIN_ROOT}/servers/db-server",
    "args": ["--config", "${CLAUDE_PLUGIN_ROOT}/config.json"],
    "env": { "DB_PATH": "${CLAUDE_PLUGIN_ROOT}/data" }
  }
}"#,
        ),
        "[servers.plugin-database]\ncommand = \"PLUGIN/servers/db-server\"\nargs = [\"--config\", \"PLUGIN/config.json\"]\nenv = { DB_PATH = \"PLUGIN/data\" }\n",
    ),
];

#[test]
fn every_kind_of_input_is_taken_as_its_documentation_has_it() {
    for (what, given, expected) in INPUTS {
        let instance = Instance::new("");
        let output = match given {
            Words(words) => add(&instance, &[&["--no-check"], words].concat(), ""),
            Stdin(words, input) => add(&instance, &[&["--no-check"], words].concat(), input),
            File(name, contents) => {
                let path = instance.dir().join(name);
                std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
                std::fs::write(&path, contents).expect("a file");
                add(&instance, &["--no-check", path.to_str().expect("a path")], "")
            }
        };
        assert_eq!(output.status.code(), Some(0), "{what}: {}", text(&output.stderr));
        let written = config(&instance).replacen("[daemon]\nport = 0\n\n", "", 1);
        let plugin = instance.dir().join("plugin").display().to_string();
        assert_eq!(written.replace(&plugin, "PLUGIN"), expected, "{what}");
    }
}
