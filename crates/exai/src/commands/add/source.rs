//! What was given to `exai add`, and how it is read.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use exai_setup::source::{PasteOptions, Plan, SourceError, is_link, read_link, read_pasted};
use exai_setup::{ServerEntry, Transport};

use crate::cli::AddArgs;
use crate::error::Error;
use crate::limits::MAX_PASTED_BYTES;
use crate::printer::Printer;

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
}

impl Source {
    pub(super) fn of(args: AddArgs) -> Result<Self, Error> {
        let AddArgs { name, url, command: words, .. } = args;
        if let Some(url) = url.filter(|_| words.is_empty()) {
            return Ok(given(name, at_url(url)));
        }
        match &words[..] {
            [] if name == "-" => Ok(Source::Stdin { name: None }),
            [] if is_link(&name) => Ok(Source::Link(name)),
            [] if Path::new(&name).is_file() => Ok(Source::File(name.into())),
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

    /// The directory that relative paths in the source are relative to.
    pub(super) fn base(&self) -> Result<PathBuf, Error> {
        let here = std::env::current_dir();
        let here =
            here.map_err(|error| Error::failed(format!("cannot find the working directory: {error}")))?;
        Ok(match self {
            Source::File(path) => find_project(&here.join(path)),
            Source::Given(_) | Source::Stdin { .. } | Source::Link(_) => here,
        })
    }

    /// Reads the servers.
    pub(super) fn read(self, printer: &Printer) -> Result<Vec<Plan>, Error> {
        match self {
            Source::Given(entry) => Ok(vec![Plan::without_questions(*entry)]),
            Source::Link(link) => {
                Ok(vec![read_link(&link, &is_program).map_err(|error| refuse("the link", &error))?])
            }
            Source::File(path) => {
                let shown = path.display().to_string();
                let file = File::open(&path)
                    .map_err(|error| Error::failed(format!("cannot open {shown}: {error}")))?;
                read_block(&read_text(file, &shown)?, None, &shown, printer)
            }
            Source::Stdin { name } => {
                printer
                    .progress("paste the block, then end the input (Ctrl-D, on Windows Ctrl-Z and Enter)…");
                let text = read_text(io::stdin(), "stdin")?;
                printer.clear_progress();
                read_block(&text, name.as_deref(), "stdin", printer)
            }
        }
    }
}

fn read_text(source: impl io::Read, shown: &str) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = source.take(MAX_PASTED_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::failed(format!("cannot read {shown}: {error}")))?;
    if bytes.len() as u64 > MAX_PASTED_BYTES {
        return Err(Error::failed(format!("{shown} has more than {} MiB", MAX_PASTED_BYTES >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::failed(format!("{shown} is not UTF-8 text")))?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), ToOwned::to_owned))
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

/// Whether this is the path of a program, or a program on this terminal's `PATH`.
fn is_program(text: &str) -> bool {
    let Ok(here) = std::env::current_dir() else { return false };
    exai_os::search::resolve(text, &here, &exai_config::environment::of_this_process()).is_ok()
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

fn is_url(text: &str) -> bool {
    ["http://", "https://", "ws://", "wss://"].iter().any(|scheme| text.starts_with(scheme))
}

/// The name of a server as a source has it, short enough for a sentence.
pub(super) fn shown_name(name: &str) -> String {
    exai_proto::limits::cut(name, exai_proto::limits::NAME_CHARS)
}
