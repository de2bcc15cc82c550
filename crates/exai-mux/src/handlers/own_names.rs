//! Translates aggregated names into the names that the server itself uses.

use exai_proto::json::{self, Edit};

use crate::handlers::client_request::Request;
use crate::router::Router;
use crate::types::ids::InstanceId;
use crate::types::names;

impl Router {
    /// The edit that puts the own name of a tool or prompt into a request. `None` on the endpoint of one server,
    /// where names are not changed.
    pub(crate) fn edit_own_name(&self, request: &Request<'_>, instance: InstanceId) -> Option<Edit> {
        if request.translated || !self.clients.is_aggregating(request.client()) {
            return None;
        }
        let name = request.message.string_at(request.params.name.as_ref())?;
        let own = self.find_own_name(&name, instance)?;
        Some(Edit { at: request.params.name.clone()?, with: json::quote(&own).into_bytes() })
    }

    pub(crate) fn edit_own_reference(&self, request: &Request<'_>, instance: InstanceId) -> Vec<Edit> {
        if request.translated || !self.clients.is_aggregating(request.client()) {
            return Vec::new();
        }
        let find = || {
            let at = request.params.reference_name.clone()?;
            let name = request.message.string_at(Some(&at))?;
            let own = self.find_own_name(&name, instance)?;
            Some(Edit { at, with: json::quote(&own).into_bytes() })
        };
        find().into_iter().collect()
    }

    fn find_own_name(&self, name: &str, instance: InstanceId) -> Option<String> {
        let instance = self.instances.get(instance)?;
        let server = self.servers.get(&instance.server)?;
        let (_, own) = names::split(name)?;
        if names::may_be_cut(name)
            && let Some(whole) =
                server.offering(instance.era()).catalogue.find_uncut_name(&server.policy.name, name)
        {
            return Some(whole);
        }
        Some(own.to_owned())
    }
}
