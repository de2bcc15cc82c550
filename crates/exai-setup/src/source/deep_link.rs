//! The links that install a server with one click.
//!
//! Cursor: <https://cursor.com/docs/context/mcp/install-links>, VS Code:
//! <https://code.visualstudio.com/api/extension-guides/ai/mcp#create-an-mcp-installation-url>, LM Studio:
//! <https://lmstudio.ai/docs/app/mcp/deeplink>, Goose:
//! <https://block.github.io/goose/docs/getting-started/using-extensions>.

use std::time::Duration;

use super::document::read_json;
use super::encoding::{decode_base64, decode_percent, read_query};
use super::error::SourceError;
use super::inputs::read_inputs;
use super::pasted::{PasteOptions, read_pasted};
use super::plan::{Plan, gap};
use super::question::Question;
use super::secret::is_secret_name;
use crate::variables::{Piece, split};
use crate::{ServerEntry, Transport};

/// How long a link may be, in bytes. Browsers end at 2 MiB at the latest.
const MAX_LINK_BYTES: usize = 2 << 20;

/// The links that are understood: how they begin, and what follows.
const LINKS: [(&str, Form); 16] = [
    ("cursor://anysphere.cursor-deeplink/mcp/install?", Form::Query),
    ("cursor://anysphere.cursor-mcp/install?", Form::Query),
    ("https://cursor.com/install-mcp?", Form::Query),
    ("https://www.cursor.com/install-mcp?", Form::Query),
    ("https://cursor.com/en/install-mcp?", Form::Query),
    ("https://www.cursor.com/en/install-mcp?", Form::Query),
    ("vscode:mcp/install?", Form::Json),
    ("vscode-insiders:mcp/install?", Form::Json),
    ("https://insiders.vscode.dev/redirect/mcp/install?", Form::Query),
    ("https://vscode.dev/redirect/mcp/install?", Form::Query),
    ("https://insiders.vscode.dev/redirect?", Form::Redirect),
    ("https://vscode.dev/redirect?", Form::Redirect),
    ("lmstudio://add_mcp?", Form::Query),
    ("https://lmstudio.ai/install-mcp?", Form::Query),
    ("goose://extension?", Form::Goose),
    ("https://block.github.io/goose/extension?", Form::Goose),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `name=` and `config=`, which is JSON or base64 of JSON; `inputs=` for VS Code.
    Query,
    /// The encoded JSON itself.
    Json,
    /// `url=`, which is another link.
    Redirect,
    /// `cmd=`, `arg=`, `env=`.
    Goose,
}

/// Whether a text is a link that [`read_link`] understands, and no URL of a server.
pub fn is_link(text: &str) -> bool {
    find_form(text.trim()).is_some()
}

fn find_form(link: &str) -> Option<(Form, &str)> {
    // Between the slash and the question mark people write one more slash.
    LINKS.iter().find_map(|(start, form)| {
        let (head, rest) = link.split_once('?')?;
        let head = head.strip_suffix('/').unwrap_or(head);
        let same = start.strip_suffix('?').is_some_and(|start| start.eq_ignore_ascii_case(head));
        same.then_some((*form, rest))
    })
}

/// Reads a link of Cursor, VS Code, LM Studio or Goose. `is_program` is that of [`PasteOptions`].
pub fn read_link(link: &str, is_program: &dyn Fn(&str) -> bool) -> Result<Plan, SourceError> {
    let link = link.trim();
    if link.len() > MAX_LINK_BYTES {
        return Err(SourceError::new(format!("the link has more than {} MiB", MAX_LINK_BYTES >> 20)));
    }
    let plan = match find_form(link) {
        Some((Form::Query, query)) => read_config_link(query, is_program),
        Some((Form::Json, json)) => read_json_link(json, is_program),
        Some((Form::Redirect, query)) => {
            let target = find(&read_query(query), "url")?.unwrap_or_default();
            match find_form(&target) {
                Some((Form::Json, json)) => read_json_link(json, is_program),
                Some((Form::Query, query)) => read_config_link(query, is_program),
                _ => Err(SourceError::new("the link leads to no server")),
            }
        }
        Some((Form::Goose, query)) => read_goose_link(query),
        None => Err(SourceError::new(
            "this is no link of Cursor, VS Code, LM Studio or Goose that installs a server",
        )),
    }?;
    refuse_secret_references(plan.entry())?;
    Ok(plan)
}

type Query = [(String, Option<String>)];

/// The value of a parameter, if it is there.
fn find(query: &Query, name: &str) -> Result<Option<String>, SourceError> {
    match query.iter().find(|(key, _)| key == name) {
        Some((_, Some(value))) => Ok(Some(value.clone())),
        Some((_, None)) => Err(SourceError::new(format!("`{name}` in the link is no UTF-8 text"))),
        None => Ok(None),
    }
}

fn read_config_link(query: &str, is_program: &dyn Fn(&str) -> bool) -> Result<Plan, SourceError> {
    let query = read_query(query);
    let name = find(&query, "name")?.filter(|name| !name.trim().is_empty());
    let config = find(&query, "config")?.ok_or_else(|| SourceError::new("the link has no `config`"))?;
    let config = decode_config(&config)
        .ok_or_else(|| SourceError::new("`config` in the link is neither JSON nor base64 of JSON"))?;
    let inputs = find(&query, "inputs")?;
    read_config(&config, name.as_deref(), inputs.as_deref(), is_program)
}

/// The JSON of a parameter: itself, base64 of it, or base64 of its percent-encoding, which Cursor's own page makes.
fn decode_config(config: &str) -> Option<String> {
    let is_json = |text: &str| text.trim_start().starts_with('{');
    if is_json(config) {
        return Some(config.to_owned());
    }
    let decoded = decode_base64(config)?;
    if is_json(&decoded) {
        return Some(decoded);
    }
    decode_percent(&decoded).filter(|decoded| is_json(decoded))
}

fn read_json_link(json: &str, is_program: &dyn Fn(&str) -> bool) -> Result<Plan, SourceError> {
    let json = decode_percent(json).ok_or_else(|| SourceError::new("the link is no UTF-8 text"))?;
    read_config(&json, None, None, is_program)
}

fn read_config(
    config: &str,
    name: Option<&str>,
    inputs: Option<&str>,
    is_program: &dyn Fn(&str) -> bool,
) -> Result<Plan, SourceError> {
    let in_link = |error: SourceError| SourceError::new(format!("the configuration in the link: {error}"));
    let mut pasted = read_pasted(config, PasteOptions { name, is_program }).map_err(in_link)?;
    if let Some(inputs) = inputs {
        let ids: Vec<String> = pasted.questions.iter().map(|question| question.key.clone()).collect();
        pasted.questions = read_separate_inputs(inputs, &ids).map_err(in_link)?;
    }
    let warnings = std::mem::take(&mut pasted.warnings);
    let [server] = <[ServerEntry; 1]>::try_from(pasted.servers).map_err(|servers| {
        SourceError::new(format!("the link must have one server, and has {}", servers.len()))
    })?;
    Ok(Plan::new(server, pasted.questions, warnings))
}

fn read_separate_inputs(inputs: &str, used: &[String]) -> Result<Vec<Question>, SourceError> {
    let document = read_json(inputs);
    document
        .and_then(|document| read_inputs(Some(document.root()), used))
        .map_err(|fault| fault.locate(inputs))
}

fn read_goose_link(query: &str) -> Result<Plan, SourceError> {
    let query = read_query(query);
    let all = |name: &str| -> Result<Vec<String>, SourceError> {
        let values = query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone());
        values
            .map(|value| {
                value.ok_or_else(|| SourceError::new(format!("`{name}` in the link is no UTF-8 text")))
            })
            .collect()
    };
    let name = find(&query, "name")?.or(find(&query, "id")?).filter(|name| !name.trim().is_empty());
    let name = name.ok_or_else(|| SourceError::new("the link has no `name`"))?;
    let mut questions = Vec::new();
    let mut pairs = |parameter: &str| -> Result<Vec<(String, String)>, SourceError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for text in all(parameter)? {
            // `NAME=description`: the user is asked.
            let (variable, description) = text.split_once('=').unwrap_or((&text, ""));
            let is_new = !pairs.iter().any(|(name, _)| name == variable);
            if variable.is_empty() || !is_new || pairs.len() > 100 {
                return Err(SourceError::new(format!("`{parameter}` in the link is not valid")));
            }
            questions.push(Question {
                description: (!description.is_empty()).then(|| description.to_owned()),
                secret: is_secret_name(variable),
                ..Question::new(variable)
            });
            pairs.push((variable.to_owned(), gap(variable)));
        }
        Ok(pairs)
    };
    let transport = match (find(&query, "cmd")?, find(&query, "url")?) {
        (Some(command), _) if !command.trim().is_empty() => {
            Transport::Stdio { command, args: all("arg")?, env: pairs("env")?, cwd: None, env_file: None }
        }
        (_, Some(url)) if !url.trim().is_empty() => Transport::Url { url, headers: pairs("header")? },
        _ => return Err(SourceError::new("the link has neither `cmd` nor `url`")),
    };
    let mut entry = ServerEntry::new(name, transport);
    // <https://block.github.io/goose/docs/getting-started/using-extensions>: in seconds.
    let timeout = find(&query, "timeout")?.and_then(|seconds| seconds.parse::<u32>().ok());
    entry.call_timeout =
        timeout.filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(seconds.into()));
    Ok(Plan::new(entry, questions, Vec::new()))
}

/// A page on the web must not be able to send a secret that exai keeps to a server of its choice.
fn refuse_secret_references(entry: &ServerEntry) -> Result<(), SourceError> {
    let is_secret =
        |piece: Piece<'_>| matches!(piece, Piece::Dollar(inside) if inside.starts_with("secret:"));
    if entry.transport.texts().flat_map(split).any(is_secret) {
        return Err(SourceError::new("the link refers to a secret of exai, and is refused"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
