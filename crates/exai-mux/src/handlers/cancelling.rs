//! `notifications/cancelled` of clients: the one place where a client cancels a request, wherever the request is.

use exai_proto::json::Edit;
use exai_proto::params::Params;
use exai_proto::{Id, Message};

use crate::router::Router;
use crate::router::calls::CallState;
use crate::router::event_context::EventContext;
use crate::types::ids::ClientId;

impl Router {
    /// Cancels a request of the client. It cannot be a request of another client.
    pub(crate) fn cancel_client_request(
        &mut self,
        client_id: ClientId,
        message: &Message,
        params: &Params,
        cx: &mut EventContext<'_>,
    ) {
        let Some(place) = params.request_id.clone() else { return };
        let unwanted = Id::from_json(message.at(&place));
        let Some(call_id) = self.calls.find_wanted(client_id, &unwanted) else {
            self.end_listen(client_id, &unwanted, cx);
            return;
        };
        let Some(state) = self.calls.get(call_id).map(|call| call.state) else { return };
        match state {
            CallState::Leg { instance: instance_id, number } => {
                // The call stays for a while: what the server still says about it is passed on, as without exai.
                self.calls.cancel_call(call_id);
                let in_flight = self.instances.get_mut(instance_id);
                if let Some(request) = in_flight.and_then(|instance| instance.in_flight.get_mut(number)) {
                    request.expect_no_answer(cx.time);
                }
                let with = number.to_string().into_bytes();
                return cx.send_to_server(instance_id, message.edited(vec![Edit { at: place, with }]));
            }
            CallState::Queued(instance_id) => {
                if let Some(instance) = self.instances.get_mut(instance_id) {
                    instance.remove_queued_call(call_id);
                }
            }
            CallState::AwaitingInput => self.withdraw_input(call_id, "the request was cancelled", cx),
            CallState::AwaitingLists => self.list_aggregations.remove_call(call_id),
            CallState::AwaitingSignIn => self.awaited_sign_ins.remove_call(call_id),
            CallState::Routing => {}
        }
        self.calls.finish_call(call_id);
        cx.drop_request(client_id, unwanted);
    }
}
