//! Blocks as the READMEs of well-known servers have them.

/// (What it is, the text as its README has it, the servers in it.)
pub(super) const READMES: [(&str, &str, &[&str]); 14] = [
    (
        "https://github.com/modelcontextprotocol/servers/tree/main/src/filesystem",
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
        &[
            "filesystem: npx|-y|@modelcontextprotocol/server-filesystem|/Users/username/Desktop|/path/to/other/allowed/dir",
        ],
    ),
    (
        "https://github.com/modelcontextprotocol/servers/tree/main/src/time, the block without outer braces",
        r#""mcpServers": {
  "time": {
    "command": "uvx",
    "args": ["mcp-server-time"]
  }
}"#,
        &["time: uvx|mcp-server-time"],
    ),
    (
        "https://github.com/modelcontextprotocol/servers/tree/main/src/fetch, with docker",
        r#"{
  "mcpServers": {
    "fetch": {
      "command": "docker",
      "args": ["run", "-i", "--rm", "mcp/fetch"]
    }
  }
}"#,
        &["fetch: docker|run|-i|--rm|mcp/fetch"],
    ),
    (
        "https://github.com/modelcontextprotocol/servers/tree/main/src/memory",
        r#"```json
{
  "mcpServers": {
    "memory": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-memory"],
      "env": { "MEMORY_FILE_PATH": "/path/to/custom/memory.jsonl" }
    }
  }
}
```
"#,
        &["memory: npx|-y|@modelcontextprotocol/server-memory MEMORY_FILE_PATH=/path/to/custom/memory.jsonl"],
    ),
    (
        "https://github.com/microsoft/playwright-mcp",
        "Install the server with your client:\n\n```js\n{\n  \"mcpServers\": {\n    \"playwright\": {\n      \"command\": \"npx\",\n      \
         \"args\": [\n        \"@playwright/mcp@latest\"\n      ]\n    }\n  }\n}\n```\n\nThen restart it.",
        &["playwright: npx|@playwright/mcp@latest"],
    ),
    (
        "https://github.com/upstash/context7, Cursor",
        r#"{
  "mcpServers": {
    "context7": {
      "url": "https://mcp.context7.com/mcp",
      "headers": {
        "CONTEXT7_API_KEY": "YOUR_API_KEY"
      }
    }
  }
}"#,
        &["context7: https://mcp.context7.com/mcp CONTEXT7_API_KEY: YOUR_API_KEY"],
    ),
    (
        "https://github.com/upstash/context7, opencode",
        r#""mcp": {
  "context7": {
    "type": "local",
    "command": ["npx", "-y", "@upstash/context7-mcp", "--api-key", "{env:CONTEXT7_API_KEY}"],
    "environment": { "DEFAULT_MINIMUM_TOKENS": 10000 },
    "enabled": true
  }
}"#,
        &[
            "context7: npx|-y|@upstash/context7-mcp|--api-key|${env:CONTEXT7_API_KEY} DEFAULT_MINIMUM_TOKENS=10000",
        ],
    ),
    (
        "https://github.com/upstash/context7, Codex",
        "[mcp_servers.context7]\nargs = [\"-y\", \"@upstash/context7-mcp\"]\ncommand = \"npx\"\nstartup_timeout_ms = 20_000\n",
        &["context7: npx|-y|@upstash/context7-mcp"],
    ),
    (
        "https://github.com/upstash/context7, Gemini CLI",
        r#"{
  "mcpServers": {
    "context7": {
      "httpUrl": "https://mcp.context7.com/mcp",
      "headers": { "Accept": "application/json, text/event-stream" }
    }
  }
}"#,
        &["context7: https://mcp.context7.com/mcp Accept: application/json, text/event-stream"],
    ),
    (
        "https://github.com/upstash/context7, Windsurf",
        r#"{ "mcpServers": { "context7": { "serverUrl": "https://mcp.context7.com/mcp", }, }, }"#,
        &["context7: https://mcp.context7.com/mcp"],
    ),
    (
        "https://github.com/getsentry/sentry-mcp",
        r#"{
  "mcpServers": {
    "sentry": {
      "command": "npx",
      "args": ["@sentry/mcp-server@latest", "--access-token=${SENTRY_ACCESS_TOKEN}"],
      "env": { "SENTRY_HOST": null }
    }
  }
}"#,
        &["sentry: npx|@sentry/mcp-server@latest|--access-token=${env:SENTRY_ACCESS_TOKEN}"],
    ),
    (
        "https://github.com/makenotion/notion-mcp-server",
        r#"{
  "mcpServers": {
    "notionApi": {
      "command": "npx",
      "args": ["-y", "@notionhq/notion-mcp-server"],
      "env": {
        "OPENAPI_MCP_HEADERS": "{\"Authorization\": \"Bearer ntn_****\", \"Notion-Version\": \"2022-06-28\" }"
      }
    }
  }
}"#,
        &["notionApi: npx|-y|@notionhq/notion-mcp-server \
           OPENAPI_MCP_HEADERS={\"Authorization\": \"Bearer ntn_****\", \"Notion-Version\": \"2022-06-28\" }"],
    ),
    (
        "https://github.com/brave/brave-search-mcp-server, one entry of the map",
        r#""brave-search": {
  "command": "npx",
  "args": ["-y", "@brave/brave-search-mcp-server", "--transport", "stdio"],
  "env": { "BRAVE_API_KEY": "YOUR_API_KEY_HERE" }
},"#,
        &[
            "brave-search: npx|-y|@brave/brave-search-mcp-server|--transport|stdio BRAVE_API_KEY=YOUR_API_KEY_HERE",
        ],
    ),
    (
        "https://github.com/zed-industries/zed, docs/src/ai/mcp.md",
        r#"// Zed
{
  "context_servers": {
    "local-mcp-server": { "command": "some-command", "args": ["arg-1", "arg-2"], "env": {} },
    /* a URL */
    "remote-mcp-server": { "url": "custom", "headers": { "Authorization": "Bearer <token>" } },
    "before-2025": { "source": "custom", "command": { "path": "node", "args": ["x.js"], "env": { "A": "1" } } },
    "an-extension": { "settings": {} }
  }
}"#,
        &[
            "local-mcp-server: some-command|arg-1|arg-2",
            "remote-mcp-server: custom Authorization: Bearer <token>",
            "before-2025: node|x.js A=1",
        ],
    ),
];
