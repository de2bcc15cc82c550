//! What servers say that is no message: whoever waits for it is told at once, and never waits for what will not come.

use exai_proto::answer::{self, FailureData, Source};
use exai_proto::{Id, Message};

use crate::instance::request::{InternalRequest, Owner};
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::Effect;
use crate::types::event::Garbled;
use crate::types::ids::InstanceId;

impl Router {
    /// Answers the request that this was to answer; a request of the server is refused.
    pub(crate) fn handle_unreadable(
        &mut self,
        instance_id: InstanceId,
        garbled: &Garbled,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let own = garbled.id.as_ref().filter(|id| !id.is_null());
        let text = format!("server \"{}\" {}", instance.server, garbled.text);
        if garbled.asks {
            if let Some(id) = own {
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
            let reason = format!("did not answer `initialize`: it {}", garbled.text);
            return cx.effects.push(Effect::GiveUp { instance: instance_id, reason });
        }
        let hint = format!("exai logs {}", instance.server);
        let data = FailureData {
            server: Some(&instance.server),
            hint: Some(&hint),
            ..FailureData::new(Source::Daemon, garbled.failure)
        };
        // An error of ours takes the place of the answer.
        if let Ok(message) = Message::parse(answer::failure(&Id::number(number), &text, &data)) {
            self.from_server(instance_id, &message, cx);
        }
    }
}
