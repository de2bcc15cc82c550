//! The order in which a server is sent messages: requests side by side, everything else one after the other.
//!
//! Over HTTP each message is a request of its own, and one may overtake another. Where the order matters, the daemon waits:
//! `initialize` is answered before the router says more, and the server must accept the notification that the handshake is
//! over before any request follows.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use exai_proto::{Kind, Message, Segments, json};
use exai_supervisor::outbox::Drain;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::answer::BrokenOff;
use super::answer_stream::{Pauses, pass_on};
use super::connect::Failed;
use super::event_stream::Events;
use super::exchange;
use super::explanation::explanation;
use super::outgoing::{Asked, Outgoing, Role};
use super::session::{AnswersCome, ServerSession};
use crate::limits::{
    ACCEPT_TIMEOUT, CANCELLED_TIMEOUT, MAX_CONNECTIONS_PER_URL, MAX_ERROR_BODY_BYTES,
    MAX_STREAM_RETRY_INTERVAL, SIGNED_OUT_LISTEN_INTERVAL, STREAM_OPEN_TIMEOUT, STREAM_RETRY_INTERVAL,
};
use crate::upstream::conversation_event::SignInWanted;
use exai_proto::backoff::Backoff;

/// The requests under way, and those that were cancelled before they were sent.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The highest number that was sent. Numbers only grow.
    newest: u64,
    under_way: HashMap<u64, (Role, AbortHandle)>,
    unwanted: HashSet<u64>,
}

impl Requests {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a cancelled request. Returns whether the server must be told. A request of the modern era is cancelled by the
    /// end of its connection or stream, and by nothing else.
    fn cancel(&self, number: u64, answers_come: AnswersCome) -> bool {
        let mut state = self.state();
        if number > state.newest {
            state.unwanted.insert(number);
            return false;
        }
        match state.under_way.get(&number) {
            Some((role, task)) if role.is_modern() => {
                task.abort();
                state.under_way.remove(&number);
                false
            }
            Some(_) => true,
            None => match answers_come {
                // It was answered.
                AnswersCome::WithThePost => false,
                // It was accepted.
                AnswersCome::OnTheStream => true,
            },
        }
    }

    fn abort(&self, number: u64) {
        if let Some((_, task)) = self.state().under_way.remove(&number) {
            task.abort();
        }
    }
}

/// Sends requests, each in a task of its own. Never returns.
pub(super) async fn requests(
    session: Arc<ServerSession>,
    mut drain: Drain,
    requests: Arc<Requests>,
    mut settled: watch::Receiver<bool>,
) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS_PER_URL));
    let mut tasks = JoinSet::new();
    let mut batch: Vec<Segments> = Vec::new();
    while drain.take(&mut batch).await {
        for message in batch.drain(..) {
            let Some(message) = in_one(message).await else { return };
            let Some(outgoing) = Outgoing::read(message) else { continue };
            let Asked { number, role } = outgoing.asked;
            if role == Role::Legacy && settled.wait_for(|settled| *settled).await.is_err() {
                return;
            }
            let Ok(permit) = connections.clone().acquire_owned().await else { return };
            while tasks.try_join_next().is_some() {}
            let mut state = requests.state();
            state.newest = number;
            if state.unwanted.remove(&number) {
                continue;
            }
            let (session, under_way) = (session.clone(), requests.clone());
            let task = tasks.spawn(async move {
                let _permit = permit;
                exchange::request(session, outgoing).await;
                under_way.state().under_way.remove(&number);
            });
            // The entry exists before the task can end, since the lock is held.
            state.under_way.insert(number, (role, task));
        }
    }
    std::future::pending::<()>().await;
}

/// The body of a request as one piece. A long one is put together on another thread, because that takes too long for the
/// loop. `None` when the daemon ends.
async fn in_one(message: Segments) -> Option<Bytes> {
    match message.as_whole() {
        Some(whole) => Some(whole.clone()),
        None => tokio::task::spawn_blocking(|| message.into_whole()).await.ok(),
    }
}

/// Sends notifications and answers one after the other. One of them says that the handshake of the legacy era is over:
/// after it the event stream for unrelated messages opens, and requests may follow. Never returns.
pub(super) async fn others(
    session: Arc<ServerSession>,
    mut drain: Drain,
    requests: Arc<Requests>,
    settled: watch::Sender<bool>,
) {
    let mut tasks = JoinSet::new();
    let mut batch: Vec<Segments> = Vec::new();
    while drain.take(&mut batch).await {
        for message in batch.drain(..) {
            let Some(message) = in_one(message).await else { return };
            while tasks.try_join_next().is_some() {}
            let cancelled = cancelled(&message);
            if cancelled.is_some_and(|number| !requests.cancel(number, session.answers_come())) {
                continue;
            }
            if let Some(number) = cancelled {
                // Cancellations need no order, and a server that hangs may get many.
                let (session, requests) = (session.clone(), requests.clone());
                tasks.spawn(async move {
                    let afterlife = sleep(CANCELLED_TIMEOUT);
                    send_notification(&session, message).await;
                    afterlife.await;
                    requests.abort(number);
                });
                continue;
            }
            let settles = !*settled.borrow() && ends_handshake(&message);
            send_notification(&session, message).await;
            if settles {
                match session.answers_come() {
                    AnswersCome::WithThePost => {
                        let opened = Arc::new(Notify::new());
                        tasks.spawn(listen(session.clone(), opened.clone()));
                        // A server that takes longer opens its stream later.
                        let _ = timeout(STREAM_OPEN_TIMEOUT, opened.notified()).await;
                    }
                    // That is the stream for everything.
                    AnswersCome::OnTheStream => {}
                }
                settled.send_replace(true);
            }
        }
    }
    std::future::pending::<()>().await;
}

fn ends_handshake(message: &Bytes) -> bool {
    let method = json::find(message, 0..message.len(), "method").and_then(|at| json::string(message, at));
    method.is_some_and(|method| method == "notifications/initialized")
}

/// The number of the request that this message cancels.
fn cancelled(message: &Bytes) -> Option<u64> {
    let parsed = Message::parse(message.clone()).ok()?;
    let Kind::Notification { method, params } = parsed.kind() else { return None };
    if parsed.at(method) != b"notifications/cancelled" {
        return None;
    }
    let id = json::find(parsed.bytes(), params.clone()?, "requestId")?;
    parsed.str_at(&id).parse().ok()
}

/// Sends a message that needs no answer.
async fn send_notification(session: &ServerSession, message: Bytes) {
    let outcome = timeout(ACCEPT_TIMEOUT, async {
        let mut answer = session.tell(message).await?;
        let status = answer.head.status();
        // The status says whether the server accepted it, and the body at most why not.
        let body = match answer.all(MAX_ERROR_BODY_BYTES).await {
            Ok((body, more)) => {
                if !more {
                    answer.done();
                }
                body
            }
            Err(BrokenOff(_)) => Vec::new(),
        };
        Ok((status, Bytes::from(body)))
    });
    match outcome.await {
        Ok(Ok((status, _))) if status.is_success() => {}
        Ok(Ok((status, _))) if session.is_ended_by(status) => {
            session.give_up("has ended its session".to_owned());
        }
        Ok(Ok((status, body))) => {
            let why = explanation(&body);
            tracing::warn!(server = %session.server, "a message was answered HTTP {status}{why}");
        }
        Ok(Err(Failed::Forsaken(reason))) => session.give_up(reason),
        Ok(Err(
            Failed::Unsent(reason) | Failed::Lost(reason) | Failed::SignedOut(SignInWanted { reason, .. }),
        )) => {
            tracing::warn!(server = %session.server, reason, "a message could not be sent");
        }
        Err(_) => tracing::warn!(server = %session.server, "a message was not accepted within 10 s"),
    }
}

/// The pauses between two tries to open the event stream.
fn open_backoff() -> Backoff {
    Backoff::doubling(STREAM_RETRY_INTERVAL, MAX_STREAM_RETRY_INTERVAL)
}

/// Keeps the event stream for unrelated messages open, if the server has one.
async fn listen(session: Arc<ServerSession>, opened: Arc<Notify>) {
    let mut events = Events::new(exai_proto::limits::MESSAGE_BYTES);
    let mut backoff = open_backoff();
    let mut pauses = Pauses::default();
    let mut sign_ins = session.watch_sign_ins();
    loop {
        if let Some(sign_ins) = &mut sign_ins {
            sign_ins.mark_unchanged();
        }
        let outcome = session.listen(events.last_id.as_deref()).await;
        opened.notify_one();
        match outcome {
            Ok(mut answer) if answer.head.status().is_success() && answer.is_event_stream() => {
                backoff = open_backoff();
                while let Ok(Some(bytes)) = answer.next().await {
                    let mut found = Vec::new();
                    events.take(&bytes, &mut found);
                    for event in found {
                        pauses.heard(&event);
                        pass_on(&session, event, None).await;
                    }
                }
                sleep(pauses.next(events.retry)).await;
                events = events.resumed();
            }
            Ok(answer) if answer.head.status().is_server_error() => {
                sleep(backoff.next_delay()).await;
            }
            // The server has no such stream. It answers 405 as a rule, but 400, 404 and 501 were seen as well. A session
            // that is lost is noticed at the next message.
            Ok(answer) => {
                let status = answer.head.status();
                return tracing::debug!(server = %session.server, %status, "it has nothing to say by itself");
            }
            Err(Failed::Forsaken(reason)) => return session.give_up(reason),
            Err(Failed::SignedOut(_)) if let Some(sign_ins) = &mut sign_ins => {
                // To ask before somebody has signed in would be in vain. The server may change its mind, though.
                let _ = timeout(SIGNED_OUT_LISTEN_INTERVAL, sign_ins.changed()).await;
            }
            Err(Failed::Unsent(_) | Failed::Lost(_) | Failed::SignedOut(_)) => {
                sleep(backoff.next_delay()).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cancelled_before_it_was_sent_is_neither_sent_nor_cancelled() {
        let requests = Requests::default();
        requests.state().newest = 3;
        assert!(!requests.cancel(4, AnswersCome::OnTheStream));
        assert!(requests.state().unwanted.contains(&4));
        assert!(!requests.cancel(3, AnswersCome::WithThePost), "it was answered");
        assert!(requests.cancel(3, AnswersCome::OnTheStream), "it was accepted");
        let cancel =
            br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":12,"reason":"r"}}"#;
        assert_eq!(cancelled(&Bytes::from_static(cancel)), Some(12));
        let other = br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"requestId":12}}"#;
        assert_eq!(cancelled(&Bytes::from_static(other)), None);
    }
}
