//! How long the files are.

use super::source::{Source, count};

const DISCUSS: usize = 500;
const SPLIT: usize = 800;

/// Prints the long files. A long file is a reason to talk, not an error.
pub(super) fn report(sources: &[Source]) {
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
    for (lines, path) in sizes.iter().rev().take_while(|(lines, _)| *lines > DISCUSS) {
        let advice = if *lines > SPLIT { "split it" } else { "discuss it" };
        println!("      {path}: {lines} lines, {advice}");
    }
}
