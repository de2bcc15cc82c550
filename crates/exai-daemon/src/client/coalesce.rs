//! Which messages a slow client can do without: the newest of some notifications makes the older ones useless, and log
//! messages are dropped when there are too many.

use bytes::Bytes;
use exai_proto::{Kind, Message, answer, json};

/// Bytes of the longest message that is classified: messages that can be dropped are short.
const MAX_CLASSIFIED_BYTES: usize = 4096;

/// What happens to a message for a client that does not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The message must arrive.
    Needed,
    /// The message replaces those of this kind that still wait.
    Latest(Vec<u8>),
    /// A log message: the oldest are dropped when there are too many.
    Log,
}

/// Classifies a message that is no answer.
pub(crate) fn classify_message(bytes: &Bytes) -> Use {
    if bytes.len() > MAX_CLASSIFIED_BYTES {
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

/// The kind of [`dropped_notice`].
pub(crate) const DROPPED_KIND: &[u8] = b"dropped";

/// The notification that tells a client how many log messages it has missed.
pub(crate) fn dropped_notice(logs: usize) -> Bytes {
    let text = format!("{logs} log messages were dropped here: this client reads too slowly for them");
    let params = format!("{{\"level\":\"warning\",\"logger\":\"exai\",\"data\":{}}}", json::quote(&text));
    answer::notify("notifications/message", &params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(method: &str, params: &str) -> Use {
        classify_message(&answer::notify(method, params))
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
            assert_eq!(classify(method, params), latest(kind));
        }
        assert_eq!(
            classify_message(&answer::notification("notifications/prompts/list_changed")),
            latest("notifications/prompts/list_changed")
        );
    }

    #[test]
    fn everything_else_must_arrive() {
        assert_eq!(classify("notifications/message", r#"{"level":"info","data":"x"}"#), Use::Log);
        assert_eq!(
            classify(
                "notifications/message",
                &format!(r#"{{"data":"{}"}}"#, "x".repeat(MAX_CLASSIFIED_BYTES))
            ),
            Use::Needed
        );
        assert_eq!(classify("notifications/progress", "{}"), Use::Needed, "about nothing");
        assert_eq!(classify("notifications/cancelled", r#"{"requestId":1}"#), Use::Needed);
        assert_eq!(classify_message(&answer::request(1, "roots/list", "{}")), Use::Needed);
        assert_eq!(classify_message(&Bytes::from_static(b"no message")), Use::Needed);
        assert_eq!(classify_message(&dropped_notice(3)), Use::Log);
    }
}
