//! How an error is told to an agent.

/// An error that an agent or its user can do something about. The text of the error (`Display`) says what failed and
/// why.
pub trait Explain: std::error::Error {
    /// A stable name in snake case: `error.code` in the structured result of the tool. See `docs/tools.md`.
    fn code(&self) -> &'static str;

    /// What to do about it, in one sentence, with the command where there is one.
    fn hint(&self) -> Option<String>;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_code_is_in_the_document() {
        let this = Path::new(env!("CARGO_MANIFEST_DIR"));
        let document = std::fs::read_to_string(this.join("../../docs/tools.md")).expect("the document");
        let mut codes = BTreeSet::new();
        codes_below(&this.join("src"), &mut codes);
        let known =
            ["wrong_step", "stream_cut", "threads_newer", "secret", "no_vision", "too_large", "interrupted"];
        assert!(known.iter().all(|known| codes.contains(*known)), "not all are found: {codes:?}");
        let missing: Vec<&String> =
            codes.iter().filter(|code| !document.contains(&format!("`{code}`"))).collect();
        assert!(missing.is_empty(), "docs/tools.md lacks {missing:?}");
    }

    /// The texts in the functions `code` of the source below a directory.
    fn codes_below(directory: &Path, codes: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                codes_below(&path, codes);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                codes_in(&std::fs::read_to_string(&path).expect("a file"), codes);
            }
        }
    }

    fn codes_in(source: &str, codes: &mut BTreeSet<String>) {
        let head = concat!("fn code(&self)", " -> &'static str {");
        for (at, _) in source.match_indices(head) {
            let body = source[at..].split("\n    }").next().unwrap_or_default();
            codes.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
}
