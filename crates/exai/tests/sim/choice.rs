//! What clients may see: the checks that no other tool is listed or called.

use bytes::Bytes;
use exai_mux::{ClientId, InstanceId};
use serde_json::Value;

use crate::plan::SERVERS;
use crate::world::World;

impl World {
    /// Whether a shim's client may see a tool of this server now.
    fn may_see(&self, shim: usize, server: &str, tool: &str) -> bool {
        let Some(shim) = self.shims.get(shim).filter(|shim| shim.client.is_few()) else { return true };
        let of_client = shim.client.own.is_none_or(|own| SERVERS[own] == server);
        of_client && self.choice.has_server(server) && self.choice.allows_tool(server, tool)
    }

    /// No client is told of a tool that it may not see.
    pub(crate) fn check_list(&mut self, client: ClientId, bytes: &Bytes) {
        if !holds(bytes, r#""tools":["#) {
            return;
        }
        let link = self.daemon.as_ref().and_then(|daemon| self.links.get(daemon.clients.get(&client)?));
        let Some(shim) = link.map(|link| link.shim) else { return };
        let own = self.shims[shim].client.own;
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let tools = value["result"]["tools"].as_array().into_iter().flatten();
        for name in tools.filter_map(|tool| tool["name"].as_str()) {
            let of_one = own.map(|own| (SERVERS[own], name));
            let Some((server, tool)) = of_one.or_else(|| name.split_once("__")) else { continue };
            if !self.may_see(shim, server, tool) {
                return self.fail(format!("client {shim}: it is told of a tool that it may not see: {name}"));
            }
        }
    }

    /// No server gets a call of a tool that the client may not see.
    pub(crate) fn check_call(&mut self, instance: InstanceId, bytes: &Bytes) {
        if !holds(bytes, r#""tools/call""#) {
            return;
        }
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (nonce, tool) = (text(&value["params"]["arguments"]["nonce"]), text(&value["params"]["name"]));
        let shim = nonce.split_once('/').and_then(|(shim, _)| shim.parse().ok());
        let server = self.daemon.as_ref().and_then(|daemon| daemon.servers.get(&instance));
        let (Some(shim), Some(server)) = (shim, server.map(|server| SERVERS[server.which])) else { return };
        if !self.may_see(shim, server, &tool) {
            self.fail(format!("client {shim}: it calls a tool that it may not see: {nonce}"));
        }
    }
}

fn holds(bytes: &Bytes, text: &str) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|whole| whole.contains(text))
}
