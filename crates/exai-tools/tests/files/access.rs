use exai_tools::files::Source;

use super::*;

#[test]
fn without_a_directory_every_path_is_refused_with_the_ways_to_give_one() {
    let tree = Tree::new();
    tree.write("home/project/a.rs", "a");
    let access = FileAccess::new(&Offered::default(), tree.places());
    let embedded = collect_all(&access, &[&tree.text("home/project/a.rs"), "a.rs", "/"]);
    assert!(embedded.files.is_empty());
    for omitted in &embedded.omitted {
        assert_eq!(omitted.reason.code(), "no_directory");
        let hint = omitted.reason.hint().unwrap();
        assert!(hint.contains("roots") && hint.contains("[ai]") && hint.contains("config.toml"), "{hint}");
    }
}

#[test]
fn roots_count_before_the_working_directory_and_what_the_user_says_always() {
    let tree = Tree::new();
    tree.write("home/other one/b.rs", "b");
    tree.write("home/file", "");
    let roots = [
        uri(&tree.at("home/other one")),
        uri(&tree.at("home/file")),
        uri(&tree.at("gone")),
        "x:y".to_owned(),
    ];
    let working = tree.at("home/project");
    let configured = [tree.at("outside"), PathBuf::from("relative")];
    let offered = Offered { roots: Some(&roots), working_directory: Some(&working), configured: &configured };
    let access = FileAccess::new(&offered, tree.places());
    let told: Vec<_> =
        access.directories().iter().map(|directory| (&directory.real, directory.source)).collect();
    assert_eq!(
        told,
        [(&tree.at("home/other one"), Source::Roots), (&tree.at("outside"), Source::Configuration)]
    );
    let why: Vec<_> = access.skipped().iter().map(|skipped| skipped.why.as_str()).collect();
    assert_eq!(why, ["is no directory", "does not exist", "is no file: URI", "is no whole path"]);
    // The user's directories do not make relative paths ambiguous.
    assert_eq!(collect_all(&access, &["b.rs"]).files[0].path, tree.at("home/other one/b.rs"));
    // No root that can be used: the working directory counts.
    let roots = ["x:y".to_owned()];
    let offered = Offered { roots: Some(&roots), working_directory: Some(&working), configured: &[] };
    let access = FileAccess::new(&offered, tree.places());
    assert_eq!(access.directories()[0].source, Source::WorkingDirectory);
}

#[test]
fn a_relative_path_needs_one_directory() {
    let tree = Tree::new();
    tree.write("home/project/a.rs", "a");
    tree.write("home/two/a.rs", "b");
    let roots = [uri(&tree.at("home/project")), uri(&tree.at("home/two"))];
    let access = FileAccess::new(&Offered { roots: Some(&roots), ..Offered::default() }, tree.places());
    assert_eq!(refusal(&access, "a.rs"), "ambiguous_path");
    // Names of several directories are whole, so that each means one file.
    let both = collect_all(&access, &[&tree.text("home/two/a.rs"), &uri(&tree.at("home/project/a.rs"))]);
    assert_eq!(both.files[0].name, tree.text("home/two/a.rs"));
    assert_eq!(both.files[1].name, tree.text("home/project/a.rs"));
    assert_eq!(names(&collect_all(&tree.project(), &["a.rs"])), ["a.rs"]);
}

#[test]
fn what_is_as_broad_as_a_home_is_read_file_by_file_and_shows_nothing_hidden() {
    let tree = Tree::new();
    tree.write("home/project/a.rs", "a");
    tree.write("home/project/.github/ci.yml", "ci");
    tree.write("home/.config/app.toml", "x");
    tree.write("home/AppData/x.txt", "x");
    tree.write(".hidden/x.txt", "x");
    // The home itself, and the directory above it.
    for (directory, project) in [("home", "project"), (".", "home/project")] {
        let access = if directory == "." {
            let offered = Offered { working_directory: Some(&tree.top), ..Offered::default() };
            FileAccess::new(&offered, tree.places())
        } else {
            tree.access(directory)
        };
        assert!(access.directories()[0].is_broad);
        assert_eq!(collect_all(&access, &[&format!("{project}/a.rs")]).files.len(), 1);
        assert_eq!(collect_all(&access, &[project]).files.len(), 1);
        assert_eq!(collect_all(&access, &[&format!("{project}/.github/ci.yml")]).files.len(), 1);
        assert_eq!(refusal(&access, "."), "too_broad");
        for private in ["home/.config/app.toml", "home/.config", "home/AppData/x.txt"] {
            assert_eq!(refusal(&access, &tree.text(private)), "private", "{private}");
        }
    }
    let offered = Offered { working_directory: Some(&tree.top), ..Offered::default() };
    let access = FileAccess::new(&offered, tree.places());
    assert_eq!(refusal(&access, ".hidden/x.txt"), "private");
    assert_eq!(refusal(&access, "home"), "too_broad");
    // A hidden directory that the client says is where it works is not hidden.
    assert_eq!(names(&collect_all(&tree.access("home/.config"), &["."])), ["app.toml"]);
}

#[test]
fn the_state_directory_is_never_read() {
    let tree = Tree::new();
    tree.write("home/.exai/config.toml", "x");
    tree.write("home/.exai/log/daemon.log", "x");
    for directory in ["home/.exai", "home/.exai/log", "home"] {
        let access = tree.access(directory);
        assert_eq!(refusal(&access, &tree.text("home/.exai/log/daemon.log")), "secret", "{directory}");
    }
    assert_eq!(refusal(&tree.access("home"), ".exai/config.toml"), "secret");
    assert!(collect_all(&tree.access("home/.exai"), &["."]).files.is_empty());
}
