//! Answers of token endpoints, before the library reads them: what it would stumble over is put right, since a renewal whose
//! answer cannot be read has spent the refresh token all the same.

use hyper::{Response, StatusCode};
use serde_json::{Map, Value};

/// The fields of a request whose values an answer must not make visible.
const SECRETS: [&str; 5] = ["code", "code_verifier", "refresh_token", "client_secret", "device_code"];
const HIDDEN: &str = "…";
/// The longest pause between two questions of a device: no code lasts longer.
const MAX_PAUSE_SECONDS: u64 = 3600;

/// Puts right the answer to a request with the form `sent`.
pub(crate) fn put_right(sent: &[u8], answer: Response<Vec<u8>>) -> Response<Vec<u8>> {
    let Ok(Value::Object(mut members)) = serde_json::from_slice(answer.body()) else { return answer };
    let (mut head, _) = answer.into_parts();
    let is_error = members.get("error").and_then(Value::as_str).is_some_and(|code| !code.is_empty());
    if head.status == StatusCode::OK && is_error {
        // GitHub answers errors so.
        head.status = StatusCode::BAD_REQUEST;
    }
    put_lifetime_right(&mut members);
    put_pause_right(&mut members);
    put_scopes_right(&mut members);
    if is_error {
        hide_secrets(sent, &mut members);
    }
    Response::from_parts(head, Value::Object(members).to_string().into())
}

/// A lifetime that is no number of seconds is one that was not said.
fn put_lifetime_right(members: &mut Map<String, Value>) {
    let Some(said) = members.remove("expires_in") else { return };
    let number =
        said.as_str().map_or(said.clone(), |text| text.trim().parse().map_or(Value::Null, Value::Number));
    #[allow(clippy::cast_sign_loss, reason = "it is not negative")]
    let seconds = number
        .as_u64()
        .or_else(|| number.as_f64().filter(|seconds| *seconds >= 0.0).map(|seconds| seconds as u64));
    if let Some(seconds) = seconds {
        members.insert("expires_in".to_owned(), seconds.into());
    }
}

/// The library adds to a pause, and panics where that is too much.
fn put_pause_right(members: &mut Map<String, Value>) {
    if let Some(pause) = members.get_mut("interval") {
        *pause = pause.as_u64().map_or(Value::Null, |seconds| seconds.min(MAX_PAUSE_SECONDS).into());
    }
}

/// Scopes are one text; some servers write a list.
fn put_scopes_right(members: &mut Map<String, Value>) {
    match members.get("scope") {
        Some(Value::Array(scopes)) => {
            let scopes: Vec<_> = scopes.iter().filter_map(Value::as_str).collect();
            members.insert("scope".to_owned(), scopes.join(" ").into());
        }
        Some(Value::String(_)) | None => {}
        Some(_) => {
            members.remove("scope");
        }
    }
}

/// An error is shown to people and logged, and some servers quote in it what they were sent.
fn hide_secrets(sent: &[u8], members: &mut Map<String, Value>) {
    let fields = url::form_urlencoded::parse(sent);
    let secrets: Vec<_> =
        fields.filter(|(name, value)| SECRETS.contains(&&**name) && !value.is_empty()).collect();
    for name in ["error", "error_description"] {
        if let Some(Value::String(text)) = members.get_mut(name) {
            *text = secrets.iter().fold(text.clone(), |text, (_, secret)| text.replace(&**secret, HIDDEN));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put_right(sent: &str, status: u16, body: &str) -> (u16, Value) {
        let answer = Response::builder().status(status).body(body.into()).unwrap();
        let right = super::put_right(sent.as_bytes(), answer);
        (right.status().as_u16(), serde_json::from_slice(right.body()).unwrap())
    }

    #[test]
    fn what_is_right_stays_and_what_is_not_is_put_right() {
        let good = r#"{"access_token":"a","expires_in":5,"scope":"a b","other":[1]}"#;
        assert_eq!(put_right("", 200, good), (200, serde_json::from_str(good).unwrap()));
        let lists = put_right("", 200, r#"{"access_token":"a","expires_in":"7","scope":["a","b",1]}"#);
        assert_eq!(lists, (200, json!({"access_token": "a", "expires_in": 7, "scope": "a b"})));
        let nonsense = put_right("", 200, r#"{"access_token":"a","expires_in":-1,"scope":{}}"#);
        assert_eq!(nonsense, (200, json!({"access_token": "a"})));
        for (pause, right) in [("5", json!(5)), ("18446744073709551615", json!(3600)), ("-1", json!(null))] {
            let (_, details) = put_right("", 200, &format!(r#"{{"interval":{pause}}}"#));
            assert_eq!(details, json!({"interval": right}));
        }
        assert_eq!(put_right("", 200, r#"{"error":"x"}"#).0, 400);
        assert_eq!(put_right("", 200, r#"{"access_token":"a","error":""}"#).0, 200);
        assert_eq!(put_right("", 503, r#"{"error":"x"}"#).0, 503);
    }

    #[test]
    fn errors_do_not_quote_secrets() {
        let sent = "code=a%20b%2B&refresh_token=rt&code_verifier=&resource=x";
        let (_, error) = put_right(sent, 400, r#"{"error":"rt","error_description":"no a b+, no rt, x"}"#);
        assert_eq!(error, json!({"error": "…", "error_description": "no …, no …, x"}));
    }
}
