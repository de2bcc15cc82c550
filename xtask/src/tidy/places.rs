//! Nothing in the project may work only on one machine.

use std::path::{Path, PathBuf};

use super::source::Source;
use crate::project;

/// Parts of the host names of package registries and their mirrors. Packages are installed by name; each machine
/// decides from where.
const REGISTRIES: [&str; 7] =
    ["registry.", "pypi.", "npmjs.", "crates.io", "artifactory", "nexus.", "mirror."];
/// The registry of MCP servers, which `exai add` asks. Nothing is installed from there.
const MCP_REGISTRY: &str = "registry.modelcontextprotocol.io";
/// These files may name registries: a lock file in cargo's format, this list, and prose with links.
const EXCUSED: [&str; 3] = ["Cargo.lock", "xtask/src/tidy/places.rs", "deny.toml"];

/// The problems in all files.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let paths = own_paths();
    let mut problems = Vec::new();
    for source in sources.iter().filter(|source| !EXCUSED.contains(&source.path.as_str())) {
        for (index, line) in source.text.lines().enumerate() {
            let place = format!("{}:{}", source.path, index + 1);
            if let Some(path) = paths.iter().find(|path| names_path(line, path)) {
                problems.push(format!("{place}: names {path}, which exists on this machine"));
            }
            if let Some(host) = hosts(line).find(|host| is_registry(host)) {
                problems.push(format!("{place}: names the registry {host}; name the package only"));
            }
        }
    }
    problems
}

fn is_registry(host: &str) -> bool {
    host != MCP_REGISTRY && REGISTRIES.iter().any(|part| host.contains(part))
}

/// The folders of this machine: this checkout and the home of the account. The name of a checkout directly below `/`
/// would be too common.
fn own_paths() -> Vec<String> {
    let root = Some(project::root()).filter(|root| root.components().count() > 2);
    let home = project::environment("HOME").map(PathBuf::from).filter(|home| home != Path::new("/"));
    root.into_iter().chain(home).map(|path| path.to_string_lossy().into_owned()).collect()
}

/// Whether `line` names a file in the folder `path`.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(index, _)| {
        let joined = |letter: char| letter.is_alphanumeric() || "_-./}~$".contains(letter);
        let after = &line[index + path.len()..];
        !line[..index].ends_with(joined) && after.starts_with(['/', '\\'])
    })
}

/// The hosts of the URLs in a line.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("://").map(|(index, mark)| {
        let rest = &line[index + mark.len()..];
        rest.split(|letter: char| !letter.is_alphanumeric() && !".-".contains(letter))
            .next()
            .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_whole() {
        assert!(names_path("cd /home/ann/exai/x", "/home/ann/exai"));
        assert!(!names_path("cd /home/ann/exai-2/x", "/home/ann/exai"));
        assert!(!names_path("${x}/home/ann/y", "/home/ann"));
    }

    #[test]
    fn hosts_are_found() {
        let found: Vec<_> = hosts("see http://a.b/c and https://d-e.f:1").collect();
        assert_eq!(found, ["a.b", "d-e.f"]);
    }
}
