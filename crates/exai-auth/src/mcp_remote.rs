//! What the npm package mcp-remote has kept of a sign-in, so that it can be taken over once. Its files are not changed.
//!
//! The files are in `~/.mcp-auth/mcp-remote-VERSION`, or below the directory that `MCP_REMOTE_CONFIG_DIR` names. Their names
//! begin with a hash of the URL as mcp-remote was given it, since 0.1.30 of `--resource` and `--header` as well:
//! `HASH_tokens.json` holds the answer of the token endpoint, and its time of change is when that came;
//! `HASH_client_info.json` holds the answer to the registration.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use exai_config::Secret;
use exai_os::private;
use md5::{Digest as _, Md5};
use semver::Version;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::clock::unix_time;

/// The variable that names another directory than `.mcp-auth` in the account's home.
pub const CONFIG_DIR: &str = "MCP_REMOTE_CONFIG_DIR";
/// That directory.
pub const USUAL_DIR: &str = ".mcp-auth";
/// The longest file that is read.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// How many entries of the directory are looked at. There is one for each version that ever ran.
const MAX_ENTRIES: usize = 1000;
/// The longest lifetime of a token that is believed.
const MAX_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);

/// What mcp-remote has kept of a sign-in at one server.
#[derive(Debug)]
pub struct McpRemoteSignIn {
    /// The file with the tokens.
    pub file: PathBuf,
    pub(crate) tokens: KeptTokens,
    /// When the tokens were given, in seconds since 1970.
    pub(crate) obtained_at: u64,
    /// Who they were given to; `None` for a client that was named on the command line of mcp-remote.
    pub(crate) client: Option<KeptClient>,
}

/// The answer of a token endpoint.
#[derive(Debug, Deserialize)]
pub(crate) struct KeptTokens {
    pub(crate) access_token: Secret,
    pub(crate) token_type: String,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) scope: Option<String>,
    /// Whatever is no positive number says nothing.
    #[serde(default)]
    expires_in: Value,
}

/// The answer to a registration.
#[derive(Debug, Deserialize)]
pub(crate) struct KeptClient {
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) token_endpoint_auth_method: Option<String>,
    pub(crate) scope: Option<String>,
    #[serde(default)]
    pub(crate) redirect_uris: Vec<String>,
    #[serde(default)]
    pub(crate) client_secret_expires_at: Value,
}

impl McpRemoteSignIn {
    /// Looks for what is kept of the server with this URL, as the configuration has it, with these headers: of the newest
    /// version that has something that is still of use. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read, belongs to somebody else, or is not what mcp-remote writes. The error names the file and
    /// shows nothing of it.
    pub fn find(directory: &Path, url: &str, headers: &[(String, Secret)]) -> io::Result<Option<Self>> {
        let hashes = hashes(url, headers);
        for version in versions(directory)? {
            for hash in &hashes {
                let found = read_sign_in(&version, hash)?;
                if let Some(found) = found.filter(McpRemoteSignIn::is_of_use) {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// Whether the tokens can be renewed.
    pub fn is_renewable(&self) -> bool {
        self.tokens.refresh_token.is_some()
    }

    /// When the access token ends, in seconds since 1970, if that is known.
    pub fn expires_at(&self) -> Option<u64> {
        let seconds = self.tokens.expires_in.as_f64().filter(|seconds| *seconds >= 1.0)?;
        let lifetime = Duration::try_from_secs_f64(seconds.min(MAX_LIFETIME.as_secs_f64())).ok()?;
        Some(self.obtained_at.saturating_add(lifetime.as_secs()))
    }

    fn is_of_use(&self) -> bool {
        self.is_renewable() || self.expires_at().is_none_or(|end| end > unix_time())
    }
}

impl KeptClient {
    /// The callback that it was registered with.
    pub(crate) fn redirect(self) -> String {
        self.redirect_uris.into_iter().next().unwrap_or_default()
    }
}

/// The directories of all versions, the newest first. Those without a number come last.
fn versions(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(at(directory, &error)),
    };
    let mut versions = Vec::new();
    for entry in entries.take(MAX_ENTRIES) {
        let entry = entry.map_err(|error| at(directory, &error))?;
        let name = entry.file_name();
        if let Some(version) = name.to_str().and_then(|name| name.strip_prefix("mcp-remote-")) {
            versions.push((Version::parse(version).ok(), entry.path()));
        }
    }
    versions.sort();
    Ok(versions.into_iter().rev().map(|(_, path)| path).collect())
}

/// What the names of the files may begin with: exai and mcp-remote may have been given the URL in slightly different ways.
fn hashes(url: &str, headers: &[(String, Secret)]) -> Vec<String> {
    let bare = url.trim_end_matches('/');
    let mut urls = vec![url.to_owned(), bare.to_owned(), format!("{bare}/")];
    urls.extend(url::Url::parse(url).map(String::from));
    let headers: Map<String, Value> =
        headers.iter().map(|(name, value)| (name.clone(), value.expose().into())).collect();
    let with_headers = (!headers.is_empty()).then(|| Value::Object(headers).to_string());
    let mut hashes = Vec::new();
    for more in [with_headers, None].iter().filter(|more| more.is_some()).chain([&None]) {
        for url in &urls {
            let text = more.as_ref().map_or_else(|| url.clone(), |headers| format!("{url}|{headers}"));
            let hash = hash(&text);
            if !hashes.contains(&hash) {
                hashes.push(hash);
            }
        }
    }
    hashes
}

fn hash(text: &str) -> String {
    Md5::digest(text).iter().fold(String::new(), |mut digits, byte| {
        // Writing to a String never fails.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn read_sign_in(version: &Path, hash: &str) -> io::Result<Option<McpRemoteSignIn>> {
    let file = version.join(format!("{hash}_tokens.json"));
    let Some(tokens) = read::<KeptTokens>(&file)? else { return Ok(None) };
    let changed = fs::symlink_metadata(&file).and_then(|facts| facts.modified());
    let changed = changed.map_err(|error| at(&file, &error))?;
    // A time in the future would make a token good for longer.
    let obtained_at = changed.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().min(unix_time());
    let client = read(&version.join(format!("{hash}_client_info.json")))?;
    Ok(Some(McpRemoteSignIn { file, tokens, obtained_at, client }))
}

/// Reads a file of the account; `None` when there is none.
fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let bytes = match private::read(path, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(None);
        }
        Err(error) => return Err(at(path, &error)),
    };
    // The text of the error could quote a token.
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let text =
            format!("it is not what mcp-remote writes (line {}, column {})", error.line(), error.column());
        at(path, &io::Error::new(io::ErrorKind::InvalidData, text))
    })
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
