use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn a_link_leads_out_neither_at_the_end_nor_in_the_middle() {
    let tree = Tree::new();
    tree.write("home/project/src/a.rs", "a");
    tree.write("home/project/.env", "OUTSIDE");
    let link = |target: &Path, name: &str| symlink(target, tree.at("home/project").join(name)).unwrap();
    link(&tree.at("outside/other.txt"), "file");
    link(Path::new("../../outside"), "directory");
    link(Path::new("directory"), "second");
    link(Path::new(".env"), "harmless.txt");
    link(Path::new("src"), "inside");
    link(Path::new("loop"), "loop");
    let access = tree.project();
    let table = [
        ("file", "outside"),
        ("directory", "outside"),
        ("directory/other.txt", "outside"),
        ("second/other.txt", "outside"),
        ("harmless.txt", "secret"),
        ("directory/gone.txt", "not_found"),
    ];
    for (path, code) in table {
        assert_eq!(refusal(&access, path), code, "{path}");
    }
    assert_eq!(refusal(&access, "loop"), "unreadable");
    // A link within the project says which file it means, and each file is shown once.
    let embedded = collect_all(&access, &["inside/a.rs", "src/a.rs"]);
    assert_eq!(names(&embedded), ["src/a.rs"]);
    // None is followed where nobody has named it.
    let embedded = collect_all(&access, &["."]);
    assert_eq!(names(&embedded), ["src/a.rs"]);
    let links = omitted(&embedded).into_iter().filter(|(_, code)| *code == "link").count();
    assert_eq!(links, 6);
}

#[test]
fn a_directory_may_be_told_through_a_link() {
    let tree = Tree::new();
    tree.write("home/project/a.rs", "a");
    symlink(tree.at("home/project"), tree.at("link")).unwrap();
    let access = tree.access("link");
    for path in [tree.text("link/a.rs"), tree.text("home/project/a.rs"), "a.rs".to_owned()] {
        assert_eq!(names(&collect_all(&access, &[&path])), ["a.rs"], "{path}");
    }
}

/// Swaps what is at a path for a link and back, all the time.
fn swapping(path: &Path, aside: &Path, target: &Path, action: impl FnOnce()) {
    /// Stays in each state for a while, another one each time.
    fn stay(turn: u32) {
        for _ in 0..turn % 101 * 200 {
            std::hint::spin_loop();
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0u32.. {
                fs::rename(path, aside).unwrap();
                symlink(target, path).unwrap();
                stay(turn);
                fs::remove_file(path).unwrap();
                fs::rename(aside, path).unwrap();
                stay(turn.wrapping_mul(7));
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action));
        done.store(true, Ordering::Relaxed);
        ended
    })
    .unwrap();
}

/// Reads what is swapped, until it was there and was not, and at least 2,000 times.
fn read_again_and_again(access: &FileAccess, paths: &[&str]) {
    let (mut shown, mut refused) = (0, 0);
    let started = Instant::now();
    while shown + refused < 2000 || shown == 0 || refused == 0 {
        let embedded = collect_all(access, paths);
        assert!(!embedded.text.contains("OUTSIDE"), "{}", embedded.text);
        if embedded.files.is_empty() {
            refused += 1;
        } else {
            shown += 1;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "shown {shown} times, refused {refused} times");
    }
}

#[test]
fn a_file_that_is_swapped_for_a_link_shows_nothing_from_outside() {
    let tree = Tree::new();
    tree.write("home/project/a.txt", "inside");
    let (path, target) = (tree.at("home/project/a.txt"), tree.at("outside/other.txt"));
    swapping(&path, &tree.at("aside"), &target, || read_again_and_again(&tree.project(), &["a.txt"]));
}

#[test]
fn a_directory_that_is_swapped_for_a_link_shows_nothing_from_outside() {
    let tree = Tree::new();
    tree.write("home/project/src/other.txt", "inside");
    tree.write("outside/name-from-OUTSIDE.rs", "x");
    let (path, target) = (tree.at("home/project/src"), tree.at("outside"));
    let access = tree.project();
    swapping(&path, &tree.at("aside"), &target, || read_again_and_again(&access, &["src/other.txt"]));
    swapping(&path, &tree.at("aside"), &target, || read_again_and_again(&access, &["."]));
}
