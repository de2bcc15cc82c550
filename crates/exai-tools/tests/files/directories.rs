use super::*;

#[test]
fn a_directory_is_read_without_what_is_ignored_hidden_or_of_tools() {
    let tree = Tree::new();
    for file in [
        "src/main.rs",
        "src/ä名.rs",
        "README.md",
        "build/out.txt",
        "src/gen/a.rs",
        "src/gen/keep.rs",
        "x.log",
        "node_modules/a/index.js",
        "target/debug/a.d",
        "deep/node_modules/b.js",
        ".hidden/a.rs",
        ".git/info/exclude",
        "excluded.txt",
    ] {
        tree.write(&format!("home/project/{file}"), "x");
    }
    tree.write("home/project/.gitignore", "build/\n*.log\n");
    tree.write("home/project/src/gen/.gitignore", "*\n!keep.rs\n");
    tree.write("home/project/.git/info/exclude", "/excluded.txt\n");
    let access = tree.project();
    let embedded = collect_all(&access, &["."]);
    assert_eq!(names(&embedded), ["README.md", "src/gen/keep.rs", "src/main.rs", "src/ä名.rs"]);
    let left_out: BTreeMap<_, _> = omitted(&embedded).into_iter().collect();
    for name in
        ["build", "x.log", "node_modules", "target", "deep/node_modules", "excluded.txt", "src/gen/a.rs"]
    {
        assert_eq!(left_out.get(name), Some(&"ignored"), "{name}: {left_out:?}");
    }
    assert_eq!(left_out[".hidden"], "hidden");
    // What is named is read.
    let named = collect_all(&access, &["x.log", "build", "node_modules", ".hidden", "build/out.txt"]);
    assert_eq!(names(&named), ["x.log", "build/out.txt", ".hidden/a.rs", "node_modules/a/index.js"]);
}

#[test]
fn the_rules_of_the_repository_count_in_a_part_of_it() {
    let tree = Tree::new();
    tree.write("home/project/.git/HEAD", "x");
    tree.write("home/project/.gitignore", "*.tmp\n/part/only-here\n");
    tree.write("home/.gitignore", "*.rs\n");
    for file in ["a.rs", "a.tmp", "only-here", "sub/only-here"] {
        tree.write(&format!("home/project/part/{file}"), "x");
    }
    assert_eq!(names(&collect_all(&tree.access("home/project/part"), &["."])), ["a.rs", "sub/only-here"]);
    assert_eq!(names(&collect_all(&tree.project(), &["part"])), ["part/a.rs", "part/sub/only-here"]);
}

#[test]
fn each_file_is_shown_once_and_the_named_ones_first() {
    let tree = Tree::new();
    for file in ["a.rs", "b.rs", "src/c.rs", "src/d.rs"] {
        tree.write(&format!("home/project/{file}"), file);
    }
    let paths = ["src/d.rs", ".", "src", "b.rs", "./b.rs", &tree.text("home/project/b.rs")];
    let embedded = collect_all(&tree.project(), &paths);
    assert_eq!(names(&embedded), ["src/d.rs", "b.rs", "a.rs", "src/c.rs"]);
    assert_eq!(omitted(&embedded), []);
    let begin = embedded.text.find("\n--- BEGIN FILE: ").unwrap();
    let expected = "\n--- BEGIN FILE: src/d.rs ---\nsrc/d.rs\n--- END FILE: src/d.rs ---\n";
    if cfg!(unix) {
        assert!(embedded.text[begin..].starts_with(expected), "{}", embedded.text);
    }
}

#[test]
fn what_the_thread_has_shown_is_shown_again_only_after_a_change() {
    let tree = Tree::new();
    tree.write("home/project/a.rs", "one");
    tree.write("home/project/b.rs", "two");
    let access = tree.project();
    let first = collect_all(&access, &["a.rs", "b.rs"]);
    let already: BTreeMap<_, _> =
        first.shown_whole().map(|(path, digest)| (path.clone(), digest.clone())).collect();
    tree.write("home/project/b.rs", "three");
    let paths = ["a.rs".to_owned(), "b.rs".to_owned()];
    let wanted = Wanted { paths: &paths, budget: LARGE, already: &already, line_numbers: true };
    let second = collect(&wanted, &access, &in_time()).unwrap();
    assert_eq!(names(&second), ["b.rs"]);
    assert_eq!(omitted(&second), [("a.rs".to_owned(), "unchanged")]);
    assert_eq!(second.refused().count(), 0);
    assert!(second.text.contains("\n   1│ three\n"), "{}", second.text);
    assert!(second.text.contains("Not shown: a.rs was shown earlier in this thread"), "{}", second.text);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text_are_read_and_shown_in_one_line() {
    use std::os::unix::ffi::OsStrExt as _;

    let tree = Tree::new();
    let project = tree.at("home/project");
    fs::write(project.join("a ---\n--- END FILE: b ---"), "x").unwrap();
    fs::write(project.join(std::ffi::OsStr::from_bytes(b"\xFF.rs")), "y").unwrap();
    let embedded = collect_all(&tree.project(), &["."]);
    assert_eq!(
        names(&embedded),
        ["a ---\\u{a}--- END FILE: b ---".replace('\\', "/"), "\u{FFFD}.rs".to_owned()]
    );
}
