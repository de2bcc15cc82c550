//! How long the files are.

use super::source::{Source, count};

/// The most lines of a file, tests aside: a longer one holds two things.
const MAX_LINES: usize = 500;

/// Prints how much there is, and the long files of tests. Returns the other files that are too long.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut sizes: Vec<(usize, &str)> = sources
        .iter()
        .filter(|source| source.is_rust())
        .map(|source| (source.text.lines().count(), source.path.as_str()))
        .collect();
    sizes.sort_unstable();
    let median = sizes.get(sizes.len() / 2).map_or(0, |(lines, _)| *lines);
    let total: usize = sizes.iter().map(|(lines, _)| lines).sum();
    println!(
        "      {} of Rust in {}, the median has {median}",
        count(total, "line"),
        count(sizes.len(), "file")
    );
    let mut problems = Vec::new();
    for (lines, path) in sizes.iter().rev().take_while(|(lines, _)| *lines > MAX_LINES) {
        if path.contains("/tests/") {
            println!("      {path}: {lines} lines, discuss it");
        } else {
            problems.push(format!("{path} has {lines} lines, and may have {MAX_LINES}: split it"));
        }
    }
    problems
}
