//! Two pages of resources, one template, subscriptions.

use serde_json::Value;

use crate::answer::{Answer, INVALID_PARAMS, RESOURCE_NOT_FOUND};
use crate::output::VENDOR;
use crate::server::Server;
use crate::wire::quote;

/// The cursor of the second page. Odd on purpose: a cursor is opaque.
const SECOND_PAGE: &str = "p/2=é";
/// The size of `test://big`: large, and less than the 1 MiB some clients take in one event or frame.
const BIG: usize = 1_000_000;

/// `resources/list`
pub(crate) fn list(params: &Value) -> Answer {
    let item = |uri: &str, name: &str| {
        format!(
            r#"{{"uri":"{uri}","name":"{name}","title":"The {name} one","mimeType":"text/plain","annotations":{{"priority":1.0,"audience":["user"]}},"_meta":{{"k":1.0}},{VENDOR}}}"#
        )
    };
    match params["cursor"].as_str() {
        None => Ok(format!(
            r#"{{"resources":[{},{}],"nextCursor":"{SECOND_PAGE}",{VENDOR}}}"#,
            item("test://static", "static"),
            item("test://big", "big")
        )),
        Some(SECOND_PAGE) => {
            Ok(format!(r#"{{"resources":[{}],"_meta":{{"page":2.0}}}}"#, item("test://binary", "binary")))
        }
        Some(other) => Err((INVALID_PARAMS, format!("Unknown cursor: {other}"))),
    }
}

/// `resources/templates/list`
pub(crate) fn templates() -> String {
    format!(
        r#"{{"resourceTemplates":[{{"uriTemplate":"test://item/{{number}}","name":"item","description":"Any item","mimeType":"text/plain",{VENDOR}}}],{VENDOR}}}"#
    )
}

/// `resources/read`
pub(crate) fn read(params: &Value) -> Answer {
    let uri = params["uri"].as_str().unwrap_or_default();
    let body = match uri {
        "test://static" => r#""text":"static text, \u00fcber alles: \/ 1.0""#.to_owned(),
        "test://big" => format!(r#""text":"{}""#, "b".repeat(BIG)),
        "test://binary" => r#""blob":"AAECA/8=""#.to_owned(),
        _ => match uri.strip_prefix("test://item/") {
            Some(number) => format!(r#""text":{}"#, quote(&format!("item {number}"))),
            None => return Err((RESOURCE_NOT_FOUND, format!("Resource not found: {uri}"))),
        },
    };
    let uri = quote(uri);
    Ok(format!(r#"{{"contents":[{{"uri":{uri},"mimeType":"text/plain",{body},{VENDOR}}}],{VENDOR}}}"#))
}

/// `resources/subscribe` and `resources/unsubscribe`
pub(crate) fn subscribe(server: &Server, params: &Value, on: bool) -> Answer {
    let uri = params["uri"].as_str().ok_or((INVALID_PARAMS, "uri is missing".to_owned()))?;
    let mut state = server.state();
    if on {
        state.subscriptions.insert(uri.to_owned());
    } else {
        state.subscriptions.remove(uri);
    }
    Ok("{}".to_owned())
}
