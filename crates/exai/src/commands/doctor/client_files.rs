//! Can the clients read their files, and do the files of one client agree?

use std::collections::BTreeSet;

use exai_setup::Encoding;

use super::client_scene::{ClientFile, ClientScene, Content};
use super::outcome::{CheckOutcome, listed};
use crate::commands::count;

pub(super) fn files(clients: &ClientScene) -> CheckOutcome {
    let (mut broken, mut marked) = (Vec::new(), Vec::new());
    let mut is_used = false;
    for file in &clients.files {
        let name = file.client.display_name;
        match &file.content {
            Content::Unreadable(why) => {
                broken.push(format!("{name}: {why}"));
                is_used |= clients.installs.iter().any(|install| install.path == file.path);
            }
            Content::Servers { encoding, .. } if file.client.rejects_mark => {
                if let Some(kind) = name_mark(*encoding) {
                    let path = file.path.display();
                    marked.push(format!("{name}: {path} {kind}, which {name} may not be able to read"));
                }
            }
            Content::Servers { .. } | Content::Missing => {}
        }
    }
    let fixes = [
        (!broken.is_empty()).then(|| "correct that place".to_owned()),
        (!marked.is_empty()).then(|| "save the file as UTF-8 without a byte order mark".to_owned()),
    ];
    let fix = listed(&fixes.into_iter().flatten().collect::<Vec<_>>());
    if broken.is_empty() && marked.is_empty() {
        return match clients.files.len() {
            0 => CheckOutcome::skip("no client is found on this machine"),
            number => CheckOutcome::pass(format!("{} of clients can be read", count(number, "file"))),
        };
    }
    broken.append(&mut marked);
    let detail = listed(&broken);
    // A file that exai has nothing to do with is no problem of exai.
    let outcome = if is_used { CheckOutcome::fail(detail) } else { CheckOutcome::warn(detail) };
    outcome.fix(fix)
}

/// What stands before the text, if anything does.
fn name_mark(encoding: Encoding) -> Option<&'static str> {
    match encoding {
        Encoding::Utf8 => None,
        Encoding::Utf8WithMark => Some("begins with a byte order mark"),
        Encoding::Utf16LittleEnd | Encoding::Utf16BigEnd => Some("is UTF-16"),
    }
}

pub(super) fn copies(clients: &ClientScene) -> CheckOutcome {
    let (mut faults, mut fixes) = (Vec::new(), Vec::new());
    for several in clients.files.chunk_by(|one, other| one.client.id == other.client.id) {
        let readable = |file: &&ClientFile| matches!(file.content, Content::Servers { .. });
        let mut readable = several.iter().filter(readable);
        let Some(first) = readable.next() else { continue };
        let Some(other) = readable.find(|other| starts(other) != starts(first)) else { continue };
        let (name, first_path, path) =
            (first.client.display_name, first.path.display(), other.path.display());
        faults.push(match (starts(first).is_empty(), starts(other).is_empty()) {
            (false, true) => format!("{name}: {first_path} has exai and {path} does not"),
            (true, false) => format!("{name}: {path} has exai and {first_path} does not"),
            _ => format!("{name}: {first_path} and {path} start exai differently"),
        });
        fixes.push(format!("exai install {}", first.client.id));
    }
    if faults.is_empty() {
        return CheckOutcome::pass("no client has two files that say different things about exai");
    }
    CheckOutcome::warn(listed(&faults)).fix(listed(&fixes))
}

/// An entry of exai: its name, the program, the arguments and the variables.
type Start<'a> = (&'a str, &'a str, &'a [String], &'a [(String, String)]);

/// How a file starts exai.
fn starts(file: &ClientFile) -> BTreeSet<Start<'_>> {
    file.entries().map(|one| (one.entry.name.as_str(), one.command, one.args, one.env)).collect()
}
