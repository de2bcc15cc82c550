//! What was given to `exai add`, and how it is read.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use exai_config::Home;
use exai_setup::source::{
    MAX_BUNDLE_BYTES, PasteOptions, Plan, RegistryName, SourceError, is_link, is_server_json, read_link,
    read_pasted,
};
use exai_setup::{ServerEntry, Transport};

use super::bundle_source::{is_zip, read_bundle};
use super::candidate::Candidate;
use super::hash::sha256;
use super::options::Options;
use super::program::{is_program, shown_name};
use super::registry;
use super::tools_server;
use crate::cli::AddArgs;
use crate::error::Error;
use crate::limits::MAX_PASTED_BYTES;
use crate::printer::Printer;
use crate::short_forms::is_url;

/// What was given.
pub(super) enum Source {
    /// A command or a URL, with a name.
    Given(Box<ServerEntry>),
    /// A block on stdin; the name is for an entry that stands alone.
    Stdin { name: Option<String> },
    /// A file.
    File(PathBuf),
    /// A link that a client would open.
    Link(String),
    /// A server of the registry.
    Registry(RegistryName),
}

impl Source {
    pub(super) fn of(args: AddArgs, home: &Home) -> Result<Self, Error> {
        let AddArgs { name, url, via, command: words, .. } = args;
        if args.tools {
            return Ok(Source::Given(Box::new(tools_server::describe(name, home)?)));
        }
        let name = name.unwrap_or_default();
        if let Some(url) = url.or(via).filter(|_| words.is_empty()) {
            return Ok(given(name, at_url(url)));
        }
        match &words[..] {
            [] if name == "-" => Ok(Source::Stdin { name: None }),
            [] if is_link(&name) => Ok(Source::Link(name)),
            [] if Path::new(&name).is_file() => Ok(Source::File(name.into())),
            [] if is_file_name(&name) => {
                Err(Error::failed(format!("there is no file {}; nothing was added", shown_name(&name))))
            }
            [] if RegistryName::is_meant(&name) => match RegistryName::parse(&name) {
                Ok(name) => Ok(Source::Registry(name)),
                Err(error) => Err(Error::usage(format!("`{}`: {error}", shown_name(&name)))),
            },
            [] => Err(Error::usage(format!("what is `{}`? it needs a command or a URL", shown_name(&name)))
                .hint("`exai add NAME -- COMMAND`, `exai add NAME URL`, `exai add FILE`, or `exai add -` and paste a block")),
            [dash] if dash == "-" => Ok(Source::Stdin { name: Some(name) }),
            [dash, ..] if dash == "-" => {
                Err(Error::usage("nothing may stand behind `-`").hint("options stand before the name"))
            }
            [url] if is_url(url) => Ok(given(name, at_url(url.clone()))),
            [command, args @ ..] => Ok(given(name, stdio(command, args))),
        }
    }

    /// Whether the person has chosen the name.
    pub(super) fn gives_name(&self) -> bool {
        matches!(self, Source::Given(_) | Source::Stdin { name: Some(_) })
    }

    /// Reads the servers.
    pub(super) fn read(
        self,
        home: &Home,
        options: &Options,
        printer: &Printer,
    ) -> Result<Vec<Candidate>, Error> {
        let here = std::env::current_dir();
        let here =
            here.map_err(|error| Error::failed(format!("cannot find the working directory: {error}")))?;
        match self {
            Source::Given(entry) => Ok(vec![Candidate::of_person(Plan::without_questions(*entry), here)]),
            Source::Link(link) => {
                let plan = read_link(&link, &is_program).map_err(|error| refuse("the link", &error))?;
                Ok(vec![Candidate::of_person(plan, here)])
            }
            Source::Registry(name) => {
                let server = registry::ask_registry(&name, printer)?;
                Ok(vec![registry::choose_offer(server, (home, here), options, printer)?])
            }
            Source::File(path) => {
                let shown = path.display().to_string();
                let file = File::open(&path)
                    .map_err(|error| Error::failed(format!("cannot open {shown}: {error}")))?;
                let bytes = read_bytes(file, &shown, MAX_BUNDLE_BYTES)?;
                if is_zip(&bytes) || is_bundle_name(&path) {
                    let hash = sha256(&bytes);
                    return Ok(vec![read_bundle(bytes, &hash, &path, home)?]);
                }
                if bytes.len() as u64 > MAX_PASTED_BYTES {
                    return Err(too_long(&shown, MAX_PASTED_BYTES));
                }
                let base = find_project(&here.join(path));
                let bytes = name_plugin_root(bytes, &base);
                read_text(bytes, None, &shown, (home, base), options, printer)
            }
            Source::Stdin { name } => {
                printer
                    .progress("paste the block, then end the input (Ctrl-D, on Windows Ctrl-Z and Enter)…");
                let bytes = read_bytes(io::stdin(), "stdin", MAX_PASTED_BYTES)?;
                printer.clear_progress();
                read_text(bytes, name.as_deref(), "stdin", (home, here), options, printer)
            }
        }
    }
}

fn read_bytes(source: impl io::Read, shown: &str, max: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = source.take(max + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::failed(format!("cannot read {shown}: {error}")))?;
    if bytes.len() as u64 > max { Err(too_long(shown, max)) } else { Ok(bytes) }
}

fn too_long(shown: &str, max: u64) -> Error {
    Error::failed(format!("{shown} has more than {} MiB", max >> 20))
}

/// Reads a `server.json`, or a block of the configuration of a client.
fn read_text(
    bytes: Vec<u8>,
    name: Option<&str>,
    shown: &str,
    (home, base): (&Home, PathBuf),
    options: &Options,
    printer: &Printer,
) -> Result<Vec<Candidate>, Error> {
    let text = String::from_utf8(bytes).map_err(|_| Error::failed(format!("{shown} is not UTF-8 text")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if is_server_json(text) {
        let server = registry::read_file(text, shown)?;
        return Ok(vec![registry::choose_offer(server, (home, base), options, printer)?]);
    }
    let plans = read_block(text, name, shown, printer)?;
    Ok(plans.into_iter().map(|plan| Candidate::of_person(plan, base.clone())).collect())
}

fn read_block(text: &str, name: Option<&str>, shown: &str, printer: &Printer) -> Result<Vec<Plan>, Error> {
    let pasted = read_pasted(text, PasteOptions { name, is_program: &is_program });
    let pasted = pasted.map_err(|error| refuse(shown, &error))?;
    for warning in &pasted.warnings {
        printer.warn(&warning.to_string());
    }
    Ok(pasted.into_plans())
}

fn refuse(shown: &str, error: &SourceError) -> Error {
    Error::failed(format!("{shown}: {error}; nothing was added"))
}

/// Puts the directory of a plugin of Claude Code in the place of its variable: that is where the `.mcp.json` lies.
fn name_plugin_root(bytes: Vec<u8>, root: &Path) -> Vec<u8> {
    const VARIABLE: &str = "${CLAUDE_PLUGIN_ROOT}";
    match str::from_utf8(&bytes) {
        Ok(text) if text.contains(VARIABLE) => {
            let root = serde_json::Value::from(root.to_string_lossy()).to_string();
            text.replace(VARIABLE, root.trim_matches('"')).into_bytes()
        }
        _ => bytes,
    }
}

/// Whether a name is that of a file, and of no server in the registry.
fn is_file_name(name: &str) -> bool {
    let path = Path::new(name);
    let is_text = |ending: &std::ffi::OsStr| {
        ["json", "jsonc", "toml"].iter().any(|text| ending.eq_ignore_ascii_case(text))
    };
    is_bundle_name(path) || path.extension().is_some_and(is_text)
}

fn is_bundle_name(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ["mcpb", "dxt"].iter().any(|bundle| ending.eq_ignore_ascii_case(bundle)))
}

/// The directory of the project that a file belongs to: `.mcp.json` lies in the project, `.vscode/mcp.json` one level
/// below.
fn find_project(file: &Path) -> PathBuf {
    let directory = file.parent().unwrap_or(file);
    let is_hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
    match directory.file_name() {
        Some(name) if is_hidden(name) => directory.parent().unwrap_or(directory).to_owned(),
        _ => directory.to_owned(),
    }
}

fn given(name: String, transport: Transport) -> Source {
    Source::Given(Box::new(ServerEntry::new(name, transport)))
}

fn stdio(command: &str, args: &[String]) -> Transport {
    Transport::Stdio {
        command: command.to_owned(),
        args: args.to_vec(),
        env: Vec::new(),
        cwd: None,
        env_file: None,
    }
}

fn at_url(url: String) -> Transport {
    Transport::Url { url, headers: Vec::new() }
}
