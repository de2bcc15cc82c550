//! A bundle (`.mcpb`, formerly `.dxt`) as a source: what it says about itself, and how its server is started.

use std::path::Path;

use exai_config::Home;
use exai_os::account;
use exai_setup::Transport;
use exai_setup::source::{Bundle, Manifest, Places, Platform, make_valid_name};

use super::bundle::PackedBundle;
use super::candidate::{Candidate, Introduction};
use crate::error::Error;

/// Whether bytes are those of a zip file.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// Reads what a bundle says about itself. `from` is where it comes from.
pub(super) fn read_bundle(bytes: Vec<u8>, hash: &str, from: &Path, home: &Home) -> Result<Candidate, Error> {
    let shown = from.display().to_string();
    let refuse =
        |error: &dyn std::fmt::Display| Error::failed(format!("{shown}: {error}; nothing was added"));
    let (directory, plan, introduction) = {
        let bundle = Bundle::open(&bytes).map_err(|error| refuse(&error))?;
        let name = make_valid_name(&bundle.manifest().name, []).name;
        // The hash, so that another version or another bundle of the same name is apart.
        let directory = home.bundles_dir().join(format!("{name}-{}", hash.get(..16).unwrap_or(hash)));
        let places = find_places(&directory)?;
        let plan = bundle.plan(&places, platform()).map_err(|error| refuse(&error))?;
        (directory, plan, introduce(bundle.manifest()))
    };
    let program = match &plan.entry().transport {
        Transport::Stdio { command, .. } => {
            Path::new(command).strip_prefix(&directory).ok().map(Path::to_owned)
        }
        Transport::Url { .. } => None,
    };
    let bundle = PackedBundle { bytes, shown, directory: directory.clone(), program };
    Ok(Candidate { plan, base: directory, introduction: Some(introduction), bundle: Some(bundle) })
}

fn introduce(manifest: &Manifest) -> Introduction {
    let title = match &manifest.display_name {
        Some(name) => format!("{name} ({} {})", manifest.name, manifest.version),
        None => format!("{} {}", manifest.name, manifest.version),
    };
    let title = manifest.author.iter().fold(title, |title, author| format!("{title}, by {author}"));
    Introduction { title, description: manifest.description.clone() }
}

fn platform() -> Platform {
    match std::env::consts::OS {
        "windows" => Platform::Windows,
        "macos" => Platform::Mac,
        _ => Platform::Linux,
    }
}

fn find_places(directory: &Path) -> Result<Places, Error> {
    let account = account::current().map_err(|error| Error::failed(error.to_string()))?;
    let text = |path: &Path| {
        let no_text = || Error::failed(format!("{} is no text", path.display()));
        path.to_str().map(str::to_owned).ok_or_else(no_text)
    };
    let in_home = |name: &str| text(&account.home.join(name));
    Ok(Places {
        bundle: text(directory)?,
        home: text(&account.home)?,
        desktop: in_home("Desktop")?,
        documents: in_home("Documents")?,
        downloads: in_home("Downloads")?,
    })
}
