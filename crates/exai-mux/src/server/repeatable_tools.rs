//! Which tools may be called a second time when the answer to the first call was lost.
//!
//! These are tools that their server declares read-only or idempotent, if the configuration trusts the server
//! (`ToolAnnotations` of the specification: hints, to be believed of trusted servers only). Names are never
//! interpreted.

use std::ops::Range;

use exai_proto::json;

/// Whether a listed tool may be called twice. A tool that claims to be read-only and destructive contradicts itself,
/// and may not.
pub(crate) fn may_be(tool: &[u8], place: Range<usize>) -> bool {
    let Some(hints) = json::find(tool, place, "annotations") else { return false };
    let hint = |name| json::find(tool, hints.clone(), name).is_some_and(|at| &tool[at] == b"true");
    let contradicts = hint("readOnlyHint") && hint("destructiveHint");
    (hint("readOnlyHint") || hint("idempotentHint")) && !contradicts
}

#[cfg(test)]
mod tests {
    use super::may_be;

    #[test]
    fn only_a_plain_word_counts() {
        let may = |hints: &str| {
            let tool = format!("{{\"name\":\"get_or_create\",\"annotations\":{hints}}}");
            may_be(tool.as_bytes(), 0..tool.len())
        };
        assert!(may(r#"{"readOnlyHint":true}"#));
        assert!(may(r#"{"idempotentHint":true,"destructiveHint":true}"#));
        assert!(may(r#"{"readOnlyHint":true,"destructiveHint":false}"#));
        assert!(!may(r#"{"readOnlyHint":true,"destructiveHint":true}"#));
        assert!(!may(r#"{"readOnlyHint":false,"idempotentHint":false}"#));
        assert!(!may(r#"{"readOnlyHint":"true"}"#) && !may("{}") && !may("null") && !may("[]"));
        let bare = br#"{"name":"read_file"}"#;
        assert!(!may_be(bare, 0..bare.len()), "a name says nothing");
    }
}
