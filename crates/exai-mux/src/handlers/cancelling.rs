//! `notifications/cancelled` of clients.

use exai_proto::json::Edit;
use exai_proto::params::Params;
use exai_proto::{Id, Message};

use crate::instance::Phase;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::ids::ClientId;

impl Router {
    /// `notifications/cancelled`: only a client's own requests can be meant.
    pub(crate) fn cancel_client_request(
        &mut self,
        client_id: ClientId,
        message: &Message,
        params: &Params,
        cx: &mut EventContext<'_>,
    ) {
        let Some(place) = params.request_id.clone() else { return };
        let unwanted = Id::from_json(message.at(&place));
        if self.list_aggregations.cancel_request(client_id, &unwanted) {
            self.clients.uncount_request(client_id);
            return cx.drop_request(client_id, unwanted);
        }
        for instance_id in self.instances_with_requests(client_id) {
            let Some(instance) = self.instances.get_mut(instance_id) else { continue };
            if let Some(number) = instance.in_flight.cancel_request(client_id, &unwanted, cx.time) {
                let with = number.to_string().into_bytes();
                cx.send_to_server(instance_id, message.edited(vec![Edit { at: place, with }]));
                return self.clients.uncount_request(client_id);
            }
            if instance.fair_queue.take_request(client_id, &unwanted).is_some() {
                self.clients.uncount_request(client_id);
                return cx.drop_request(client_id, unwanted);
            }
            if let Phase::Starting { waiting, .. } = &mut instance.phase
                && waiting.cancel_request(client_id, &unwanted)
            {
                self.clients.uncount_request(client_id);
                return cx.drop_request(client_id, unwanted);
            }
        }
    }
}
