//! The `manifest.json` of a bundle, versions 0.1 (`.dxt`) to 0.4.
//!
//! <https://github.com/modelcontextprotocol/mcpb/blob/main/MANIFEST.md>

use super::document::read_json;
use super::error::SourceError;
use super::manifest_text::{Texts, check_default};
use super::places::{Places, Platform};
use super::plan::Plan;
use super::question::{AnswerKind, Question};
use crate::fault::Fault;
use crate::node::{Document, Node};
use crate::variables::is_variable_name;
use crate::{ServerEntry, Transport};

const VERSIONS: [&str; 4] = ["0.1", "0.2", "0.3", "0.4"];

/// How many settings a bundle may ask for.
const MAX_SETTINGS: usize = 200;

/// What a bundle says about itself.
#[derive(Debug)]
pub struct Manifest {
    /// Its name.
    pub name: String,
    /// How it wants to be called, if that is another name.
    pub display_name: Option<String>,
    /// Its version.
    pub version: String,
    /// What it says it does.
    pub description: Option<String>,
    /// Who says that they have made it.
    pub author: Option<String>,
    text: String,
    document: Document,
}

impl Manifest {
    /// Reads a manifest. Errors have their line and column.
    pub(crate) fn read(text: &str) -> Result<Manifest, SourceError> {
        let text = text.trim_start_matches('\u{feff}');
        let read = || -> Result<Manifest, Fault> {
            let document = read_json(text)?;
            let root = document.root();
            let version = root.text("manifest_version")?.or(root.text("dxt_version")?);
            if !version.is_some_and(|version| VERSIONS.contains(&version)) {
                return Err(Fault::new(
                    root.at,
                    format!("`manifest_version` must be one of: {}", VERSIONS.join(", ")),
                ));
            }
            let needed = |key: &str| {
                let value = root.text(key)?.filter(|value| !value.trim().is_empty() && value.len() <= 1000);
                value
                    .map(str::to_owned)
                    .ok_or_else(|| Fault::new(root.at, format!("`{key}` is missing or too long")))
            };
            if root.get("server").and_then(Node::members).is_none() {
                return Err(Fault::new(root.at, "`server` is missing"));
            }
            Ok(Manifest {
                name: needed("name")?,
                display_name: root.text("display_name")?.map(str::to_owned),
                version: needed("version")?,
                description: root.text("description")?.map(str::to_owned),
                author: root.get("author").map_or(Ok(None), |author| author.text("name"))?.map(str::to_owned),
                text: text.to_owned(),
                document,
            })
        };
        read().map_err(|fault| fault.locate(text))
    }

    /// How the server is started once its files are in `places.bundle`, and what the user is asked before.
    pub fn plan(
        &self,
        has_file: &dyn Fn(&str) -> bool,
        places: &Places,
        platform: Platform,
    ) -> Result<Plan, SourceError> {
        self.make_plan(has_file, places, platform).map_err(|fault| {
            SourceError::new(format!("`manifest.json` of the bundle: {}", fault.locate(&self.text)))
        })
    }

    fn make_plan(
        &self,
        has_file: &dyn Fn(&str) -> bool,
        places: &Places,
        platform: Platform,
    ) -> Result<Plan, Fault> {
        let root = self.document.root();
        let platforms = root.get("compatibility").map_or(Ok(None), |needs| needs.texts("platforms"))?;
        if platforms.is_some_and(|platforms| !platforms.iter().any(|name| name == platform.name())) {
            return Err(Fault::new(
                root.at,
                format!("the bundle is not for this platform ({})", platform.name()),
            ));
        }
        let server = root.get("server").unwrap_or(root);
        let mut texts = Texts { places, windows: platform == Platform::Windows, settings: Vec::new() };
        let questions = read_settings(root.get("user_config"), &mut texts)?;
        let start = read_start(server, platform)?;
        let command = find_program(&texts.fill(&start.command, server.at)?, server.at, has_file, &texts)?;
        let args = start.args.iter().map(|arg| texts.fill(arg, server.at)).collect::<Result<_, _>>()?;
        let mut env = Vec::new();
        for (name, value) in &start.env {
            if !is_variable_name(name) {
                return Err(Fault::new(server.at, "a name in `env` is not valid"));
            }
            env.push((name.clone(), texts.fill(value, server.at)?));
        }
        // Manifests write paths in the bundle with `${__dirname}` and without.
        let cwd = Some(places.bundle.clone());
        let transport = Transport::Stdio { command, args, env, cwd, env_file: None };
        Ok(Plan::new(ServerEntry::new(&self.name, transport), questions, Vec::new()))
    }
}

/// How a server is started, before anything is filled in.
struct Start {
    command: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

fn read_start(server: Node<'_>, platform: Platform) -> Result<Start, Fault> {
    let Some(config) = server.get("mcp_config") else { return default_start(server) };
    let command = config.text("command")?.unwrap_or_default().to_owned();
    let mut start =
        Start { command, args: config.texts("args")?.unwrap_or_default(), env: config.pairs("env")? };
    let of_platform = config.get("platform_overrides").and_then(|platforms| platforms.get(platform.name()));
    if let Some(of_platform) = of_platform {
        if let Some(command) = of_platform.text("command")? {
            command.clone_into(&mut start.command);
        }
        if let Some(args) = of_platform.texts("args")? {
            start.args = args;
        }
        for (name, value) in of_platform.pairs("env")? {
            start.env.retain(|(other, _)| *other != name);
            start.env.push((name, value));
        }
    }
    if start.command.trim().is_empty() || start.command.contains('\0') {
        return Err(Fault::new(config.at, "`command` is missing"));
    }
    Ok(start)
}

/// A server without `mcp_config` is started by its kind; version 0.4 allows that for `uv`.
fn default_start(server: Node<'_>) -> Result<Start, Fault> {
    let entry_point = server.text("entry_point")?.filter(|path| !path.is_empty());
    let entry_point = entry_point.ok_or_else(|| Fault::new(server.at, "`entry_point` is missing"))?;
    if let Some(danger) = super::bundle_path::find_danger(entry_point) {
        return Err(Fault::new(server.at, format!("`entry_point` {danger}")));
    }
    let path = format!("${{__dirname}}/{entry_point}");
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let (command, args) = match server.text("type")? {
        Some("node") => ("node".to_owned(), vec![path]),
        Some("python") => ("python".to_owned(), vec![path]),
        Some("binary") => (path, Vec::new()),
        Some("uv") => ("uv".to_owned(), words(&["run", "--directory", "${__dirname}", entry_point])),
        _ => return Err(Fault::new(server.at, "`type` must be node, python, binary or uv")),
    };
    Ok(Start { command, args, env: Vec::new() })
}

/// The program: a file of the bundle by its path, or a program of the machine.
fn find_program(
    command: &str,
    at: usize,
    has_file: &dyn Fn(&str) -> bool,
    texts: &Texts<'_>,
) -> Result<String, Fault> {
    let bundle = &texts.places.bundle;
    let inside = command.strip_prefix(bundle.as_str()).and_then(|rest| rest.strip_prefix(['/', '\\']));
    let is_absolute = command.starts_with(['/', '\\']) || command.get(1..2) == Some(":");
    let relative = inside.unwrap_or(command).trim_start_matches("./").replace('\\', "/");
    if inside.is_none() && is_absolute {
        return Ok(command.to_owned());
    }
    let with_extension = format!("{relative}.exe");
    let separator = texts.separator();
    if texts.windows && has_file(&with_extension) {
        Ok(format!("{bundle}{separator}{with_extension}"))
    } else if has_file(&relative) {
        Ok(format!("{bundle}{separator}{relative}"))
    } else if inside.is_some() || relative.contains('/') {
        Err(Fault::new(at, "the program that starts the server is not in the bundle"))
    } else {
        Ok(command.to_owned())
    }
}

/// The questions for `user_config`.
fn read_settings(settings: Option<Node<'_>>, texts: &mut Texts<'_>) -> Result<Vec<Question>, Fault> {
    let Some(settings) = settings else { return Ok(Vec::new()) };
    let members =
        settings.members().ok_or_else(|| Fault::new(settings.at, "`user_config` must be a table"))?;
    if members.len() > MAX_SETTINGS {
        return Err(Fault::new(settings.at, format!("the bundle has more than {MAX_SETTINGS} settings")));
    }
    let mut questions: Vec<Question> = Vec::new();
    for member in members {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let is_new = !questions.iter().any(|question| question.key == member.key);
        if member.key.is_empty() || !member.key.chars().all(allowed) || !is_new {
            return Err(Fault::new(member.at, "a setting has no valid key, or one that another setting has"));
        }
        questions.push(read_setting(member.key, member.node, texts)?);
        texts.settings.push(member.key.to_owned());
    }
    Ok(questions)
}

fn read_setting(key: &str, node: Node<'_>, texts: &Texts<'_>) -> Result<Question, Fault> {
    let bound = |key: &str| {
        let number = node
            .get(key)
            .and_then(|node| node.value.to_plain_text())
            .and_then(|text| text.parse::<f64>().ok());
        number.map(|number| number as i64)
    };
    let kind = match node.text("type")? {
        Some("string") => AnswerKind::Text,
        Some("number") => AnswerKind::Number { min: bound("min"), max: bound("max") },
        Some("boolean") => AnswerKind::Flag,
        Some("directory") => AnswerKind::Directory,
        Some("file") => AnswerKind::File,
        _ => return Err(Fault::new(node.at, "`type` must be string, number, boolean, directory or file")),
    };
    let mut default = Vec::new();
    let written = match node.get("default") {
        None => Vec::new(),
        Some(one) => one.elements().unwrap_or_else(|| vec![one]),
    };
    for value in written {
        let text =
            value.value.to_plain_text().ok_or_else(|| Fault::new(value.at, "`default` must be a text"))?;
        let text = texts.fill_places(&text, value.at)?;
        check_default(&text, value.at)?;
        default.extend(Some(text).filter(|text| !text.is_empty()));
    }
    let title = node.text("title")?;
    Ok(Question {
        description: node.text("description")?.or(title).map(str::to_owned),
        kind,
        secret: node.flag("sensitive")?.unwrap_or(false),
        required: node.flag("required")?.unwrap_or(false),
        multiple: node.flag("multiple")?.unwrap_or(false),
        default,
        ..Question::new(key)
    })
}

#[cfg(test)]
mod tests;
