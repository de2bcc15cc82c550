//! Says what a sign-in at a new server needs, before anybody signs in.

use std::time::Instant;

use exai_client::DaemonConnector;
use exai_proto::documents::{PlannedClient, SignInPlan};
use exai_proto::link::{FromDaemon, ToDaemon};

use super::super::{ask_until, join_or_start};
use crate::error::Error;
use crate::limits::SIGN_IN_PLAN_TIMEOUT;
use crate::printer::Printer;

/// Whether a server wants a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// It does, and that was said: it would refuse to be tried.
    SignIn,
    /// It does not.
    Nothing,
    /// It cannot be asked, or there is a sign-in, or the daemon is of another version: the trial says what it can.
    Unknown,
}

/// Asks what a sign-in at a server would need, and says it if there must be one.
pub(super) fn report(name: &str, connector: &DaemonConnector, printer: &Printer) -> Result<Wish, Error> {
    printer.progress(&format!("added {name}; asking whether it wants a sign-in…"));
    let mut link = join_or_start(connector, printer)?;
    let order = ToDaemon::SignInPlan { server: name.to_owned() };
    let asked = ask_until(&mut link, &order, Instant::now() + SIGN_IN_PLAN_TIMEOUT);
    printer.clear_progress();
    match asked {
        Ok(FromDaemon::SignInPlan { plan: SignInPlan::Impossible { reason } }) => {
            printer.line(&format!(
                "added {name}: it wants somebody to sign in, and exai cannot do that: {reason}"
            ))?;
            printer.hint(&format!(
                "a key as `Authorization` in its `headers` does without a sign-in, where the server takes keys; \
                 `exai login {name}` tries again"
            ));
            Ok(Wish::SignIn)
        }
        Ok(FromDaemon::SignInPlan {
            plan: SignInPlan::Wanted { issuer, client, redirect, scopes, gives_codes },
        }) => {
            printer.line(&format!("added {name}: it wants somebody to sign in first, at {issuer}"))?;
            let client = describe_client(name, client, &redirect);
            let rest = [
                describe_scopes(name, &scopes),
                describe_ways(name, gives_codes),
                "which transport and which revision of MCP it speaks is found out after that".to_owned(),
            ];
            for sentence in client.iter().chain(&rest) {
                printer.line(&format!("  {sentence}"))?;
            }
            printer.hint(&format!("exai login {name}"));
            Ok(Wish::SignIn)
        }
        Ok(FromDaemon::SignInPlan { plan: SignInPlan::NotWanted }) => Ok(Wish::Nothing),
        Ok(_) | Err(_) => Ok(Wish::Unknown),
    }
}

/// Who exai is to the authorization server, and what a person must do for that.
fn describe_client(name: &str, client: PlannedClient, redirect: &str) -> Vec<String> {
    let by_hand = |more: &str| {
        vec![
            "exai cannot register itself there: register a client with exactly this callback (redirect URI):"
                .to_owned(),
            format!("  {redirect}"),
            format!(
                "then write `client_id`, and `client_secret` if it has one, into [servers.{name}.sign_in] of config.toml{more}"
            ),
        ]
    };
    match client {
        PlannedClient::Configured => {
            vec![format!(
                "the client is the one of [servers.{name}.sign_in] in config.toml; its callback is {redirect}"
            )]
        }
        PlannedClient::Known => vec!["exai is registered there already".to_owned()],
        PlannedClient::Registers => {
            vec![format!("exai registers itself there then, with the callback {redirect}")]
        }
        PlannedClient::ByHand => by_hand(""),
        PlannedClient::ByHandOrDocument => by_hand("; the https address of a client id document does, too"),
    }
}

fn describe_scopes(name: &str, scopes: &[String]) -> String {
    if scopes.is_empty() {
        return "the authorization server decides what is allowed, since nothing names scopes".to_owned();
    }
    format!("the page asks for: {} (`scopes` in [servers.{name}.sign_in] narrows that)", scopes.join(" "))
}

fn describe_ways(name: &str, gives_codes: bool) -> String {
    let command = format!("exai login {name}");
    if gives_codes {
        return format!(
            "without a browser here: `{command} --device` shows a code to type anywhere, or `{command} --paste`"
        );
    }
    format!("without a browser here: `{command} --paste`; there are no codes to type elsewhere (`--device`)")
}
