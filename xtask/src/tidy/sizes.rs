//! The lengths of files.

use super::source::{Source, count};

/// The largest number of lines of a file that is no test. A longer file should be two files.
const MAX_LINES: usize = 500;

/// Prints the sizes, and the long test files. Returns the other files that are too long.
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
