//! The files and tests that the documents name must exist.

use std::path::Path;

use super::source::Source;

/// The documents outside `docs/` that name source files.
const DOCUMENTS: &[&str] = &["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"];

/// A page on which each sentence must name tests.
const GUARANTEES: &str = "docs/guarantees.md";

/// The sentences of [`GUARANTEES`] that name no test.
fn unproven(page: &str) -> Vec<String> {
    let sentences = page.split("\n- ").skip(1).map(|text| text.split("\n\n").next().unwrap_or(text));
    let names_test =
        |sentence: &&str| sentence.split('`').skip(1).step_by(2).any(|name| Test::read(name).is_some());
    let unproven = sentences.filter(|sentence| !names_test(sentence));
    unproven.map(|sentence| format!("{GUARANTEES}: no test holds this: {sentence}")).collect()
}

/// The problems of the documents: each source file in backticks that does not exist (except `NAME.rs`), and each test
/// that does not exist. A document may give only the end of a file's path, and several files as `a/{b,c}.rs`.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let guarantees = sources.iter().find(|source| source.path == GUARANTEES);
    let mut problems = guarantees.map(|page| unproven(&page.text)).unwrap_or_default();
    let is_document = |path: &str| DOCUMENTS.contains(&path) || path.starts_with("docs/");
    for document in sources.iter().filter(|source| is_document(&source.path)) {
        for (number, line) in document.text.lines().enumerate() {
            let mut miss = |what: &str| {
                problems.push(format!("{}:{}: there is no {what}", document.path, number + 1));
            };
            for name in line.split('`').skip(1).step_by(2) {
                if is_rust_file(name) {
                    let missing = |file: &String| !sources.iter().any(|source| ends_with(&source.path, file));
                    each(name).iter().filter(|file| missing(file)).for_each(|file| miss(file));
                } else if let Some(test) = Test::read(name)
                    && !sources.iter().any(|source| test.is_in(source))
                {
                    miss(name);
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

/// A test as a document names it: `module::tests::what_it_shows`, where `…` stands for the rest of a long name.
struct Test<'a> {
    /// The modules of the test, without `tests`: `["module"]`.
    modules: Vec<&'a str>,
    name: &'a str,
    is_whole: bool,
}

impl<'a> Test<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let whole = text.trim_end_matches('…');
        let (modules, name) = whole.rsplit_once("::")?;
        let is_name = |name: &str| {
            name.chars().all(|letter| letter.is_ascii_lowercase() || "_0123456789".contains(letter))
        };
        let modules: Vec<&str> = modules.split("::").filter(|module| *module != "tests").collect();
        // Other paths in documents name types, or functions with short names.
        let is_test =
            name.matches('_').count() > 3 && is_name(name) && modules.iter().all(|module| is_name(module));
        is_test.then_some(Test { modules, name, is_whole: whole == text })
    }

    fn is_in(&self, source: &Source) -> bool {
        let path = source.path.trim_end_matches(".rs").replace("/tests", "");
        let is_module = format!("/{path}").ends_with(&format!("/{}", self.modules.join("/")));
        let end = if self.is_whole { "(" } else { "" };
        is_module && source.is_rust() && source.text.contains(&format!("fn {}{end}", self.name))
    }
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
        // Documents may leave out `crates` and `src`.
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

    #[test]
    fn a_guarantee_without_a_test_is_found() {
        let page = "# x\n\n- One. `a::one_two_three_four_five`\n- Two.\n  `x` `a::b`\n\nThree.\n";
        assert_eq!(unproven(page), ["docs/guarantees.md: no test holds this: Two.\n  `x` `a::b`"]);
    }

    #[test]
    fn a_test_that_does_not_exist_is_found() {
        let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let sources = [
            source(
                "docs/a.md",
                "`x::a::tests::one_two_three_four_five`, `a::one_two_three_fo…`, `it::b::one_two_three_four_five`",
            ),
            source("docs/b.md", "`x::b::one_two_three_four_five`, `a::one_two_three_four`, `exai::a::b`"),
            source("crates/exai-x/src/x/a.rs", "fn one_two_three_four_five() {}"),
            source("crates/exai/tests/it/b.rs", "fn one_two_three_four_five() {}"),
        ];
        let expected = ["docs/b.md:1: there is no x::b::one_two_three_four_five"];
        assert_eq!(check(&sources), expected);
    }
}
