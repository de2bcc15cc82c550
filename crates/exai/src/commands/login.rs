//! `exai login`: signs in at a server that runs elsewhere, for all clients.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::time::{Duration, Instant};

use exai_client::Link;
use exai_proto::documents::{SignInDocument, SignInDocuments};
use exai_proto::exit;
use exai_proto::link::{FromDaemon, ToDaemon};

use super::{ask, ask_until, connector, count, join_or_start, unexpected};
use crate::cli::LoginArgs;
use crate::error::Error;
use crate::limits::{MAX_RETURN_BYTES, SIGN_IN_BEGIN_TIMEOUT};
use crate::printer::Printer;

/// How much longer than the page is good for the answer is waited for.
const EXTRA: Duration = Duration::from_secs(30);

pub(crate) fn run(args: &LoginArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let mut link = join_or_start(&connector, printer)?;
    let Some(server) = &args.server else { return list(&mut link, args.json, printer) };
    if args.from.is_some() {
        return adopt(&mut link, server, args.account.as_deref(), printer);
    }
    printer.progress("asking where to sign in…");
    let order =
        ToDaemon::SignIn { server: server.clone(), account: args.account.clone(), with_code: args.device };
    let begun = ask_until(&mut link, &order, Instant::now() + SIGN_IN_BEGIN_TIMEOUT)?;
    printer.clear_progress();
    let FromDaemon::SignInBegun { page, code, lasts_s, kept } = begun else {
        return Err(unexpected("sign_in"));
    };
    if kept.is_some() {
        let command = account_command(server, args.account.as_deref());
        printer.note(&format!(
            "mcp-remote has kept a sign-in at this server: `{command} --from mcp-remote` takes it over instead"
        ));
    }
    let limit = Duration::from_secs(lasts_s);
    if args.paste {
        tell_page(&page, printer)?;
        printer.prompt("then paste the address that the browser ends at, even if it shows an error: ");
        let text = read_pasted()?;
        let mut second = join_or_start(&connector, printer)?;
        let order = ToDaemon::SignInPasted { text };
        return match ask_until(&mut second, &order, Instant::now() + SIGN_IN_BEGIN_TIMEOUT)? {
            FromDaemon::SignedIn { server, plain_why } => tell_signed_in(&server, plain_why, printer),
            _ => Err(unexpected("sign_in_pasted")),
        };
    }
    match code {
        Some(code) => {
            printer.line("open this page on any machine, and type the code there:")?;
            printer.line(&format!("  {page}"))?;
            printer.headline(&format!("  {code}"))?;
        }
        None if args.no_browser => tell_page(&page, printer)?,
        None => open_or_tell(&page, printer)?,
    }
    printer
        .progress(&format!("waiting for you to sign in, for {} min at most…", limit.as_secs().div_ceil(60)));
    let ended = link.next_control(Instant::now() + limit + EXTRA);
    printer.clear_progress();
    match ended? {
        FromDaemon::SignedIn { server, plain_why } => tell_signed_in(&server, plain_why, printer),
        FromDaemon::Error { reason } => Err(Error::failed(reason)),
        FromDaemon::Bye { .. } => {
            Err(Error::failed("the daemon is stopping").hint(format!("exai login {server}")))
        }
        _ => Err(unexpected("sign_in")),
    }
}

/// Takes over what mcp-remote has kept.
fn adopt(link: &mut Link, server: &str, account: Option<&str>, printer: &Printer) -> Result<u8, Error> {
    printer.progress("taking over the sign-in of mcp-remote…");
    let order = ToDaemon::AdoptSignIn { server: server.to_owned(), account: account.map(str::to_owned) };
    let adopted = ask_until(link, &order, Instant::now() + SIGN_IN_BEGIN_TIMEOUT);
    printer.clear_progress();
    let FromDaemon::SignInAdopted { server, file, renewed, note, plain_why } = adopted? else {
        return Err(unexpected("adopt_sign_in"));
    };
    let code = tell_signed_in(&server, plain_why, printer)?;
    printer.line(&format!("taken over from {file}, which stays as it is"))?;
    if let Some(note) = note {
        printer.warn(&note);
    }
    if renewed {
        printer.warn(
            "its refresh token is used up now: whoever still runs mcp-remote for this server will have to sign in there again, \
             and some authorization servers then end this sign-in, too. Give those clients exai instead (`exai install`, \
             `exai import --takeover`)",
        );
    }
    Ok(code)
}

/// The command that signs in, as a person would type it.
fn account_command(server: &str, account: Option<&str>) -> String {
    let account = account.map(|account| format!(" --account {account}")).unwrap_or_default();
    format!("exai login {server}{account}")
}

/// Opens the page in a browser, and shows its address: the browser may be none that the person sees.
fn open_or_tell(page: &str, printer: &Printer) -> Result<(), Error> {
    // Only http and https, and never through a shell. A browser's own output would disturb ours.
    let opened = webbrowser::open_browser_with_options(
        webbrowser::Browser::Default,
        page,
        webbrowser::BrowserOptions::new().with_suppress_output(true),
    );
    tell_page(page, printer)?;
    match opened {
        Ok(()) => printer.note("a browser was asked to open it"),
        Err(_) => {
            printer.hint("no browser can be opened here: open the page yourself, or use --paste or --device");
        }
    }
    Ok(())
}

fn tell_page(page: &str, printer: &Printer) -> Result<(), Error> {
    printer.line("open this page to sign in:")?;
    printer.line(&format!("  {page}"))
}

fn tell_signed_in(server: &str, plain_why: Option<String>, printer: &Printer) -> Result<u8, Error> {
    // SERVER@ACCOUNT
    let whom = if server.contains('@') { "for all clients of this account" } else { "for all clients" };
    printer.verdict(true, &format!("signed in at {server}, {whom}"))?;
    if let Some(why) = plain_why {
        printer.line(&format!("this is kept in a file that only your account can read, since {why}"))?;
    }
    Ok(exit::DONE)
}

fn read_pasted() -> Result<String, Error> {
    let mut text = String::new();
    let read = io::stdin().lock().take(MAX_RETURN_BYTES).read_line(&mut text);
    read.map_err(|error| Error::failed(format!("cannot read the address: {error}")))?;
    if !io::stdin().is_terminal() && text.trim().is_empty() {
        return Err(Error::failed("no address was given on stdin"));
    }
    Ok(text)
}

fn list(link: &mut Link, json: bool, printer: &Printer) -> Result<u8, Error> {
    let FromDaemon::SignIns { sign_ins } = ask(link, &ToDaemon::SignIns)? else {
        return Err(unexpected("sign_ins"));
    };
    if json {
        printer.json(&sign_ins)?;
        return Ok(exit::DONE);
    }
    if sign_ins.sign_ins.is_empty() && sign_ins.unread.is_empty() {
        printer.line("nobody is signed in anywhere: exai login NAME")?;
        return Ok(exit::DONE);
    }
    let header = ["server", "account", "state", "signed in by", "scopes"].map(str::to_owned).to_vec();
    let rows = sign_ins.sign_ins.iter().map(|sign_in| {
        let account = sign_in.account.clone().unwrap_or_default();
        vec![
            sign_in.url.clone(),
            account,
            state_of(sign_in),
            sign_in.issuer.clone(),
            sign_in.scopes.join(" "),
        ]
    });
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    if !sign_ins.sign_ins.is_empty() {
        printer.table(&rows)?;
    }
    tell_keeping(&sign_ins, printer)?;
    Ok(exit::DONE)
}

/// Says how sign-ins are kept, and how many cannot be read.
fn tell_keeping(sign_ins: &SignInDocuments, printer: &Printer) -> Result<(), Error> {
    let mut reasons: Vec<&str> = sign_ins.unread.iter().map(String::as_str).collect();
    reasons.sort_unstable();
    for group in reasons.chunk_by(|one, other| one == other) {
        let count = count(group.len(), "further sign-in");
        printer.line(&format!("{count} cannot be read: {}", group[0]))?;
    }
    let open = sign_ins.sign_ins.iter().filter(|sign_in| !sign_in.sealed).count();
    match &sign_ins.plain_why {
        Some(why) => printer.line(&format!("kept in files that only your account can read, since {why}")),
        None if open > 0 => printer.line(&format!(
            "kept in sealed files, whose key is in the keyring of the system; {} will be with its next change",
            count(open, "plain one")
        )),
        None => printer.line("kept in sealed files, whose key is in the keyring of the system"),
    }
}

fn state_of(sign_in: &SignInDocument) -> String {
    match (sign_in.signed_in, sign_in.renews, &sign_in.expires_at) {
        (false, _, _) => "signed out".to_owned(),
        (true, true, _) => "signed in".to_owned(),
        (true, false, Some(end)) => format!("signed in until {end}"),
        (true, false, None) => "signed in, until the server refuses".to_owned(),
    }
}
