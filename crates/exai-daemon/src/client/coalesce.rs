//! What a slow client need not hear: of some notifications the newest says all, and of log messages there can be
//! too many.

use bytes::Bytes;
use exai_proto::{Kind, Message, answer, json};

/// Nothing longer is looked at: what is coalesced here is short.
const LONGEST: usize = 4096;

/// What becomes of a message for a client that does not read what is being written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It must arrive.
    Needed,
    /// It makes those of the same kind useless that still wait.
    Latest(Vec<u8>),
    /// The oldest may go when there are too many.
    Log,
}

/// Looks at a message that is no answer.
pub(crate) fn weigh(bytes: &Bytes) -> Use {
    if bytes.len() > LONGEST {
        return Use::Needed;
    }
    let Ok(message) = Message::parse(bytes.clone()) else { return Use::Needed };
    let Kind::Notification { method, params } = message.kind() else { return Use::Needed };
    let method = message.str_at(method);
    let member = match method {
        "notifications/message" => return Use::Log,
        "notifications/progress" => Some("progressToken"),
        "notifications/resources/updated" => Some("uri"),
        "notifications/tools/list_changed"
        | "notifications/prompts/list_changed"
        | "notifications/resources/list_changed" => None,
        _ => return Use::Needed,
    };
    let mut kind = method.as_bytes().to_vec();
    if let Some(member) = member {
        let found = params.clone().and_then(|params| json::find(message.bytes(), params, member));
        let Some(found) = found else { return Use::Needed };
        kind.push(b' ');
        kind.extend_from_slice(message.at(&found));
    }
    Use::Latest(kind)
}

/// The kind of [`dropped`].
pub(crate) const DROPPED: &[u8] = b"dropped";

/// Tells a client that it has missed log messages.
pub(crate) fn dropped(logs: usize) -> Bytes {
    let text = format!("{logs} log messages were dropped here: this client reads too slowly for them");
    let params = format!("{{\"level\":\"warning\",\"logger\":\"exai\",\"data\":{}}}", json::quote(&text));
    answer::notify("notifications/message", &params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, params: &str) -> Use {
        weigh(&answer::notify(method, params))
    }

    #[test]
    fn news_is_known_by_its_method_and_what_it_is_about() {
        let latest = |text: &str| Use::Latest(text.as_bytes().to_vec());
        let cases = [
            ("notifications/progress", r#"{"progress":1,"progressToken":7}"#, "notifications/progress 7"),
            ("notifications/progress", r#"{"progressToken":"7"}"#, r#"notifications/progress "7""#),
            ("notifications/tools/list_changed", "{}", "notifications/tools/list_changed"),
            (
                "notifications/resources/updated",
                r#"{"uri":"a:b"}"#,
                r#"notifications/resources/updated "a:b""#,
            ),
        ];
        for (method, params, kind) in cases {
            assert_eq!(of(method, params), latest(kind));
        }
        assert_eq!(
            weigh(&answer::notification("notifications/prompts/list_changed")),
            latest("notifications/prompts/list_changed")
        );
    }

    #[test]
    fn everything_else_must_arrive() {
        assert_eq!(of("notifications/message", r#"{"level":"info","data":"x"}"#), Use::Log);
        assert_eq!(
            of("notifications/message", &format!(r#"{{"data":"{}"}}"#, "x".repeat(LONGEST))),
            Use::Needed
        );
        assert_eq!(of("notifications/progress", "{}"), Use::Needed, "about nothing");
        assert_eq!(of("notifications/cancelled", r#"{"requestId":1}"#), Use::Needed);
        assert_eq!(weigh(&answer::request(1, "roots/list", "{}")), Use::Needed);
        assert_eq!(weigh(&Bytes::from_static(b"no message")), Use::Needed);
        assert_eq!(weigh(&dropped(3)), Use::Log);
    }
}
