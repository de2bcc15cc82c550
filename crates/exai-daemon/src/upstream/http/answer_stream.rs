//! The event stream that answers a request, and what follows when it breaks off.

use std::time::Duration;

use bytes::Bytes;
use exai_proto::Id;
use exai_proto::backoff::Backoff;
use exai_proto::limits::MESSAGE_BYTES;
use exai_supervisor::Line;
use tokio::time::{sleep, timeout};

use super::answer::{Answer, BrokenOff};
use super::connect::Failed;
use super::event_stream::{self, Events};
use super::outgoing::Asked;
use super::session::{ServerSession, answer_to};
use crate::limits::{
    MAX_BARREN_RETRIES, MAX_BARREN_RETRY_INTERVAL, MAX_STREAM_RETRY_INTERVAL, MIN_STREAM_RETRY_INTERVAL,
    STREAM_END_TIMEOUT, STREAM_RETRY_INTERVAL,
};
use crate::upstream::server_output::{self, Said};

/// Reads the event stream of a request until its answer. If the stream breaks off and its events have ids, the rest is
/// asked for.
pub(super) async fn stream(
    session: &ServerSession,
    asked: Asked,
    mut answer: Answer,
) -> Result<(), BrokenOff> {
    let mut events = Events::new(MESSAGE_BYTES);
    let mut pauses = Pauses::default();
    loop {
        let mut found = Vec::new();
        let why = match answer.next().await {
            Ok(Some(bytes)) => {
                events.take(&bytes, &mut found);
                None
            }
            Ok(None) => Some(BrokenOff("the stream ended".to_owned())),
            Err(why) => Some(why),
        };
        for event in found {
            pauses.heard(&event);
            if pass_on(session, event, Some((asked, &answer))).await {
                if let Ok(true) = timeout(STREAM_END_TIMEOUT, rest(&mut answer)).await {
                    answer.done();
                }
                return Ok(());
            }
        }
        if let Some(why) = why {
            // The modern era has nothing that could be asked for the rest.
            if asked.role.is_modern() {
                return Err(why);
            }
            answer = resume(session, &events, &mut pauses).await.ok_or(why)?;
            events = events.resumed();
        }
    }
}

/// Asks for the rest of a stream that broke off. `None` when the server does not have it.
async fn resume(session: &ServerSession, events: &Events, pauses: &mut Pauses) -> Option<Answer> {
    let last = events.last_id.as_deref()?;
    loop {
        if pauses.in_a_row == MAX_BARREN_RETRIES {
            return None;
        }
        sleep(pauses.next(events.retry)).await;
        match session.listen(Some(last)).await {
            Ok(answer) if answer.head.status().is_success() && answer.is_event_stream() => {
                return Some(answer);
            }
            // The server may be in trouble for a moment.
            Ok(answer) if answer.head.status().is_server_error() => {}
            Ok(_) => return None,
            Err(Failed::Unsent(_) | Failed::Lost(_) | Failed::SignedOut(_)) => {}
            Err(Failed::Forsaken(reason)) => {
                session.give_up(reason);
                return None;
            }
        }
    }
}

/// The pauses before the rest of a stream is asked for again. The server may name a pause. A server that says nothing new
/// is asked less and less often; otherwise it could make the daemon ask without end.
#[derive(Debug)]
pub(super) struct Pauses {
    /// How often in a row nothing new came.
    in_a_row: u32,
    /// The shortest pause that the server may name.
    shortest: Backoff,
}

impl Default for Pauses {
    fn default() -> Self {
        let shortest = Backoff::doubling(MIN_STREAM_RETRY_INTERVAL, MAX_BARREN_RETRY_INTERVAL);
        Pauses { in_a_row: 0, shortest }
    }
}

impl Pauses {
    /// Notes that something new came.
    pub(super) fn heard(&mut self, event: &event_stream::Event) {
        match event {
            event_stream::Event::Message(_) | event_stream::Event::TooLong(_) => *self = Pauses::default(),
            event_stream::Event::Endpoint(_) => {}
        }
    }

    /// The next pause. `wish` is the pause that the server named, in milliseconds.
    pub(super) fn next(&mut self, wish: Option<u64>) -> Duration {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let least = self.shortest.next_delay();
        wish.map_or(STREAM_RETRY_INTERVAL, Duration::from_millis).max(least).min(MAX_STREAM_RETRY_INTERVAL)
    }
}

async fn rest(answer: &mut Answer) -> bool {
    loop {
        match answer.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Passes an event on. Returns true when the event answers the request.
pub(super) async fn pass_on(
    session: &ServerSession,
    event: event_stream::Event,
    to: Option<(Asked, &Answer)>,
) -> bool {
    match event {
        // It belongs to another transport.
        event_stream::Event::Endpoint(_) => false,
        event_stream::Event::Message(text) => {
            let text = Bytes::from(text);
            let Some((asked, answer)) = to else {
                session.say(Line::Whole(text)).await;
                return false;
            };
            let number = asked.number;
            if let Some(found) = answer_to(&text, number) {
                session.note_answer(asked, answer, &found);
                session.say_answer(asked, found).await;
                return true;
            }
            let mut said = Vec::new();
            server_output::read(&text, &mut said);
            if let [Said::Garbled(garbled)] = &said[..]
                && !garbled.asks
            {
                session.garbled(number, garbled.clone()).await;
                return true;
            }
            session.say(Line::Whole(text)).await;
            false
        }
        event_stream::Event::TooLong(start) => {
            let start = Bytes::from(start);
            let answered = to.is_some_and(|(asked, _)| {
                exai_proto::envelope::peek_id(&start).is_some_and(|id| id == Id::number(asked.number))
            });
            session.say(Line::TooLong(start)).await;
            answered
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_to_be_asked_at_once_is_asked_less_often_while_it_says_nothing() {
        let mut pauses = Pauses::default();
        let given: Vec<u128> = (0..9).map(|_| pauses.next(Some(0)).as_millis()).collect();
        assert_eq!(given, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        pauses.heard(&event_stream::Event::Endpoint(Vec::new()));
        assert_eq!(pauses.next(Some(0)).as_millis(), 5000);
        pauses.heard(&event_stream::Event::Message(Vec::new()));
        assert_eq!(pauses.next(Some(20)), Duration::from_millis(50));
        assert_eq!(pauses.next(Some(700)), Duration::from_millis(700), "its own wish is longer");
        assert_eq!(pauses.next(Some(u64::MAX)), MAX_STREAM_RETRY_INTERVAL);
        assert_eq!(Pauses::default().next(None), STREAM_RETRY_INTERVAL);
    }
}
