//! What servers send that is no message. The client that waits for it is told at once, and does not wait for an
//! answer that will not come.

use exai_proto::answer::{self, FailureData, Source};
use exai_proto::{Id, Message};

use crate::instance::request::{InternalRequest, Owner};
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::Effect;
use crate::types::era::Era;
use crate::types::event::Unreadable;
use crate::types::ids::InstanceId;

impl Router {
    /// Answers the request that the unreadable text was to answer. An unreadable request of the server is refused.
    pub(crate) fn handle_unreadable(
        &mut self,
        instance_id: InstanceId,
        unreadable: &Unreadable,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let own = unreadable.id.as_ref().filter(|id| !id.is_null());
        let is_modern = instance.ready().is_some_and(|said| said.era == Era::Modern);
        let text = format!("server \"{}\" {}", instance.server, unreadable.text);
        if unreadable.asks {
            if let Some(id) = own.filter(|_| !is_modern) {
                cx.send_to_server(instance_id, answer::error(id, -32600, &text));
            }
            return;
        }
        let number = match own {
            Some(id) => id.as_number().filter(|number| instance.in_flight.get(*number).is_some()),
            None => instance.in_flight.sole_request(),
        };
        let Some(number) = number else { return };
        let owner = instance.in_flight.get(number).map(|request| &request.owner);
        if matches!(owner, Some(Owner::Router(InternalRequest::Initialize))) {
            let reason = format!("did not answer `initialize`: it {}", unreadable.text);
            return cx.effects.push(Effect::GiveUp { instance: instance_id, reason });
        }
        if matches!(owner, Some(Owner::Router(InternalRequest::Discover))) {
            return self.fail_probe(instance_id, &unreadable.text, cx);
        }
        let hint = format!("exai logs {}", instance.server);
        let data = FailureData {
            server: Some(&instance.server),
            hint: Some(&hint),
            ..FailureData::new(Source::Daemon, unreadable.failure)
        };
        // An error of exai takes the place of the answer.
        if let Ok(message) = Message::parse(answer::failure(&Id::number(number), &text, &data)) {
            self.from_server(instance_id, &message, cx);
        }
    }
}
