//! The token endpoint.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::clients;
use super::device;
use super::form::{Form, words};
use super::rules::{check_form, check_resource};
use super::seen::TokenRequest;
use super::settings::{Fault, RefreshTokens};
use super::state::{AccessToken, Client, DEVICE_CODE, RefreshToken, Shared, State, challenge_of};
use crate::http::Request;

/// No token response is held back for longer.
const LONGEST_HOLD: Duration = Duration::from_mins(2);

/// Answers a request for a token; `None` ends the connection without an answer.
pub(super) fn answer(shared: &Shared, request: &Request) -> Option<Answer> {
    let form = Form::parse(&String::from_utf8_lossy(&request.body));
    let has_basic = request.header("authorization").is_some_and(|header| header.starts_with("Basic "));
    let fault = {
        let mut state = shared.state();
        state.record(TokenRequest { fields: form.0.clone(), has_basic });
        state.faults.pop_front()
    };
    match fault {
        Some(Fault::Unavailable) => return Some(Answer::plain(503, "not now")),
        Some(Fault::Hang(length)) => {
            drop(shared.wait(length, |_| true));
            return None;
        }
        Some(Fault::Malformed) => {
            let whole = Answer::json(200, &Value::Null);
            return Some(Answer { body: "{\"access_token\": \"at-".to_owned(), ..whole });
        }
        Some(Fault::Huge) => {
            let padding = "x".repeat(1024 * 1024);
            let body = json!({"access_token": "at-huge", "token_type": "Bearer", "padding": padding});
            return Some(Answer::json(200, &body));
        }
        Some(Fault::InvalidGrant) => {
            return Some(Refusal::new("invalid_grant", "a fault of the test").answer());
        }
        Some(Fault::LoseAnswer) | None => {}
    }
    let given = give(shared, &mut shared.state(), request, &form);
    let answer = given.map_or_else(|refusal| refusal.answer(), |tokens| Answer::json(200, &tokens));
    if shared.state().holds_tokens {
        shared.change(|state| state.seen.held += 1);
        shared.wait(LONGEST_HOLD, |state| state.holds_tokens).seen.held -= 1;
    }
    (fault != Some(Fault::LoseAnswer)).then_some(answer)
}

fn give(shared: &Shared, state: &mut State, request: &Request, form: &Form) -> Result<Value, Refusal> {
    check_form(request, form)?;
    let client = clients::authenticate(shared, state, request, form)?;
    let grant_type =
        form.get("grant_type").ok_or_else(|| Refusal::new("invalid_request", "no grant_type"))?;
    let is_registered = client.grant_types.iter().any(|known| known == grant_type);
    match grant_type {
        "authorization_code" | "refresh_token" | DEVICE_CODE if !is_registered => {
            Err(Refusal::new("unauthorized_client", "the client has not registered this grant_type"))
        }
        "authorization_code" => exchange(state, form, &client),
        "refresh_token" => refresh(state, form, &client),
        DEVICE_CODE => {
            let grant = device::poll(state, form, &client)?;
            Ok(tokens(state, &client, grant, None))
        }
        _ => Err(Refusal::new("unsupported_grant_type", grant_type)),
    }
}

fn required<'a>(form: &'a Form, name: &str) -> Result<&'a str, Refusal> {
    form.get(name).ok_or_else(|| Refusal::new("invalid_request", &format!("no {name}")))
}

fn exchange(state: &mut State, form: &Form, client: &Client) -> Result<Value, Refusal> {
    let wrong = |why: &str| Refusal::new("invalid_grant", why);
    let text = required(form, "code")?;
    let verifier = required(form, "code_verifier")?;
    let redirect_uri = required(form, "redirect_uri")?;
    let code = state.codes.get_mut(text).ok_or_else(|| wrong("no such code"))?;
    let grant = code.grant;
    if std::mem::replace(&mut code.is_used, true) {
        state.grants[grant].is_revoked = true;
        state.seen.reuses += 1;
        return Err(wrong("the code came twice"));
    }
    // A code that came with something wrong has been seen by somebody else, and is not good any more.
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let is_verifier = (43..=128).contains(&verifier.len()) && verifier.bytes().all(is_plain);
    if !is_verifier || challenge_of(verifier.as_bytes()) != code.challenge {
        return Err(wrong("the code_verifier is wrong"));
    }
    if code.redirect_uri != redirect_uri {
        return Err(wrong("another redirect_uri"));
    }
    if code.ends <= Instant::now() {
        return Err(wrong("the code is too old"));
    }
    check_grant(state, grant, client)?;
    check_resource(form, &state.grants[grant].resource)?;
    state.seen.exchanges += 1;
    Ok(tokens(state, client, grant, None))
}

fn refresh(state: &mut State, form: &Form, client: &Client) -> Result<Value, Refusal> {
    let text = required(form, "refresh_token")?;
    let token = state.refresh_tokens.get(text);
    let token = token.ok_or_else(|| Refusal::new("invalid_grant", "no such refresh token"))?;
    let (grant, is_used) = (token.grant, token.is_used);
    if is_used {
        state.grants[grant].is_revoked = true;
        state.seen.reuses += 1;
        return Err(Refusal::new("invalid_grant", "the refresh token came twice"));
    }
    check_grant(state, grant, client)?;
    check_resource(form, &state.grants[grant].resource)?;
    let asked = form.get("scope").map(words);
    let has = |scope: &String| state.grants[grant].scopes.contains(scope);
    if asked.as_ref().is_some_and(|asked| !asked.iter().all(has)) {
        return Err(Refusal::new("invalid_scope", "more than was granted"));
    }
    if let Some(token) = state.refresh_tokens.get_mut(text) {
        token.is_used = true;
    }
    state.seen.refreshes += 1;
    Ok(tokens(state, client, grant, asked))
}

fn check_grant(state: &State, grant: usize, client: &Client) -> Result<(), Refusal> {
    let grant = &state.grants[grant];
    let is_good = grant.client == client.id && !grant.is_revoked;
    is_good.then_some(()).ok_or_else(|| Refusal::new("invalid_grant", "revoked, or of another client"))
}

/// Makes the tokens of a grant.
fn tokens(state: &mut State, client: &Client, grant: usize, scopes: Option<Vec<String>>) -> Value {
    let scopes = scopes.unwrap_or_else(|| state.grants[grant].scopes.clone());
    let access = state.mint("at");
    let mut answer = json!({"access_token": access, "token_type": "Bearer", "scope": scopes.join(" ")});
    if state.settings.says_expires_in {
        answer["expires_in"] = json!(state.settings.expires_in.as_secs());
    }
    let ends = Instant::now() + state.settings.expires_in;
    state.access_tokens.insert(access, AccessToken { grant, scopes, ends });
    let is_offline = || state.grants[grant].scopes.iter().any(|scope| scope == "offline_access");
    let gets_refresh_token = match state.settings.refresh_tokens {
        RefreshTokens::Always => true,
        RefreshTokens::Offline => is_offline(),
        RefreshTokens::Never => false,
    };
    if gets_refresh_token && client.grant_types.iter().any(|one| one == "refresh_token") {
        let refresh = state.mint("rt");
        answer["refresh_token"] = json!(refresh);
        state.refresh_tokens.insert(refresh, RefreshToken { grant, is_used: false });
    }
    answer
}
