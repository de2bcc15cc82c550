//! The members of `params` that routing looks at, found in one walk.

use std::ops::Range;

use crate::client_question::NAMED_REQUEST;
use crate::json;
use crate::modern::{CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, PROTOCOL_VERSION, SUBSCRIPTION_ID};

/// The error for `params` that hold a key that routing looks at twice, or in two spellings.
pub const AMBIGUOUS: &str = "a key of params is there twice, or in two spellings";

/// The places of the values of these members, in the message.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Params {
    /// Of a tool or a prompt.
    pub name: Option<Range<usize>>,
    /// Of a resource.
    pub uri: Option<Range<usize>>,
    /// Of the log.
    pub level: Option<Range<usize>>,
    /// Of a list: this is not its first page.
    pub cursor: Option<Range<usize>>,
    /// Of a cancellation.
    pub request_id: Option<Range<usize>>,
    /// Of a progress notification.
    pub progress_token: Option<Range<usize>>,
    /// Of a request: `_meta.progressToken`.
    pub token: Option<Range<usize>>,
    /// Of a question: `_meta."exai/request"`.
    pub named_request: Option<Range<usize>>,
    /// Of a completion: `ref.name`.
    pub reference_name: Option<Range<usize>>,
    /// Of a completion: `ref.uri`.
    pub reference_uri: Option<Range<usize>>,
    /// Of a request: `arguments`.
    pub arguments: Option<Range<usize>>,
    /// Of a request that is made again with what the server has asked for: `inputResponses`.
    pub input_responses: Option<Range<usize>>,
    /// Of such a request: `requestState`.
    pub request_state: Option<Range<usize>>,
    /// Of `subscriptions/listen`: `notifications`.
    pub notifications: Option<Range<usize>>,
    /// `_meta`.
    pub meta: Option<Range<usize>>,
    /// The members of `_meta` that only the modern era has.
    pub modern: ModernMeta,
}

/// The places of the values of the members of `_meta` that only the modern era has: see [`crate::modern`].
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ModernMeta {
    /// Of a request: [`PROTOCOL_VERSION`].
    pub version: Option<Range<usize>>,
    /// Of a request: [`CLIENT_INFO`].
    pub client_info: Option<Range<usize>>,
    /// Of a request: [`CLIENT_CAPABILITIES`].
    pub client_capabilities: Option<Range<usize>>,
    /// Of a request: [`LOG_LEVEL`].
    pub log_level: Option<Range<usize>>,
    /// Of a notification: [`SUBSCRIPTION_ID`].
    pub subscription_id: Option<Range<usize>>,
}

impl Params {
    /// `None` if another parser could find other values than these: then the receiver would not read what the router
    /// checks and changes.
    pub(crate) fn find(text: &[u8], place: Option<&Range<usize>>) -> Option<Self> {
        let mut found = Params::default();
        let mut reference = None;
        let whole = [
            ("name", &mut found.name),
            ("uri", &mut found.uri),
            ("level", &mut found.level),
            ("cursor", &mut found.cursor),
            ("requestId", &mut found.request_id),
            ("progressToken", &mut found.progress_token),
            ("arguments", &mut found.arguments),
            ("inputResponses", &mut found.input_responses),
            ("requestState", &mut found.request_state),
            ("notifications", &mut found.notifications),
            ("_meta", &mut found.meta),
            ("ref", &mut reference),
        ];
        pick(text, place, whole)?;
        let of_meta = [
            ("progressToken", &mut found.token),
            (NAMED_REQUEST, &mut found.named_request),
            (PROTOCOL_VERSION, &mut found.modern.version),
            (CLIENT_INFO, &mut found.modern.client_info),
            (CLIENT_CAPABILITIES, &mut found.modern.client_capabilities),
            (LOG_LEVEL, &mut found.modern.log_level),
            (SUBSCRIPTION_ID, &mut found.modern.subscription_id),
        ];
        pick(text, found.meta.as_ref(), of_meta)?;
        let of_reference = [("name", &mut found.reference_name), ("uri", &mut found.reference_uri)];
        pick(text, reference.as_ref(), of_reference)?;
        Some(found)
    }
}

/// Finds the values of some keys of an object; anything else has no members. `None` if one of the keys is there
/// twice, or if another key could be taken for it.
fn pick<const N: usize>(
    text: &[u8],
    object: Option<&Range<usize>>,
    mut keys: [(&str, &mut Option<Range<usize>>); N],
) -> Option<()> {
    let Some(object) = object else { return Some(()) };
    let Ok(mut members) = json::Members::new(&text[..object.end], object.start) else { return Some(()) };
    while let Ok(Some(member)) = members.next_member() {
        let key = &text[member.key];
        for (known, slot) in &mut keys {
            let ambiguous = if json::is_key(key, known) {
                slot.replace(member.value.clone()).is_some()
            } else {
                json::resembles(key, known)
            };
            if ambiguous {
                return None;
            }
        }
    }
    Some(())
}
