//! Who a client is: registration, and what it shows with its requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::form::{Form, decode};
use super::loopback::Loopback;
use super::metadata;
use super::settings::Registration;
use super::state::{Client, DEVICE_CODE, Shared, State, all_grant_types};
use crate::http::Request;

/// Registers a client (RFC 7591). It must be a native one, whose users come back to this machine.
pub(super) fn register(shared: &Shared, request: &Request) -> Answer {
    let mut state = shared.state();
    match try_register(shared, &mut state, request) {
        Ok(document) => Answer::json(201, &document),
        Err(refusal) => refusal.answer(),
    }
}

fn try_register(shared: &Shared, state: &mut State, request: &Request) -> Result<Value, Refusal> {
    let wrong = |why: &str| Refusal::new("invalid_client_metadata", why);
    let setting = state.settings.registration;
    if setting == Registration::Refused {
        return Err(Refusal { status: 403, ..Refusal::new("access_denied", "nobody may register here") });
    }
    let mut asked: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let is_json = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    if request.method != "POST" || !is_json || !asked.is_object() {
        return Err(wrong("send a JSON object by POST"));
    }
    if asked["application_type"] != "native" {
        return Err(wrong("application_type must be native"));
    }
    let grant_types = strings(&asked["grant_types"], &["authorization_code"])
        .filter(|types| types.iter().all(|one| all_grant_types().contains(one)))
        .ok_or_else(|| wrong("grant_types"))?;
    let has_codes = grant_types.iter().any(|one| one == "authorization_code");
    if !has_codes && !grant_types.iter().any(|one| one == DEVICE_CODE) {
        return Err(wrong("grant_types has none that begins"));
    }
    if has_codes && strings(&asked["response_types"], &["code"]).is_none_or(|types| types != ["code"]) {
        return Err(wrong("response_types must be code"));
    }
    let redirect_uris = strings(&asked["redirect_uris"], &[]).unwrap_or_default();
    let are_local = redirect_uris.iter().all(|uri| Loopback::parse(uri).is_some());
    if !are_local || has_codes && redirect_uris.is_empty() {
        return Err(Refusal::new("invalid_redirect_uri", "redirect_uris must be http URLs of this machine"));
    }
    let mut method = match &asked["token_endpoint_auth_method"] {
        Value::Null => "client_secret_basic".to_owned(),
        method => method.as_str().unwrap_or_default().to_owned(),
    };
    if setting == Registration::WithSecret && method == "none" {
        "client_secret_basic".clone_into(&mut method);
    }
    let announced = metadata::of_server(shared, state);
    if !metadata::announces(&announced, "token_endpoint_auth_methods_supported", &method) {
        return Err(wrong("token_endpoint_auth_method is not announced"));
    }
    let id = state.mint("client");
    let secret = (method != "none").then(|| state.mint("secret"));
    asked["client_id"] = json!(id);
    asked["token_endpoint_auth_method"] = json!(method);
    asked["grant_types"] = json!(grant_types);
    if let Some(secret) = &secret {
        asked["client_secret"] = json!(secret);
        asked["client_secret_expires_at"] = json!(0);
    }
    state.seen.registrations += 1;
    let (methods, redirect_uris) = (vec![method], Some(redirect_uris));
    state.clients.insert(id.clone(), Client { id, secret, methods, redirect_uris, grant_types });
    Ok(asked)
}

/// The strings of a list, or the default for a list that is absent.
fn strings(value: &Value, default: &[&str]) -> Option<Vec<String>> {
    if value.is_null() {
        return Some(default.iter().map(ToString::to_string).collect());
    }
    value.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect()
}

/// The client with this id.
pub(super) fn find(shared: &Shared, state: &State, id: &str) -> Option<Client> {
    if let Some(known) = state.clients.get(id) {
        return Some(known.clone());
    }
    let is_supported = metadata::of_server(shared, state)["client_id_metadata_document_supported"] == true;
    (is_supported && is_document(id)).then(|| Client {
        id: id.to_owned(),
        secret: None,
        methods: vec!["none".to_owned()],
        redirect_uris: None,
        grant_types: all_grant_types(),
    })
}

/// Whether an id can be the URL of a client id metadata document. The document is not fetched.
fn is_document(id: &str) -> bool {
    let path = match id.strip_prefix("https://") {
        Some(rest) => {
            rest.split_once('/').filter(|(host, _)| !host.is_empty()).map(|(_, path)| path.to_owned())
        }
        None => Loopback::parse(id).map(|url| url.path[1..].to_owned()),
    };
    let is_plain = !id.contains(['#', '@']);
    is_plain
        && path
            .is_some_and(|path| !path.is_empty() && path.split('/').all(|part| part != "." && part != ".."))
}

/// Whether a client may have its users sent back there. What a client has registered itself must come back to the letter;
/// others may use any port and path of this machine.
pub(super) fn may_redirect(client: &Client, uri: &str) -> bool {
    match &client.redirect_uris {
        Some(registered) => registered.iter().any(|known| known == uri),
        None => Loopback::parse(uri).is_some(),
    }
}

/// Who asks for a token: a client shows it in exactly one way, which is one of its own.
pub(super) fn authenticate(
    shared: &Shared,
    state: &State,
    request: &Request,
    form: &Form,
) -> Result<Client, Refusal> {
    let wrong = |why: &str| Refusal { status: 401, ..Refusal::new("invalid_client", why) };
    let header = request.header("authorization").map(|header| {
        let encoded = header.strip_prefix("Basic ").and_then(|rest| STANDARD.decode(rest).ok());
        let text = encoded.and_then(|bytes| String::from_utf8(bytes).ok());
        text.as_deref().and_then(|text| text.split_once(':')).map(|(id, secret)| (decode(id), decode(secret)))
    });
    let in_body = form.get("client_secret").map(str::to_owned);
    let (id, secret, method) = match (header, in_body) {
        (Some(_), Some(_)) => return Err(Refusal::new("invalid_request", "two authentications at once")),
        (Some(None), None) => return Err(wrong("the Authorization header is no Basic one")),
        (Some(Some((id, secret))), None) => (id, Some(secret), "client_secret_basic"),
        (None, secret) => {
            let id = form.get("client_id").ok_or_else(|| Refusal::new("invalid_request", "no client_id"))?;
            let method = if secret.is_some() { "client_secret_post" } else { "none" };
            (id.to_owned(), secret, method)
        }
    };
    if form.get("client_id").is_some_and(|in_body| in_body != id) {
        return Err(Refusal::new("invalid_request", "two clients at once"));
    }
    let client = find(shared, state, &id).ok_or_else(|| wrong("no such client"))?;
    let announced = metadata::of_server(shared, state);
    let is_announced = metadata::announces(&announced, "token_endpoint_auth_methods_supported", method);
    if !is_announced || !client.methods.iter().any(|known| known == method) || client.secret != secret {
        return Err(wrong(&format!("this client cannot show who it is by {method}")));
    }
    Ok(client)
}
