//! Files that the documents name.

use std::path::Path;

use super::source::Source;

/// The documents that name source files.
const DOCUMENTS: &[&str] = &["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"];

/// Each source file in backticks that does not exist, `NAME.rs` aside. A document may name a file by the end of its path,
/// and several by `a/{b,c}.rs`.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let is_document = |path: &str| DOCUMENTS.contains(&path) || path.starts_with("docs/");
    let mut problems = Vec::new();
    for document in sources.iter().filter(|source| is_document(&source.path)) {
        for (number, line) in document.text.lines().enumerate() {
            for name in line.split('`').skip(1).step_by(2).filter(|name| is_rust_file(name)) {
                for file in each(name) {
                    if !sources.iter().any(|source| ends_with(&source.path, &file)) {
                        problems.push(format!("{}:{}: there is no {file}", document.path, number + 1));
                    }
                }
            }
        }
    }
    problems
}

fn is_rust_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "rs")
        && !name.contains([' ', '*'])
        && !name.contains("NAME")
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn each(name: &str) -> Vec<String> {
    let Some((before, (inside, after))) =
        name.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    else {
        return vec![name.to_owned()];
    };
    inside.split(',').map(|part| format!("{before}{part}{after}")).collect()
}

fn ends_with(path: &str, file: &str) -> bool {
    path.strip_suffix(file).is_some_and(|before| before.is_empty() || before.ends_with('/') || file.starts_with('/'))
        // Documents leave out `crates` and `src`.
        || path.replacen("crates/", "", 1) == file
        || path.replace("/src/", "/").ends_with(&format!("/{file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_exist_is_found() {
        let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let sources = [
            source(
                "ARCHITECTURE.md",
                "`a.rs` and `x/{a,b}.rs`,\n`exai-x/src/x/a.rs`, `x/c.rs` `d` `exai-x/x/a.rs`",
            ),
            source("crates/exai-x/src/x/a.rs", ""),
        ];
        let expected = ["ARCHITECTURE.md:1: there is no x/b.rs", "ARCHITECTURE.md:2: there is no x/c.rs"];
        assert_eq!(check(&sources), expected);
    }
}
