//! Files as they are found in the wild. Most are the examples of the client's own documentation, with the comments and the
//! commas that people leave in them.

use std::time::Duration;

use crate::{ServerEntry, Transport};

pub(super) struct Sample {
    pub(super) client: &'static str,
    /// The number of the file among the files of the client.
    pub(super) file: usize,
    pub(super) text: &'static str,
    pub(super) servers: fn() -> Vec<ServerEntry>,
    /// The names of the entries that are no servers.
    pub(super) unread: &'static [&'static str],
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn stdio(name: &str, command: &str, args: &[&str], env: &[(&str, &str)]) -> ServerEntry {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    let command = command.to_owned();
    ServerEntry::new(name, Transport::Stdio { command, args, env: pairs(env), cwd: None, env_file: None })
}

fn in_directory(mut entry: ServerEntry, directory: Option<&str>, file: Option<&str>) -> ServerEntry {
    if let Transport::Stdio { cwd, env_file, .. } = &mut entry.transport {
        *cwd = directory.map(str::to_owned);
        *env_file = file.map(str::to_owned);
    }
    entry
}

fn url(name: &str, url: &str, headers: &[(&str, &str)]) -> ServerEntry {
    ServerEntry::new(name, Transport::Url { url: url.to_owned(), headers: pairs(headers) })
}

fn disabled(entry: ServerEntry) -> ServerEntry {
    ServerEntry { disabled: true, ..entry }
}

fn timed(entry: ServerEntry, start: Option<u64>, call: Option<u64>) -> ServerEntry {
    let milliseconds = |time: Option<u64>| time.map(Duration::from_millis);
    ServerEntry { start_timeout: milliseconds(start), call_timeout: milliseconds(call), ..entry }
}

fn tools(mut entry: ServerEntry, allow: &[&str], deny: &[&str]) -> ServerEntry {
    entry.tools.allow = allow.iter().map(|tool| (*tool).to_owned()).collect();
    entry.tools.deny = deny.iter().map(|tool| (*tool).to_owned()).collect();
    entry
}

fn secret(mut entry: ServerEntry, names: &[&str]) -> ServerEntry {
    entry.secrets = names.iter().map(|name| (*name).to_owned()).collect();
    entry
}

pub(super) const SAMPLES: &[Sample] = &[
    Sample {
        client: "claude-desktop",
        file: 1,
        text: r#"{
    "globalShortcut": "Ctrl+Space",
    "mcpServers": {
        "filesystem": {
            "command": "npx",
            "args": ["-y", "@modelcontextprotocol/server-filesystem", "C:\\Users\\me\\Desktop"]
        },
        "gh": {"command": "docker", "args": ["run", "-i"], "env": {"TOKEN": "${TOKEN}", "PORT": 8080}}
    },
    "preferences": {"menuBarEnabled": false}
}"#,
        servers: || {
            vec![
                stdio(
                    "filesystem",
                    "npx",
                    &["-y", "@modelcontextprotocol/server-filesystem", r"C:\Users\me\Desktop"],
                    &[],
                ),
                stdio("gh", "docker", &["run", "-i"], &[("TOKEN", "${TOKEN}"), ("PORT", "8080")]),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "lm-studio",
        file: 0,
        text: "{\n  \"mcpServers\": {\n    \"hf-mcp-server\": {\n      \"url\": \"https://huggingface.co/mcp\",\n      \"headers\": {\n        \"Authorization\": \"Bearer <YOUR_HF_TOKEN>\"\n      }\n    }\n  }\n}",
        servers: || {
            vec![url(
                "hf-mcp-server",
                "https://huggingface.co/mcp",
                &[("Authorization", "Bearer <YOUR_HF_TOKEN>")],
            )]
        },
        unread: &[],
    },
    Sample {
        client: "cursor",
        file: 0,
        text: r#"{
	"mcpServers": {
		// my own
		"my server": {
			"type": "stdio",
			"command": "python",
			"args": ["${workspaceFolder}/mcp-server.py"],
			"env": {"API_KEY": "${env:API_KEY}"},
			"envFile": ".env",
		},
		"remote": {"url": "http://localhost:3000/mcp", "headers": {"API_KEY": "Bearer ${env:T}"}},
	},
}
"#,
        servers: || {
            let own = stdio(
                "my server",
                "python",
                &["${workspaceFolder}/mcp-server.py"],
                &[("API_KEY", "${env:API_KEY}")],
            );
            vec![
                in_directory(own, None, Some(".env")),
                url("remote", "http://localhost:3000/mcp", &[("API_KEY", "Bearer ${env:T}")]),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "vscode",
        file: 0,
        text: r#"{
  "inputs": [
    { "type": "promptString", "id": "perplexity-key", "description": "Key", "password": true },
    { "type": "promptString", "id": "region", "description": "Region" }
  ],
  "servers": {
    // https://github.com/ppl-ai/modelcontextprotocol/
    "perplexity": {
      "type": "stdio",
      "command": "npx",
      "args": ["-y", "server-perplexity-ask"],
      "env": { "KEY": "${input:perplexity-key}", "REGION": "${input:region}" },
      "cwd": "${workspaceFolder}"
    },
    /* remote */
    "gh": { "type": "http", "url": "https://api.githubcopilot.com/mcp", },
  }
}
"#,
        servers: || {
            let ask = stdio(
                "perplexity",
                "npx",
                &["-y", "server-perplexity-ask"],
                &[("KEY", "${input:perplexity-key}"), ("REGION", "${input:region}")],
            );
            vec![
                secret(in_directory(ask, Some("${workspaceFolder}"), None), &["KEY"]),
                url("gh", "https://api.githubcopilot.com/mcp", &[]),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "windsurf",
        file: 0,
        text: r#"{
  "mcpServers": {
    "remote-http-mcp": {
      "serverUrl": "https://example.com/mcp",
      "headers": { "API_KEY": "Bearer ${env:AUTH_TOKEN}" }
    },
    "github": { "command": "npx", "args": ["-y", "gh"], "disabled": true, "disabledTools": ["delete_repo"] }
  }
}"#,
        servers: || {
            vec![
                url("remote-http-mcp", "https://example.com/mcp", &[("API_KEY", "Bearer ${env:AUTH_TOKEN}")]),
                disabled(tools(stdio("github", "npx", &["-y", "gh"], &[]), &[], &["delete_repo"])),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "antigravity",
        file: 0,
        text: "{\n  \"mcpServers\": {\n    \"a\": {\n      \"serverUrl\": \"https://example.com/mcp\"\n    },\n    \"nothing\": {}\n  }\n}\n",
        servers: || vec![url("a", "https://example.com/mcp", &[])],
        unread: &["nothing"],
    },
    Sample {
        client: "zed",
        file: 0,
        text: r#"// Zed settings
//
// For information on how to configure Zed, see the Zed
// documentation: https://zed.dev/docs/configuring-zed
{
  "ui_font_size": 16,
  "context_servers": {
    "local": {
      "enabled": false,
      "command": "some-command",
      "args": ["arg-1"],
      "env": {},
      "timeout": 120,
    },
    // written by an older Zed
    "old": { "source": "custom", "command": { "path": "npx", "args": ["-y", "x"], "env": { "A": "b" } } },
    "from-extension": { "source": "extension", "settings": {} },
  },
  "theme": { "mode": "system" },
}
"#,
        servers: || {
            vec![
                timed(disabled(stdio("local", "some-command", &["arg-1"], &[])), None, Some(120_000)),
                stdio("old", "npx", &["-y", "x"], &[("A", "b")]),
            ]
        },
        unread: &["from-extension"],
    },
    Sample {
        client: "augment",
        file: 0,
        text: r#"[{"type":"stdio","name":"Context 7","command":"npx -y @upstash/context7-mcp@latest","arguments":"","useShellInterpolation":true,"id":"2c8e1e1a-7d2b-4e0c-9b1c-3f4d5e6a7b8c","tools":[],"disabled":false},{"type":"http","name":"remote","url":"https://example.com/mcp","id":"1"},{"type":"stdio","name":"off","command":"C:\\a b\\x.exe","args":["1"],"env":{"A":"b"},"disabled":true}]"#,
        servers: || {
            vec![
                stdio("Context 7", "npx", &["-y", "@upstash/context7-mcp@latest"], &[]),
                url("remote", "https://example.com/mcp", &[]),
                disabled(stdio("off", r"C:\a b\x.exe", &["1"], &[("A", "b")])),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "augment",
        file: 2,
        text: r#"{
    "editor.fontSize": 14, // mine
    "augment.advanced": {
        "mcpServers": [
            {
                "name": "sqlite",
                "command": "uvx",
                "args": ["mcp-server-sqlite", "--db-path", "/path/to/test.db"]
            }
        ]
    },
    "files.eol": "\n",
}
"#,
        servers: || {
            vec![stdio("sqlite", "uvx", &["mcp-server-sqlite", "--db-path", "/path/to/test.db"], &[])]
        },
        unread: &[],
    },
    Sample {
        client: "cline",
        file: 0,
        text: r#"{
  "mcpServers": {
    "time": {
      "autoApprove": ["get_current_time"],
      "disabled": false,
      "timeout": 30,
      "type": "stdio",
      "command": "uvx",
      "args": ["mcp-server-time"],
      "env": {}
    },
    "linear": { "type": "streamableHttp", "url": "https://mcp.linear.app/mcp", "disabled": true }
  }
}"#,
        servers: || {
            vec![
                timed(stdio("time", "uvx", &["mcp-server-time"], &[]), None, Some(30_000)),
                disabled(url("linear", "https://mcp.linear.app/mcp", &[])),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "roo",
        file: 0,
        text: r#"{
  "mcpServers": {
    "server1": {
      "command": "python",
      "args": ["/path/to/server.py", "--key", "${env:KEY}"],
      "env": { "API_KEY": "your_api_key" },
      "cwd": "/srv",
      "alwaysAllow": ["tool1"],
      "disabledTools": ["tool3"],
      "timeout": 300
    }
  }
}
"#,
        servers: || {
            let server = stdio(
                "server1",
                "python",
                &["/path/to/server.py", "--key", "${env:KEY}"],
                &[("API_KEY", "your_api_key")],
            );
            vec![timed(tools(in_directory(server, Some("/srv"), None), &[], &["tool3"]), None, Some(300_000))]
        },
        unread: &[],
    },
    Sample {
        client: "claude-code",
        file: 0,
        text: CLAUDE_CODE,
        servers: || {
            vec![
                timed(
                    stdio(
                        "airtable",
                        "npx",
                        &["-y", "airtable"],
                        &[("KEY", "${env:AIRTABLE_KEY}"), ("R", "${R:-eu}")],
                    ),
                    None,
                    Some(600_000),
                ),
                url("ws", "wss://example.com/mcp", &[("Authorization", "Bearer ${env:T}")]),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "claude-code",
        file: 1,
        text: CLAUDE_CODE,
        servers: || vec![stdio("local", "./run", &[], &[])],
        unread: &[],
    },
    Sample {
        client: "codex",
        file: 0,
        text: r#"# Codex
model = "gpt-5"
approval_policy = "on-request" # ask

[mcp_servers.docs]
command = "npx"
args = [
    "-y", # yes
    "docs-server",
]
env_vars = ["DOCS_TOKEN"]
startup_timeout_sec = 20
tool_timeout_sec = 45.5
enabled_tools = ["search"]
enabled = false

[mcp_servers.docs.env]
A = 'C:\x'

[mcp_servers.docs.tools.search]
approval_mode = "approve"

[mcp_servers.figma]
url = "https://mcp.figma.com/mcp"
bearer_token_env_var = "FIGMA_TOKEN"
http_headers = { "X-Region" = "us-east-1" }
env_http_headers = { "X-Key" = "FIGMA_KEY" }

[projects."/home/me/a"]
trust_level = "trusted"

# [mcp_servers.later]
# command = "later""#,
        servers: || {
            let docs = stdio(
                "docs",
                "npx",
                &["-y", "docs-server"],
                &[("A", r"C:\x"), ("DOCS_TOKEN", "${env:DOCS_TOKEN}")],
            );
            vec![
                disabled(timed(tools(docs, &["search"], &[]), Some(20_000), Some(45_500))),
                url(
                    "figma",
                    "https://mcp.figma.com/mcp",
                    &[
                        ("X-Region", "us-east-1"),
                        ("X-Key", "${env:FIGMA_KEY}"),
                        ("Authorization", "Bearer ${env:FIGMA_TOKEN}"),
                    ],
                ),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "gemini-cli",
        file: 0,
        text: r#"{
  "theme": "GitHub",
  // servers
  "mcpServers": {
    "pythonTools": {
      "command": "python",
      "args": ["-m", "my_mcp_server"],
      "cwd": "./mcp-servers/python",
      "env": { "DATABASE_URL": "$DB_CONNECTION_STRING", "API_KEY": "${EXTERNAL_API_KEY}" },
      "timeout": 15000,
      "includeTools": ["safe_tool"],
      "excludeTools": ["dangerous_tool"],
      "trust": true
    },
    "http": { "httpUrl": "http://localhost:3000/mcp" }
  }
}
"#,
        servers: || {
            let python = stdio(
                "pythonTools",
                "python",
                &["-m", "my_mcp_server"],
                &[("DATABASE_URL", "${env:DB_CONNECTION_STRING}"), ("API_KEY", "${env:EXTERNAL_API_KEY}")],
            );
            let python = in_directory(python, Some("./mcp-servers/python"), None);
            vec![
                timed(tools(python, &["safe_tool"], &["dangerous_tool"]), None, Some(15_000)),
                url("http", "http://localhost:3000/mcp", &[]),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "qwen-code",
        file: 0,
        text: "{\n  \"$version\": 2, /* settings */\n  \"mcpServers\": {\n    \"a\": { \"command\": \"a\", \"args\": [\"$HOME/x\"], \"timeout\": 500 }\n  }\n}\n",
        servers: || vec![timed(stdio("a", "a", &["${env:HOME}/x"], &[]), None, Some(500))],
        unread: &[],
    },
    Sample {
        client: "auggie",
        file: 0,
        text: "{\n  \"mcpServers\": {\n    \"ctx\": {\n      \"type\": \"stdio\",\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"ctx\"],\n      \"env\": {\"K\": \"${K}\"}\n    },\n    \"odd\": 1\n  },\n  \"indexingAllowDirs\": [\"/home/me\"]\n}\n",
        servers: || vec![stdio("ctx", "npx", &["-y", "ctx"], &[("K", "${env:K}")])],
        unread: &["odd"],
    },
    Sample {
        client: "copilot-cli",
        file: 0,
        text: "{\n  \"mcpServers\": {\n    \"pw\": {\n      \"tools\": [\"*\"],\n      \"type\": \"local\",\n      \"command\": \"npx\",\n      \"args\": [\"pw@latest\"]\n    },\n    \"one\": {\"type\": \"http\", \"url\": \"https://a.b/mcp\", \"tools\": [\"x\"]}\n  }\n}\n",
        servers: || {
            vec![
                stdio("pw", "npx", &["pw@latest"], &[]),
                tools(url("one", "https://a.b/mcp", &[]), &["x"], &[]),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "opencode",
        file: 0,
        text: r#"{
  "$schema": "https://opencode.ai/config.json",
  "mcp": {
    "my-local-mcp-server": {
      "type": "local",
      // Or ["bun", "x", "my-mcp-command"]
      "command": ["npx", "-y", "my-mcp-command"],
      "enabled": true,
      "environment": {
        "MY_ENV_VAR": "{env:MY_VAR}",
      },
      "timeout": 5000,
    },
    "remote": { "type": "remote", "url": "https://my-mcp-server.com", "enabled": false, "headers": {} },
    "next": { "type": "local", "command": ["a"], "timeout": { "startup": 1000, "request": 2000 } },
  },
}
"#,
        servers: || {
            let local = stdio(
                "my-local-mcp-server",
                "npx",
                &["-y", "my-mcp-command"],
                &[("MY_ENV_VAR", "${env:MY_VAR}")],
            );
            vec![
                timed(local, Some(5000), None),
                disabled(url("remote", "https://my-mcp-server.com", &[])),
                timed(stdio("next", "a", &[], &[]), Some(1000), Some(2000)),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "amp",
        file: 0,
        text: "{\n  \"amp.notifications.enabled\": true,\n  \"amp.mcpServers\": {\n    // browser\n    \"playwright\": {\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"@playwright/mcp@latest\"],\n      \"includeTools\": [\"navigate_*\"]\n    },\n    \"semgrep\": { \"url\": \"https://mcp.semgrep.ai/mcp\", \"headers\": { \"T\": \"${SEMGREP}\" } }\n  }\n}\n",
        servers: || {
            let playwright = stdio("playwright", "npx", &["-y", "@playwright/mcp@latest"], &[]);
            vec![
                tools(playwright, &["navigate_*"], &[]),
                url("semgrep", "https://mcp.semgrep.ai/mcp", &[("T", "${env:SEMGREP}")]),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "continue",
        file: 0,
        text: r"name: Local Config
version: 1.0.0
schema: v1
mcpServers:
  # mine
  - name: SQLite MCP
    command: npx
    args:
      - -y
      - mcp-sqlite
      - 8080
    env:
      KEY: ${{ secrets.KEY }}
    connectionTimeout: 20000
  - name: remote
    type: streamable-http
    url: https://example.com/mcp
    requestOptions:
      headers:
        Authorization: Bearer x
",
        servers: || {
            vec![
                timed(
                    stdio(
                        "SQLite MCP",
                        "npx",
                        &["-y", "mcp-sqlite", "8080"],
                        &[("KEY", "${{ secrets.KEY }}")],
                    ),
                    Some(20_000),
                    None,
                ),
                url("remote", "https://example.com/mcp", &[("Authorization", "Bearer x")]),
            ]
        },
        unread: &[],
    },
    Sample {
        client: "goose",
        file: 0,
        text: r"GOOSE_PROVIDER: anthropic
extensions:
  developer:
    bundled: true
    enabled: true
    name: developer
    timeout: 300
    type: builtin
  github:
    name: GitHub
    cmd: npx
    args: [-y, '@modelcontextprotocol/server-github']
    enabled: false
    envs: { A: 'b' }
    env_keys:
      - GITHUB_TOKEN
    available_tools: []
    type: stdio
    timeout: 60
  remote:
    enabled: true
    type: streamable_http
    uri: https://example.com/mcp
",
        servers: || {
            let github =
                stdio("github", "npx", &["-y", "@modelcontextprotocol/server-github"], &[("A", "b")]);
            vec![
                secret(timed(disabled(github), None, Some(60_000)), &["GITHUB_TOKEN"]),
                url("remote", "https://example.com/mcp", &[]),
            ]
        },
        unread: &["developer"],
    },
];

const CLAUDE_CODE: &str = r#"{
  "numStartups": 184,
  "mcpServers": {
    "airtable": {
      "type": "stdio",
      "command": "npx",
      "args": ["-y", "airtable"],
      "env": {
        "KEY": "${AIRTABLE_KEY}",
        "R": "${R:-eu}"
      },
      "timeout": 600000
    },
    "ws": {
      "type": "ws",
      "url": "wss://example.com/mcp",
      "headers": {
        "Authorization": "Bearer ${T}"
      }
    }
  },
  "projects": {
    "/home/me/a": {
      "allowedTools": [],
      "mcpServers": {
        "local": {
          "command": "./run"
        }
      }
    },
    "/home/me/b": {
      "mcpServers": {}
    },
    "/home/me/c": {}
  },
  "userID": "0"
}"#;
