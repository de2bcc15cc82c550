//! Files of real directories, put before a model.

mod access;
mod bounds;
mod directories;
mod escapes;
mod images;
#[cfg(unix)]
mod links;
mod refused;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use exai_tools::explain::Explain as _;
use exai_tools::files::{Embedded, FileAccess, Interrupt, Offered, Places, Wanted, collect};

/// A home with a project in it, and a directory outside of both.
struct Tree {
    _dir: tempfile::TempDir,
    /// Without links.
    top: PathBuf,
}

impl Tree {
    fn new() -> Tree {
        let dir = tempfile::tempdir().unwrap();
        let top = exai_os::place::Place::find(dir.path()).unwrap().real_path().to_owned();
        let tree = Tree { _dir: dir, top };
        for directory in ["home/project", "home/.exai", "outside"] {
            fs::create_dir_all(tree.at(directory)).unwrap();
        }
        tree.write("outside/other.txt", "OUTSIDE");
        tree
    }

    fn at(&self, path: &str) -> PathBuf {
        path.split('/').fold(self.top.clone(), |at, part| at.join(part))
    }

    fn text(&self, path: &str) -> String {
        self.at(path).to_str().unwrap().to_owned()
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn places(&self) -> Places {
        Places { home: self.at("home"), state: vec![self.at("home/.exai")] }
    }

    /// What may be read by a client that works in a directory.
    fn access(&self, directory: &str) -> FileAccess {
        let offered = Offered { working_directory: Some(&self.at(directory)), ..Offered::default() };
        FileAccess::new(&offered, self.places())
    }

    fn project(&self) -> FileAccess {
        self.access("home/project")
    }
}

const LARGE: usize = 10_000_000;

fn in_time() -> Interrupt<'static> {
    Interrupt { is_cancelled: &|| false, deadline: Some(Instant::now() + Duration::from_mins(1)) }
}

fn collect_within(access: &FileAccess, paths: &[&str], budget: usize) -> Embedded {
    let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    let wanted = Wanted { paths: &paths, budget, already: &BTreeMap::new(), line_numbers: false };
    collect(&wanted, access, &in_time()).unwrap()
}

fn collect_all(access: &FileAccess, paths: &[&str]) -> Embedded {
    collect_within(access, paths, LARGE)
}

/// The names of the files that are shown.
fn names(embedded: &Embedded) -> Vec<String> {
    embedded.files.iter().map(|file| file.name.replace('\\', "/")).collect()
}

/// Name and code of everything that is left out.
fn omitted(embedded: &Embedded) -> Vec<(String, &'static str)> {
    embedded.omitted.iter().map(|omitted| (omitted.name.replace('\\', "/"), omitted.reason.code())).collect()
}

/// Why the one path that a call names is refused.
fn refusal(access: &FileAccess, path: &str) -> &'static str {
    let embedded = collect_all(access, &[path]);
    assert!(embedded.files.is_empty(), "{path}: {}", embedded.text);
    assert!(!embedded.text.contains("OUTSIDE"), "{}", embedded.text);
    match embedded.omitted.as_slice() {
        [only] => only.reason.code(),
        others => panic!("{path}: {others:?}"),
    }
}

fn uri(path: &Path) -> String {
    let path = path.to_str().unwrap().replace('\\', "/").replace(' ', "%20");
    if path.starts_with('/') { format!("file://{path}") } else { format!("file:///{path}") }
}
