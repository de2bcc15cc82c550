//! What `exai cleanup` says to people.

use exai_proto::documents::{Action, Cleanup, Found};

use super::super::count;
use crate::error::Error;
use crate::printer::Printer;

pub(super) fn show(document: &Cleanup, left: bool, printer: &Printer) -> Result<(), Error> {
    printer.headline(&sentence(document, left))?;
    let alone = document.found.iter().filter(|found| action(found) == Action::Leave).count();
    if alone > 0 {
        let sentence = match alone {
            1 => "1 thing is left alone: it cannot be proven to be exai's".to_owned(),
            _ => format!("{alone} things are left alone: they cannot be proven to be exai's"),
        };
        printer.line(&sentence)?;
    }
    for rows in [processes(document), files(document)] {
        if rows.len() > 1 {
            printer.line("")?;
            printer.table(&rows)?;
        }
    }
    if document.applied && document.freed_bytes > 0 {
        printer.line("")?;
        printer.line(&format!("freed {}", mebibytes(document.freed_bytes)))?;
    }
    Ok(())
}

fn sentence(document: &Cleanup, left: bool) -> String {
    let number = |what| document.found.iter().filter(|found| action(found) == what).count();
    let (processes, files) = (number(Action::Kill), number(Action::Remove));
    let many = count(processes, "process");
    let things = match (processes, files) {
        (0, 0) if document.found.is_empty() => return "nothing was left behind".to_owned(),
        (0, 0) => return "nothing that is provably exai's was left behind".to_owned(),
        (_, 0) => many,
        (0, _) => count(files, "file"),
        (_, _) => format!("{many} and {}", count(files, "file")),
    };
    let (was, them) = if processes + files == 1 { ("was", "it") } else { ("were", "them") };
    let what = format!("{things} {was} left behind by a daemon that died");
    match (document.applied, left) {
        (true, false) => format!("cleaned up: {what}"),
        (true, true) => format!("cleaned up as far as it is safe and possible: {what}"),
        (false, _) => {
            let verbs = match (processes, files) {
                (_, 0) => "ends",
                (0, _) => "removes",
                (_, _) => "ends and removes",
            };
            format!("{what}; `exai cleanup --apply` {verbs} {them}")
        }
    }
}

fn action(found: &Found) -> Action {
    match found {
        Found::Process { action, .. } | Found::File { action, .. } => *action,
    }
}

/// The word for what will be done, or what was done.
fn done(action: Action, outcome: Option<&String>) -> String {
    let plan = match action {
        Action::Kill => "end",
        Action::Remove => "remove",
        Action::Leave => "leave",
    };
    match outcome {
        // The reason stands in the last column.
        Some(outcome) if action != Action::Leave => outcome.clone(),
        Some(outcome) if outcome == "was gone" => outcome.clone(),
        Some(_) | None => plan.to_owned(),
    }
}

fn processes(document: &Cleanup) -> Vec<Vec<String>> {
    let mut rows = vec![["action", "pid", "name", "of", "memory", "why"].map(str::to_owned).to_vec()];
    for found in &document.found {
        if let Found::Process { pid, name, of, proof, reason, rss_bytes, action, outcome } = found {
            rows.push(vec![
                done(*action, outcome.as_ref()),
                pid.to_string(),
                shown(name.as_deref().unwrap_or("-")),
                of.clone().unwrap_or_else(|| "-".to_owned()),
                mebibytes(*rss_bytes),
                proof.as_ref().or(reason.as_ref()).cloned().unwrap_or_default(),
            ]);
        }
    }
    rows
}

fn files(document: &Cleanup) -> Vec<Vec<String>> {
    let mut rows = vec![["action", "file", "why"].map(str::to_owned).to_vec()];
    for found in &document.found {
        if let Found::File { path, reason, action, outcome } = found {
            let why = reason.clone().unwrap_or_default();
            rows.push(vec![done(*action, outcome.as_ref()), shown(path), why]);
        }
    }
    rows
}

/// A process chooses its own name, so the name must not control the terminal.
fn shown(name: &str) -> String {
    name.chars().map(|char| if char.is_control() { '?' } else { char }).collect()
}

fn mebibytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xF_FFFF) * 10) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(applied: bool, actions: &[Action]) -> Cleanup {
        let found = |action: &Action| match action {
            Action::Remove => {
                Found::File { path: "/x".to_owned(), reason: None, action: *action, outcome: None }
            }
            Action::Kill | Action::Leave => Found::Process {
                pid: 7,
                name: None,
                of: None,
                proof: None,
                reason: None,
                rss_bytes: 1,
                action: *action,
                outcome: None,
            },
        };
        Cleanup { schema: 1, applied, found: actions.iter().map(found).collect(), freed_bytes: 0 }
    }

    #[test]
    fn a_sentence_for_every_outcome() {
        use Action::{Kill, Leave, Remove};
        let cases: [(bool, bool, &[Action], &str); 7] = [
            (false, false, &[], "nothing was left behind"),
            (true, true, &[Leave], "nothing that is provably exai's was left behind"),
            (
                false,
                false,
                &[Kill, Kill, Remove, Leave],
                "2 processes and 1 file were left behind by a daemon that died; `exai cleanup --apply` ends and removes them",
            ),
            (
                false,
                false,
                &[Remove],
                "1 file was left behind by a daemon that died; `exai cleanup --apply` removes it",
            ),
            (
                false,
                false,
                &[Kill],
                "1 process was left behind by a daemon that died; `exai cleanup --apply` ends it",
            ),
            (
                true,
                false,
                &[Kill, Remove],
                "cleaned up: 1 process and 1 file were left behind by a daemon that died",
            ),
            (
                true,
                true,
                &[Remove, Remove],
                "cleaned up as far as it is safe and possible: 2 files were left behind by a daemon that died",
            ),
        ];
        for (applied, left, actions, expected) in cases {
            assert_eq!(sentence(&document(applied, actions), left), expected);
        }
    }

    #[test]
    fn sizes_and_names_are_for_people() {
        assert_eq!(mebibytes(0), "0.0 MiB");
        assert_eq!(mebibytes(3 * (1 << 20) / 2), "1.5 MiB");
        assert_eq!(shown("a\x1b[2Jb"), "a?[2Jb");
    }
}
