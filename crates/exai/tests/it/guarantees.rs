//! docs/guarantees.md is held to the tests it names.

use std::collections::BTreeSet;
use std::path::Path;

/// The names of all functions in the tests' sources.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            let mut lines = text.lines().map(str::trim_start).peekable();
            while let Some(line) = lines.next() {
                // What an attribute makes a test.
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    let name = lines.by_ref().find_map(|line| {
                        let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
                        rest.split('(').next().map(str::to_owned)
                    });
                    found.extend(name);
                }
            }
        }
    }
}

/// What stands between backquotes and is the path of a function.
fn named(sentence: &str) -> Vec<&str> {
    let spans = sentence.split('`').skip(1).step_by(2);
    let is_path = |span: &&str| {
        span.contains('_')
            && (span.contains("::") || span.len() > 20)
            && span
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_:".contains(letter))
    };
    spans.filter(is_path).collect()
}

#[test]
fn every_sentence_names_tests_and_all_of_them_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut tests = BTreeSet::new();
    functions(&root.join("crates"), &mut tests);
    assert!(tests.len() > 400, "{}", tests.len());
    let page = std::fs::read_to_string(root.join("docs/guarantees.md")).expect("the document");
    let sentences: Vec<&str> =
        page.split("\n- ").skip(1).map(|text| text.split("\n\n").next().unwrap_or(text)).collect();
    assert!(sentences.len() > 20, "{}", sentences.len());
    for sentence in sentences {
        let names = named(sentence);
        assert!(!names.is_empty(), "no test holds this: {sentence}");
        for name in names {
            let function = name.rsplit("::").next().unwrap_or(name);
            assert!(tests.contains(function), "there is no test {name}");
        }
    }
}
