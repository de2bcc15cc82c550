//! The authorization page, where a browser comes.

use std::time::{Duration, Instant};

use super::answer::Answer;
use super::clients;
use super::form::{Form, encode, split_query, words};
use super::metadata;
use super::settings::{Consent, Iss};
use super::state::{Asked, Code, Shared, State};
use crate::http::Request;

/// How long a code is good.
const CODE_LIFE: Duration = Duration::from_mins(1);

/// What must never come in the query of a URL.
const SECRETS: [&str; 5] = ["access_token", "refresh_token", "client_secret", "code_verifier", "code"];

/// Answers the authorization request of a browser.
pub(super) fn show(shared: &Shared, request: &Request) -> Answer {
    let mut state = shared.state();
    let form = Form::parse(split_query(&request.path).1);
    state.seen.pages += 1;
    if request.method != "GET" {
        return Answer::page(405, "A browser comes by GET.");
    }
    if SECRETS.iter().any(|name| form.get(name).is_some()) {
        state.seen.leaks += 1;
        return Answer::page(400, "The URL has a secret in it.");
    }
    // Without a client and an address of it there is nobody to whom the browser may be sent back.
    let client = form.get("client_id").and_then(|id| clients::find(shared, &state, id));
    let redirect_uri = form.get("redirect_uri");
    let (Some(client), Some(redirect_uri)) = (client, redirect_uri) else {
        return Answer::page(400, "There is no such client, or no redirect_uri.");
    };
    if form.repeated().is_some() || !clients::may_redirect(&client, redirect_uri) {
        return Answer::page(400, "This redirect_uri is not the client's, or something came twice.");
    }
    let back = (redirect_uri, form.get("state").unwrap_or_default());
    if !client.grant_types.iter().any(|one| one == "authorization_code") {
        return send_error(
            shared,
            &state,
            back,
            "unauthorized_client",
            "registered without authorization_code",
        );
    }
    let asked = match check(shared, &state, &form, &client.id) {
        Ok(asked) => asked,
        Err((code, why)) => return send_error(shared, &state, back, code, why),
    };
    match state.settings.consent {
        Consent::AtOnce => send_code(shared, &mut state, &asked),
        Consent::Denied => send_error(shared, &state, back, "access_denied", "the account says no"),
        Consent::Page => {
            let ticket = state.mint("page");
            let action = format!("{}/consent", state.issuer_path);
            state.open_pages.insert(ticket.clone(), asked);
            Answer::page(200, &buttons(&action, &ticket))
        }
    }
}

/// Answers the button of an authorization page.
pub(super) fn consent(shared: &Shared, request: &Request) -> Answer {
    let mut state = shared.state();
    let form = Form::parse(&String::from_utf8_lossy(&request.body));
    let asked = form.get("ticket").and_then(|ticket| state.open_pages.remove(ticket));
    let Some(asked) = asked.filter(|_| request.method == "POST") else {
        return Answer::page(400, "No such page is open.");
    };
    if form.get("choice") == Some("allow") {
        return send_code(shared, &mut state, &asked);
    }
    send_error(shared, &state, (&asked.redirect_uri, &asked.state), "access_denied", "the account says no")
}

/// The form of a page that asks for consent.
pub(super) fn buttons(action: &str, ticket: &str) -> String {
    let button = |choice: &str| format!("<button name=\"choice\" value=\"{choice}\">{choice}</button>");
    let hidden = format!("<input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">");
    format!("<form method=\"post\" action=\"{action}\">{hidden}{}{}</form>", button("allow"), button("deny"))
}

/// The scopes that a request asks for; an error if the server knows one of them not, or there are none.
pub(super) fn asked_scopes(
    shared: &Shared,
    state: &State,
    scope: Option<&str>,
    resource: &str,
) -> Result<Vec<String>, (&'static str, &'static str)> {
    let own = || shared.resource(resource).map(|resource| resource.scopes.clone()).unwrap_or_default();
    let scopes = scope.map_or_else(own, words);
    let announced = metadata::of_server(shared, state);
    if scopes.iter().all(|scope| metadata::announces(&announced, "scopes_supported", scope)) {
        Ok(scopes)
    } else {
        Err(("invalid_scope", "no such scope"))
    }
}

fn check(
    shared: &Shared,
    state: &State,
    form: &Form,
    client: &str,
) -> Result<Asked, (&'static str, &'static str)> {
    if form.get("response_type") != Some("code") {
        return Err(("unsupported_response_type", "response_type must be code"));
    }
    if form.get("code_challenge_method") != Some("S256") {
        return Err(("invalid_request", "code_challenge_method must be S256"));
    }
    let is_hash = |text: &&str| {
        text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let challenge = form.get("code_challenge").filter(is_hash);
    let challenge = challenge.ok_or(("invalid_request", "code_challenge must be a hash"))?;
    let given = form.get("state").ok_or(("invalid_request", "no state"))?;
    let resource = form.get("resource").filter(|url| shared.resource(url).is_some());
    let resource = resource.ok_or(("invalid_target", "resource must be the URL of a protected resource"))?;
    let mut scopes = asked_scopes(shared, state, form.get("scope"), resource)?;
    if !form.get("prompt").is_some_and(|prompts| words(prompts).iter().any(|one| one == "consent")) {
        // OpenID Connect Core, section 11: it is ignored.
        scopes.retain(|scope| scope != "offline_access");
    }
    Ok(Asked {
        client: client.to_owned(),
        redirect_uri: form.get("redirect_uri").unwrap_or_default().to_owned(),
        state: given.to_owned(),
        challenge: challenge.to_owned(),
        resource: resource.to_owned(),
        scopes,
    })
}

fn send_code(shared: &Shared, state: &mut State, asked: &Asked) -> Answer {
    let grant = state.grant(&asked.client, &asked.resource, &asked.scopes);
    let text = state.mint("code");
    let (challenge, redirect_uri) = (asked.challenge.clone(), asked.redirect_uri.clone());
    let ends = Instant::now() + CODE_LIFE;
    state.codes.insert(text.clone(), Code { grant, challenge, redirect_uri, ends, is_used: false });
    state.seen.codes += 1;
    send_back(shared, state, (&asked.redirect_uri, &asked.state), &[("code", &text)])
}

fn send_error(shared: &Shared, state: &State, back: (&str, &str), code: &str, why: &str) -> Answer {
    send_back(shared, state, back, &[("error", code), ("error_description", why)])
}

/// Sends the browser back to `redirect_uri` with what its request has called `state`.
fn send_back(shared: &Shared, state: &State, back: (&str, &str), fields: &[(&str, &str)]) -> Answer {
    let (redirect_uri, given) = back;
    let iss = match &state.settings.iss {
        Iss::Right => Some(metadata::issuer(shared, state)),
        Iss::Missing => None,
        Iss::Other(other) => Some(other.clone()),
    };
    let mut fields = fields.to_vec();
    fields.extend(Some(("state", given)).filter(|_| !given.is_empty()));
    fields.extend(iss.as_deref().map(|iss| ("iss", iss)));
    let separator = if redirect_uri.contains('?') { '&' } else { '?' };
    Answer::redirect(&format!("{redirect_uri}{separator}{}", encode(&fields)))
}
