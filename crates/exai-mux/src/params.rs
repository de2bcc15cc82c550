//! The members of `params` that routing looks at, found in one walk.

use std::ops::Range;

use exai_proto::{Message, json};

/// What a client is told whose `params` have a key that routing looks at twice, or in two spellings.
pub(crate) const AMBIGUOUS: &str = "a key of params is there twice, or in two spellings";

#[derive(Debug, Default, Clone)]
pub(crate) struct Params {
    pub(crate) name: Option<Range<usize>>,
    pub(crate) uri: Option<Range<usize>>,
    pub(crate) level: Option<Range<usize>>,
    /// Of a list: this is not its first page.
    pub(crate) cursor: Option<Range<usize>>,
    pub(crate) request_id: Option<Range<usize>>,
    /// Of a progress notification.
    pub(crate) progress_token: Option<Range<usize>>,
    /// Of a request: `_meta.progressToken`.
    pub(crate) token: Option<Range<usize>>,
    /// Of a completion: `ref.name` and `ref.uri`.
    pub(crate) reference_name: Option<Range<usize>>,
    pub(crate) reference_uri: Option<Range<usize>>,
}

impl Params {
    /// `None` if another parser could find other values than these: then what the router checks and changes
    /// would not be what the receiver reads.
    pub(crate) fn of(message: &Message, place: Option<&Range<usize>>) -> Option<Self> {
        let mut found = Params::default();
        let (mut meta, mut reference) = (None, None);
        let text = message.bytes();
        let whole = [
            ("name", &mut found.name),
            ("uri", &mut found.uri),
            ("level", &mut found.level),
            ("cursor", &mut found.cursor),
            ("requestId", &mut found.request_id),
            ("progressToken", &mut found.progress_token),
            ("_meta", &mut meta),
            ("ref", &mut reference),
        ];
        pick(text, place, whole)?;
        pick(text, meta.as_ref(), [("progressToken", &mut found.token)])?;
        let of_reference = [("name", &mut found.reference_name), ("uri", &mut found.reference_uri)];
        pick(text, reference.as_ref(), of_reference)?;
        Some(found)
    }

    /// The text of a string member.
    pub(crate) fn text(message: &Message, place: Option<&Range<usize>>) -> Option<String> {
        json::string(message.bytes(), place?.clone()).map(std::borrow::Cow::into_owned)
    }
}

/// Finds the values of some keys of an object; anything else has no members. `None` if one of the keys is
/// there twice, or something is there that could be taken for one.
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
