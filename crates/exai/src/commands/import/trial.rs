//! Tries the servers before any client is told to rely on exai for them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::super::{count, tools};
use super::naming::Named;
use crate::error::Error;
use crate::limits::{MAX_TRIALS_AT_ONCE, TRIAL_TIMEOUT};
use crate::printer::Printer;

/// Starts the servers, a few at a time, and asks each for its tools. Returns the names of those that answer.
pub(super) fn try_all(named: &[Named], printer: &Printer) -> Result<BTreeSet<String>, Error> {
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    let mut works = BTreeSet::new();
    let mut failed = Vec::new();
    let mut found_tools = 0;
    thread::scope(|scope| {
        for _ in 0..named.len().min(MAX_TRIALS_AT_ONCE) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(server) = named.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tried = tools::count_tools(&server.name, TRIAL_TIMEOUT);
                    if sender.send((server.name.clone(), tried)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        printer.progress(&format!("trying {}…", count(named.len(), "server")));
        for (done, (name, tried)) in results.iter().enumerate() {
            printer.progress(&format!("tried {} of {}…", done + 1, count(named.len(), "server")));
            match tried {
                Ok(tools) => {
                    found_tools += tools;
                    works.insert(name);
                }
                Err(error) => failed.push((name, error)),
            }
        }
    });
    printer.clear_progress();
    let work = match (works.len(), named.len()) {
        (1, 1) => "it works".to_owned(),
        (works, all) if works == all => format!("all {all} work"),
        (works, all) => format!("{works} of {all} work"),
    };
    printer.line(&format!("{work}, with {}", count(found_tools, "tool")))?;
    for (name, error) in failed {
        if let Some(login) = error.login_command() {
            printer.warn(&format!("{name} wants somebody to sign in first"));
            printer.hint(login);
            continue;
        }
        printer.warn(&format!("{name} does not start: {}", error.what()));
        printer.hint(&format!("`exai logs {name}` shows more; `exai remove {name}` takes it out again"));
    }
    Ok(works)
}
