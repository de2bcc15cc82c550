//! Does this command line look like an MCP server? A guess from names: good enough to show to people, never to end a
//! process.

use exai_daemon::redacted_command::{RedactedCommand, bare_name, file_name};

/// Why it looks like one; `None` if it does not. Only the program and the script that it runs count: a path to a
/// configuration, a folder that is open in an editor or a log that is being read are other arguments.
pub(super) fn looks_like_mcp_server(args: &[String]) -> Option<String> {
    let essence = RedactedCommand::of(args)?;
    let program = bare_name(&essence.program);
    if program == "exai" {
        return None;
    }
    let Some(target) = &essence.target else {
        return is_mcp_word(&program)
            .then(|| format!("its program is called {}", file_name(&essence.program)));
    };
    if target.to_ascii_lowercase().contains("modelcontextprotocol") {
        return Some(format!("it runs {}, of the reference servers", shown(target)));
    }
    if is_mcp_word(file_name(target)) || target.starts_with('@') && is_mcp_word(target) {
        return Some(format!("it runs {}", shown(target)));
    }
    let place = place_of(target).find(|part| is_mcp_word(part))?;
    Some(format!("it runs {} in a folder called {place}", shown(target)))
}

/// A path as its last part, a scoped package whole.
fn shown(target: &str) -> &str {
    if target.starts_with('@') { target } else { file_name(target) }
}

/// The folders of a script, without those that only name their owner.
fn place_of(target: &str) -> impl Iterator<Item = &str> {
    let parts: Vec<&str> = target.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    let of_somebody = |part: &&str| ["home", "Users"].contains(part);
    let skip = parts.iter().position(of_somebody).filter(|at| *at < 2).map_or(0, |at| at + 2);
    let end = parts.len().saturating_sub(1);
    parts.into_iter().take(end).skip(skip)
}

/// Whether one of its words is `mcp`: `mcp-server-git`, `github-mcp`, `my_mcp.py`; not `amcpx`.
fn is_mcp_word(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.any(|word| matches!(word, "mcp" | "fastmcp" | "mcpserver" | "mcpo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_from_what_only_mentions_them() {
        let cases = [
            ("npx|-y|@modelcontextprotocol/server-everything", true),
            ("npm exec @modelcontextprotocol/server-github", true),
            ("node|/home/ann/.npm/_npx/1/node_modules/.bin/mcp-server-filesystem|/home/ann", true),
            ("node|/home/ann/.npm/_npx/1/node_modules/@modelcontextprotocol/server-x/dist/index.js", true),
            ("/home/ann/.local/bin/mcp-server-git|--repository|x", true),
            (r"C:\tools\github-mcp-server.exe|stdio", true),
            ("/usr/bin/python3|/home/ann/.local/bin/mcp-server-fetch", true),
            ("python|-m|mcp_server_time", true),
            ("uvx|mcp-server-sqlite|--db|x", true),
            ("uv|tool|run|some-mcp|x", true),
            ("docker|run|-i|--rm|-e|TOKEN|mcp/github", true),
            ("python3.12|/srv/mcp/github/main.py", true),
            ("node|/opt/my-mcp/build/index.js", true),
            ("npx|-y|@upstash/context7-mcp", true),
            ("fastmcp|run|server.py", true),
            // Command lines that only mention MCP.
            ("exai|shim|--server|mcp", false),
            ("vim|/home/ann/mcp/server.py", false),
            ("tail|-f|mcp.log", false),
            ("claude|--mcp-config|/home/ann/.mcp.json", false),
            ("node|/usr/lib/claude/cli.js|--mcp-config|mcp.json", false),
            ("code|/home/ann/mcp-project", false),
            ("python3|/home/mcp/tool.py", false),
            ("node|server.js", false),
            ("bash|-c|mcp-server-git", false),
            ("git|clone|https://example.com/mcp.git", false),
            ("amcpx", false),
            ("", false),
        ];
        for (line, expected) in cases {
            let args: Vec<String> = line.split('|').map(str::to_owned).collect();
            assert_eq!(looks_like_mcp_server(&args).is_some(), expected, "{line}");
        }
        assert_eq!(looks_like_mcp_server(&[]), None);
    }

    #[test]
    fn the_reason_shows_no_argument() {
        let args = ["npx", "-y", "@acme/mcp-server", "--token", "s3cret"].map(str::to_owned);
        assert_eq!(looks_like_mcp_server(&args).as_deref(), Some("it runs @acme/mcp-server"));
    }
}
