//! `exai threads`: the conversations of the EXAI tools. They are read from their file: no daemon is needed.

use std::fmt::Write as _;
use std::time::Duration;

use exai_config::Home;
use exai_proto::documents::{ListedThread, SCHEMA, ShownThread, ShownTurn, Threads};
use exai_proto::exit;
use exai_tools::explain::Explain as _;
use exai_tools::models::request::Role;
use exai_tools::threads::{Thread, ThreadError, ThreadFacts, ThreadStore, Turn};
use jiff::Timestamp;

use super::count;
use crate::cli::{RemoveThreadsArgs, ThreadsAction, ThreadsArgs};
use crate::error::Error;
use crate::printer::{Mark, Printer};
use crate::time_span::span;

/// The shortest beginning of an id that is shown.
const MIN_SHOWN_ID: usize = 8;

pub(crate) fn run(args: ThreadsArgs, printer: &Printer) -> Result<u8, Error> {
    let store = ThreadStore::new(Home::locate()?);
    match args.action {
        None => list(&store, args.json.json, printer)?,
        Some(ThreadsAction::Show { id, json }) => show(&store, &id, json.json, printer)?,
        Some(ThreadsAction::Remove(args)) => remove(&store, &args, printer)?,
        Some(ThreadsAction::Reset) => reset(&store, printer)?,
    }
    Ok(exit::DONE)
}

fn list(store: &ThreadStore, json: bool, printer: &Printer) -> Result<(), Error> {
    let threads = store.list_threads()?;
    if json {
        let threads = threads.into_iter().map(describe).collect();
        return printer.json(&Threads { schema: SCHEMA, threads });
    }
    if threads.is_empty() {
        return printer.line("there are no threads; the EXAI tools begin one with each new conversation");
    }
    let length = shown_length(&threads);
    let mut rows =
        vec![["id", "tool", "last used", "turns", "paid", "client", "title"].map(str::to_owned).to_vec()];
    rows.extend(threads.iter().map(|thread| row(thread, length)));
    printer.line(&format!("{}, the one used last first:", count(threads.len(), "thread")))?;
    printer.table(&rows)?;
    printer.faint("`exai threads show ID` shows what was said")
}

fn row(thread: &ThreadFacts, shown_length: usize) -> Vec<String> {
    vec![
        thread.id.chars().take(shown_length).collect(),
        thread.tool.clone(),
        format!("{} ago", span(since(thread.used_at))),
        thread.turn_count.to_string(),
        thread.paid_calls.to_string(),
        thread.client.clone().unwrap_or_else(|| "-".to_owned()),
        thread.title.clone(),
    ]
}

/// So many characters of each id tell all threads apart.
fn shown_length(threads: &[ThreadFacts]) -> usize {
    let mut ids: Vec<&str> = threads.iter().map(|thread| thread.id.as_str()).collect();
    ids.sort_unstable();
    let same =
        |pair: &[&str]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(one, other)| one == other).count();
    ids.windows(2).map(|pair| same(pair) + 1).max().unwrap_or(0).max(MIN_SHOWN_ID)
}

/// How long ago it was. Times to come, after a change of the clock, are now.
fn since(then: Timestamp) -> Duration {
    Timestamp::now().duration_since(then).try_into().unwrap_or_default()
}

fn show(store: &ThreadStore, id: &str, json: bool, printer: &Printer) -> Result<(), Error> {
    let Thread { facts, turns } = store.find_thread(id)?;
    if json {
        let turns = turns.into_iter().map(describe_turn).collect();
        return printer.json(&ShownThread { schema: SCHEMA, thread: describe(facts), turns });
    }
    printer.headline(&facts.title)?;
    let client = facts.client.as_deref().unwrap_or("a client without a name");
    printer.faint(&format!(
        "{}: begun with {} by {client} at {:.0}, used last at {:.0}; {}, {}",
        facts.id,
        facts.tool,
        facts.created_at,
        facts.used_at,
        count(turns.len(), "turn"),
        count(facts.paid_calls as usize, "paid call"),
    ))?;
    for turn in &turns {
        show_turn(turn, printer)?;
    }
    Ok(())
}

/// A turn, with its text indented, so that no line of the text can pass for the beginning of another turn. `--json` has
/// the text as it is.
fn show_turn(turn: &Turn, printer: &Printer) -> Result<(), Error> {
    let mut about = format!("{}, {:.0}", turn.tool, turn.at);
    if let Some(model) = &turn.model {
        // Writing to a String never fails.
        let _ = write!(about, ", {model}");
    }
    if let Some(provider) = &turn.provider {
        let _ = write!(about, " of {provider}");
    }
    printer.line("")?;
    printer.marked(Mark::Hint, &format!("{} {}", turn.number, role(turn.role)), &about)?;
    for line in turn.text.lines() {
        printer.line(&format!("  {}", line.replace('\t', "    ")))?;
    }
    if turn.files.is_empty() { Ok(()) } else { printer.faint(&format!("  files: {}", turn.files.join(", "))) }
}

fn remove(store: &ThreadStore, args: &RemoveThreadsArgs, printer: &Printer) -> Result<(), Error> {
    if let Some(length) = args.older_than {
        let removed = store.remove_unused(length)?;
        return printer.line(&match removed {
            0 => format!("no thread was unused for {}; nothing was removed", span(length)),
            removed => format!("removed {}", count(removed, "thread")),
        });
    }
    for thread in store.remove_threads(&args.ids)? {
        printer.line(&format!("removed {} ({})", thread.id, thread.title))?;
    }
    Ok(())
}

fn reset(store: &ThreadStore, printer: &Printer) -> Result<(), Error> {
    let Some(aside) = store.reset()? else {
        return printer.line("there are no threads; nothing was put aside");
    };
    for old in aside.removed {
        printer.line(&format!("removed {}, which was put aside long ago", old.display()))?;
    }
    printer.line(&format!("the threads are in {} now, and new ones begin an empty file", aside.to.display()))
}

fn describe(facts: ThreadFacts) -> ListedThread {
    ListedThread {
        id: facts.id,
        tool: facts.tool,
        title: facts.title,
        client: facts.client,
        created_at: facts.created_at.to_string(),
        used_at: facts.used_at.to_string(),
        paid_calls: facts.paid_calls,
        turns: facts.turn_count,
    }
}

fn describe_turn(turn: Turn) -> ShownTurn {
    ShownTurn {
        number: turn.number,
        role: role(turn.role).to_owned(),
        tool: turn.tool,
        model: turn.model,
        provider: turn.provider,
        at: turn.at.to_string(),
        text: turn.text,
        step: turn.step,
        files: turn.files,
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

impl From<ThreadError> for Error {
    fn from(error: ThreadError) -> Self {
        let what = error.to_string();
        let hint = match &error {
            // The usual hint is for agents.
            ThreadError::ThreadNotFound { .. } => Some("`exai threads` lists the threads".to_owned()),
            other => other.hint(),
        };
        let failed = match error {
            ThreadError::Home(error) => return error.into(),
            ThreadError::Refused { .. } => Error::refused(what),
            _ => Error::failed(what),
        };
        match hint {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shown_as_far_as_they_tell_threads_apart() {
        let thread = |id: &str| ThreadFacts {
            id: id.to_owned(),
            tool: "chat".to_owned(),
            title: "x".to_owned(),
            client: None,
            created_at: Timestamp::UNIX_EPOCH,
            used_at: Timestamp::UNIX_EPOCH,
            paid_calls: 0,
            turn_count: 0,
        };
        assert_eq!(shown_length(&[thread("0a1b2c3d-4e5f")]), 8);
        assert_eq!(shown_length(&[thread("0a1b2c3d-4e5f"), thread("ff"), thread("0a1b2c3d-4f5f")]), 11);
    }
}
