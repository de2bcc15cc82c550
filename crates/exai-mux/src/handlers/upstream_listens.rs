//! The router's own `subscriptions/listen` at instances of the modern era: one for each instance, for all that its
//! clients want to hear of.

use std::collections::BTreeSet;

use exai_proto::answer;
use exai_proto::envelope::Outcome;

use crate::client::listen::write_filter;
use crate::dialect::legacy::write_cancel;
use crate::dialect::modern;
use crate::instance::upstream_listen::{OpenListen, UpstreamListen};
use crate::limits::MIN_LISTEN_DURATION;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::Effect;
use crate::types::era::Era;
use crate::types::ids::InstanceId;
use crate::types::introduction::Offer;
use crate::types::list_kind::ANNOUNCED_LIST_KINDS;

/// Why a listen is ended: as the server is told.
const REPLACED: &str = "another subscription has taken its place";

impl Router {
    /// Lets a server of the modern era tell of what clients want to hear of now.
    pub(crate) fn renew_listen(&mut self, instance_id: InstanceId, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let Some(said) = instance.ready().filter(|said| said.era == Era::Modern) else { return };
        let hears_resources = said.capabilities.subscriptions;
        // Each tick looks here, so what is as it should be costs no copy of all resources.
        match &instance.upstream_listen {
            UpstreamListen::Refused => return,
            UpstreamListen::Open { current, .. }
                if !hears_resources || instance.subscribers.are_of(&current.resources) =>
            {
                return;
            }
            UpstreamListen::Closed | UpstreamListen::Open { .. } => {}
        }
        let announced = ANNOUNCED_LIST_KINDS.into_iter().filter(|kind| said.offer(*kind) == Offer::Announced);
        let resources = if hears_resources { instance.subscribers.uris() } else { BTreeSet::new() };
        let filter = write_filter(announced, resources.iter().map(String::as_str));
        let (before, ended) = match std::mem::take(&mut instance.upstream_listen) {
            UpstreamListen::Open { current, replaced } if filter.is_empty() => {
                (None, [Some(current), replaced])
            }
            UpstreamListen::Open { current, replaced } => (Some(current), [None, replaced]),
            UpstreamListen::Closed | UpstreamListen::Refused => (None, [None, None]),
        };
        for listen in ended.into_iter().flatten() {
            cx.send_to_server(instance_id, write_cancel(listen.number, REPLACED));
        }
        if filter.is_empty() {
            return;
        }
        let number = instance.in_flight.mint_number();
        let current = OpenListen { number, since: cx.time, resources };
        instance.upstream_listen = UpstreamListen::Open { current, replaced: before };
        let params = modern::write_own_params(&format!("{{\"notifications\":{{{}}}}}", filter.join(",")));
        let bytes = answer::request(number, "subscriptions/listen", &params).into();
        cx.effects.push(Effect::ToServer { instance: instance_id, bytes, number: Some(number) });
    }

    /// A server has acknowledged a listen: the one before may end.
    pub(crate) fn finish_listen_renewal(
        &mut self,
        instance_id: InstanceId,
        acknowledged: u64,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        if let UpstreamListen::Open { current, replaced } = &mut instance.upstream_listen
            && current.number == acknowledged
            && let Some(older) = replaced.take()
        {
            cx.send_to_server(instance_id, write_cancel(older.number, REPLACED));
        }
    }

    /// A listen could not be sent: too much waits for the server, or it ends. The one before goes on until the next tick,
    /// which tries again. Returns whether it was a listen.
    pub(crate) fn handle_unsent_listen(&mut self, instance_id: InstanceId, unsent: u64) -> bool {
        let Some(instance) = self.instances.get_mut(instance_id) else { return false };
        match std::mem::take(&mut instance.upstream_listen) {
            UpstreamListen::Open { current, replaced } if current.number == unsent => {
                if let Some(older) = replaced {
                    instance.upstream_listen = UpstreamListen::Open { current: older, replaced: None };
                }
                true
            }
            UpstreamListen::Open { current, replaced: Some(older) } if older.number == unsent => {
                instance.upstream_listen = UpstreamListen::Open { current, replaced: None };
                true
            }
            other => {
                instance.upstream_listen = other;
                false
            }
        }
    }

    /// Opens or renews a listen that could not be sent before.
    pub(crate) fn reopen_listen(&mut self, instance_id: InstanceId, cx: &mut EventContext<'_>) {
        if self.instances.get(instance_id).is_some_and(|instance| !instance.retiring) {
            self.renew_listen(instance_id, cx);
        }
    }

    /// A server has ended a listen. It is opened again, unless the server does not let any listen live.
    pub(crate) fn handle_listen_end(
        &mut self,
        instance_id: InstanceId,
        ended: u64,
        outcome: &Outcome,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let UpstreamListen::Open { current, replaced } = &mut instance.upstream_listen else { return };
        if replaced.as_ref().is_some_and(|older| older.number == ended) {
            *replaced = None;
            return;
        }
        if current.number != ended {
            return;
        }
        let lived = cx.time.saturating_duration_since(current.since);
        let is_refused = matches!(outcome, Outcome::Error(_)) || lived < MIN_LISTEN_DURATION;
        let older = replaced.take();
        // A server may allow one listen at a time: it is asked once more without the one before.
        instance.upstream_listen =
            if is_refused && older.is_none() { UpstreamListen::Refused } else { UpstreamListen::Closed };
        if let Some(older) = older {
            cx.send_to_server(instance_id, write_cancel(older.number, REPLACED));
        }
        self.renew_listen(instance_id, cx);
    }
}
