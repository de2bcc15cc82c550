//! Which directories may be read.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use exai_os::place::Place;

use super::address;
use super::reason::Reason;
use super::secrets;
use super::shown::{shown, shown_path};
use super::uri::{self, HERE};

/// Directories of a home, besides the hidden ones, that hold what programs keep for themselves.
const PRIVATE_IN_HOME: [&str; 2] = ["AppData", "Library"];
/// How many directories a sentence names.
const MAX_NAMED: usize = 3;

/// Where directories may come from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offered<'a> {
    /// The URIs of the client's roots, if it tells roots.
    pub roots: Option<&'a [String]>,
    /// The directory in which the client works. It counts where no root can be used.
    pub working_directory: Option<&'a Path>,
    /// `[ai].directories`, which count for every client.
    pub configured: &'a [PathBuf],
}

/// Places on this machine that decide what is private.
#[derive(Debug, Clone)]
pub struct Places {
    /// The account's home: [`exai_os::account::current`].
    pub home: PathBuf,
    /// The state directory of the daemon, and others. Nothing in one is ever read.
    pub state: Vec<PathBuf>,
}

/// The directories whose files a client may have read.
#[derive(Debug, Clone)]
pub struct FileAccess {
    directories: Vec<Directory>,
    skipped: Vec<SkippedRoot>,
    places: Places,
}

/// A directory whose files may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Its path as it was told, absolute.
    pub given: PathBuf,
    /// Its path without links.
    pub real: PathBuf,
    /// Who has told it.
    pub source: Source,
    /// Whether it is a whole home, or above it, or the root of a file system. Files in it are read if they are named one
    /// by one, but for what is hidden.
    pub is_broad: bool,
}

/// Who has told a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The client, as a root.
    Roots,
    /// The client, by working there.
    WorkingDirectory,
    /// The user, in `config.toml`.
    Configuration,
}

/// A directory that was told and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedRoot {
    /// As it was told.
    pub root: String,
    /// Why, as the end of a sentence.
    pub why: String,
}

impl fmt::Display for SkippedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.root, self.why)
    }
}

impl FileAccess {
    /// Finds out which directories may be read. Looks at each of them.
    pub fn new(offered: &Offered<'_>, places: Places) -> FileAccess {
        // They are compared with paths without links.
        let real = |path: PathBuf| Place::find(&path).map_or(path, |place| place.real_path().to_owned());
        let places = Places {
            home: real(places.home),
            state: places.state.into_iter().flat_map(|path| [real(path.clone()), path]).collect(),
        };
        let mut access = FileAccess { directories: Vec::new(), skipped: Vec::new(), places };
        for root in offered.roots.unwrap_or_default() {
            match uri::path_of(root, HERE) {
                Ok(path) => access.add(Path::new(&path), Source::Roots),
                Err(why) => access.skip(root, why),
            }
        }
        if access.directories.is_empty()
            && let Some(directory) = offered.working_directory
        {
            access.add(directory, Source::WorkingDirectory);
        }
        for directory in offered.configured {
            access.add(directory, Source::Configuration);
        }
        access
    }

    /// The directories that may be read.
    pub fn directories(&self) -> &[Directory] {
        &self.directories
    }

    /// The directories that were told and cannot be used.
    pub fn skipped(&self) -> &[SkippedRoot] {
        &self.skipped
    }

    fn skip(&mut self, root: &str, why: impl ToString) {
        self.skipped.push(SkippedRoot { root: shown(root), why: why.to_string() });
    }

    fn add(&mut self, path: &Path, source: Source) {
        let text = path.to_string_lossy();
        if !path.is_absolute() {
            return self.skip(&text, "is no whole path");
        }
        let place = match Place::find(path) {
            Ok(place) if place.is_directory() => place,
            Ok(_) => return self.skip(&text, "is no directory"),
            Err(error) => return self.skip(&text, Reason::of_io(&error)),
        };
        let real = place.real_path().to_owned();
        if self.directories.iter().any(|known| known.real == real) {
            return;
        }
        let is_broad = self.is_broad(&real);
        self.directories.push(Directory { given: path.to_owned(), real, source, is_broad });
    }

    /// Whether a directory holds a whole home, or a whole file system.
    pub(super) fn is_broad(&self, real: &Path) -> bool {
        real.parent().is_none() || self.places.home.starts_with(real)
    }

    /// The directory that relative paths are taken from: the only one of the client, or else the only one of the user.
    fn base(&self) -> Option<&Path> {
        let of_client = |directory: &&Directory| directory.source != Source::Configuration;
        let mut candidates: Vec<&Directory> = self.directories.iter().filter(of_client).collect();
        if candidates.is_empty() {
            candidates = self.directories.iter().collect();
        }
        match candidates.as_slice() {
            [only] => Some(&only.real),
            _ => None,
        }
    }

    /// Holds what an agent has named, if it may be read.
    pub(super) fn find(&self, argument: &str) -> Result<Place, Reason> {
        if self.directories.is_empty() {
            return Err(Reason::NoDirectory);
        }
        let path = address::absolute(argument, self.base())?;
        let may_lie_in = |directory: &Directory| {
            [&directory.given, &directory.real].into_iter().any(|at| address::may_lie_in(&path, at))
        };
        if !self.directories.iter().any(may_lie_in) {
            return Err(self.outside());
        }
        self.hold(&path)
    }

    /// Holds what is at an absolute path, if it may be read.
    pub(super) fn hold(&self, path: &Path) -> Result<Place, Reason> {
        let place = Place::find(path).map_err(|error| Reason::of_io(&error))?;
        self.check(place.real_path())?;
        Ok(place)
    }

    /// Whether what is at a path without links may be read.
    pub(super) fn check(&self, real: &Path) -> Result<(), Reason> {
        let around = self.directories.iter().filter(|directory| real.starts_with(&directory.real));
        // The narrowest one: a project in a home is no home.
        let Some(directory) = around.max_by_key(|directory| directory.real.as_os_str().len()) else {
            return Err(self.outside());
        };
        if secrets::is_secret(real) || self.places.state.iter().any(|state| real.starts_with(state)) {
            return Err(Reason::Secret);
        }
        let is_private_in = |above: &Path| real.strip_prefix(above).is_ok_and(is_private);
        if directory.is_broad && (is_private_in(&directory.real) || is_private_in(&self.places.home)) {
            return Err(Reason::Private);
        }
        Ok(())
    }

    fn outside(&self) -> Reason {
        let named: Vec<_> =
            self.directories.iter().take(MAX_NAMED).map(|directory| shown_path(&directory.given)).collect();
        let more = match self.directories.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Reason::Outside { allowed: format!("{}{more}", named.join(", ")) }
    }

    /// What a file is called before a model: relative to its directory where there is only one, and absolute where not.
    pub(super) fn shown(&self, real: &Path) -> String {
        let relative = match self.directories.as_slice() {
            [only] if !only.is_broad => real.strip_prefix(&only.real).ok(),
            _ => None,
        };
        shown_path(relative.unwrap_or(real))
    }

    /// The narrowest directory around a path without links.
    pub(super) fn top(&self, real: &Path) -> Option<&Path> {
        let around = self.directories.iter().filter(|directory| real.starts_with(&directory.real));
        around.map(|directory| directory.real.as_path()).max_by_key(|path| path.as_os_str().len())
    }
}

/// Whether a path in a home begins with what is nobody's business.
fn is_private(relative: &Path) -> bool {
    let Some(Component::Normal(first)) = relative.components().next() else { return false };
    let first = first.to_string_lossy();
    first.starts_with('.') || PRIVATE_IN_HOME.iter().any(|name| first.eq_ignore_ascii_case(name))
}
