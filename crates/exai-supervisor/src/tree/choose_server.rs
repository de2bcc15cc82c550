//! Which member is the server.

use super::hierarchy::View;
use super::io_exchange::{Exchange, Part};
use super::known_launchers::{Signature, is_console};

/// The server, and how it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// Its index.
    pub(super) server: Option<usize>,
    pub(super) reason: Reason,
}

/// How the server is known, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It owns the socket; without a server, no member does.
    Listening,
    /// It alone read a request and wrote its answer, which it had not read.
    Exchange,
    /// It alone read a request, and read and wrote its answer.
    Alone,
    /// A relay to somewhere else alone read a request: no member is the server.
    Elsewhere,
    /// By its place in the tree, and by the pipes that it holds.
    TreeRole,
}

impl Reason {
    pub(super) fn is_proof(self) -> bool {
        matches!(self, Reason::Listening | Reason::Exchange)
    }
}

pub(super) fn server(view: &View<'_>) -> Choice {
    if let Some(listening) = view.seen.listening {
        let owners =
            view.indices().filter(|index| listening.members.contains(&view.facts(*index).process.pid));
        // A parent that bound and forked comes before its children, which inherited the socket.
        return Choice { server: owners.min(), reason: Reason::Listening };
    }
    let told = view.seen.exchange.filter(|exchange| exchange.is_telling());
    told.and_then(|exchange| by_exchange(view, exchange))
        .unwrap_or_else(|| Choice { server: by_place(view), reason: Reason::TreeRole })
}

/// `None` when the exchange leaves a doubt.
fn by_exchange(view: &View<'_>, exchange: &Exchange) -> Option<Choice> {
    let part = |index: usize| exchange.part(&view.facts(index).process);
    let is_relay = |index: usize| view.signatures[index].as_ref().is_some_and(Signature::is_relay);
    let forwarders: Vec<usize> =
        view.indices().filter(|index| part(*index) == Some(Part::Forwarded)).collect();
    // A process that holds none of our pipes reads and answers through a relay that passes both on. (Without a relay
    // it may be a process that reads the log of a server.)
    let reaches_us = |index: usize| view.ends(index).is_none_or(|ends| ends > 0) || !forwarders.is_empty();
    let answerers = view.indices().filter(|index| {
        matches!(part(*index), Some(Part::Answered { .. })) && reaches_us(*index) && !is_relay(*index)
    });
    let answerers: Vec<usize> = answerers.collect();
    // One of several may pass on the requests of another: it writes as much as it reads.
    let alone =
        answerers.iter().copied().filter(|index| part(*index) == Some(Part::Answered { and_more: false }));
    match (&*answerers, &*alone.collect::<Vec<_>>(), &*forwarders) {
        ([one], ..) | (_, [one], _) => Some(Choice { server: Some(*one), reason: Reason::Exchange }),
        ([], _, [one]) => match &view.signatures[*one] {
            Some(signature) if signature.leads_elsewhere => {
                Some(Choice { server: None, reason: Reason::Elsewhere })
            }
            Some(signature) if signature.is_relay() => None,
            Some(_) | None => Some(Choice { server: Some(*one), reason: Reason::Alone }),
        },
        _ => None,
    }
}

/// The deepest holder of our pipes that is no known launcher. Launchers have one child that works: a process
/// with several children that hold our pipes stays the server, and so does one whose only such child holds
/// less than itself or began to live when `initialize` was already answered.
///
/// Where the system does not tell which process holds pipes: the first one that is no known launcher.
fn by_place(view: &View<'_>) -> Option<usize> {
    let found: Vec<Found> = view.tops().into_iter().filter_map(|top| below(view, top, 0)).collect();
    if let Some(best) = best(&found) {
        return Some(best.index);
    }
    // A script may be a server itself, if nothing else is there that could be one.
    let is_script = |index: &usize| {
        let signature = view.signatures[*index].as_ref();
        signature.is_some_and(|signature| signature.may_serve) && view.ends(*index) != Some(0)
    };
    view.indices().filter(is_script).max_by_key(|index| (view.ancestors(*index).count(), start(view, *index)))
}

#[derive(Clone, Copy)]
struct Found {
    index: usize,
    ends: usize,
    depth: usize,
    start: u64,
}

fn below(view: &View<'_>, index: usize, depth: usize) -> Option<Found> {
    let too_late = view.seen.initialized.is_some_and(|at| start(view, index) > at);
    let signature = view.signatures[index].as_ref();
    if too_late || is_console(view.facts(index)) {
        return None;
    }
    let children = view.children(index).iter();
    let found: Vec<Found> = children.filter_map(|child| below(view, *child, depth + 1)).collect();
    let ends = view.ends(index);
    if signature.is_some() || ends == Some(0) {
        return best(&found);
    }
    let own = Found { index, ends: ends.unwrap_or_default(), depth, start: start(view, index) };
    match &*found {
        [only] if ends.is_some() && only.ends >= own.ends => Some(*only),
        _ => Some(own),
    }
}

fn best(found: &[Found]) -> Option<Found> {
    found.iter().copied().max_by_key(|found| (found.ends, found.depth, found.start))
}

fn start(view: &View<'_>, index: usize) -> u64 {
    view.facts(index).process.start
}
