//! The clients that come over HTTP. Both eras have them: a client of the legacy era outlives its connections by its
//! session, one of the modern era is its connection.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use exai_mux::Endpoint;
use exai_os::clock;
use exai_proto::{Id, Message};
use tokio_util::sync::CancellationToken;

use crate::client::http_streams::{Deliveries, HttpSession, NoStream};
use crate::client::input_budget::InputClaim;
use crate::client::sink::{ClientTransport, CloseReason, Sink};
use crate::core::event::{HubEvent, HubGone};
use crate::front::state::AppState;
use crate::limits::MAX_ENDPOINTS_PER_CONNECTION;
use crate::observe::facts::ClientFacts;
use crate::state::holder::Holder;

/// A client that is closed when this is dropped, unless it is kept.
pub(crate) struct HttpClient {
    state: AppState,
    session: Arc<HttpSession>,
    kept: bool,
}

/// Why messages did not reach the hub.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unheard {
    /// A request with one of the ids is under way.
    InUse,
    /// The client was closed.
    Closed,
    /// The hub serves nothing more.
    TooLate,
}

impl HttpClient {
    /// Opens a client. `stateless` says that it is of the modern era.
    pub(crate) async fn open(
        state: &AppState,
        endpoint: &Endpoint,
        holder: &Holder,
        stateless: bool,
    ) -> Result<Self, HubGone> {
        let client = state.hub.next_client();
        let session = Arc::new(HttpSession::new(client, holder.clone(), stateless, clock::now()));
        let facts = ClientFacts {
            transport: "http",
            label: None,
            shim_pid: None,
            directory: None,
            connected_at: jiff::Timestamp::now(),
            holder: holder.clone(),
            shown: true,
            stateless,
        };
        let sink = Sink::new(ClientTransport::Http(session.clone()), None);
        state.hub.send(HubEvent::Open { client, endpoint: endpoint.clone(), sink, facts }).await?;
        Ok(HttpClient { state: state.clone(), session, kept: false })
    }

    pub(crate) fn session(&self) -> &Arc<HttpSession> {
        &self.session
    }

    /// Leaves the client open. From now on its session closes it.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for HttpClient {
    fn drop(&mut self) {
        if mem::replace(&mut self.kept, true) {
            return;
        }
        let (state, session) = (self.state.clone(), self.session.clone());
        session.close(false);
        // A hub that has ended has no clients.
        if !state.hub.is_gone() {
            state.tasks.clone().spawn(async move {
                let _ =
                    state.hub.send(HubEvent::Close { client: session.client, why: CloseReason::Left }).await;
            });
        }
    }
}

/// Sends messages of a client to the hub. `ids` are those of their requests. Returns what will be there to answer, once
/// it is known that this daemon serves the requests; at once if there are none.
pub(crate) async fn send_messages(
    state: &AppState,
    session: &HttpSession,
    disconnect: CancellationToken,
    ids: &[Id],
    (messages, claim): (Vec<Message>, InputClaim),
) -> Result<Deliveries, Unheard> {
    // The stream exists before the request is sent, since a fast answer must find it.
    let deliveries = session.open_post_stream(ids, disconnect).map_err(|no_stream| match no_stream {
        NoStream::InUse => Unheard::InUse,
        NoStream::Closed => Unheard::Closed,
    })?;
    let mut turn = session.turns.next().await;
    let heard = turn.heard();
    let said = HubEvent::Said { client: session.client, messages, claim, turn };
    state.hub.send(said).await.map_err(|HubGone| Unheard::TooLate)?;
    if ids.is_empty() || heard.await { Ok(deliveries) } else { Err(Unheard::TooLate) }
}

/// The clients of the modern era that one connection stands for: one for each endpoint, and for each token that is shown,
/// since a proxy sends requests of several clients over one connection. They end with the connection, by which such a client
/// cancels what it has asked for.
#[derive(Clone, Default)]
pub(crate) struct ConnectionClients(Arc<Mutex<Vec<OfEndpoint>>>);

type OfEndpoint = (Endpoint, Arc<HttpClient>);

impl ConnectionClients {
    /// The client of this connection and holder at an endpoint. The first request opens it.
    pub(crate) async fn find_or_open(
        &self,
        state: &AppState,
        endpoint: &Endpoint,
        holder: &Holder,
    ) -> Result<Arc<HttpClient>, HubGone> {
        let is_same = |(of, client): &&OfEndpoint| of == endpoint && client.session.holder == *holder;
        let known = self.clients().iter().find(is_same).map(|(_, client)| client.clone());
        // The hub closes who is silent for long.
        if let Some(client) = known.filter(|client| !client.session.is_closed()) {
            return Ok(client);
        }
        let client = Arc::new(HttpClient::open(state, endpoint, holder, true).await?);
        let mut clients = self.clients();
        clients.retain(|known| !is_same(&known));
        if clients.len() >= MAX_ENDPOINTS_PER_CONNECTION {
            // A connection carries one request at a time, so the others have nothing under way.
            clients.remove(0);
        }
        clients.push((endpoint.clone(), client.clone()));
        Ok(client)
    }

    fn clients(&self) -> MutexGuard<'_, Vec<OfEndpoint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
