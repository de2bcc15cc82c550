//! Requests that are repeated once, because the server asks for that.

use bytes::Bytes;
use exai_proto::json;
use exai_proto::limits::MESSAGE_BYTES;
use exai_proto::modern::{HEADER_MISMATCH, error_code, offers_modern};
use tokio::time::timeout;

use super::event_stream::{self, Events};
use super::known_tools::write_list_request;
use super::outgoing::{Asked, Outgoing, Role};
use super::session::{ServerSession, answer_to};
use crate::limits::{ACCEPT_TIMEOUT, MAX_TOOL_PAGES};

/// Whether an answer says that the same request may be repeated: the daemon has not known what it must repeat in headers,
/// or the server supports the revision that it refuses.
pub(super) fn asks_for_repetition(asked: Asked, answer: &Bytes) -> bool {
    let Some(error) = json::find(answer, 0..answer.len(), "error") else { return false };
    match asked.role {
        Role::CallTool => error_code(answer, error) == Some(HEADER_MISMATCH),
        Role::Discover => offers_modern(answer, error),
        Role::Initialize | Role::Legacy | Role::Listen | Role::ListTools | Role::Modern => false,
    }
}

/// Asks for the tools of the server, to learn which arguments a call must repeat.
pub(super) async fn learn_tools(session: &ServerSession, call: &Outgoing) {
    let learning = async {
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_TOOL_PAGES {
            let request = write_list_request(call.asked.number, &call.body, cursor.as_deref());
            let page = fetch(session, Outgoing::read(request)?).await?;
            let page = session.tools.learn(&session.server, page);
            let next = json::find_path(&page, 0..page.len(), &["result", "nextCursor"])?;
            cursor = Some(json::string(&page, next)?.into_owned());
        }
        Some(())
    };
    // If it fails, the call is made all the same.
    let _ = timeout(ACCEPT_TIMEOUT, learning).await;
}

/// The answer to a request of the daemon's own, if there is one.
async fn fetch(session: &ServerSession, outgoing: Outgoing) -> Option<Bytes> {
    let number = outgoing.asked.number;
    let mut answer = session.ask(&outgoing).await.ok()?;
    if !answer.is_event_stream() {
        let (body, _) = answer.all(MESSAGE_BYTES).await.ok()?;
        answer.done();
        return answer_to(&body.into(), number);
    }
    let mut events = Events::new(MESSAGE_BYTES);
    while let Some(bytes) = answer.next().await.ok()? {
        let mut found = Vec::new();
        events.take(&bytes, &mut found);
        let texts = found.into_iter().filter_map(|event| match event {
            event_stream::Event::Message(text) => Some(Bytes::from(text)),
            event_stream::Event::TooLong(_) | event_stream::Event::Endpoint(_) => None,
        });
        if let Some(found) = texts.into_iter().find_map(|text| answer_to(&text, number)) {
            return Some(found);
        }
    }
    None
}
