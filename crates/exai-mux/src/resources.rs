//! Whose resource an address is: what a server lists, what its templates stand for, and what it has handed out.
//!
//! Addresses are looked up on the routing thread. So all that is compared was taken apart when it became known, and
//! has a bound.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use exai_proto::{Message, json, limits};

use crate::catalogue::{Kind, member};
use crate::downstream::Request;
use crate::event::{ClientId, InstanceId};
use crate::handed::{self, Handed};
use crate::instance::{Offer, Read, Wish};
use crate::lanes::Held;
use crate::limits::{MAX_PARENT_URIS, MAX_REREAD_BYTES, MAX_TEMPLATE_PARTS, MAX_TEMPLATES_PER_SERVER};
use crate::router::{Now, Router, Server};

/// What a server answers that does not have a resource: of its own kind in the revisions of MCP until 2025, as a wrong
/// parameter since then and in some SDKs, and where it has no resources at all.
const NOT_HERE: [&str; 3] = ["-32002", "-32602", "-32601"];
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
    handed: Handed,
}

/// Why a resource may be a server's; the better the reason, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claim {
    /// A template can stand for it as a whole, or at least begins like it; so many bytes of both are the same.
    Template {
        whole: bool,
        prefix: usize,
    },
    /// It has handed the address out, then.
    Handed(Instant),
    Listed,
}

impl Resources {
    /// The server has listed something.
    pub(crate) fn learn(&mut self, kind: Kind, items: &[Bytes]) {
        let all = |key| items.iter().filter_map(move |item| member(item, key));
        match kind {
            Kind::Resources => self.listed = all("uri").map(Into::into).collect(),
            Kind::Templates => {
                self.templates = all("uriTemplate")
                    .map(|text| Template::of(&text))
                    .take(MAX_TEMPLATES_PER_SERVER)
                    .collect();
            }
            Kind::Tools => self.pages = items.iter().flat_map(pages).map(Into::into).collect(),
            Kind::Prompts => {}
        }
    }

    /// The server has told a client of this address.
    pub(crate) fn hand_out(&mut self, uri: &str, time: Instant) {
        self.handed.insert(uri, time);
    }

    /// The best reason why this may be a resource of the server.
    pub(crate) fn claim(&self, uri: &str) -> Option<Claim> {
        if self.listed.contains(uri) || self.pages.contains(uri) {
            return Some(Claim::Listed);
        }
        if uri.len() > limits::URI_BYTES {
            return None;
        }
        let handed = self.handed.when(uri).map(Claim::Handed);
        handed.or_else(|| self.templates.iter().filter_map(|template| template.claim(uri)).max())
    }
}

impl Router {
    /// The servers that may have a resource, the likeliest first. Where two have the same reason, the first in the
    /// order of the configuration comes first.
    fn candidates(&self, uri: &str) -> Vec<Arc<str>> {
        let claims =
            self.servers.iter().filter_map(|server| Some((server.catalogue.resources.claim(uri)?, server)));
        let mut claims: Vec<_> = claims.collect();
        claims.sort_by_key(|(claim, _)| Reverse(*claim));
        claims.into_iter().map(|(_, server)| server.policy.name.clone()).collect()
    }

    /// Whose resource it is, as far as anybody has said. What a client has subscribed to is where it has subscribed.
    pub(crate) fn owner_of_resource(&self, client: ClientId, uri: &str) -> Option<Arc<str>> {
        let subscriptions = self.clients.get(&client).map(|client| &client.subscriptions);
        let subscribed = subscriptions.into_iter().flatten().find(|(_, known)| known == uri);
        let name = subscribed.map(|(server, _)| server).filter(|server| self.server(server).is_some());
        name.cloned().or_else(|| self.candidates(uri).into_iter().next())
    }

    /// The only server that has resources: nobody else can have one that nobody has listed.
    pub(crate) fn only_server_with_resources(&self) -> Option<Arc<str>> {
        let has = |server: &&Server| {
            server.said.as_ref().is_some_and(|said| said.capabilities.resources != Offer::Nothing)
        };
        let mut all = self.servers.iter().filter(has);
        let only = all.next()?;
        all.next().is_none().then(|| only.policy.name.clone())
    }

    /// What a request to read means: of a client of all servers it may have to go on to another.
    pub(crate) fn reading(&self, request: &Request<'_>, instance: InstanceId) -> Wish {
        let small = request.message.bytes().len() <= MAX_REREAD_BYTES;
        if !small || !self.aggregates(request.client) {
            return Wish::Nothing;
        }
        let Some(uri) = request.message.string_at(request.params.uri.as_ref()) else {
            return Wish::Nothing;
        };
        if self.next_candidate(&uri, instance, request.tried).is_none() {
            return Wish::Nothing;
        }
        let (message, tried) = (request.message.clone(), request.tried.to_vec());
        Wish::Read(Box::new(Read { uri, message, tried }))
    }

    fn next_candidate(&self, uri: &str, asked: InstanceId, tried: &[Arc<str>]) -> Option<Arc<str>> {
        let asked = &self.instances.get(&asked)?.server;
        self.candidates(uri).into_iter().find(|name| name != asked && !tried.contains(name))
    }

    /// A server does not have the resource that it was asked for. Whether another is asked now.
    pub(crate) fn read_elsewhere(
        &mut self,
        client: ClientId,
        instance: InstanceId,
        read: &Read,
        (answer, error): (&Message, &Range<usize>),
        now: &mut Now<'_>,
    ) -> bool {
        let code = json::find(answer.bytes(), error.clone(), "code");
        if !code.is_some_and(|code| NOT_HERE.contains(&answer.str_at(&code))) {
            return false;
        }
        let Some(asked) = self.instances.get(&instance).map(|instance| instance.server.clone()) else {
            return false;
        };
        let Some(next) = self.next_candidate(&read.uri, instance, &read.tried) else { return false };
        let usable = |server: &Server| server.health.held_back(now.time).is_none();
        if !self.server(&next).is_some_and(usable) {
            return false;
        }
        let mut held = Held::new(client, read.message.clone());
        held.tried = [&read.tried[..], &[asked]].concat();
        self.send_held(&next, held, now);
        true
    }

    /// Remembers which resources a server has told a client of all servers about.
    pub(crate) fn note_handed_out(
        &mut self,
        client: ClientId,
        instance: InstanceId,
        wish: &Wish,
        (answer, result): (&Message, &Range<usize>),
        now: &mut Now<'_>,
    ) {
        let tells = matches!(wish, Wish::Call { .. } | Wish::Read(_) | Wish::Nothing);
        if !tells || !self.aggregates(client) {
            return;
        }
        let Some(name) = self.instances.get(&instance).map(|instance| instance.server.clone()) else {
            return;
        };
        let Some(server) = self.server_mut(&name) else { return };
        handed::each(answer.bytes(), result, |uri| server.catalogue.resources.hand_out(uri, now.time));
    }
}

fn pages(tool: &Bytes) -> impl Iterator<Item = String> {
    PAGES.into_iter().filter_map(|path| {
        let place = json::find_path(tool, 0..tool.len(), path)?;
        json::string(tool, place).map(std::borrow::Cow::into_owned)
    })
}

/// A template of addresses (RFC 6570), as far as it says what every address of it has in common.
#[derive(Debug)]
struct Template {
    text: Box<str>,
    /// What stands before, between and after its variables.
    parts: Vec<Box<str>>,
}

impl Template {
    fn of(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, variable)) = rest.split_once('{') {
            parts.push(before.into());
            rest = variable.split_once('}').map_or("", |(_, after)| after);
            if parts.len() == MAX_TEMPLATE_PARTS {
                // What follows may be anything.
                rest = "";
            }
        }
        parts.push(rest.into());
        Template { text: text.into(), parts }
    }

    fn claim(&self, uri: &str) -> Option<Claim> {
        // A completion may name the template itself.
        if *self.text == *uri {
            return Some(Claim::Template { whole: true, prefix: uri.len() });
        }
        let (first, others) = self.parts.split_first()?;
        let rest = uri.strip_prefix(&**first)?;
        let whole = matches(rest, others);
        // An address may be written in another way than its template. But every address begins with nothing.
        (whole || !first.is_empty()).then_some(Claim::Template { whole, prefix: first.len() })
    }
}

/// Whether a text is made of these parts, with anything before each of them.
fn matches(mut text: &str, parts: &[Box<str>]) -> bool {
    let Some((last, between)) = parts.split_last() else { return text.is_empty() };
    for part in between {
        let Some((_, after)) = text.split_once(&**part) else { return false };
        text = after;
    }
    text.ends_with(&**last)
}

/// A resource, and those that it may be a part of: `a://b/c` is one of `a://b` and of `a://b/`.
pub(crate) fn with_parents(uri: &str) -> impl Iterator<Item = &str> {
    let ends = uri.char_indices().filter(|(at, letter)| matches!(letter, '/' | '?' | '#') && *at > 0);
    let fits = if uri.len() > limits::URI_BYTES { 0 } else { MAX_PARENT_URIS };
    let parents = ends.take(fits).flat_map(|(at, _)| [&uri[..at], &uri[..=at]]);
    std::iter::once(uri).chain(parents.filter(move |parent| parent.len() < uri.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(kind: Kind, items: &[&str]) -> Resources {
        let items: Vec<Bytes> = items.iter().map(|item| Bytes::copy_from_slice(item.as_bytes())).collect();
        let mut resources = Resources::default();
        resources.learn(kind, &items);
        resources
    }

    fn template(text: &str, uri: &str) -> Option<(bool, usize)> {
        match Template::of(text).claim(uri)? {
            Claim::Template { whole, prefix } => Some((whole, prefix)),
            Claim::Handed(_) | Claim::Listed => panic!("no claim of a template"),
        }
    }

    #[test]
    fn templates_claim_what_they_can_stand_for_and_less_what_only_begins_so() {
        assert_eq!(template("t://b/{x}", "t://b/9"), Some((true, 6)));
        assert_eq!(template("t://b/{x}", "t://c/9"), None);
        assert_eq!(template("t://{a}/mid/{b}.md", "t://1/mid/2.md"), Some((true, 4)));
        assert_eq!(template("t://{a}/mid/{b}.md", "t://1/2.md"), Some((false, 4)));
        assert_eq!(template("t://x", "t://x"), Some((true, 5)));
        assert_eq!(template("t://x", "t://xy"), Some((false, 5)));
        // A variable comes first.
        assert_eq!(template("{+all}", "any://thing"), Some((true, 0)));
        assert_eq!(template("{scheme}://x/{id}", "f://x/1"), Some((true, 0)));
        assert_eq!(template("{scheme}://x/{id}", "f://y/1"), None);
        // The template itself, and what is none.
        assert_eq!(template("t://{a}/{b}", "t://{a}/{b}"), Some((true, 11)));
        assert_eq!(template("t://{a", "t://7"), Some((true, 4)));
        assert_eq!(template(&"{x}".repeat(1000), "t://7"), Some((true, 0)));
        assert!(template("", "").is_some() && template("", "x").is_none());
    }

    #[test]
    fn the_better_reason_is_greater() {
        let now = Instant::now();
        let mut both =
            server(Kind::Templates, &[r#"{"uriTemplate":"t://{x}"}"#, r#"{"uriTemplate":"t://b/{x}"}"#]);
        assert_eq!(both.claim("t://b/1"), Some(Claim::Template { whole: true, prefix: 6 }));
        both.hand_out("t://b/1", now);
        assert_eq!(both.claim("t://b/1"), Some(Claim::Handed(now)));
        both.learn(Kind::Resources, &[Bytes::from(r#"{"uri":"t:\/\/b/1"}"#)]);
        assert_eq!(both.claim("t://b/1"), Some(Claim::Listed));
        assert!(Claim::Handed(now) > Claim::Template { whole: true, prefix: 99 });
        assert!(Claim::Template { whole: true, prefix: 1 } > Claim::Template { whole: false, prefix: 9 });
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
        let server = server(Kind::Tools, &tools);
        for uri in ["ui://a/1", "ui://b/1", "ui://c/1"] {
            assert_eq!(server.claim(uri), Some(Claim::Listed), "{uri}");
        }
        assert_eq!((server.claim("ui://d/1"), server.pages.len()), (None, 3));
    }

    #[test]
    fn parents_end_where_a_part_begins() {
        let all: Vec<&str> = with_parents("r://a/b?c#d").collect();
        for parent in ["r://a/b?c#d", "r://a", "r://a/", "r://a/b", "r://a/b?c", "r://"] {
            assert!(all.contains(&parent), "{parent} of {all:?}");
        }
        assert!(all.iter().all(|parent| parent.len() > 1), "the scheme alone is none: {all:?}");
        assert_eq!(with_parents("plain").collect::<Vec<_>>(), ["plain"]);
        assert_eq!(with_parents("r://a/").filter(|uri| *uri == "r://a/").count(), 1);
        assert!(with_parents(&"/".repeat(5000)).count() <= 2 * MAX_PARENT_URIS + 1);
        assert_eq!(with_parents(&"/".repeat(limits::URI_BYTES + 1)).count(), 1);
    }
}
