//! What each method needs before its request goes to a server, and what a successful answer means for the router.

use std::sync::Arc;

use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::json::{self, Edit};
use exai_proto::limits;

use crate::handlers::client_request::Request;
use crate::instance::Instance;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::router::on_success::OnSuccess;
use crate::types::era::Era;
use crate::types::ids::{ClientId, InstanceId};
use crate::types::log_level::LogLevel;
use crate::types::method::Method;
use crate::types::names;

impl Router {
    /// Checks and translates a request before it goes to a server, or answers it.
    pub(crate) fn prepare_request(
        &mut self,
        request: &Request<'_>,
        instance: InstanceId,
        cx: &mut EventContext<'_>,
    ) -> Prepared {
        let Request { message, params, .. } = request;
        let client = request.client();
        let spoken = self.instances.get(instance).map_or(request.era, Instance::era);
        match request.method {
            Method::CallTool => self.prepare_call(request, instance, cx),
            Method::GetPrompt => match self.edit_own_name(request, instance) {
                Some(edit) => Prepared::Send(OnSuccess::Nothing, vec![edit]),
                None => Prepared::plain(),
            },
            Method::ReadResource => Prepared::Send(self.on_success_of_read(request, instance), Vec::new()),
            Method::Complete => {
                Prepared::Send(OnSuccess::Nothing, self.edit_own_reference(request, instance))
            }
            Method::SetLogLevel => {
                let level = message.string_at(params.level.as_ref()).and_then(|name| LogLevel::parse(&name));
                let Some(level) = level else { return Prepared::plain() };
                if spoken == Era::Modern {
                    // Each request says it from now on.
                    self.apply_success(client, instance, OnSuccess::SetLevel(level));
                    cx.answer(client, request.id(), answer::result(&request.id(), b"{}"));
                    return Prepared::Answered;
                }
                let most = self.most_verbose_level(instance, client, level);
                let with = json::quote(most.name()).into_bytes();
                let edits = params.level.clone().map(|at| Edit { at, with }).into_iter().collect();
                Prepared::Send(OnSuccess::SetLevel(level), edits)
            }
            Method::Subscribe | Method::Unsubscribe => {
                let Some(uri) = message.string_at(params.uri.as_ref()) else { return Prepared::plain() };
                let subscribe = request.method == Method::Subscribe;
                if subscribe && !self.may_subscribe(request, instance, &uri, cx) {
                    return Prepared::Answered;
                }
                let others = self
                    .instances
                    .get(instance)
                    .is_some_and(|instance| instance.subscribers.has_others(&uri, client))
                    || !subscribe && self.is_listened_to((client, instance), &uri);
                let on_success =
                    if subscribe { OnSuccess::Subscribe(uri) } else { OnSuccess::Unsubscribe(uri) };
                // The server need not hear of it where other clients, or listens of this one, are subscribed: it must go
                // on sending to them. A server of the modern era hears of it in the listen of the router.
                if others || spoken == Era::Modern {
                    self.apply_success(client, instance, on_success);
                    self.renew_listen(instance, cx);
                    cx.answer(client, request.id(), answer::result(&request.id(), b"{}"));
                    return Prepared::Answered;
                }
                Prepared::Send(on_success, Vec::new())
            }
            Method::List(kind) => {
                let as_of = self.count_announced_changes(instance, kind);
                let first = params.cursor.is_none();
                Prepared::Send(OnSuccess::List { kind, first, as_of }, Vec::new())
            }
            Method::Listen if request.era == Era::Modern => {
                let context = self.calls.get(request.call).map(|call| call.context.clone());
                if let Some(context) = context {
                    self.handle_listen(client, &context, (message, params), request.id(), cx);
                }
                Prepared::Answered
            }
            // Sessions subscribe in another way.
            Method::Listen => {
                cx.refuse(client, &request.id(), -32601, "Method not found: subscriptions/listen");
                Prepared::Answered
            }
            Method::Ping | Method::Discover | Method::Initialize | Method::Other => Prepared::plain(),
        }
    }

    /// Whether an instance tells a listen of the client of a resource.
    fn is_listened_to(&self, (client, instance): (ClientId, InstanceId), uri: &str) -> bool {
        let Some(instance) = self.instances.get(instance) else { return false };
        let Some(client) = self.clients.get(client) else { return false };
        self.servers.get(&instance.server).is_some_and(|known| {
            known.wanted_uris(client, instance.era()).any(|wanted| wanted == (Era::Modern, uri))
        })
    }

    /// Whether the client may subscribe to one more resource. If not, the client is answered.
    fn may_subscribe(
        &self,
        request: &Request<'_>,
        instance: InstanceId,
        uri: &str,
        cx: &mut EventContext<'_>,
    ) -> bool {
        if uri.len() > limits::URI_BYTES {
            let words = format!("the address of a subscription may have {} bytes", limits::URI_BYTES);
            cx.refuse(request.client(), &request.id(), -32602, &words);
            return false;
        }
        let server = self.instances.get(instance).map(|instance| &*instance.server);
        let room = self.clients.get(request.client()).is_some_and(|client| {
            let known = |(of, known): &(Arc<str>, String)| server == Some(of) && known == uri;
            client.subscriptions.len() < limits::SUBSCRIPTIONS || client.subscriptions.iter().any(known)
        });
        if !room {
            let words = format!("this client is subscribed to {} resources", limits::SUBSCRIPTIONS);
            cx.overloaded(request.client(), &request.id(), server, &words);
        }
        room
    }

    fn prepare_call(
        &mut self,
        request: &Request<'_>,
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) -> Prepared {
        let message = request.message;
        let edit = self.edit_own_name(request, instance_id);
        let tool = match &edit {
            Some(edit) => json::string(&edit.with, 0..edit.with.len()).map(|name| Box::from(&*name)),
            None => message.string_at(request.params.name.as_ref()).map(String::into_boxed_str),
        };
        let Some(tool) = tool else {
            // A name that cannot be read cannot be checked.
            if self.filters_tools(request.client(), instance_id) {
                cx.refuse(request.client(), &request.id(), -32602, "tools/call needs the name of a tool");
                return Prepared::Answered;
            }
            return Prepared::plain();
        };
        let Some(instance) = self.instances.get(instance_id) else { return Prepared::plain() };
        let server: Arc<str> = instance.server.clone();
        let Some(client) = self.clients.get(request.client()) else { return Prepared::plain() };
        if !client.sees_tool(&server, &tool) {
            let is_aggregated = client.endpoint.is_aggregated();
            let name = if is_aggregated { names::aggregated(&server, &tool) } else { tool.into_string() };
            cx.unknown_name(request.client(), &request.id(), &name, is_aggregated);
            return Prepared::Answered;
        }
        if self.servers.get(&server).is_some_and(|server| !server.policy.tools.allows(&tool)) {
            let data = FailureData {
                server: Some(&server),
                tool: Some(&tool),
                hint: Some("see `tools` of this server in config.toml"),
                ..FailureData::new(Source::Daemon, Failure::Blocked)
            };
            let text = format!("tool \"{tool}\" of server \"{server}\" is blocked by the configuration");
            cx.fail(request.client(), &request.id(), &text, &data);
            return Prepared::Answered;
        }
        Prepared::Send(OnSuccess::Call { tool }, edit.into_iter().collect())
    }

    /// The most verbose level that any client of an instance wants, if `client` wants `level`. A client that has set
    /// no level does not count: it was content with the level of the server.
    fn most_verbose_level(&self, instance: InstanceId, client: ClientId, level: LogLevel) -> LogLevel {
        let others = self.instances.get(instance).into_iter().flat_map(|instance| &instance.clients);
        others
            .filter(|other| **other != client)
            .filter_map(|other| self.clients.get(*other)?.level)
            .fold(level, LogLevel::min)
    }

    /// Applies what a successful answer means for the state of the router.
    pub(crate) fn apply_success(
        &mut self,
        client_id: ClientId,
        instance_id: InstanceId,
        on_success: OnSuccess,
    ) {
        let Some(client) = self.clients.get_mut(client_id) else { return };
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        match on_success {
            OnSuccess::Nothing
            | OnSuccess::Call { .. }
            | OnSuccess::List { .. }
            | OnSuccess::ResourceRead(_) => {}
            OnSuccess::SetLevel(level) => {
                client.level = Some(level);
                let all = instance.clients.iter().filter_map(|client| self.clients.get(*client)?.level);
                instance.level = all.min();
            }
            OnSuccess::Subscribe(_) if !client.sees_server(&instance.server) => {}
            OnSuccess::Subscribe(uri) => {
                client.subscriptions.insert((instance.server.clone(), uri.clone()));
                instance.subscribers.add_subscriber(&uri, client_id);
            }
            OnSuccess::Unsubscribe(uri) => {
                client.subscriptions.remove(&(instance.server.clone(), uri.clone()));
                // A listen of the same client may be about the resource.
                let known = self.servers.get(&instance.server);
                let mut wanted =
                    known.into_iter().flat_map(|known| known.wanted_uris(client, instance.era()));
                if !wanted.any(|(_, wanted)| wanted == uri) {
                    instance.subscribers.remove_subscriber(&uri, client_id);
                }
            }
        }
    }
}

/// What [`Router::prepare_request`] made of a request.
pub(crate) enum Prepared {
    Send(OnSuccess, Vec<Edit>),
    Answered,
}

impl Prepared {
    fn plain() -> Self {
        Prepared::Send(OnSuccess::Nothing, Vec::new())
    }
}
