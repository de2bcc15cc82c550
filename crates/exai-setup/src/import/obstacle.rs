//! Why exai cannot host a server that a client has.

use crate::variables::{Piece, split};
use crate::{ServerEntry, Transport};

/// Why a server stays where it is. As a text it is a clause: "it is switched off there".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The client does not use it.
    #[error("it is switched off there")]
    SwitchedOff,
    /// It belongs to one project.
    #[error("it belongs to the project {0} alone")]
    OneProject(String),
    /// A text of it means something else in each project.
    #[error("it uses {0}, which differs from project to project")]
    PerProject(String),
    /// The client asks for a value when it starts the server.
    #[error("the client asks for `{0}` when it starts it; `exai add` can ask once")]
    Asks(String),
    /// A text of it has a reference that only the client understands.
    #[error("it uses {0}, which only the client understands")]
    UnknownReference(String),
    /// A path of it is relative to wherever the client was started.
    #[error("its path `{0}` is relative to the directory in which the client was started")]
    RelativePath(String),
}

/// Names in `${…}` that stand for something of the project that is open in an editor.
const OF_PROJECTS: [&str; 6] =
    ["workspaceFolder", "workspaceFolderBasename", "workspaceRoot", "cwd", "file", "CLAUDE_PROJECT_DIR"];

/// Finds what keeps exai from hosting a server. The first thing that is found counts.
pub fn find_obstacle(entry: &ServerEntry) -> Option<Obstacle> {
    if entry.disabled {
        return Some(Obstacle::SwitchedOff);
    }
    let reference = entry.transport.texts().flat_map(split).find_map(|piece| match piece {
        Piece::Plain(_) | Piece::BraceEnvironment(_) => None,
        Piece::BraceFile(_) => Some(Obstacle::UnknownReference("{file:…}".to_owned())),
        Piece::Dollar(inside) => judge(inside),
    });
    reference.or_else(|| find_relative_path(entry).map(Obstacle::RelativePath))
}

/// Judges the inside of `${…}`. A default value in it may be a secret, and is not quoted.
fn judge(inside: &str) -> Option<Obstacle> {
    let (kind, name) = inside.split_once(':').unwrap_or((inside, ""));
    match kind {
        "env" | "secret" if !name.is_empty() => None,
        "input" => Some(Obstacle::Asks(name.to_owned())),
        _ if OF_PROJECTS.contains(&kind) => Some(Obstacle::PerProject(format!("${{{kind}}}"))),
        _ if name.is_empty() => Some(Obstacle::UnknownReference(format!("${{{kind}}}"))),
        _ => Some(Obstacle::UnknownReference(format!("${{{kind}:…}}"))),
    }
}

/// A program, working directory or file of variables with a relative path.
fn find_relative_path(entry: &ServerEntry) -> Option<String> {
    let Transport::Stdio { command, args, cwd, env_file, .. } = &entry.transport else { return None };
    let is_dotted = |text: &&String| {
        let rest = text.strip_prefix("..").or_else(|| text.strip_prefix('.'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '\\']))
    };
    // With an absolute working directory a relative argument means the same everywhere.
    let in_a_place = cwd.as_ref().is_some_and(|cwd| is_anchored(cwd));
    let has_path = |text: &&String| text.contains(['/', '\\']) && !is_anchored(text);
    let program = Some(command).filter(has_path).filter(|_| !in_a_place);
    let argument = args.iter().find(is_dotted).filter(|_| !in_a_place);
    let directory = cwd.as_ref().into_iter().chain(env_file).find(|path| !is_anchored(path));
    program.or(argument).or(directory).cloned()
}

/// Whether a path means the same in every directory: `/x`, `C:\x`, `\\x`, `~/x`, `$HOME/x`, `${env:X}/y`.
fn is_anchored(path: &str) -> bool {
    let drive = path.as_bytes();
    path.starts_with(['/', '\\', '~', '$'])
        || (drive.len() > 2 && drive[0].is_ascii_alphabetic() && drive[1] == b':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::find_client;
    use crate::format::Format;

    /// The obstacle that Cursor's entry meets.
    fn obstacle(json: &str) -> Option<String> {
        let client = find_client("cursor").unwrap();
        let value = Format::Jsonc.parse(json).unwrap().unwrap();
        let entry = crate::client::read_entry("x", &value, &client.rules).unwrap();
        find_obstacle(&entry).map(|obstacle| obstacle.to_string())
    }

    #[test]
    fn what_means_the_same_everywhere_has_no_obstacle() {
        for json in [
            r#"{"command": "npx", "args": ["-y", "@scope/server", "/data"]}"#,
            r#"{"command": "uvx", "args": ["x"], "env": {"A": "${env:A}", "B": "pa$$word"}}"#,
            r#"{"command": "~/bin/server", "cwd": "~/notes"}"#,
            r#"{"command": "C:\\tools\\x.exe", "args": [".hidden", "..."]}"#,
            r#"{"command": "./run", "args": ["./x"], "cwd": "/srv/app"}"#,
            r#"{"url": "http://127.0.0.1:8080/mcp"}"#,
            r#"{"url": "https://example.com/mcp"}"#,
            r#"{"url": "http://localhost/mcp", "headers": {"Authorization": "Bearer ${env:T}"}}"#,
        ] {
            assert_eq!(obstacle(json), None, "{json}");
        }
    }

    #[test]
    fn what_does_not_says_why_and_shows_no_value() {
        for (json, expected) in [
            (r#"{"command": "x", "disabled": true}"#, "it is switched off there"),
            (
                r#"{"command": "x", "args": ["${workspaceFolder}/a"]}"#,
                "it uses ${workspaceFolder}, which differs from project to project",
            ),
            (
                r#"{"command": "x", "env": {"T": "${input:token}"}}"#,
                "the client asks for `token` when it starts it; `exai add` can ask once",
            ),
            (
                r#"{"command": "x", "env": {"T": "${T:-hunter2}"}}"#,
                "it uses ${T:…}, which only the client understands",
            ),
            (
                r#"{"command": "x", "args": ["{file:~/k}"]}"#,
                "it uses {file:…}, which only the client understands",
            ),
            (
                r#"{"command": "./run"}"#,
                "its path `./run` is relative to the directory in which the client was started",
            ),
            (
                r#"{"command": "node", "args": ["../x.js"]}"#,
                "its path `../x.js` is relative to the directory in which the client was started",
            ),
            (
                r#"{"command": "x", "cwd": "sub"}"#,
                "its path `sub` is relative to the directory in which the client was started",
            ),
        ] {
            assert_eq!(obstacle(json).as_deref(), Some(expected), "{json}");
        }
    }
}
