//! The `.gitignore` files that say what is left out of a directory.
//!
//! The walker of the crate `ignore` opens these files itself, and a project may hold a FIFO or a link to `/dev/zero` of
//! that name. So they are read here, and only the patterns are left to the crate.

use std::io::Read as _;
use std::path::Path;
use std::rc::Rc;

use exai_os::place::Place;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::limits::{MAX_ABOVE, MAX_RULES_BYTES};

/// The rules of a directory, and of those above it.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules(Option<Rc<Layer>>);

#[derive(Debug)]
struct Layer {
    own: Gitignore,
    above: Rules,
}

impl Rules {
    /// The rules that the directories above one have for what is in it: up to the root of its repository, or without a
    /// repository up to `top`.
    pub(super) fn above(directory: &Path, top: &Path) -> Rules {
        let around: Vec<&Path> = directory.ancestors().take(MAX_ABOVE).collect();
        let is_repository = |path: &&Path| std::fs::symlink_metadata(path.join(".git")).is_ok();
        let last = around
            .iter()
            .position(is_repository)
            .or_else(|| around.iter().position(|path| *path == top))
            .unwrap_or(0);
        around[..=last].iter().skip(1).rev().fold(Rules::default(), |rules, directory| rules.with(directory))
    }

    /// These rules, and on top of them those that a directory has itself.
    pub(super) fn with(&self, directory: &Path) -> Rules {
        let mut builder = GitignoreBuilder::new(directory);
        for name in [".git/info/exclude", ".gitignore", ".ignore"] {
            for line in read(&directory.join(name)).unwrap_or_default().lines() {
                // A pattern that is none is left out, as git does.
                let _ = builder.add_line(None, line);
            }
        }
        match builder.build() {
            Ok(own) if !own.is_empty() => Rules(Some(Rc::new(Layer { own, above: self.clone() }))),
            _ => self.clone(),
        }
    }

    /// Whether an entry of the directory is ignored.
    pub(super) fn ignore(&self, path: &Path, is_directory: bool) -> bool {
        let mut rules = self;
        while let Some(layer) = &rules.0 {
            match layer.own.matched(path, is_directory) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => rules = &layer.above,
            }
        }
        false
    }
}

/// The text of a file that is no link. What is too long is cut.
fn read(path: &Path) -> Option<String> {
    let place = Place::find(path).ok().filter(|place| place.real_path() == path)?;
    let mut bytes = Vec::new();
    place.open().ok()?.take(MAX_RULES_BYTES).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 == MAX_RULES_BYTES {
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0));
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
