//! Templates of addresses (RFC 6570).

use crate::limits::MAX_TEMPLATE_PARTS;

/// How well a template fits an address; the better, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TemplateMatch {
    /// The template can stand for the whole address; otherwise the address only begins like the template.
    pub(crate) whole: bool,
    /// How many bytes at the beginning of both are the same.
    pub(crate) prefix: usize,
}

/// A template, as far as it says what all its addresses have in common.
#[derive(Debug)]
pub(crate) struct Template {
    text: Box<str>,
    /// The texts before, between and after the variables.
    parts: Vec<Box<str>>,
}

impl Template {
    pub(crate) fn of(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, variable)) = rest.split_once('{') {
            parts.push(before.into());
            rest = variable.split_once('}').map_or("", |(_, after)| after);
            if parts.len() == MAX_TEMPLATE_PARTS {
                // The text after this many parts may be anything.
                rest = "";
            }
        }
        parts.push(rest.into());
        Template { text: text.into(), parts }
    }

    pub(crate) fn claim(&self, uri: &str) -> Option<TemplateMatch> {
        // A completion may name the template itself.
        if *self.text == *uri {
            return Some(TemplateMatch { whole: true, prefix: uri.len() });
        }
        let (first, others) = self.parts.split_first()?;
        let rest = uri.strip_prefix(&**first)?;
        let whole = matches(rest, others);
        // An address may be written in another way than its template, but every address begins with the empty text.
        (whole || !first.is_empty()).then_some(TemplateMatch { whole, prefix: first.len() })
    }
}

/// Whether a text consists of these parts, with anything before each of them.
pub(crate) fn matches(mut text: &str, parts: &[Box<str>]) -> bool {
    let Some((last, between)) = parts.split_last() else { return text.is_empty() };
    for part in between {
        let Some((_, after)) = text.split_once(&**part) else { return false };
        text = after;
    }
    text.ends_with(&**last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str, uri: &str) -> Option<(bool, usize)> {
        let found = Template::of(text).claim(uri)?;
        Some((found.whole, found.prefix))
    }

    #[test]
    fn templates_claim_what_they_can_stand_for_and_less_what_only_begins_so() {
        assert_eq!(template("t://b/{x}", "t://b/9"), Some((true, 6)));
        assert_eq!(template("t://b/{x}", "t://c/9"), None);
        assert_eq!(template("t://{a}/mid/{b}.md", "t://1/mid/2.md"), Some((true, 4)));
        assert_eq!(template("t://{a}/mid/{b}.md", "t://1/2.md"), Some((false, 4)));
        assert_eq!(template("t://x", "t://x"), Some((true, 5)));
        assert_eq!(template("t://x", "t://xy"), Some((false, 5)));
        // Templates that begin with a variable.
        assert_eq!(template("{+all}", "any://thing"), Some((true, 0)));
        assert_eq!(template("{scheme}://x/{id}", "f://x/1"), Some((true, 0)));
        assert_eq!(template("{scheme}://x/{id}", "f://y/1"), None);
        // A template that is used as an address, and malformed templates.
        assert_eq!(template("t://{a}/{b}", "t://{a}/{b}"), Some((true, 11)));
        assert_eq!(template("t://{a", "t://7"), Some((true, 4)));
        assert_eq!(template(&"{x}".repeat(1000), "t://7"), Some((true, 0)));
        assert!(template("", "").is_some() && template("", "x").is_none());
    }
}
