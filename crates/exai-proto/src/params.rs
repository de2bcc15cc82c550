//! The members of `params` that routing looks at, found in one walk.

use std::ops::Range;

use crate::json;

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
    /// Of a completion: `ref.name`.
    pub reference_name: Option<Range<usize>>,
    /// Of a completion: `ref.uri`.
    pub reference_uri: Option<Range<usize>>,
}

impl Params {
    /// `None` if another parser could find other values than these: then the receiver would not read what the router
    /// checks and changes.
    pub(crate) fn find(text: &[u8], place: Option<&Range<usize>>) -> Option<Self> {
        let mut found = Params::default();
        let (mut meta, mut reference) = (None, None);
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
