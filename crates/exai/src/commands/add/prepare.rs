//! Makes a server that a source describes ready to be added: asks what is open, and changes nothing.

use exai_config::Home;
use exai_setup::ServerEntry;
use exai_setup::source::make_valid_name;

use super::super::ask;
use super::bundle::PackedBundle;
use super::candidate::Candidate;
use super::options::Options;
use super::program::shown_name;
use super::questions::Answered;
use super::secrets::{NewSecret, take_secrets};
use super::{normalise, preview};
use crate::error::Error;
use crate::printer::Printer;

/// The name that exai has in the files of clients.
const RESERVED_NAME: &str = "exai";

/// A server that is ready to be added.
pub(super) struct Prepared {
    pub(super) name: String,
    pub(super) entry: ServerEntry,
    pub(super) secrets: Vec<NewSecret>,
    pub(super) bundle: Option<PackedBundle>,
}

/// The name of a server. `others` are those that are about to be added.
pub(super) fn choose_name(
    home: &Home,
    entry: &ServerEntry,
    (is_given, others): (bool, &[String]),
    options: &Options,
    printer: &Printer,
) -> Result<String, Error> {
    let config = exai_config::load(home)?;
    let there = |name: &str| config.servers.names().find(|known| known.eq_ignore_ascii_case(name));
    if is_given && entry.name.eq_ignore_ascii_case(RESERVED_NAME) && !options.force {
        let what = "the name `exai` is that of exai itself in the files of clients";
        return Err(Error::usage(what).hint("take another name; `--force` takes this one"));
    }
    if let Some(known) = there(&entry.name).filter(|_| !options.force) {
        let what = format!("there is a server `{known}` already");
        return Err(Error::failed(what).hint("`--force` replaces it"));
    }
    if is_given {
        exai_config::server_name::check(&entry.name).map_err(|error| Error::usage(error.to_string()))?;
        return Ok(entry.name.clone());
    }
    let wanted = make_valid_name(&entry.name, []).name;
    let is_replaced = |known: &&str| options.force && *known == wanted;
    let taken = config.servers.names().filter(|known| !is_replaced(known));
    let valid = make_valid_name(&entry.name, taken.chain(others.iter().map(String::as_str)));
    if valid.changed {
        printer.warn(&format!("`{}` is called {} here", shown_name(&entry.name), valid.name));
    }
    Ok(valid.name)
}

/// Fills the answers in, and shows what is run where the person has not written that. `None` if the person does not want
/// it.
pub(super) fn prepare(
    candidate: Candidate,
    name: String,
    answered: Answered,
    options: &Options,
    printer: &Printer,
) -> Result<Option<Prepared>, Error> {
    let filled = candidate.plan.fill(&answered.answers);
    let mut entry = filled.map_err(|error| Error::failed(error.to_string()))?;
    options.apply(&mut entry)?;
    normalise::make_absolute(&mut entry, &candidate.base)?;
    let mut secrets = answered.secrets;
    secrets.extend(take_secrets(&name, &mut entry));
    if let Some(introduction) = &candidate.introduction {
        preview::show(introduction, &entry, printer)?;
        if !options.yes && !ask::confirm(&format!("add it as {name}?"), printer)? {
            return Ok(None);
        }
    }
    Ok(Some(Prepared { name, entry, secrets, bundle: candidate.bundle }))
}

/// Why a server that nobody has looked at is not added: there is no terminal, and nobody has said `--yes`.
pub(super) fn find_unseen(candidate: &Candidate, options: &Options, printer: &Printer) -> Result<(), Error> {
    let Some(introduction) = candidate.introduction.as_ref().filter(|_| !options.yes && !ask::is_possible())
    else {
        return Ok(());
    };
    preview::show(introduction, candidate.plan.entry(), printer)?;
    preview::show_questions(&candidate.plan, printer)?;
    let what = "nobody here has written this command, and there is no terminal to ask on; nothing was added";
    Err(Error::usage(what).hint("`--yes` adds it without asking"))
}
