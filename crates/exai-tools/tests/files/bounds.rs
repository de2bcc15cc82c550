use exai_tools::files::{Interrupted, MAX_FILES};

use super::*;

/// About so many tokens.
fn lines(tokens: usize) -> String {
    "six bytes or so\n".repeat(tokens * 7 / 2 / 16)
}

#[test]
fn what_does_not_fit_is_left_out_with_its_size_and_the_rest_stays() {
    let tree = Tree::new();
    tree.write("home/project/big.rs", lines(1000));
    tree.write("home/project/small.rs", lines(100));
    let embedded = collect_within(&tree.project(), &["big.rs", "small.rs"], 500);
    assert_eq!(names(&embedded), ["small.rs"]);
    assert!(embedded.tokens <= 500, "{}", embedded.tokens);
    assert_eq!(omitted(&embedded), [("big.rs".to_owned(), "over_budget")]);
    assert!(embedded.text.contains("Not shown: big.rs has about 1"), "{}", embedded.text);
    let too_large = embedded.too_large.unwrap();
    assert_eq!(too_large.budget, 500);
    assert!((1100..1300).contains(&too_large.needed), "{too_large}");
    let largest: Vec<_> = too_large.largest.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(largest, ["big.rs", "small.rs"]);
    assert!(too_large.to_string().starts_with("the files have about 1"), "{too_large}");
    // With room for all nothing is said.
    assert_eq!(collect_within(&tree.project(), &["big.rs", "small.rs"], 2000).too_large, None);
}

#[test]
fn the_only_named_file_is_cut() {
    let tree = Tree::new();
    tree.write("home/project/big.rs", lines(10_000));
    let embedded = collect_within(&tree.project(), &["big.rs"], 1000);
    assert!(embedded.files[0].is_truncated);
    assert_eq!(embedded.shown_whole().count(), 0);
    assert!((900..=1000).contains(&embedded.tokens), "{}", embedded.tokens);
    assert!(embedded.text.contains("\n[The file is cut here: "), "{}", embedded.text);
    assert_eq!((embedded.too_large, embedded.omitted), (None, vec![]));
    // Not where a directory is named, and not without room.
    assert_eq!(
        omitted(&collect_within(&tree.project(), &["."], 1000)),
        [("big.rs".to_owned(), "over_budget")]
    );
    let nothing = collect_within(&tree.project(), &["big.rs"], 0);
    assert_eq!(omitted(&nothing), [("big.rs".to_owned(), "over_budget")]);
}

#[test]
fn named_files_get_the_budget_first_and_then_the_newest() {
    let tree = Tree::new();
    for (file, days) in [("old.rs", 3), ("new.rs", 1), ("named.rs", 9), ("z.rs", 2)] {
        tree.write(&format!("home/project/{file}"), lines(300));
        let file = fs::File::options().write(true).open(tree.at(&format!("home/project/{file}"))).unwrap();
        let age = Duration::from_secs(days * 86_400);
        file.set_modified(std::time::SystemTime::now() - age).unwrap();
    }
    let embedded = collect_within(&tree.project(), &[".", "named.rs"], 1150);
    assert_eq!(names(&embedded), ["named.rs", "new.rs", "z.rs"]);
    assert_eq!(omitted(&embedded), [("old.rs".to_owned(), "over_budget")]);
}

#[test]
fn a_call_that_is_cancelled_or_late_ends() {
    let tree = Tree::new();
    tree.write("home/project/a.rs", "a");
    let paths = [".".to_owned()];
    let wanted = Wanted { paths: &paths, budget: LARGE, already: &BTreeMap::new(), line_numbers: false };
    let cancelled = Interrupt { is_cancelled: &|| true, deadline: None };
    assert_eq!(collect(&wanted, &tree.project(), &cancelled), Err(Interrupted::Cancelled));
    let late = Interrupt { is_cancelled: &|| false, deadline: Some(Instant::now()) };
    let error = collect(&wanted, &tree.project(), &late).unwrap_err();
    assert_eq!((error, error.code()), (Interrupted::Late, "files_too_slow"));
    // In the middle of a directory.
    let looks = std::cell::Cell::new(0);
    let soon = || looks.replace(looks.get() + 1) > 3;
    let cancelled = Interrupt { is_cancelled: &soon, deadline: None };
    assert_eq!(collect(&wanted, &tree.project(), &cancelled), Err(Interrupted::Cancelled));
}

#[test]
fn what_is_too_much_is_said_and_the_nearest_files_are_shown() {
    let tree = Tree::new();
    tree.write("home/project/z.rs", "near");
    for number in 0..MAX_FILES + 20 {
        tree.write(&format!("home/project/src/{number:04}.rs"), "x");
    }
    let embedded = collect_all(&tree.project(), &["."]);
    assert_eq!(embedded.files.len(), MAX_FILES);
    assert_eq!(names(&embedded).last().unwrap(), "z.rs");
    assert!(embedded.text.contains("has more than 500 files: the rest is left out"));
    // Entries, and how deep.
    for number in 0..2100 {
        tree.write(&format!("home/many/{number}.log"), "");
    }
    tree.write("home/many/.gitignore", "*.log\n");
    let embedded = collect_all(&tree.access("home/many"), &["."]);
    assert_eq!(embedded.omitted.len(), 201);
    assert!(embedded.more_omitted > 1700, "{}", embedded.more_omitted);
    assert!(embedded.text.contains("has more than 2000 entries: the rest is left out"), "{}", embedded.text);
    tree.write(&format!("home/deep/{}a.rs", "d/".repeat(40)), "x");
    let embedded = collect_all(&tree.access("home/deep"), &["."]);
    assert_eq!(embedded.omitted[0].reason.code(), "too_deep");
}

#[test]
fn of_too_many_paths_the_first_ones_count() {
    let tree = Tree::new();
    tree.write("home/project/a.rs", "x");
    let paths: Vec<String> = (0..100_000).map(|number| format!("{number}.rs")).collect();
    let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    paths[0] = "a.rs";
    let embedded = collect_all(&tree.project(), &paths);
    assert_eq!((embedded.files.len(), embedded.omitted.len()), (1, MAX_FILES));
    let last = embedded.omitted.last().unwrap().to_string();
    assert_eq!(last, "the call has more than 500 paths: the rest is left out");
    assert!(embedded.text.contains("Not shown: 480 more files."), "{}", embedded.text);
}

/// Without optimisation, on a machine that does other things as well: one quick try is enough.
#[test]
fn five_hundred_files_take_less_than_a_second() {
    let tree = Tree::new();
    for number in 0..MAX_FILES {
        tree.write(&format!("home/project/src/part{}/{number}.rs", number % 20), lines(1170));
    }
    let access = tree.project();
    exai_test::eventually("500 files within a second", Duration::from_mins(1), || {
        let started = Instant::now();
        assert_eq!(collect_all(&access, &["."]).files.len(), MAX_FILES);
        started.elapsed() < Duration::from_secs(1)
    });
}
