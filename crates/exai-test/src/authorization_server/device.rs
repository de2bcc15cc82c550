//! The device flow (RFC 8628).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::authorize::{asked_scopes, buttons};
use super::clients;
use super::form::{Form, split_query};
use super::metadata;
use super::rules::{check_form, check_resource};
use super::settings::Consent;
use super::state::{Client, DEVICE_CODE, Device, Shared, State};
use crate::http::Request;

/// How long a device code is good.
const DEVICE_CODE_LIFE: Duration = Duration::from_mins(5);
/// What `slow_down` adds to the pause between two polls.
const SLOWER_BY: Duration = Duration::from_secs(5);
/// A poll may come so much too early, since clocks are read on both sides.
const TOLERANCE: Duration = Duration::from_millis(100);

/// Begins a device flow.
pub(super) fn begin(shared: &Shared, request: &Request) -> Answer {
    let begun = try_begin(shared, &mut shared.state(), request);
    begun.map_or_else(|refusal| refusal.answer(), |document| Answer::json(200, &document))
}

fn try_begin(shared: &Shared, state: &mut State, request: &Request) -> Result<Value, Refusal> {
    let form = Form::parse(&String::from_utf8_lossy(&request.body));
    check_form(request, &form)?;
    let client = clients::authenticate(shared, state, request, &form)?;
    if !client.grant_types.iter().any(|known| known == DEVICE_CODE) {
        return Err(Refusal::new("unauthorized_client", "the client has not registered this grant_type"));
    }
    let resource = form.get("resource").filter(|url| shared.resource(url).is_some());
    let resource = resource.ok_or_else(|| Refusal::new("invalid_target", "no such resource"))?.to_owned();
    let scopes = asked_scopes(shared, state, form.get("scope"), &resource)
        .map_err(|(code, why)| Refusal::new(code, why))?;
    let code = state.mint("device");
    let user_code = format!("TEST-{:04}", state.seen.device_requests + 1);
    let plan = state.settings.device;
    let page = format!("{}/device", metadata::issuer(shared, state));
    let document = json!({
        "device_code": code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": DEVICE_CODE_LIFE.as_secs(),
        "interval": plan.interval,
    });
    state.seen.device_requests += 1;
    let device = Device {
        client: client.id,
        resource,
        scopes,
        user_code,
        is_allowed: None,
        pending: plan.pending,
        slow_downs: plan.slow_downs,
        interval: Duration::from_secs(plan.interval),
        last_poll: None,
        ends: Instant::now() + DEVICE_CODE_LIFE,
    };
    state.devices.insert(code, device);
    Ok(document)
}

/// The page where people enter the code of their device, and its buttons.
pub(super) fn page(shared: &Shared, request: &Request) -> Answer {
    let mut state = shared.state();
    let action = format!("{}/device", state.issuer_path);
    let is_answer = request.method == "POST";
    let text = String::from_utf8_lossy(&request.body);
    let form = Form::parse(if is_answer { &text } else { split_query(&request.path).1 });
    let user_code = form.get(if is_answer { "ticket" } else { "user_code" }).map(str::to_owned);
    let device = state.devices.values_mut().find(|device| Some(&device.user_code) == user_code.as_ref());
    let Some(device) = device else { return Answer::page(400, "No device has this code.") };
    if !is_answer {
        let body = buttons(&action, &device.user_code);
        state.seen.pages += 1;
        return Answer::page(200, &body);
    }
    device.is_allowed = Some(form.get("choice") == Some("allow"));
    Answer::page(200, "Go back to the device.")
}

/// Answers the poll of a device: the number of its grant, when there is one.
pub(super) fn poll(state: &mut State, form: &Form, client: &Client) -> Result<usize, Refusal> {
    state.seen.polls += 1;
    let refuse = |code, why: &str| Err(Refusal::new(code, why));
    let consent = state.settings.consent;
    let Some(text) = form.get("device_code") else { return refuse("invalid_request", "no device_code") };
    let device = state.devices.get_mut(text).filter(|device| device.client == client.id);
    let Some(device) = device else { return refuse("invalid_grant", "no such device code") };
    check_resource(form, &device.resource)?;
    let now = Instant::now();
    let last_poll = device.last_poll.replace(now);
    if last_poll.is_some_and(|last| now.duration_since(last) + TOLERANCE < device.interval) {
        state.seen.hasty_polls += 1;
        device.interval += SLOWER_BY;
        return refuse("slow_down", "too early");
    }
    if device.ends <= now {
        return refuse("expired_token", "too late");
    }
    if device.pending > 0 {
        device.pending -= 1;
        return refuse("authorization_pending", "not yet");
    }
    if device.slow_downs > 0 {
        device.slow_downs -= 1;
        device.interval += SLOWER_BY;
        return refuse("slow_down", "not so fast");
    }
    match (consent, device.is_allowed) {
        (Consent::Page, None) => refuse("authorization_pending", "not yet"),
        (Consent::Denied, _) | (_, Some(false)) => refuse("access_denied", "the account says no"),
        (Consent::AtOnce, None) | (_, Some(true)) => {
            let (resource, scopes) = (device.resource.clone(), device.scopes.clone());
            state.devices.remove(text);
            Ok(state.grant(&client.id, &resource, &scopes))
        }
    }
}
