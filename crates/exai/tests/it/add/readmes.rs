//! The lines and blocks of well-known servers' own READMEs, and what becomes of them.

use super::{add, config};
use crate::support::{Instance, text};

/// How a README has its server added.
enum Line {
    /// The words behind `claude mcp add`, or behind the like of another client.
    Command(&'static [&'static str]),
    /// A block to paste.
    Block(&'static str),
}

use Line::{Block, Command};

/// The server, its README, and the line in it.
const READMES: [(&str, &str, Line); 11] = [
    (
        "playwright",
        "github.com/microsoft/playwright-mcp",
        Command(&["playwright", "npx", "@playwright/mcp@latest"]),
    ),
    (
        "chrome-devtools",
        "github.com/ChromeDevTools/chrome-devtools-mcp",
        Block(
            r#"{
  "mcpServers": {
    "chrome-devtools": {
      "command": "npx",
      "args": ["-y", "chrome-devtools-mcp@latest"]
    }
  }
}"#,
        ),
    ),
    (
        "notion",
        "github.com/makenotion/notion-mcp-server",
        Block(
            r#"{
  "mcpServers": {
    "notionApi": {
      "command": "npx",
      "args": ["-y", "@notionhq/notion-mcp-server"],
      "env": {
        "NOTION_TOKEN": "ntn_****"
      }
    }
  }
}"#,
        ),
    ),
    (
        "kubernetes",
        "github.com/Flux159/mcp-server-kubernetes",
        Block(
            r#"{
  "mcpServers": {
    "kubernetes": {
      "command": "npx",
      "args": ["mcp-server-kubernetes"]
    }
  }
}"#,
        ),
    ),
    (
        "filesystem",
        "github.com/modelcontextprotocol/servers, src/filesystem",
        Block(
            r#"{
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": [
        "-y",
        "@modelcontextprotocol/server-filesystem",
        "/Users/username/Desktop",
        "/path/to/other/allowed/dir"
      ]
    }
  }
}"#,
        ),
    ),
    (
        "memory",
        "github.com/modelcontextprotocol/servers, src/memory, for VS Code",
        Block(
            r#"{
  "servers": {
    "memory": {
      "command": "npx",
      "args": [
        "-y",
        "@modelcontextprotocol/server-memory"
      ]
    }
  }
}"#,
        ),
    ),
    (
        "everything",
        "github.com/modelcontextprotocol/servers, src/everything",
        Block(
            r#"{
  "mcpServers": {
    "everything": {
      "command": "npx",
      "args": [
        "-y",
        "@modelcontextprotocol/server-everything"
      ]
    }
  }
}"#,
        ),
    ),
    (
        "context7",
        "github.com/upstash/context7, the line for Claude Code",
        Command(&["context7", "--", "npx", "-y", "@upstash/context7-mcp", "--api-key", "YOUR_API_KEY"]),
    ),
    (
        "sequential-thinking",
        "github.com/modelcontextprotocol/servers, src/sequentialthinking",
        Block(
            r#"{
  "mcpServers": {
    "sequential-thinking": {
      "command": "npx",
      "args": [
        "-y",
        "@modelcontextprotocol/server-sequential-thinking"
      ]
    }
  }
}"#,
        ),
    ),
    (
        "time",
        "github.com/modelcontextprotocol/servers, src/time, without outer braces",
        Block(
            r#""mcpServers": {
  "time": {
    "command": "uvx",
    "args": ["mcp-server-time"]
  }
}"#,
        ),
    ),
    (
        "fetch",
        "github.com/modelcontextprotocol/servers, src/fetch, the link for Goose",
        Command(&[
            "goose://extension?cmd=uvx&arg=mcp-server-fetch&id=fetch&name=Fetch&description=Web%20content%20fetching%20and%20processing%20capabilities",
        ]),
    ),
];

const CONFIGURATION: &str = r#"[daemon]
port = 0

[servers.playwright]
command = "npx"
args = ["@playwright/mcp@latest"]

[servers.chrome-devtools]
command = "npx"
args = ["-y", "chrome-devtools-mcp@latest"]

[servers.notionApi]
command = "npx"
args = ["-y", "@notionhq/notion-mcp-server"]
env = { NOTION_TOKEN = "${secret:notionApi.NOTION_TOKEN}" }

[servers.kubernetes]
command = "npx"
args = ["mcp-server-kubernetes"]

[servers.filesystem]
command = "npx"
args = ["-y", "@modelcontextprotocol/server-filesystem", "/Users/username/Desktop", "/path/to/other/allowed/dir"]

[servers.memory]
command = "npx"
args = ["-y", "@modelcontextprotocol/server-memory"]

[servers.everything]
command = "npx"
args = ["-y", "@modelcontextprotocol/server-everything"]

[servers.context7]
command = "npx"
args = ["-y", "@upstash/context7-mcp", "--api-key", "YOUR_API_KEY"]

[servers.sequential-thinking]
command = "npx"
args = ["-y", "@modelcontextprotocol/server-sequential-thinking"]

[servers.time]
command = "uvx"
args = ["mcp-server-time"]

[servers.Fetch]
command = "uvx"
args = ["mcp-server-fetch"]
"#;

#[test]
fn the_eleven_servers_are_added_by_the_line_of_their_own_readme() {
    let instance = Instance::new("");
    for (server, readme, line) in READMES {
        let output = match line {
            Command(words) => add(&instance, &[&["--no-check"], words].concat(), ""),
            Block(block) => add(&instance, &["--no-check", "-"], block),
        };
        assert_eq!(output.status.code(), Some(0), "{server}, {readme}: {}", text(&output.stderr));
    }
    assert_eq!(config(&instance), CONFIGURATION);
}
