//! The registry's description of a server: `server.json`, alone or in the answer of a registry.
//!
//! <https://github.com/modelcontextprotocol/registry/blob/main/docs/reference/server-json/generic-server-json.md>, schema
//! 2025-12-11, and the older ones with names in snake_case (before 2025-09-16).

use super::document::read_json;
use super::error::SourceError;
use super::plan::Plan;
use super::registry_input::{Questions, member_list, member_text};
use super::registry_name::{RegistryName, check_name};
use super::registry_package::{BundleDownload, Package, read_package};
use super::registry_url::{is_one_word, is_safe_url};
use super::runner::Runner;
use crate::fault::Fault;
use crate::node::Node;
use crate::{ServerEntry, Transport};

/// How long a `server.json` may be, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// How many packages and remotes one server may have.
const MAX_OFFERS: usize = 100;

/// A server of a registry, and how it can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryServer {
    /// Its name: `io.github.owner/server`.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// What it says about itself.
    pub description: Option<String>,
    /// Whether the registry says that it should no longer be used.
    pub deprecated: bool,
    /// How it can be had; at least one.
    pub offers: Vec<Offer>,
    /// Why packages and remotes are left out.
    pub left_out: Vec<String>,
}

/// One way to have a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// A package that this program runs.
    Package(Runner, Plan),
    /// A bundle to download, to check and to open.
    Bundle(BundleDownload),
    /// A server elsewhere.
    Remote(Plan),
}

impl RegistryServer {
    /// The offer to take: the first package whose program is there (a bundle needs none), else the first remote, else the
    /// first package.
    pub fn choose(&self, has_program: &dyn Fn(&str) -> bool) -> Option<&Offer> {
        let works = |offer: &&Offer| match offer {
            Offer::Package(runner, _) => has_program(runner.program()),
            Offer::Bundle(_) => true,
            Offer::Remote(_) => false,
        };
        let is_remote = |offer: &&Offer| matches!(offer, Offer::Remote(_));
        self.offers.iter().find(works).or_else(|| self.offers.iter().find(is_remote)).or(self.offers.first())
    }
}

/// Whether a text is meant as a `server.json`, and not as a block of the configuration of a client: a name, and packages or
/// remotes.
pub fn is_server_json(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    if text.len() > MAX_BYTES {
        return false;
    }
    let Ok(document) = read_json(text) else { return false };
    let root = document.root();
    let server = root.get("server").unwrap_or(root);
    let is_schema = |schema: &str| schema.ends_with("/server.schema.json");
    let has_name = matches!(server.text("name"), Ok(Some(_)));
    let has_schema = matches!(server.text("$schema"), Ok(Some(schema)) if is_schema(schema));
    has_name && (has_schema || ["packages", "remotes"].iter().any(|key| server.get(key).is_some()))
}

/// Reads a `server.json`, or the answer of `GET /v0.1/servers/{name}/versions/{version}` that wraps one.
///
/// With `asked`, an answer for another name or version is an error.
pub fn read_server_json(text: &str, asked: Option<&RegistryName>) -> Result<RegistryServer, SourceError> {
    if text.len() > MAX_BYTES {
        return Err(SourceError::new(format!("the description has more than {} KiB", MAX_BYTES >> 10)));
    }
    let text = text.trim_start_matches('\u{feff}');
    let document = read_json(text).map_err(|fault| fault.locate(text))?;
    let server = read_server(document.root(), text).map_err(|fault| fault.locate(text))?;
    if let Some(asked) = asked {
        check_answer(&server, asked)?;
    }
    if server.offers.is_empty() {
        let why = server.left_out.first().map_or("it has no packages and no remotes", String::as_str);
        return Err(SourceError::new(format!("`{}` cannot be added: {why}", server.name)));
    }
    Ok(server)
}

fn check_answer(server: &RegistryServer, asked: &RegistryName) -> Result<(), SourceError> {
    if server.name != asked.name() {
        return Err(SourceError::new(format!(
            "the registry was asked for `{}` and answered with another server",
            asked.name()
        )));
    }
    if asked.version().is_some_and(|version| server.version.as_deref() != Some(version)) {
        return Err(SourceError::new(format!(
            "the registry was asked for `{asked}` and answered with another version"
        )));
    }
    Ok(())
}

fn read_server(root: Node<'_>, text: &str) -> Result<RegistryServer, Fault> {
    let server = root.get("server").filter(|server| server.members().is_some()).unwrap_or(root);
    let name = server.text("name")?.ok_or_else(|| Fault::new(server.at, "the description has no `name`"))?;
    // Files that are no answers of the registry have had names of any form.
    if root.get("server").is_some() {
        check_name(name).map_err(|error| Fault::new(server.at, error.what().to_owned()))?;
    }
    if name.len() > 200 || name.chars().any(char::is_control) {
        return Err(Fault::new(server.at, "the name is not valid"));
    }
    let detail = server.get("version_detail");
    let version = server.text("version")?.or(detail.map_or(Ok(None), |detail| detail.text("version"))?);
    let official = root.get("_meta").and_then(|meta| meta.get("io.modelcontextprotocol.registry/official"));
    let status = official.map_or(Ok(None), |official| official.text("status"))?.or(server.text("status")?);
    if status == Some("deleted") {
        return Err(Fault::new(root.at, format!("`{name}` was deleted from the registry")));
    }
    let (packages, remotes) = (member_list(server, "packages")?, member_list(server, "remotes")?);
    if packages.len() + remotes.len() > MAX_OFFERS {
        return Err(Fault::new(
            server.at,
            format!("the server has more than {MAX_OFFERS} packages and remotes"),
        ));
    }
    let mut offers = Vec::new();
    let mut left_out = Vec::new();
    let read = packages.into_iter().map(|package| {
        read_package(package, name).map(|package| match package {
            Package::Run(runner, plan) => Offer::Package(runner, *plan),
            Package::Bundle(bundle) => Offer::Bundle(bundle),
        })
    });
    for offer in read.chain(remotes.into_iter().map(|remote| read_remote(remote, name).map(Offer::Remote))) {
        match offer {
            Ok(offer) => offers.push(offer),
            Err(fault) => left_out.push(fault.locate(text).to_string()),
        }
    }
    Ok(RegistryServer {
        name: name.to_owned(),
        version: version.map(str::to_owned),
        description: server.text("description")?.map(str::to_owned),
        deprecated: status == Some("deprecated"),
        offers,
        left_out,
    })
}

fn read_remote(node: Node<'_>, server: &str) -> Result<Plan, Fault> {
    let kind = node.text("type")?.or(member_text(node, "transportType")?).unwrap_or_default();
    if !matches!(kind, "streamable-http" | "streamable" | "http" | "sse") {
        return Err(Fault::new(node.at, "the kind of remote is not known"));
    }
    let url = node.text("url")?.unwrap_or_default();
    let mut questions = Questions::default();
    let url = questions.fill_variables(url, node.at, node.get("variables"))?;
    // A URL needs all of its parts.
    questions.change(&url.keys, |question| question.required = true);
    let is_asked_for = url.text.starts_with("${input:") && is_one_word(&url.text);
    if !is_asked_for && !is_safe_url(&url.text) {
        return Err(Fault::new(node.at, "a remote is not at an `https` URL"));
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    for header in member_list(node, "headers")?.into_iter().take(100) {
        let name = header.text("name")?.unwrap_or_default();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let is_new = !headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        if name.is_empty() || !name.chars().all(allowed) || !is_new {
            return Err(Fault::new(header.at, "a header has no valid name, or one that another header has"));
        }
        let input = questions.read(header, name)?;
        if super::registry_input::member_flag(header, "isSecret")? {
            questions.change(&input.keys, |question| question.secret = true);
        }
        headers.push((name.to_owned(), input.text));
    }
    let entry = ServerEntry::new(server, Transport::Url { url: url.text, headers });
    Ok(Plan::new(entry, questions.list, Vec::new()))
}

#[cfg(test)]
mod tests;
