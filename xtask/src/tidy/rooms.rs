//! The allowed imports between the files of a crate.
//!
//! The compiler lets every file of a crate use every other file. Here a file must not be used by a file that it uses
//! itself, not even in a long circle: a person who reads a file after all files that it uses then knows everything that
//! it needs. The folders of a crate in [`FOLDERS`] have an order too, as the crates have (`edges.rs`).

use std::collections::{BTreeMap, BTreeSet};

use super::code;
use super::source::Source;

/// The folders of each crate, from the top down. A file imports from its own folder and from those after it. Files
/// outside the folders are above all of them, except files that are listed here as `NAME.rs`.
const FOLDERS: &[(&str, &[&str])] = &[
    (
        "exai-daemon",
        &[
            "serve",
            "upkeep",
            "front",
            "core",
            "upstream",
            "observe",
            "client",
            "state",
            "websocket_key",
            "limits",
        ],
    ),
    (
        "exai-mux",
        &[
            "view",
            "counts",
            "explain_sharing",
            "handlers",
            "router",
            "server",
            "instance",
            "client",
            "dialect",
            "types",
            "limits",
        ],
    ),
];

/// Pairs of files that may use each other, with the reason. At most three in the whole project.
const PAIRS: &[(&str, &str, &str)] = &[];

/// A module with a file of its own.
struct Module<'a> {
    /// The path, such as `["hub", "effects"]`; empty for the root of the crate.
    path: Vec<String>,
    /// The path of the file, relative to the root of the project.
    file: &'a str,
    /// Each path that the file names, and whether other files may import it from here.
    uses: Vec<Use>,
}

/// A path in a `use`, or in the middle of the code.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Use {
    segments: Vec<String>,
    /// The name of the item from here on.
    name: String,
    /// Whether it is a `pub use` of any visibility.
    is_exported: bool,
}

/// The problems of all crates.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut crates: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.is_rust() && !is_test(&source.path)) {
        if let Some(root) = root_of(&source.path) {
            crates.entry(root).or_default().push(source);
        }
    }
    let mut problems = Vec::new();
    for (root, sources) in crates {
        let edges = edges(root, &sources);
        problems.extend(circles(&edges));
        if let Some((_, folders)) = FOLDERS.iter().find(|(name, _)| root.ends_with(&format!("/{name}/src/")))
        {
            problems.extend(upward(root, folders, &edges));
        }
    }
    problems
}

fn is_test(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches" | "examples"))
}

/// The folder of the file that `crate` means in this file, with a `/` at its end. A binary beside a library is a crate
/// of its own.
fn root_of(path: &str) -> Option<&str> {
    let (folder, rest) = path.split_once("/src/")?;
    let end = folder.len() + "/src/".len();
    let Some(binary) = rest.strip_prefix("bin/") else { return Some(&path[..end]) };
    binary.split_once('/').map(|(name, _)| &path[..=end + "bin/".len() + name.len()])
}

/// Each file, and the files from which it imports.
type Edges<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn edges<'a>(root: &str, sources: &[&'a Source]) -> Edges<'a> {
    let modules: Vec<Module<'a>> = sources.iter().map(|source| module(root, source)).collect();
    let by_path: BTreeMap<&[String], &Module<'_>> =
        modules.iter().map(|module| (module.path.as_slice(), module)).collect();
    let mut edges = Edges::new();
    for module in &modules {
        let imported: BTreeSet<&str> = module
            .uses
            .iter()
            .filter_map(|used| resolve(&by_path, module, &used.segments, 0))
            .filter(|file| *file != module.file)
            .collect();
        edges.insert(module.file, imported);
    }
    edges
}

/// The file that defines what `segments` mean in `module`; `None` if this crate has no such file.
fn resolve<'a>(
    modules: &BTreeMap<&[String], &Module<'a>>,
    module: &Module<'a>,
    segments: &[String],
    depth: usize,
) -> Option<&'a str> {
    let mut at = module.path.clone();
    let mut rest = segments;
    match rest.first()?.as_str() {
        "crate" => (at, rest) = (Vec::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|segment| segment == "super") {
                at.pop()?;
                rest = &rest[1..];
            }
        }
        // A child of this module, a name that this module has imported, or another crate.
        first => {
            at.push(first.to_owned());
            if !modules.contains_key(at.as_slice()) {
                let is_it = |used: &&Use| used.name == first && used.segments[0] != first && depth < 8;
                let imported = module.uses.iter().find(is_it)?;
                let whole = [&imported.segments, &segments[1..]].concat();
                return resolve(modules, module, &whole, depth + 1);
            }
            rest = &rest[1..];
        }
    }
    while let Some(segment) = rest.first() {
        at.push(segment.clone());
        if !modules.contains_key(at.as_slice()) {
            at.pop();
            break;
        }
        rest = &rest[1..];
    }
    let target = modules.get(at.as_slice())?;
    // If the module only re-exports the name, another file defines it.
    let handed_on = rest
        .first()
        .and_then(|name| target.uses.iter().find(|used| used.is_exported && used.name == *name && depth < 8));
    match handed_on {
        Some(used) => resolve(modules, target, &used.segments, depth + 1).or(Some(target.file)),
        None => Some(target.file),
    }
}

fn module<'a>(root: &str, source: &'a Source) -> Module<'a> {
    let inside = &source.path[root.len()..];
    let mut path: Vec<String> = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(path.last().map(String::as_str), Some("lib" | "main" | "mod")) {
        path.pop();
    }
    Module { path, file: &source.path, uses: uses(&without_tests(&code::only(&source.text))) }
}

/// Removes the modules that only tests have from `code`.
fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::with_capacity(code.len());
    while let Some(start) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..start]);
        let after = &rest[start..];
        // An item ends with its block, or with a semicolon if no block comes first.
        let end = match after.find(['{', ';']) {
            Some(open) if after[open..].starts_with('{') => open + block_length(&after[open..]),
            Some(semicolon) => semicolon + 1,
            None => after.len(),
        };
        rest = &after[end..];
    }
    kept.push_str(rest);
    kept
}

/// The length of the block at the start of `code`.
fn block_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (index, letter) in code.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    code.len()
}

/// Every path in `code` that may lead to another file.
fn uses(code: &str) -> Vec<Use> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let before = index.checked_sub(1).map(|index| tokens[index]);
        let starts_path = tokens.get(index + 1) == Some(&"::") && before != Some("::");
        if tokens[index] == "use" {
            let is_exported = matches!(before, Some("pub" | ")"));
            index = tree(&tokens, index + 1, &[], is_exported, &mut found);
        } else if starts_path && is_word(tokens[index]) {
            let mut segments = vec![tokens[index].to_owned()];
            while tokens.get(index + 1) == Some(&"::")
                && tokens.get(index + 2).is_some_and(|next| is_word(next))
            {
                segments.push(tokens[index + 2].to_owned());
                index += 2;
            }
            let name = segments.last().cloned().unwrap_or_default();
            found.push(Use { segments, name, is_exported: false });
            index += 1;
        } else {
            index += 1;
        }
    }
    found
}

/// Reads one tree of a `use` from `index` on, and returns the index after it.
fn tree(
    tokens: &[&str],
    mut index: usize,
    before: &[String],
    is_exported: bool,
    found: &mut Vec<Use>,
) -> usize {
    let mut segments = before.to_vec();
    let mut name = None;
    while let Some(token) = tokens.get(index) {
        index += 1;
        match *token {
            "::" => {}
            "as" => {
                name = tokens.get(index).map(|name| (*name).to_owned());
                index += 1;
            }
            "{" => {
                while tokens.get(index).is_some_and(|token| *token != "}") {
                    index = tree(tokens, index, &segments, is_exported, found);
                    if tokens.get(index) == Some(&",") {
                        index += 1;
                    }
                }
                return index + 1;
            }
            "*" => break,
            word if is_word(word) => segments.push(word.to_owned()),
            _ => {
                index -= 1;
                break;
            }
        }
    }
    // `use a::{self}` means `a`.
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    if let Some(last) = segments.last().cloned() {
        found.push(Use { name: name.unwrap_or(last), segments, is_exported });
    }
    index
}

fn is_word(token: &str) -> bool {
    token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// The words, each `::`, and every other character by itself.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// The circles of files, except the allowed pairs.
fn circles(edges: &Edges<'_>) -> Vec<String> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|file| (*file, reachable(edges, file))).collect();
    let mut told = BTreeSet::new();
    let mut problems = Vec::new();
    for (file, reachable) in &reached {
        if !reachable.contains(file) || told.contains(file) {
            continue;
        }
        let circle: BTreeSet<&str> = reachable
            .iter()
            .copied()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(file)))
            .collect();
        told.extend(circle.iter().copied());
        let members: Vec<&str> = circle.iter().copied().collect();
        let is_pair = PAIRS.iter().any(|(one, other, _)| members == [*one, *other]);
        if !is_pair {
            problems.push(format!("{} files import each other in a circle:", members.len()));
            for member in &members {
                let to: Vec<&str> = edges[member].iter().copied().filter(|to| circle.contains(to)).collect();
                problems.push(format!("  {member} imports {}", to.join(", ")));
            }
        }
    }
    problems
}

/// All files that `from` imports, directly or through others.
fn reachable<'a>(edges: &Edges<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&'a str> = edges.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = next.pop() {
        if found.insert(file) {
            next.extend(edges.get(file).into_iter().flatten().copied());
        }
    }
    found
}

/// The imports from a lower folder to a higher one.
fn upward(root: &str, folders: &[&str], edges: &Edges<'_>) -> Vec<String> {
    let floor = |file: &str| {
        let inside = file.strip_prefix(root)?;
        let first = inside.split('/').next()?;
        let known = folders.iter().position(|folder| *folder == first || format!("{folder}.rs") == first);
        Some(known.map_or(0, |position| position + 1))
    };
    let mut problems = Vec::new();
    for (from, imported) in edges {
        for to in imported {
            if floor(to) < floor(from) {
                problems.push(format!("{from} imports {to}, which is above it"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Vec<Source> {
        let source = |(path, text): &(&str, &str)| Source {
            path: format!("crates/exai-x/src/{path}"),
            text: (*text).to_owned(),
        };
        files.iter().map(source).collect()
    }

    #[test]
    fn a_circle_of_three_is_found_whatever_way_the_files_name_each_other() {
        let found = check(&sources(&[
            ("lib.rs", "mod a; mod b; pub use b::c::C;"),
            ("a.rs", "use crate::C;"),
            ("b.rs", "mod c; fn f() { crate::a::g() }"),
            ("b/c.rs", "use super::{d, f as g}; pub struct C;"),
        ]));
        assert_eq!(
            found,
            [
                "3 files import each other in a circle:",
                "  crates/exai-x/src/a.rs imports crates/exai-x/src/b/c.rs",
                "  crates/exai-x/src/b.rs imports crates/exai-x/src/a.rs",
                "  crates/exai-x/src/b/c.rs imports crates/exai-x/src/b.rs",
            ]
        );
    }

    #[test]
    fn what_is_behind_an_imported_module_is_imported() {
        let found = check(&sources(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub struct A; use crate::b; fn f() { b::c::g() }"),
            ("b.rs", "mod c;"),
            ("b/c.rs", "use crate::a::A;"),
        ]));
        assert_eq!(found[0], "2 files import each other in a circle:");
    }

    #[test]
    fn what_tests_import_and_what_a_comment_says_is_no_import() {
        let found = check(&sources(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "// use crate::a;\npub struct B;\n#[cfg(test)]\nmod tests { use crate::a::f; }"),
            ("b/tests.rs", "use crate::a::f;"),
            ("bin/tool/main.rs", "mod a;"),
            ("bin/tool/a.rs", "use crate::b::f;"),
        ]));
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn folders_have_an_order() {
        let files = sources(&[
            ("lib.rs", "mod up; mod down; mod limits;"),
            ("up.rs", "mod a;"),
            ("down.rs", "mod b;"),
            ("up/a.rs", "use crate::down::b; use crate::limits::MAX;"),
            ("down/b.rs", "use crate::limits;"),
            ("limits.rs", "use crate::up::a::f;"),
        ]);
        let files: Vec<&Source> = files.iter().collect();
        let edges = edges("crates/exai-x/src/", &files);
        assert_eq!(
            upward("crates/exai-x/src/", &["up", "down", "limits"], &edges),
            ["crates/exai-x/src/limits.rs imports crates/exai-x/src/up/a.rs, which is above it"]
        );
    }

    #[test]
    fn trees_of_uses_are_read() {
        let found = uses("pub(crate) use a::{self, b::{C as D, *}, e}; fn f(x: g::H) { i(j::k::l()) }");
        let read: Vec<(String, &str, bool)> = found
            .iter()
            .map(|used| (used.segments.join("::"), used.name.as_str(), used.is_exported))
            .collect();
        let expected = [
            ("a", "a", true),
            ("a::b::C", "D", true),
            ("a::b", "b", true),
            ("a::e", "e", true),
            ("g::H", "H", false),
            ("j::k::l", "l", false),
        ];
        assert_eq!(read, expected.map(|(path, name, exported)| (path.to_owned(), name, exported)));
    }
}
