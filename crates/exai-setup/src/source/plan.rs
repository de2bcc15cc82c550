//! A server whose texts have gaps, and the questions that fill them.

use std::collections::{BTreeMap, HashSet};

use super::error::SourceError;
use super::question::{Answers, Question};
use super::warning::Warning;
use crate::variables::{Piece, split};
use crate::{ServerEntry, Transport};

/// How many arguments and how long a text an answer may make.
const MAX_ARGUMENTS: usize = 10_000;

/// A server whose texts have gaps, and the questions that fill them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    entry: ServerEntry,
    questions: Vec<Question>,
    warnings: Vec<Warning>,
    arguments: Vec<Argument>,
}

/// Words of a command line that stand and fall together: `--flag` with its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) words: Vec<String>,
    /// Whether the words are repeated for each of several answers.
    pub(crate) repeated: bool,
    /// The words are left out if one of these texts has a gap that stays empty.
    pub(crate) needs: Vec<String>,
    /// The words are there only if the answer to this question is `true`.
    pub(crate) switch: Option<String>,
}

impl Argument {
    pub(crate) fn word(word: impl Into<String>) -> Self {
        Argument { words: vec![word.into()], ..Argument::default() }
    }
}

/// The gap that the answer to a question fills.
pub(crate) fn gap(key: &str) -> String {
    format!("${{input:{key}}}")
}

type Values = BTreeMap<String, Vec<String>>;

impl Plan {
    /// A server that asks nothing.
    pub fn without_questions(entry: ServerEntry) -> Self {
        Plan::new(entry, Vec::new(), Vec::new())
    }

    /// A plan whose gaps are `${input:KEY}`. Every argument of the entry stands for itself.
    pub(crate) fn new(entry: ServerEntry, questions: Vec<Question>, warnings: Vec<Warning>) -> Self {
        let arguments = match &entry.transport {
            Transport::Stdio { args, .. } => args.iter().map(Argument::word).collect(),
            Transport::Url { .. } => Vec::new(),
        };
        Plan::with_arguments(entry, arguments, questions, warnings)
    }

    /// A plan whose arguments are these, and not those of the entry.
    pub(crate) fn with_arguments(
        mut entry: ServerEntry,
        arguments: Vec<Argument>,
        questions: Vec<Question>,
        warnings: Vec<Warning>,
    ) -> Self {
        let secret = |text: &str| {
            let is_secret =
                |key: &str| questions.iter().any(|question| question.key == key && question.secret);
            gaps_of(text).into_iter().any(is_secret)
        };
        if let Transport::Stdio { args, .. } = &mut entry.transport {
            *args = arguments.iter().flat_map(|argument| argument.words.iter().cloned()).collect();
        }
        for (name, _) in entry.transport.pairs().iter().filter(|(_, value)| secret(value)) {
            if !entry.secrets.contains(name) {
                entry.secrets.push(name.clone());
            }
        }
        Plan { entry, questions, warnings, arguments }
    }

    /// The server, to be shown: where an answer belongs stands `${input:KEY}`.
    pub fn entry(&self) -> &ServerEntry {
        &self.entry
    }

    /// What the user is asked.
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// What the user should know.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The server with its gaps filled. An argument, variable or header whose question has neither answer nor default is
    /// left out.
    pub fn fill(&self, answers: &Answers) -> Result<ServerEntry, SourceError> {
        let mut values = Values::new();
        for question in &self.questions {
            values.insert(question.key.clone(), question.resolve(answers)?);
        }
        if let Some(unknown) = answers.keys().find(|key| !values.contains_key(*key)) {
            return Err(SourceError::new(format!("there is no question `{unknown}`")));
        }
        let mut entry = self.entry.clone();
        match &mut entry.transport {
            Transport::Stdio { command, args, env, cwd, env_file } => {
                *command = fill_needed(command, &values, "the command")?;
                *args = fill_arguments(&self.arguments, &values)?;
                fill_pairs(env, &values);
                *cwd = cwd.as_deref().and_then(|cwd| fill_text(cwd, &values));
                *env_file = env_file.as_deref().and_then(|file| fill_text(file, &values));
            }
            Transport::Url { url, headers } => {
                *url = fill_needed(url, &values, "the URL")?;
                fill_pairs(headers, &values);
            }
        }
        let pairs = entry.transport.pairs();
        entry.secrets.retain(|secret| pairs.iter().any(|(name, _)| name == secret));
        Ok(entry)
    }
}

fn fill_needed(text: &str, values: &Values, what: &str) -> Result<String, SourceError> {
    fill_text(text, values).ok_or_else(|| SourceError::new(format!("{what} needs a value that is not given")))
}

fn fill_pairs(pairs: &mut Vec<(String, String)>, values: &Values) {
    *pairs = std::mem::take(pairs)
        .into_iter()
        .filter_map(|(name, value)| fill_text(&value, values).map(|value| (name, value)))
        .collect();
}

fn fill_arguments(arguments: &[Argument], values: &Values) -> Result<Vec<String>, SourceError> {
    let mut filled = Vec::new();
    for argument in arguments {
        let is_off =
            |key: &String| values.get(key).and_then(|values| values.first()).is_none_or(|on| on != "true");
        let is_missing = |text: &String| fill_text(text, values).is_none();
        if argument.switch.as_ref().is_some_and(is_off) || argument.needs.iter().any(is_missing) {
            continue;
        }
        let times = if argument.repeated { count_answers(&argument.words, values) } else { 1 };
        for time in 0..times {
            let words = if times == 1 {
                fill_words(&argument.words, values)
            } else {
                fill_words(&argument.words, &choose_answers(&argument.words, values, time))
            };
            filled.extend(words.unwrap_or_default());
            if filled.len() > MAX_ARGUMENTS {
                return Err(SourceError::new(format!("there are more than {MAX_ARGUMENTS} arguments")));
            }
        }
    }
    Ok(filled)
}

/// The keys of the gaps in these words.
fn keys_of(words: &[String]) -> impl Iterator<Item = &str> {
    words.iter().flat_map(|word| gaps_of(word))
}

/// The most answers that one of the gaps in these words has, and at least 1.
fn count_answers(words: &[String], values: &Values) -> usize {
    keys_of(words).filter_map(|key| values.get(key)).map(Vec::len).max().unwrap_or(1).max(1)
}

/// One answer for each gap: the one in this place, or the last one.
fn choose_answers(words: &[String], values: &Values, place: usize) -> Values {
    let choose = |key: &str| {
        let answers = values.get(key)?;
        let answer = answers.get(place).or(answers.last());
        Some((key.to_owned(), answer.cloned().into_iter().collect()))
    };
    keys_of(words).filter_map(choose).collect()
}

/// The words of one argument, or `None` if one of them has a gap that stays empty.
fn fill_words(words: &[String], values: &Values) -> Option<Vec<String>> {
    let mut filled = Vec::new();
    for word in words {
        let pieces = split(word);
        let alone = match pieces.as_slice() {
            [piece] => piece.input().and_then(|key| values.get(key)),
            _ => None,
        };
        match alone {
            Some(answers) if answers.is_empty() => return None,
            // Several answers become several words where they stand alone.
            Some(answers) => filled.extend(answers.iter().cloned()),
            None => filled.push(fill_text(word, values)?),
        }
    }
    Some(filled)
}

/// A text with its gaps filled, or `None` if one of them stays empty.
fn fill_text(text: &str, values: &Values) -> Option<String> {
    let mut filled = String::with_capacity(text.len());
    for piece in split(text) {
        match piece.input().and_then(|key| values.get(key)) {
            Some(answers) if answers.is_empty() => return None,
            Some(answers) => filled.push_str(&answers.join(",")),
            None => piece.write(&mut filled),
        }
    }
    Some(filled)
}

/// The keys of all gaps in a server.
pub(crate) fn find_gaps(entry: &ServerEntry) -> HashSet<String> {
    entry.transport.texts().flat_map(gaps_of).map(str::to_owned).collect()
}

/// The keys of the gaps in a text, in their order.
fn gaps_of(text: &str) -> Vec<&str> {
    split(text).iter().filter_map(Piece::input).collect()
}
