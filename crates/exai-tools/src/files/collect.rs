//! From the paths that a call names to a text for a model.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::tokens;

use super::access::FileAccess;
use super::block;
use super::content::{Text, read_text};
use super::embedded::{Embedded, EmbeddedFile, Omitted, TooLarge};
use super::expand::Expansion;
use super::interrupt::{Interrupt, Interrupted};
use super::limits::{MAX_FILES, MAX_LARGEST, MAX_OMITTED, MAX_PATHS, MAX_TOLD};
use super::reason::{Failure, Reason};
use super::shown::shown;

/// What a call wants to put before a model.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Files and directories: paths, or `file:` URIs.
    pub paths: &'a [String],
    /// How long the text may be, in tokens.
    pub budget: usize,
    /// What the thread has shown already: paths without links, and the newest digest of each
    /// ([`EmbeddedFile::digest`]). A file that has changed since is shown again.
    pub already: &'a BTreeMap<PathBuf, String>,
    /// Whether each line gets its number.
    pub line_numbers: bool,
}

/// Reads the files that a call names, and those in the directories that it names.
///
/// The named files come first, in their order, and then those of directories by path. If the budget is too small, named
/// files get it before found ones, and newer ones before older ones; a file that does not fit is left out. Only if a
/// call names nothing but one file, that file is cut.
pub fn collect(
    wanted: &Wanted<'_>,
    access: &FileAccess,
    interrupt: &Interrupt<'_>,
) -> Result<Embedded, Interrupted> {
    let mut collection = Collection::new(wanted, access);
    let (candidates, omitted) = collection.candidates(interrupt)?;
    for candidate in candidates {
        interrupt.check()?;
        collection.add(candidate, interrupt)?;
    }
    for (path, reason) in omitted {
        // Another argument may name it.
        if !collection.seen.contains(&path) {
            collection.omit(&Origin::Found(path.clone()), &path, reason);
        }
    }
    Ok(collection.finish())
}

/// A file that may be shown.
struct Candidate {
    origin: Origin,
    /// Where it is; without links unless something is changed at this moment.
    path: PathBuf,
}

/// Where a file comes from; in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// The call has named it, with the argument of this index.
    Named(usize),
    /// It was found in a directory.
    Found(PathBuf),
}

/// What was found and is left out.
type LeftOut = Vec<(PathBuf, Reason)>;

struct Collection<'a> {
    wanted: &'a Wanted<'a>,
    access: &'a FileAccess,
    /// What is left of the budget, in tokens.
    left: usize,
    blocks: Vec<(Origin, String, EmbeddedFile)>,
    omitted: Vec<(Origin, Omitted)>,
    more_omitted: usize,
    /// Names and tokens of what does not fit.
    over_budget: Vec<(String, usize)>,
    /// Paths without links of files that were looked at.
    seen: BTreeSet<PathBuf>,
}

impl<'a> Collection<'a> {
    fn new(wanted: &'a Wanted<'a>, access: &'a FileAccess) -> Self {
        Collection {
            wanted,
            access,
            left: wanted.budget.saturating_sub(tokens::estimate(&head(wanted.line_numbers))),
            blocks: Vec::new(),
            omitted: Vec::new(),
            more_omitted: 0,
            over_budget: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// What may be shown, in the order in which it gets the budget, and what the named directories have besides.
    fn candidates(&mut self, interrupt: &Interrupt<'_>) -> Result<(Vec<Candidate>, LeftOut), Interrupted> {
        let mut candidates = Vec::new();
        let mut expansion = Expansion::new(self.access, interrupt);
        for (index, argument) in self.wanted.paths.iter().enumerate() {
            interrupt.check()?;
            if index == MAX_PATHS {
                let reason = Reason::TooMany { most: MAX_PATHS, what: "paths" };
                let omitted = Omitted { name: "the call".to_owned(), is_named: true, reason };
                self.omitted.push((Origin::Named(index), omitted));
                break;
            }
            let reason = match self.access.find(argument) {
                Ok(place) if !place.is_directory() => {
                    let path = place.real_path().to_owned();
                    candidates.push(Candidate { origin: Origin::Named(index), path });
                    continue;
                }
                Ok(place) if self.access.is_broad(place.real_path()) => Reason::TooBroad,
                Ok(place) => {
                    expansion.expand(place.real_path())?;
                    continue;
                }
                Err(reason) => reason,
            };
            self.omit(&Origin::Named(index), Path::new(argument), reason);
        }
        let mut found = expansion.found;
        found.sort_by_key(|file| (Reverse(file.modified), file.path.clone()));
        candidates.extend(
            found
                .into_iter()
                .map(|file| Candidate { origin: Origin::Found(file.path.clone()), path: file.path }),
        );
        for candidate in candidates.drain(candidates.len().min(MAX_FILES)..) {
            let reason = Reason::TooMany { most: MAX_FILES, what: "files" };
            self.omit(&candidate.origin, &candidate.path, reason);
        }
        Ok((candidates, expansion.omitted))
    }

    fn add(&mut self, candidate: Candidate, interrupt: &Interrupt<'_>) -> Result<(), Interrupted> {
        match self.show(&candidate, interrupt) {
            Ok(()) => Ok(()),
            Err(Failure::Interrupted(interrupted)) => Err(interrupted),
            Err(Failure::Omitted(reason)) => {
                self.omit(&candidate.origin, &candidate.path, reason);
                Ok(())
            }
        }
    }

    fn show(&mut self, candidate: &Candidate, interrupt: &Interrupt<'_>) -> Result<(), Failure> {
        let place = self.access.hold(&candidate.path)?;
        let path = place.real_path().to_owned();
        if !self.seen.insert(path.clone()) {
            return Ok(());
        }
        let Text { text, digest } = read_text(&place, interrupt)?;
        if self.wanted.already.get(&path) == Some(&digest) {
            return Err(Reason::Unchanged.into());
        }
        let name = self.access.shown(&path);
        let mut block = block::render(&name, &text, self.wanted.line_numbers);
        let whole = tokens::estimate(&block);
        let is_truncated = whole > self.left;
        if is_truncated {
            let most = tokens::bytes_of(self.left);
            let is_alone = self.wanted.paths.len() == 1 && matches!(candidate.origin, Origin::Named(_));
            let cut =
                is_alone.then(|| block::render_cut(&name, &text, self.wanted.line_numbers, most)).flatten();
            let Some(cut) = cut else {
                self.over_budget.push((name, whole));
                return Err(Reason::OverBudget { tokens: whole, left: self.left }.into());
            };
            block = cut;
        }
        let tokens = tokens::estimate(&block);
        self.left = self.left.saturating_sub(tokens);
        let file = EmbeddedFile { path, name, tokens, digest, is_truncated };
        self.blocks.push((candidate.origin.clone(), block, file));
        Ok(())
    }

    fn omit(&mut self, origin: &Origin, path: &Path, reason: Reason) {
        let (name, is_named) = match origin {
            Origin::Named(index) => (shown(&self.wanted.paths[*index]), true),
            Origin::Found(_) => (self.access.shown(path), false),
        };
        if is_named || reason.concerns_model() || self.omitted.len() < MAX_OMITTED {
            self.omitted.push((origin.clone(), Omitted { name, is_named, reason }));
        } else {
            self.more_omitted += 1;
        }
    }

    fn finish(mut self) -> Embedded {
        self.blocks.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let too_large = self.too_large();
        let mut text = if self.blocks.is_empty() { String::new() } else { head(self.wanted.line_numbers) };
        let mut files = Vec::new();
        for (_, block, file) in self.blocks {
            text.push_str(&block);
            files.push(file);
        }
        self.omitted.sort_by(|(one, _), (other, _)| one.cmp(other));
        let omitted: Vec<Omitted> = self.omitted.into_iter().map(|(_, omitted)| omitted).collect();
        text.push_str(&told(&omitted, self.left));
        let tokens = tokens::estimate(&text);
        Embedded { text, tokens, files, omitted, more_omitted: self.more_omitted, too_large }
    }

    fn too_large(&self) -> Option<TooLarge> {
        if self.over_budget.is_empty() {
            return None;
        }
        let shown = self.blocks.iter().map(|(_, _, file)| (file.name.clone(), file.tokens));
        let mut largest: Vec<_> = shown.chain(self.over_budget.iter().cloned()).collect();
        let used = self.wanted.budget.saturating_sub(self.left);
        let missing: usize = self.over_budget.iter().map(|(_, tokens)| tokens).sum();
        largest.sort_by(|(name, tokens), (other, others)| others.cmp(tokens).then(name.cmp(other)));
        largest.truncate(MAX_LARGEST);
        Some(TooLarge { needed: used + missing, budget: self.wanted.budget, largest })
    }
}

fn head(line_numbers: bool) -> String {
    let numbers = if line_numbers { block::NUMBERS } else { "" };
    format!("{}{numbers}", block::HEAD)
}

/// What the model is told of the files that it does not see, in so many tokens at most.
fn told(omitted: &[Omitted], most: usize) -> String {
    let mut told = String::new();
    let concerns = |omitted: &&Omitted| omitted.is_named || omitted.reason.concerns_model();
    let count = omitted.iter().filter(concerns).count();
    for (index, omitted) in omitted.iter().filter(concerns).enumerate() {
        let line = format!("Not shown: {omitted}.\n");
        let rest = format!("Not shown: {} more files.\n", count - index);
        if index == MAX_TOLD || tokens::estimate(&told) + tokens::estimate(&line) > most {
            told.push_str(&rest);
            break;
        }
        told.push_str(&line);
    }
    if told.is_empty() { told } else { format!("\n{told}") }
}
