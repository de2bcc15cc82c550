//! The MCP client that makes a call: who it is, where it works, and how it is asked in return.
//!
//! The tools server works for many clients at once. Behind the daemon each question to a client therefore names the
//! request that it belongs to (`_meta."exai/request"`), and the daemon passes it to the client of that request; it answers
//! `exai/client` itself. Without the daemon there is one client, and the questions are MCP's own.

#![expect(
    deprecated,
    reason = "clients of all versions before 2026-07-28 tell roots and let their models be asked"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use exai_proto::client_question::{ClientDescription, DESCRIBE_CLIENT, NAMED_REQUEST};
use rmcp::model::{
    ClientResult, CreateMessageRequest, CreateMessageRequestParams, CreateMessageResult, CustomRequest,
    JsonObject, ListRootsRequest, MetaObject, NumberOrString, RequestMetaObject, Role as McpRole,
    SamplingContent, SamplingMessage, SamplingMessageContentBlock, ServerRequest,
};
use rmcp::service::{Peer, PeerRequestOptions, RequestContext, RoleServer, ServiceError};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::models::request::{Finish, ModelAnswer, ModelRequest, Role};
use crate::sampling_error::SamplingError;

/// A client or the daemon answers a question about itself at once. One that does not is treated as if it had nothing to
/// say.
const FACTS_TIMEOUT: Duration = Duration::from_secs(5);
/// A person may have to agree before a client lets its model answer.
const SAMPLING_TIMEOUT: Duration = Duration::from_mins(10);
/// The output that a client's model is asked for when the tool names no limit, in tokens.
const SAMPLING_OUTPUT: u32 = 8192;
/// A client may have more roots than that; the rest are left out.
const MAX_ROOTS: usize = 64;

/// Who hosts the tools server.
#[derive(Debug, Clone)]
pub enum Hosting {
    /// By the daemon, for many clients.
    Daemon,
    /// By one client, which has started it in this directory.
    Alone(Option<PathBuf>),
}

/// The client of one call.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    peer: Peer<RoleServer>,
    /// The request that questions belong to.
    request: NumberOrString,
    description: ClientDescription,
    /// The roots, once they were asked for: one call may need them for several models.
    roots: OnceCell<Option<Vec<String>>>,
}

impl Client {
    /// Finds out who makes a call.
    pub(crate) async fn of_call(context: &RequestContext<RoleServer>, hosting: &Hosting) -> Client {
        let mut client = Client {
            peer: context.peer.clone(),
            request: context.id.clone(),
            description: ClientDescription::default(),
            roots: OnceCell::new(),
        };
        client.description = match hosting {
            Hosting::Daemon => client.ask_daemon().await,
            Hosting::Alone(directory) => describe(context, directory.as_deref()),
        };
        client
    }

    /// What the client calls itself.
    pub(crate) fn name(&self) -> Option<&str> {
        self.description.name.as_deref()
    }

    /// The directory that the client works in.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.description.directory.as_deref().map(Path::new)
    }

    pub(crate) fn description(&self) -> &ClientDescription {
        &self.description
    }

    /// What people know the client by.
    pub(crate) fn shown_name(&self) -> Option<&str> {
        self.description.label.as_deref().or(self.name())
    }

    /// Whether the client lets a server ask its model.
    pub(crate) fn can_sample(&self) -> bool {
        self.has("sampling")
    }

    fn has(&self, capability: &str) -> bool {
        self.description.capabilities.iter().any(|known| known == capability)
    }

    async fn ask_daemon(&self) -> ClientDescription {
        let request = CustomRequest::new(DESCRIBE_CLIENT, Some(json!({})));
        let answer = self.ask(ServerRequest::CustomRequest(request), FACTS_TIMEOUT).await;
        match answer {
            Ok(ClientResult::CustomResult(result)) => serde_json::from_value(result.0).unwrap_or_default(),
            Ok(_) => ClientDescription::default(),
            Err(error) => {
                tracing::debug!(%error, "the daemon says nothing about the client");
                ClientDescription::default()
            }
        }
    }

    /// The URIs of the client's roots. `None` if it has told that it has none to tell, or does not answer.
    pub(crate) async fn roots(&self) -> Option<Vec<String>> {
        self.roots.get_or_init(|| self.ask_roots()).await.clone()
    }

    async fn ask_roots(&self) -> Option<Vec<String>> {
        if !self.has("roots") {
            return None;
        }
        let request = ListRootsRequest::default();
        match self.ask(ServerRequest::ListRootsRequest(request), FACTS_TIMEOUT).await {
            Ok(ClientResult::ListRootsResult(result)) => {
                Some(result.roots.into_iter().take(MAX_ROOTS).map(|root| root.uri).collect())
            }
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(%error, "the client does not tell its roots");
                None
            }
        }
    }

    /// Has the client's own model answer.
    pub(crate) async fn sample(&self, request: &ModelRequest) -> Result<ModelAnswer, SamplingError> {
        if !self.can_sample() {
            return Err(SamplingError::NotDeclared);
        }
        let started = tokio::time::Instant::now();
        let asked = CreateMessageRequest::new(sampling_params(request)?);
        let answer = self.ask(ServerRequest::CreateMessageRequest(asked), SAMPLING_TIMEOUT).await;
        let result = match answer {
            Ok(ClientResult::CreateMessageResult(result)) => result,
            Ok(_) => return Err(SamplingError::Nonsense),
            Err(ServiceError::McpError(error)) => {
                return Err(SamplingError::Refused(error.message.into_owned()));
            }
            Err(ServiceError::Timeout { .. }) => return Err(SamplingError::TimedOut(SAMPLING_TIMEOUT)),
            Err(error) => return Err(SamplingError::Lost(error.to_string())),
        };
        let text = text_of(&result);
        if text.is_empty() {
            return Err(SamplingError::Nonsense);
        }
        let finish = match result.stop_reason.as_deref() {
            None | Some("endTurn" | "stopSequence") => Finish::Complete,
            Some("maxTokens") => Finish::Length,
            Some(other) => Finish::Other(other.to_owned()),
        };
        Ok(ModelAnswer {
            text,
            model: result.model,
            provider: "client".to_owned(),
            finish,
            usage: None,
            elapsed: started.elapsed(),
        })
    }

    async fn ask(&self, request: ServerRequest, timeout: Duration) -> Result<ClientResult, ServiceError> {
        let id = match &self.request {
            NumberOrString::Number(number) => Value::from(*number),
            NumberOrString::String(text) => Value::from(&**text),
        };
        let meta = JsonObject::from_iter([(NAMED_REQUEST.to_owned(), id)]);
        let mut options = PeerRequestOptions::with_timeout(timeout);
        options.meta = Some(RequestMetaObject(MetaObject(meta)));
        self.peer.send_request_with_option(request, options).await?.await_response().await
    }
}

/// The only client, by what it has said in `initialize` or with this request.
fn describe(context: &RequestContext<RoleServer>, directory: Option<&Path>) -> ClientDescription {
    let info = context.client_info();
    let can = context.client_capabilities().unwrap_or_default();
    let declared = [("roots", can.roots.is_some()), ("sampling", can.sampling.is_some())];
    ClientDescription {
        name: info.as_ref().map(|info| info.name.clone()),
        version: info.map(|info| info.version),
        label: None,
        directory: directory.and_then(|directory| Some(directory.to_str()?.to_owned())),
        capabilities: declared.into_iter().filter(|(_, has)| *has).map(|(name, _)| name.to_owned()).collect(),
    }
}

fn sampling_params(request: &ModelRequest) -> Result<CreateMessageRequestParams, SamplingError> {
    if request.messages.iter().any(|message| !message.images.is_empty()) {
        return Err(SamplingError::NoImages);
    }
    let message = |said: &crate::models::request::ModelMessage| {
        let role = match said.role {
            Role::User => McpRole::User,
            Role::Assistant => McpRole::Assistant,
        };
        SamplingMessage::new(role, SamplingMessageContentBlock::text(said.text.as_str()))
    };
    let messages = request.messages.iter().map(message).collect();
    let mut params = CreateMessageRequestParams::new(messages, request.max_output.unwrap_or(SAMPLING_OUTPUT));
    params.system_prompt = Some(request.system.clone());
    params.temperature = request.temperature.map(|value| value as f32);
    Ok(params)
}

fn text_of(result: &CreateMessageResult) -> String {
    let blocks: &[SamplingMessageContentBlock] = match &result.message.content {
        SamplingContent::Single(block) => std::slice::from_ref(block),
        SamplingContent::Multiple(blocks) => blocks,
    };
    let texts: Vec<&str> = blocks.iter().filter_map(|block| Some(block.as_text()?.text.as_str())).collect();
    texts.join("\n")
}
