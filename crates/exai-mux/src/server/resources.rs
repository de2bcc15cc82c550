//! Whose resource an address is: what a server lists, what its templates stand for, and what it has handed out.
//!
//! Addresses are looked up on the routing thread. So all that is compared was taken apart when it became known, and
//! has a bound.

use std::collections::HashSet;
use std::time::Instant;

use bytes::Bytes;
use exai_proto::{json, limits};

use crate::limits::MAX_TEMPLATES_PER_SERVER;
use crate::server::handed_out::HandedOut;
use crate::server::uri_template::{Template, TemplateMatch};
use crate::types::list_kind::{ListKind, string_member};

/// Where a tool names the page that shows its results: MCP Apps, an earlier form of it, and the apps of OpenAI.
const PAGES: [&[&str]; 3] =
    [&["_meta", "ui", "resourceUri"], &["_meta", "ui/resourceUri"], &["_meta", "openai/outputTemplate"]];

/// What one server has said of its resources.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    listed: HashSet<Box<str>>,
    /// The pages that its tools name.
    pages: HashSet<Box<str>>,
    templates: Vec<Template>,
    handed_out: HandedOut,
}

/// Why a resource may be a server's; the better the reason, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claim {
    /// One of its templates fits.
    Template(TemplateMatch),
    /// It has handed the address out, then.
    HandedOut(Instant),
    Listed,
}

impl Resources {
    /// The server has listed something.
    pub(crate) fn learn(&mut self, kind: ListKind, items: &[Bytes]) {
        let all = |key| items.iter().filter_map(move |item| string_member(item, key));
        match kind {
            ListKind::Resources => self.listed = all("uri").map(Into::into).collect(),
            ListKind::Templates => {
                self.templates = all("uriTemplate")
                    .map(|text| Template::of(&text))
                    .take(MAX_TEMPLATES_PER_SERVER)
                    .collect();
            }
            ListKind::Tools => self.pages = items.iter().flat_map(pages).map(Into::into).collect(),
            ListKind::Prompts => {}
        }
    }

    /// The server has told a client of this address.
    pub(crate) fn hand_out(&mut self, uri: &str, time: Instant) {
        self.handed_out.insert(uri, time);
    }

    /// The best reason why this may be a resource of the server.
    pub(crate) fn claim(&self, uri: &str) -> Option<Claim> {
        if self.listed.contains(uri) || self.pages.contains(uri) {
            return Some(Claim::Listed);
        }
        if uri.len() > limits::URI_BYTES {
            return None;
        }
        let handed_out = self.handed_out.when(uri).map(Claim::HandedOut);
        handed_out.or_else(|| {
            self.templates.iter().filter_map(|template| template.claim(uri)).max().map(Claim::Template)
        })
    }
}

fn pages(tool: &Bytes) -> impl Iterator<Item = String> {
    PAGES.into_iter().filter_map(|path| {
        let place = json::find_path(tool, 0..tool.len(), path)?;
        json::string(tool, place).map(std::borrow::Cow::into_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(kind: ListKind, items: &[&str]) -> Resources {
        let items: Vec<Bytes> = items.iter().map(|item| Bytes::copy_from_slice(item.as_bytes())).collect();
        let mut resources = Resources::default();
        resources.learn(kind, &items);
        resources
    }

    #[test]
    fn the_better_reason_is_greater() {
        let now = Instant::now();
        let mut both =
            server(ListKind::Templates, &[r#"{"uriTemplate":"t://{x}"}"#, r#"{"uriTemplate":"t://b/{x}"}"#]);
        assert_eq!(both.claim("t://b/1"), Some(Claim::Template(TemplateMatch { whole: true, prefix: 6 })));
        both.hand_out("t://b/1", now);
        assert_eq!(both.claim("t://b/1"), Some(Claim::HandedOut(now)));
        both.learn(ListKind::Resources, &[Bytes::from(r#"{"uri":"t:\/\/b/1"}"#)]);
        assert_eq!(both.claim("t://b/1"), Some(Claim::Listed));
        assert!(Claim::HandedOut(now) > Claim::Template(TemplateMatch { whole: true, prefix: 99 }));
        assert!(
            Claim::Template(TemplateMatch { whole: true, prefix: 1 })
                > Claim::Template(TemplateMatch { whole: false, prefix: 9 })
        );
        let long = format!("t://{}", "x".repeat(limits::URI_BYTES));
        assert_eq!(both.claim(&long), None, "nothing is compared with what is too long");
    }

    #[test]
    fn the_pages_of_tools_are_theirs() {
        let tools = [
            r#"{"name":"a","_meta":{"ui":{"resourceUri":"ui://a/1"}}}"#,
            r#"{"name":"b","_meta":{"ui/resourceUri":"ui://b/1"}}"#,
            r#"{"name":"c","_meta":{"openai/outputTemplate":"ui://c/1","ui":7}}"#,
            r#"{"name":"d","_meta":null}"#,
        ];
        let server = server(ListKind::Tools, &tools);
        for uri in ["ui://a/1", "ui://b/1", "ui://c/1"] {
            assert_eq!(server.claim(uri), Some(Claim::Listed), "{uri}");
        }
        assert_eq!((server.claim("ui://d/1"), server.pages.len()), (None, 3));
    }
}
