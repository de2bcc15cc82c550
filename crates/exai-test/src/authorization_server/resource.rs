//! The protected resources: who is let in.

use std::time::Instant;

use serde_json::Value;

use super::answer::Answer;
use super::form::{Form, split_query};
use super::forward;
use super::mcp::{self, Visitor};
use super::metadata;
use super::options::{Challenge, Resource};
use super::state::{Shared, State};
use crate::http::Request;
use crate::scripted_http::Reply;

/// Answers a request to a protected resource.
pub(super) fn answer(shared: &Shared, resource: &Resource, request: &Request) -> Reply {
    // Others must not wait for the server behind this one.
    let visitor = let_in(shared, &mut shared.state(), resource, request);
    match visitor {
        Err(refusal) => Reply::Whole(refusal.bytes()),
        Ok(visitor) => match &resource.upstream {
            Some(upstream) => forward::send(upstream, request),
            None => Reply::Whole(mcp::answer(request, &visitor).bytes()),
        },
    }
}

fn let_in(
    shared: &Shared,
    state: &mut State,
    resource: &Resource,
    request: &Request,
) -> Result<Visitor, Answer> {
    if Form::parse(split_query(&request.path).1).get("access_token").is_some() {
        state.seen.leaks += 1;
        return Err(Answer::plain(400, "the token belongs into a header"));
    }
    let headers = request.headers.iter().filter(|(name, _)| name == "authorization");
    let headers: Vec<_> = headers.map(|(_, value)| &**value).collect();
    let token = match &*headers {
        [] => return Err(challenge(shared, state, resource, None)),
        [header] => header.strip_prefix("Bearer ").filter(|token| !token.is_empty()),
        _ => return Err(Answer::plain(400, "two Authorization headers")),
    };
    let invalid = |state: &mut State| Err(challenge(shared, state, resource, Some("invalid_token")));
    let Some(known) = token.and_then(|token| state.access_tokens.get(token)) else { return invalid(state) };
    let (grant, is_over) = (&state.grants[known.grant], known.ends <= Instant::now());
    if grant.resource != shared.url_of(resource) {
        state.seen.wrong_resources += 1;
        return invalid(state);
    }
    if is_over || grant.is_revoked {
        return invalid(state);
    }
    let mut needed = resource.scopes.clone();
    needed.extend(tool_scope(resource, request));
    if !needed.iter().all(|scope| known.scopes.contains(scope)) {
        state.seen.insufficient_scopes += 1;
        let value = format!(
            "Bearer error=\"insufficient_scope\", scope=\"{}\", resource_metadata=\"{}\"",
            needed.join(" "),
            metadata::place_of(shared, resource)
        );
        return Err(Answer::plain(403, "this needs another scope").with("WWW-Authenticate", &value));
    }
    let visitor = Visitor {
        account: grant.account.clone(),
        client: grant.client.clone(),
        scopes: known.scopes.clone(),
    };
    state.seen.let_in += 1;
    Ok(visitor)
}

/// The scope that the tool needs which a request calls.
fn tool_scope(resource: &Resource, request: &Request) -> Option<String> {
    let message: Value = serde_json::from_slice(&request.body).ok()?;
    let name = message["params"]["name"].as_str().filter(|_| message["method"] == "tools/call")?;
    resource.tools.iter().find(|(tool, _)| tool == name).map(|(_, scope)| scope.clone())
}

/// A 401. RFC 6750 wants no error in it where no token was sent.
fn challenge(shared: &Shared, state: &mut State, resource: &Resource, error: Option<&str>) -> Answer {
    state.seen.unauthorized += 1;
    let answer = Answer::plain(401, "a token is needed");
    let told = shared.options.challenge;
    let mut parts: Vec<_> = error.map(|error| format!("error=\"{error}\"")).into_iter().collect();
    if matches!(told, Challenge::Full | Challenge::WithoutScope) {
        parts.push(format!("resource_metadata=\"{}\"", metadata::place_of(shared, resource)));
    }
    if matches!(told, Challenge::Full | Challenge::WithoutMetadata) && !resource.scopes.is_empty() {
        parts.push(format!("scope=\"{}\"", resource.scopes.join(" ")));
    }
    if told == Challenge::Absent {
        return answer;
    }
    answer.with("WWW-Authenticate", format!("Bearer {}", parts.join(", ")).trim_end())
}
