//! A server that a source describes, before anything was asked.

use std::path::PathBuf;

use exai_setup::source::Plan;

use super::bundle::PackedBundle;

/// A server that a source describes.
pub(super) struct Candidate {
    pub(super) plan: Plan,
    /// The directory that relative paths are relative to.
    pub(super) base: PathBuf,
    /// Who the server says that it is, if a description decides what is run that the person has not written: what is run
    /// is shown then, and asked about.
    pub(super) introduction: Option<Introduction>,
    /// The bundle with the server's files.
    pub(super) bundle: Option<PackedBundle>,
}

/// What a registry or a bundle says about a server.
pub(super) struct Introduction {
    /// Its name, version and author.
    pub(super) title: String,
    /// What it says it does.
    pub(super) description: Option<String>,
}

impl Candidate {
    /// A server as the person has it: nobody needs to look at it again.
    pub(super) fn of_person(plan: Plan, base: PathBuf) -> Self {
        Candidate { plan, base, introduction: None, bundle: None }
    }
}
