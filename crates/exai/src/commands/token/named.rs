//! `exai token add`, `remove` and `list`: tokens that have names, so that each can be taken back by itself.

use exai_client::DaemonConnector;
use exai_config::named_token::{TokenFileError, load_named_tokens};
use exai_config::named_token_edit::{TokenEditError, add_named_token, remove_named_token};
use exai_proto::documents::{ListedToken, SCHEMA, Tokens};
use exai_proto::exit;
use exai_proto::link::{FromDaemon, ToDaemon};

use crate::cli::JsonArgs;
use crate::commands::{ask, connector, count, join, unexpected};
use crate::error::Error;
use crate::printer::Printer;

/// Makes a token. Stdout gets the token and nothing else.
pub(super) fn add(name: &str, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    for note in connector.home().prepare()? {
        printer.warn(&note.to_string());
    }
    let token = add_named_token(connector.home(), name)?;
    let told = tell_daemon(&connector);
    if printer.line(token.expose()).is_err() {
        // Nobody knows it.
        remove_named_token(connector.home(), name)?;
        return Err(Error::failed("the token could not be printed, so it was removed again"));
    }
    told.map_err(|error| untold(&format!("{name} is kept"), &error))?;
    printer.note(&format!(
        "this is {name}; clients show it as `Authorization: Bearer TOKEN`, or as the password of Basic. exai does not show it \
         again; `exai token remove {name}` takes it back"
    ));
    Ok(exit::DONE)
}

pub(super) fn remove(name: &str, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let removed = remove_named_token(connector.home(), name);
    // Also if there is none: an earlier `remove` may have been killed before the daemon was told.
    let told = tell_daemon(&connector);
    removed?;
    match told.map_err(|error| untold(&format!("{name} is removed"), &error))? {
        None | Some(0) => printer.line(&format!("removed {name}"))?,
        Some(ended) => printer.line(&format!(
            "removed {name}, and disconnected {} that had shown it",
            count(ended, "client")
        ))?,
    }
    Ok(exit::DONE)
}

pub(super) fn list(args: &JsonArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let tokens: Vec<ListedToken> = load_named_tokens(connector.home())?
        .into_iter()
        .map(|token| ListedToken { name: token.name, created_at: token.created_at.to_string() })
        .collect();
    if args.json {
        printer.json(&Tokens { schema: SCHEMA, tokens })?;
        return Ok(exit::DONE);
    }
    if tokens.is_empty() {
        printer.line("no token has a name; `exai token add NAME` makes one")?;
    }
    let row = |token: &ListedToken| vec![token.name.clone(), token.created_at.clone()];
    printer.table(&tokens.iter().map(row).collect::<Vec<_>>())?;
    Ok(exit::DONE)
}

/// Has a running daemon read the tokens again. Returns how many clients it has disconnected; `None` without a daemon.
fn tell_daemon(connector: &DaemonConnector) -> Result<Option<usize>, Error> {
    let Some(mut link) = join(connector)? else { return Ok(None) };
    match ask(&mut link, &ToDaemon::ReloadTokens)? {
        FromDaemon::TokensReloaded { ended } => Ok(Some(ended)),
        _ => Err(unexpected("reload_tokens")),
    }
}

/// The file is changed, and the daemon does not know it.
fn untold(done: &str, error: &Error) -> Error {
    Error::failed(format!("{done}, but the running daemon could not be told: {}", error.what()))
        .hint("`exai restart` starts a daemon that reads the tokens")
}

impl From<TokenEditError> for Error {
    fn from(error: TokenEditError) -> Self {
        let what = error.to_string();
        match error {
            TokenEditError::Name { .. } => Error::usage(what),
            TokenEditError::Exists { .. } | TokenEditError::TooMany => {
                Error::failed(what).hint("`exai token remove NAME` removes one")
            }
            TokenEditError::Unknown { .. } => Error::failed(what).hint("`exai token list`"),
            TokenEditError::File(error) => error.into(),
            TokenEditError::Edit(_) => Error::failed(what),
        }
    }
}

impl From<TokenFileError> for Error {
    fn from(error: TokenFileError) -> Self {
        let what = error.to_string();
        match error {
            TokenFileError::Read { .. } => Error::failed(what),
            TokenFileError::Invalid { .. } => {
                Error::failed(what).hint("move the file away, and make the tokens anew with `exai token add`")
            }
        }
    }
}
