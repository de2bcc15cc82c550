//! The members of `params` that routing looks at, found in one walk.

use std::ops::Range;

use exai_proto::{Message, json};

#[derive(Debug, Default, Clone)]
pub(crate) struct Params {
    pub(crate) name: Option<Range<usize>>,
    pub(crate) uri: Option<Range<usize>>,
    pub(crate) level: Option<Range<usize>>,
    pub(crate) request_id: Option<Range<usize>>,
    /// Of a progress notification.
    pub(crate) progress_token: Option<Range<usize>>,
    /// Of a request: `_meta.progressToken`.
    pub(crate) token: Option<Range<usize>>,
    pub(crate) reference: Option<Range<usize>>,
}

impl Params {
    pub(crate) fn of(message: &Message, place: Option<&Range<usize>>) -> Self {
        let mut found = Params::default();
        let Some(place) = place else { return found };
        let text = message.bytes();
        let Ok(mut members) = json::Members::new(&text[..place.end], place.start) else { return found };
        while let Ok(Some(member)) = members.next_member() {
            let slot = match &text[member.key] {
                b"name" => &mut found.name,
                b"uri" => &mut found.uri,
                b"level" => &mut found.level,
                b"requestId" => &mut found.request_id,
                b"progressToken" => &mut found.progress_token,
                b"ref" => &mut found.reference,
                b"_meta" => {
                    found.token = json::find(text, member.value, "progressToken");
                    continue;
                }
                _ => continue,
            };
            *slot = Some(member.value);
        }
        found
    }

    /// The text of a string member.
    pub(crate) fn text(message: &Message, place: Option<&Range<usize>>) -> Option<String> {
        json::string(message.bytes(), place?.clone()).map(std::borrow::Cow::into_owned)
    }
}
