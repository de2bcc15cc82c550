//! `[ai]`: the EXAI tools.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::fault::{Fault, check_number, check_words};
use crate::limits::{KEEP_THREADS, LONGEST_KEEP_THREADS, LONGEST_TIMEOUT, MAX_PAID_CALLS, USUAL_PAID_CALLS};
use crate::span::{Span, check_span};

/// The command of exai that is the server of the tools.
pub const SERVER_COMMAND: &str = "tools-server";
/// The usual name of that server.
pub const SERVER_NAME: &str = "ai";

/// The tools that are there unless they are switched off.
pub const TOOLS: [&str; 10] = [
    "chat",
    "thinkdeep",
    "debug",
    "codereview",
    "analyze",
    "planner",
    "consensus",
    "precommit",
    "listmodels",
    "status",
];

/// The tools that are there if they are asked for.
pub const EXTRA_TOOLS: [&str; 8] =
    ["refactor", "testgen", "secaudit", "tracer", "docgen", "challenge", "threads", "clink"];

/// The `[ai]` table, checked, with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AiSettings {
    /// What `auto` tries, in this order: the name of a `[models.NAME]` table, PROVIDER/ID, an id, or `client`. Default:
    /// nothing, which leaves the choice to the tools.
    pub models: Vec<String>,
    /// Those of [`EXTRA_TOOLS`] that are there, too.
    pub extra_tools: Vec<String>,
    /// Those of [`TOOLS`] that are switched off.
    pub disabled_tools: Vec<String>,
    /// Where files may be read for every client, beside the directories that the client tells. As it was written.
    pub directories: Vec<String>,
    /// How many paid calls one thread may make. Default 50.
    pub max_paid_calls: u32,
    /// How long a thread is kept after its last turn. Default 30 days.
    pub keep_threads: Duration,
    /// A call that takes longer is answered `running`, and the client fetches the rest. Default: as long as the client
    /// is known to wait.
    pub answer_within: Option<Duration>,
}

impl Default for AiSettings {
    fn default() -> AiSettings {
        AiSettings {
            models: Vec::new(),
            extra_tools: Vec::new(),
            disabled_tools: Vec::new(),
            directories: Vec::new(),
            max_paid_calls: USUAL_PAID_CALLS,
            keep_threads: KEEP_THREADS,
            answer_within: None,
        }
    }
}

impl AiSettings {
    /// The whole paths of the directories. `account_home` replaces `~`.
    pub fn resolve_directories(&self, account_home: &Path) -> Vec<PathBuf> {
        let resolve = |text: &String| match below_home(text) {
            // An empty rest would leave a separator at the end.
            Some("") => account_home.to_owned(),
            Some(rest) => account_home.join(rest),
            None => PathBuf::from(text),
        };
        self.directories.iter().map(resolve).collect()
    }

    /// Whether the tool of this name is there.
    pub fn has_tool(&self, name: &str) -> bool {
        let is_in = |names: &[String]| names.iter().any(|known| known == name);
        (TOOLS.contains(&name) && !is_in(&self.disabled_tools)) || is_in(&self.extra_tools)
    }
}

/// What follows `~` or `~/`.
fn below_home(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('~')?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(['/', '\\']) }
}

/// The table as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Written {
    models: Vec<Spanned<String>>,
    extra_tools: Vec<Spanned<String>>,
    disabled_tools: Vec<Spanned<String>>,
    directories: Vec<Spanned<String>>,
    max_paid_calls: Option<Spanned<i64>>,
    keep_threads: Option<Spanned<Span>>,
    answer_within: Option<Spanned<Span>>,
}

impl Written {
    /// Checks what the types cannot and fills in the defaults.
    pub(crate) fn check(self) -> Result<AiSettings, Fault> {
        let usual = AiSettings::default();
        for directory in &self.directories {
            let text = directory.get_ref();
            if below_home(text).is_none() && !Path::new(text).is_absolute() {
                let sentence = "a directory in `directories` is a whole path, or begins with ~/";
                return Err(Fault::new(directory.span(), sentence));
            }
        }
        let longest = (LONGEST_TIMEOUT, "24 hours");
        let answer_within = self.answer_within.as_ref();
        let answer_within = answer_within
            .map(|span| check_span("answer_within", Some(span), LONGEST_TIMEOUT, longest))
            .transpose()?;
        let max_paid_calls = check_number("max_paid_calls", self.max_paid_calls, 1..=MAX_PAID_CALLS)?;
        Ok(AiSettings {
            models: check_words("models", self.models)?,
            extra_tools: check_tools("extra_tools", self.extra_tools, &EXTRA_TOOLS)?,
            disabled_tools: check_tools("disabled_tools", self.disabled_tools, &TOOLS)?,
            directories: self.directories.into_iter().map(Spanned::into_inner).collect(),
            max_paid_calls: max_paid_calls
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or(usual.max_paid_calls),
            keep_threads: check_span(
                "keep_threads",
                self.keep_threads.as_ref(),
                usual.keep_threads,
                (LONGEST_KEEP_THREADS, "3650 days"),
            )?,
            answer_within,
        })
    }
}

fn check_tools(key: &str, names: Vec<Spanned<String>>, known: &[&str]) -> Result<Vec<String>, Fault> {
    match names.iter().find(|name| !known.contains(&name.get_ref().as_str())) {
        Some(name) => {
            let known = known.join(", ");
            Err(Fault::new(name.span(), format!("`{key}` does not know this tool; it knows: {known}")))
        }
        None => Ok(names.into_iter().map(Spanned::into_inner).collect()),
    }
}
