//! Servers of clients that are only a bridge to a server elsewhere, which exai reaches itself.

use exai_setup::Transport;

/// The URL to which an entry that runs the npm package mcp-remote leads.
pub(super) fn find_url_of_mcp_remote(transport: &Transport) -> Option<&str> {
    let Transport::Stdio { command, args, .. } = transport else { return None };
    let words = std::iter::once(command).chain(args).map(String::as_str);
    let mut behind = words.skip_while(|word| !is_mcp_remote(word)).skip(1);
    behind.find(|word| word.starts_with("https://") || word.starts_with("http://"))
}

/// Whether a word is the package or the program: `mcp-remote`, `mcp-remote@latest`, or a path that ends so.
fn is_mcp_remote(word: &str) -> bool {
    let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name.strip_suffix(".cmd").unwrap_or(name);
    name.split('@').next() == Some("mcp-remote")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_run_mcp_remote_are_known_by_their_words() {
        let url = "https://mcp.linear.app/sse";
        for (line, expected) in [
            (format!("npx mcp-remote {url}"), Some(url)),
            (format!("npx -y mcp-remote@latest {url} 3334"), Some(url)),
            (format!("npx -p mcp-remote@0.1.43 mcp-remote --debug {url} --header A:b"), Some(url)),
            (format!("/opt/node/bin/mcp-remote {url}"), Some(url)),
            (format!("bunx --bun mcp-remote {url}"), Some(url)),
            (format!("npx mcp-remote-other {url}"), None),
            (format!("npx proxy {url} mcp-remote"), None),
            ("npx mcp-remote".to_owned(), None),
        ] {
            let mut words = line.split(' ').map(str::to_owned);
            let command = words.next().unwrap();
            let args = words.collect();
            let transport = Transport::Stdio { command, args, env: Vec::new(), cwd: None, env_file: None };
            assert_eq!(find_url_of_mcp_remote(&transport), expected, "{line}");
        }
    }
}
