//! `notifications/cancelled` of clients.

use exai_proto::json::Edit;
use exai_proto::params::Params;
use exai_proto::{Id, Message};

use crate::instance::Phase;
use crate::router::Router;
use crate::router::now::Now;
use crate::types::ids::ClientId;

impl Router {
    /// `notifications/cancelled`: only a client's own requests can be meant.
    pub(crate) fn client_cancels(
        &mut self,
        client_id: ClientId,
        message: &Message,
        params: &Params,
        now: &mut Now<'_>,
    ) {
        let Some(place) = params.request_id.clone() else { return };
        let unwanted = Id::from_json(message.at(&place));
        if self.gatherings.cancel_request(client_id, &unwanted) {
            self.clients.uncount_request(client_id);
            return now.dropped(client_id, unwanted);
        }
        for instance_id in self.instances_with_requests(client_id) {
            let Some(instance) = self.instances.get_mut(instance_id) else { continue };
            if let Some(number) = instance.in_flight.cancel_request(client_id, &unwanted, now.time) {
                let with = number.to_string().into_bytes();
                now.to_server(instance_id, message.edited(vec![Edit { at: place, with }]));
                return self.clients.uncount_request(client_id);
            }
            if instance.lanes.cancelled(client_id, &unwanted).is_some() {
                self.clients.uncount_request(client_id);
                return now.dropped(client_id, unwanted);
            }
            if let Phase::Starting { waiting, .. } = &mut instance.phase
                && waiting.cancel_request(client_id, &unwanted)
            {
                self.clients.uncount_request(client_id);
                return now.dropped(client_id, unwanted);
            }
        }
    }
}
