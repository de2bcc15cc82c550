//! What the npm package mcp-remote keeps of a sign-in, in its files.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use md5::{Digest as _, Md5};
use serde_json::Value;

/// Writes what a version keeps of the server with this URL: the answer to its registration, and that of the token endpoint.
/// Returns the file with the tokens.
///
/// # Panics
/// When a file cannot be written.
pub fn keep(directory: &Path, version: &str, url: &str, client: Option<&Value>, tokens: &Value) -> PathBuf {
    let folder = directory.join(format!("mcp-remote-{version}"));
    fs::create_dir_all(&folder).expect("a directory");
    let hash = Md5::digest(url).iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("a text");
        digits
    });
    if let Some(client) = client {
        let file = folder.join(format!("{hash}_client_info.json"));
        fs::write(file, format!("{client:#}")).expect("a file");
    }
    let file = folder.join(format!("{hash}_tokens.json"));
    fs::write(&file, format!("{tokens:#}")).expect("a file");
    file
}
