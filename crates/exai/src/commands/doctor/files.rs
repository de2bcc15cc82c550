//! Each of our files: is it what it should be, ours, and private?

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use exai_config::MAX_CONFIG_BYTES;
use exai_os::inspect::{self, Entry, EntryKind};
use exai_os::private;

use super::outcome::{CheckOutcome, listed};
use super::place::open_to_others;
use super::scene::{Record, Scene};
use crate::limits::{MAX_FILES, STALE_TEMPORARY_AGE};

/// The access that accounts other than the owner may have to a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Privacy {
    /// No access at all: the file opens everything.
    Secret,
    /// At most read access, since the directory is private. A program that can write the file decides what is
    /// executed or believed.
    Trusted,
}

pub(super) fn files(scene: &Scene) -> CheckOutcome {
    let home = &scene.home;
    let mut faults = Faults::default();
    for path in [home.servers_dir(), home.discovery_dir(), home.log_dir(), home.backups_dir()] {
        faults.directory(&path);
    }
    faults.file(&home.token(), Privacy::Secret);
    let trusted = [
        home.config_lock(),
        home.named_tokens(),
        home.daemon_record(),
        home.instance_lock(),
        home.spawn_lock(),
        home.verdicts(),
        home.last_connections(),
        home.database(),
        home.database_lock(),
    ];
    for path in trusted {
        faults.file(&path, Privacy::Trusted);
    }
    faults.config(&home.config());
    for path in entries(&home.log_dir()).into_iter().chain(entries(&home.servers_dir())) {
        faults.file(&path, Privacy::Trusted);
    }
    if let Record::Broken(why) = &scene.record
        // Its kind was reported already.
        && inspect::entry(&home.daemon_record()).is_ok_and(|found| found.kind == EntryKind::File)
    {
        let fix = if scene.daemon_lives() { "see `daemon-answers`" } else { "exai start" };
        faults.add(false, format!("daemon.json is ignored: {why}"), fix.to_owned());
    }
    faults.leftovers(&[home.path().to_owned(), home.servers_dir()]);
    faults.outcome()
}

#[derive(Default)]
struct Faults {
    grave: bool,
    sentences: Vec<String>,
    fixes: Vec<String>,
    seen: usize,
}

impl Faults {
    fn add(&mut self, grave: bool, sentence: String, fix: String) {
        self.grave |= grave;
        self.sentences.push(sentence);
        if !self.fixes.contains(&fix) {
            self.fixes.push(fix);
        }
    }

    /// The entry at the path, if it is of this kind and ours; else a fault. A missing entry is no fault.
    fn expect(&mut self, path: &Path, kind: EntryKind) -> Option<Entry> {
        let shown = path.display();
        match inspect::entry(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.add(true, format!("{shown} cannot be looked at: {error}"), format!("ls -ld {shown}"));
            }
            Ok(found) if found.kind != kind => {
                let sentence = format!("{shown} is {}, not {}", found.kind.in_words(), kind.in_words());
                self.add(true, sentence, format!("move it away: mv {shown} {shown}.away"));
            }
            Ok(Entry { foreign_owner: Some(owner), .. }) => {
                let sentence = format!("{shown} belongs to {owner}");
                self.add(true, sentence, format!("move it away: mv {shown} {shown}.away"));
            }
            Ok(found) => {
                self.seen += 1;
                return Some(found);
            }
        }
        None
    }

    fn directory(&mut self, path: &Path) {
        let Some(found) = self.expect(path, EntryKind::Directory) else { return };
        if let Some((sentence, fix)) = open_to_others(&found, path, &path.display().to_string()) {
            self.add(false, sentence, fix);
        }
    }

    fn file(&mut self, path: &Path, privacy: Privacy) {
        let mode = self.expect(path, EntryKind::File).and_then(|found| found.mode).unwrap_or(0o600);
        let shown = path.display();
        match privacy {
            Privacy::Secret if mode & 0o077 != 0 => {
                self.add(
                    false,
                    format!("{shown} is open to others (mode {mode:04o})"),
                    format!("chmod 600 {shown}"),
                );
            }
            Privacy::Trusted if mode & 0o022 != 0 => {
                let sentence = format!("{shown} can be written by others (mode {mode:04o})");
                self.add(false, sentence, format!("chmod 600 {shown}"));
            }
            Privacy::Secret | Privacy::Trusted => {}
        }
    }

    /// `config.toml` may be a link to a file that no other account can write.
    fn config(&mut self, path: &Path) {
        if !inspect::entry(path).is_ok_and(|found| found.kind == EntryKind::Link) {
            return self.file(path, Privacy::Trusted);
        }
        match private::read_trusted(path, MAX_CONFIG_BYTES) {
            Ok(_) => self.seen += 1,
            Err(error) => {
                let shown = path.display();
                let fix = format!("let it lead to a file of yours that nobody else may write: ls -l {shown}");
                self.add(true, format!("{shown}: {error}"), fix);
            }
        }
    }

    /// Temporary files of writers that were killed.
    fn leftovers(&mut self, directories: &[PathBuf]) {
        let left: Vec<PathBuf> = directories
            .iter()
            .flat_map(|directory| entries(directory))
            .filter(|path| is_leftover(path))
            .collect();
        if let Some(first) = left.first() {
            let number = crate::commands::count(left.len(), "temporary file");
            let sentence = format!("{number} of writers that were killed, such as {}", first.display());
            self.add(false, sentence, "exai cleanup".to_owned());
        }
    }

    fn outcome(self) -> CheckOutcome {
        if self.sentences.is_empty() && self.seen == 0 {
            return CheckOutcome::pass("there are no files yet");
        }
        if self.sentences.is_empty() {
            return CheckOutcome::pass(format!(
                "{} looked at: ours, private, of the right kind",
                crate::commands::count(self.seen, "file")
            ));
        }
        let detail = listed(&self.sentences);
        let outcome = if self.grave { CheckOutcome::fail(detail) } else { CheckOutcome::warn(detail) };
        outcome.fix(listed(&self.fixes))
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.take(MAX_FILES).map(|entry| entry.path()).collect()
}

/// `.NAME.PID.CLOCK.COUNT.tmp`, and not of just now.
fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let old = || {
        let changed = std::fs::symlink_metadata(path).and_then(|found| found.modified());
        changed.is_ok_and(|changed| {
            SystemTime::now().duration_since(changed).is_ok_and(|age| age > STALE_TEMPORARY_AGE)
        })
    };
    is_temporary(name) && old()
}

fn is_temporary(name: &str) -> bool {
    let inner = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
    let mut parts = inner.unwrap_or_default().rsplitn(4, '.');
    let hex = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    hex(parts.next())
        && hex(parts.next())
        && hex(parts.next())
        && parts.next().is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::is_temporary;

    #[test]
    fn temporary_files_are_known_by_their_form() {
        for (name, expected) in [
            (".daemon.json.4120.18a3f.0.tmp", true),
            (".token.1.ff.12.tmp", true),
            ("daemon.json", false),
            (".daemon.json.tmp", false),
            (".x.tmp", false),
            (".notes.of.mine.today.tmp", false),
        ] {
            assert_eq!(is_temporary(name), expected, "{name}");
        }
    }
}
