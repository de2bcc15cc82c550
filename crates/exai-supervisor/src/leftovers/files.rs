//! The files in `servers/`: records, unfinished records, and files of other programs.

use std::fs::Metadata;
use std::io;
use std::path::Path;

use exai_os::process::{Identity, identify};

use super::found::{CleanupOutcome, LeftFile, LeftTree, Leftovers};
use crate::limits::{MAX_FILES, MAX_RECORD_BYTES, STALE_TEMPORARY_AGE};
use crate::record::{SCHEMA, TreeRecord, path};

/// The trees of dead daemons, without their processes, and the files that are no records.
pub(super) fn scan(servers_dir: &Path, living: Option<&str>) -> io::Result<Leftovers> {
    let mut found = Leftovers::default();
    match std::fs::symlink_metadata(servers_dir) {
        Ok(servers) if servers.is_dir() => {}
        Ok(_) => {
            // The target of a link is never ours to remove.
            found.files.push(leave(servers_dir, "is no directory; nothing in it was looked at"));
            return Ok(found);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    }
    for entry in std::fs::read_dir(servers_dir)?.take(MAX_FILES) {
        let file = entry?.path();
        match judge(&file, servers_dir) {
            Judged::Record(record) if living == Some(&*record.instance) => {}
            Judged::Record(record) if lives(&record.daemon) => {
                if !found.others.contains(&record.daemon) {
                    found.others.push(record.daemon);
                }
            }
            Judged::Record(record) => {
                let reason = format!("the record of {}, whose daemon died", record.id);
                let file = LeftFile { path: file, reason, removable: true, outcome: None };
                found.trees.push(LeftTree { record: *record, file: Some(file), processes: Vec::new() });
            }
            Judged::File(file) => found.files.push(file),
            Judged::Nothing => {}
        }
    }
    let place = |tree: &LeftTree| tree.file.as_ref().map(|file| file.path.clone());
    found.trees.sort_by_key(place);
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Our temporary files in a directory that killed writers have left.
///
/// # Errors
/// The system's, when the directory is there and cannot be read.
pub fn temporaries(directory: &Path) -> io::Result<Vec<LeftFile>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries.take(MAX_FILES) {
        let file = entry?.path();
        if let Some(metadata) = metadata(&file).filter(|_| name_of(&file).is_some_and(is_temporary)) {
            found.extend(temporary(&file, &metadata));
        }
    }
    found.sort_by(|a: &LeftFile, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Removes a file that may be removed, if it is still a file of ours, no link and no directory. Sockets count as
/// files. Notes its `outcome`.
pub fn remove(file: &mut LeftFile) {
    if !file.removable {
        file.outcome = Some(CleanupOutcome::Left { reason: file.reason.clone() });
        return;
    }
    let outcome = match std::fs::symlink_metadata(&file.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(CleanupOutcome::Gone),
        Err(error) => Err(error.to_string()),
        Ok(now) if now.is_symlink() || now.is_dir() => Err("it has become something else".to_owned()),
        Ok(_) if !exai_os::ownership::file_is_ours(&file.path).unwrap_or(false) => {
            Err("it belongs to another account".to_owned())
        }
        Ok(_) => match exai_os::private::remove(&file.path) {
            Ok(()) => Ok(CleanupOutcome::Removed),
            Err(error) => Err(format!("it cannot be removed: {error}")),
        },
    };
    file.outcome = Some(outcome.unwrap_or_else(|reason| CleanupOutcome::Left { reason }));
}

enum Judged {
    Record(Box<TreeRecord>),
    File(LeftFile),
    /// The file is gone meanwhile, or is being written.
    Nothing,
}

fn judge(file: &Path, servers_dir: &Path) -> Judged {
    let Some(metadata) = metadata(file) else { return Judged::Nothing };
    let Some(name) = name_of(file) else {
        return Judged::File(leave(file, "has a name that is not ours"));
    };
    if is_temporary(name) {
        return temporary(file, &metadata).map_or(Judged::Nothing, Judged::File);
    }
    if !metadata.is_file() {
        return Judged::File(leave(file, &format!("is no regular file but {}", kind_of(&metadata))));
    }
    if !exai_os::ownership::file_is_ours(file).unwrap_or(false) {
        return Judged::File(leave(file, "belongs to another account"));
    }
    if file.extension().is_none_or(|extension| extension != "json") {
        return Judged::File(leave(file, "has a name that is not ours"));
    }
    if metadata.len() > MAX_RECORD_BYTES {
        let reason = format!("is no record: {} MiB long", metadata.len() >> 20);
        return Judged::File(no_record(file, name, false, &reason));
    }
    let bytes = match exai_os::private::read(file, MAX_RECORD_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Judged::Nothing,
        Err(error) => return Judged::File(leave(file, &format!("cannot be read: {error}"))),
    };
    match serde_json::from_slice::<TreeRecord>(&bytes) {
        Ok(record) if record.schema != SCHEMA => Judged::File(leave(file, &of_schema(record.schema.into()))),
        Ok(record) if path(servers_dir, &record.id, &record.instance) != file => {
            Judged::File(leave(file, &format!("is a copy of the record of {}", record.id)))
        }
        Ok(record) => Judged::Record(Box::new(record)),
        Err(error) => Judged::File(broken(file, name, &bytes, &error)),
    }
}

/// A file that is no record this version understands.
fn broken(file: &Path, name: &str, bytes: &[u8], error: &serde_json::Error) -> LeftFile {
    let json = serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let schema = json.as_ref().and_then(|json| json.get("schema")?.as_u64());
    match schema {
        // A newer version may need the file to find its processes.
        Some(schema) if schema != u64::from(SCHEMA) => leave(file, &of_schema(schema)),
        _ if bytes.is_empty() => no_record(file, name, true, "is empty"),
        _ => no_record(file, name, json.is_none(), &format!("is no record: {error}")),
    }
}

fn of_schema(schema: u64) -> String {
    format!("is a record of schema {schema}, which this version does not know")
}

/// Half a record, or a file of another program: JSON under a name that exai never gives is a person's file.
fn no_record(file: &Path, name: &str, torn: bool, reason: &str) -> LeftFile {
    if torn || is_name_of_a_record(name) {
        return LeftFile { path: file.to_owned(), reason: reason.to_owned(), removable: true, outcome: None };
    }
    leave(file, &format!("{reason}, and its name is not ours"))
}

fn leave(file: &Path, reason: &str) -> LeftFile {
    LeftFile { path: file.to_owned(), reason: reason.to_owned(), removable: false, outcome: None }
}

/// `None` for a young file, which may be being written.
fn temporary(file: &Path, metadata: &Metadata) -> Option<LeftFile> {
    let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok()).unwrap_or_default();
    let safe = metadata.is_file() && exai_os::ownership::file_is_ours(file).unwrap_or(false);
    match (safe, age > STALE_TEMPORARY_AGE) {
        (true, true) => {
            let reason = "is a temporary file of a writer that was killed".to_owned();
            Some(LeftFile { path: file.to_owned(), reason, removable: true, outcome: None })
        }
        (true, false) => None,
        (false, _) => Some(leave(file, &format!("is no temporary file of ours but {}", kind_of(metadata)))),
    }
}

pub(super) fn lives(daemon: &Identity) -> bool {
    // A process that cannot be looked at may live, and nothing of a living daemon is touched.
    identify(daemon.pid).map_or(true, |found| found.as_ref() == Some(daemon))
}

fn metadata(file: &Path) -> Option<Metadata> {
    std::fs::symlink_metadata(file).ok()
}

fn name_of(file: &Path) -> Option<&str> {
    file.file_name()?.to_str()
}

fn kind_of(metadata: &Metadata) -> &'static str {
    match metadata {
        found if found.is_symlink() => "a link",
        found if found.is_dir() => "a directory",
        found if found.is_file() => "a file of another account",
        _ => "a pipe, a socket or a device",
    }
}

/// `.NAME.PID.CLOCK.COUNT.tmp`, as `exai_os::private::write_atomic` names them.
fn is_temporary(name: &str) -> bool {
    let parts: Option<Vec<&str>> = name
        .strip_prefix('.')
        .and_then(|name| name.strip_suffix(".tmp"))
        .map(|name| name.rsplitn(4, '.').collect());
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(parts.as_deref(), Some([count, clock, pid, name]) if digits(count) && hex(clock) && digits(pid) && !name.is_empty())
}

/// `NAME.N.NONCE.json`, as [`path`] names them.
fn is_name_of_a_record(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let [server, number, nonce, "json"] = *parts.as_slice() else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !server.is_empty()
        && server.bytes().all(plain)
        && number.parse::<u32>().is_ok()
        && (1..=16).contains(&nonce.len())
        && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ours_or_not() {
        let temporary = [
            (".config.toml.12.18ab.0.tmp", true),
            (".x.1.1.1.tmp", true),
            (".x.tmp", false),
            ("x.1.1.1.tmp", false),
            (".x.a.1.1.tmp", false),
            (".1.1.1.tmp", false),
            ("..1.1.1.tmp", false),
            (".x.1.1.1.tmp~", false),
        ];
        for (name, ours) in temporary {
            assert_eq!(is_temporary(name), ours, "{name}");
        }
        let records = [
            ("everything.1.6f2c0011aabbccdd.json", true),
            ("a-b_c.12.n.json", true),
            ("package.json", false),
            ("a.1..json", false),
            ("a.x.n.json", false),
            ("a.1.n.json.bak", false),
            ("a/b.1.n.json", false),
        ];
        for (name, ours) in records {
            assert_eq!(is_name_of_a_record(name), ours, "{name}");
        }
    }
}
