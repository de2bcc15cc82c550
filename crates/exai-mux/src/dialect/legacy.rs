//! Every revision that begins with `initialize`: all before 2026-07-28.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use exai_proto::json::{self, Edit};
use exai_proto::{Id, Message, answer, limits, version};

use crate::dialect::{bridge, read_capabilities};
use crate::limits::MAX_CLIENT_INFO_BYTES;
use crate::types::capability::{normalise_capabilities, parse_capabilities};
use crate::types::client_context::ClientContext;
use crate::types::era::Era;
use crate::types::introduction::Introduction;
use crate::types::list_kind::{LIST_KINDS, ListKind};
use crate::types::method::Method;

/// What a notification of a client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientNotification {
    /// The session has begun.
    Initialized,
    /// The client no longer wants the answer to a request.
    Cancelled,
    /// A question of a server is being worked on.
    Progress,
    Other,
}

/// What a notification of a server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerNotification {
    /// A request is being worked on.
    Progress,
    /// The server no longer wants the answer to its question.
    Cancelled,
    LogMessage,
    ResourceUpdated,
    ListChanged(ListKind),
    /// The server has read a `subscriptions/listen` (modern era).
    Acknowledged,
    Other,
}

/// Reads what a request of a client asks for.
pub(crate) fn read_method(method: &str) -> Method {
    match method {
        "ping" => Method::Ping,
        "server/discover" => Method::Discover,
        "initialize" => Method::Initialize,
        "tools/call" => Method::CallTool,
        "prompts/get" => Method::GetPrompt,
        "resources/read" => Method::ReadResource,
        "completion/complete" => Method::Complete,
        "logging/setLevel" => Method::SetLogLevel,
        "resources/subscribe" => Method::Subscribe,
        "resources/unsubscribe" => Method::Unsubscribe,
        "subscriptions/listen" => Method::Listen,
        method => ListKind::of_method(method).map_or(Method::Other, Method::List),
    }
}

pub(crate) fn read_client_notification(method: &str) -> ClientNotification {
    match method {
        "notifications/initialized" => ClientNotification::Initialized,
        "notifications/cancelled" => ClientNotification::Cancelled,
        "notifications/progress" => ClientNotification::Progress,
        _ => ClientNotification::Other,
    }
}

pub(crate) fn read_server_notification(method: &str) -> ServerNotification {
    match method {
        "notifications/progress" => ServerNotification::Progress,
        "notifications/cancelled" => ServerNotification::Cancelled,
        "notifications/message" => ServerNotification::LogMessage,
        "notifications/resources/updated" => ServerNotification::ResourceUpdated,
        "notifications/subscriptions/acknowledged" => ServerNotification::Acknowledged,
        _ => LIST_KINDS
            .into_iter()
            .find(|kind| kind.changed() == method)
            .map_or(ServerNotification::Other, ServerNotification::ListChanged),
    }
}

/// Reads the parameters of a client's `initialize`. `None` without a protocol revision.
pub(crate) fn read_initialize(message: &Message, params: Option<Range<usize>>) -> Option<ClientContext> {
    let (text, params) = (message.bytes(), params?);
    let member = |path: &[&str]| {
        let place = json::find_path(text, params.clone(), path)?;
        json::string(text, place)
    };
    let cut = |name: Cow<'_, str>| limits::cut(&name, limits::NAME_CHARS);
    let capabilities = json::find(text, params.clone(), "capabilities");
    let declared = normalise_capabilities(capabilities.map_or(&b"{}"[..], |place| &text[place]));
    Some(ClientContext {
        era: Era::Legacy,
        version: cut(member(&["protocolVersion"])?),
        level: None,
        client_info: json::find(text, params.clone(), "clientInfo")
            .filter(|at| text[at.start] == b'{' && at.len() <= MAX_CLIENT_INFO_BYTES)
            .map(|at| text[at].into()),
        can: parse_capabilities(&declared),
        capabilities: declared.into(),
        name: member(&["clientInfo", "name"]).map(cut),
        build: member(&["clientInfo", "version"]).map(cut),
    })
}

/// Reads what a server answered to `initialize`. `None` without a protocol revision.
pub(crate) fn read_initialize_result(result: Bytes) -> Option<Introduction> {
    let version = json::string(&result, json::find(&result, 0..result.len(), "protocolVersion")?)?;
    let version = limits::cut(&version, limits::NAME_CHARS);
    let capabilities = read_capabilities(&result);
    Some(Introduction { era: Era::Legacy, result, version, capabilities })
}

/// Writes the router's `initialize` to a server. `capabilities` is the JSON text of what the clients of the instance
/// declare.
pub(crate) fn write_initialize(number: u64, capabilities: &str) -> Bytes {
    let params = format!(
        "{{\"protocolVersion\":\"{}\",\"capabilities\":{capabilities},\"clientInfo\":{{\"name\":\"exai\",\"version\":\"{}\"}}}}",
        version::NEWEST_LEGACY,
        env!("CARGO_PKG_VERSION"),
    );
    answer::request(number, "initialize", &params)
}

/// Writes what a server is told when its answer to `initialize` was read.
pub(crate) fn write_initialized() -> Bytes {
    answer::notification("notifications/initialized")
}

/// Writes the answer to a client's `initialize`: what the server has answered to the router, in the revision of the
/// client.
pub(crate) fn write_initialize_result(id: &Id, context: &ClientContext, said: &Introduction) -> Bytes {
    if said.era == Era::Modern {
        return answer::result(id, bridge::to_initialize_result(&context.version, &said.result).as_bytes());
    }
    let version = version::answered(&context.version, &said.version);
    let at = json::find(&said.result, 0..said.result.len(), "protocolVersion");
    let result = match at {
        Some(at) if version != said.version => {
            json::splice(&said.result, vec![Edit { at, with: json::quote(version).into_bytes() }]).into()
        }
        _ => said.result.clone(),
    };
    answer::result(id, &result)
}

/// Writes the answer to a client's `initialize` on the aggregated endpoint. `capabilities` are those of exai and of the
/// servers; `instructions` those of the servers, if there are any.
pub(crate) fn write_own_initialize_result(
    id: &Id,
    context: &ClientContext,
    capabilities: serde_json::Value,
    instructions: Option<String>,
) -> Bytes {
    let version = version::answered(&context.version, version::NEWEST_LEGACY);
    let mut result = serde_json::json!({
        "protocolVersion": version,
        "capabilities": capabilities,
        "serverInfo": {"name": "exai", "version": env!("CARGO_PKG_VERSION")},
    });
    if let Some(instructions) = instructions {
        result["instructions"] = instructions.into();
    }
    answer::result(id, result.to_string().as_bytes())
}

/// Writes that the answer to a request is no longer wanted, or to a question. `number` is what the receiver knows it by.
pub(crate) fn write_cancel(number: u64, reason: &str) -> Bytes {
    answer::notify(
        "notifications/cancelled",
        &format!("{{\"requestId\":{number},\"reason\":{}}}", json::quote(reason)),
    )
}
