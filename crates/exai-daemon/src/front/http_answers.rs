//! The responses to HTTP requests, in both eras: one document, or an event stream.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use exai_proto::answer::Failure;
use exai_proto::{Id, Segments, answer};
use futures_util::{Stream, StreamExt, stream};
use tokio::time::timeout;

use crate::client::http_streams::{Deliveries, Delivery};

/// How often a silent event stream sends a comment, so that the client sees that it lives.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A response whose body is an error without an id.
pub(crate) fn fail(status: StatusCode, code: i32, message: &str) -> Response {
    json(status, answer::error(&Id::null(), code, message))
}

/// A response whose body is this document.
pub(crate) fn json(status: StatusCode, document: impl Into<Segments>) -> Response {
    let document = document.into();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CONTENT_LENGTH, document.len().into()),
    ];
    let body = match document.as_whole() {
        Some(whole) => Body::from(whole.clone()),
        None => Body::from_stream(stream::iter(document.into_iter().map(Ok::<Bytes, Infallible>))),
    };
    (status, headers, body).into_response()
}

/// The answer to a request that may be served soon.
pub(crate) fn try_again(document: impl Into<Segments>) -> Response {
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, document);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The answer to a request that the next daemon can serve. The connection is closed, so the client comes anew.
pub(crate) fn ask_the_next_daemon(document: impl Into<Segments>) -> Response {
    let mut response = try_again(document);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The answer to a request that did not reach the hub any more.
pub(crate) fn stopping() -> Response {
    let code = Failure::DaemonUnavailable.code();
    ask_the_next_daemon(answer::error(&Id::null(), code, "the daemon is stopping"))
}

/// What a POST gets.
pub(crate) enum PostAnswer {
    /// Its only request was answered at once.
    Answer(Segments),
    /// Its only request came too late to be served by this daemon. What is said of that.
    Refused(Segments),
    Stream(Response),
}

/// Waits for what a POST with this many requests gets: a stream if nothing is there after `patience`.
pub(crate) async fn find_post_answer(
    mut deliveries: Deliveries,
    requests: usize,
    patience: Duration,
) -> PostAnswer {
    let first = match timeout(patience, deliveries.next()).await {
        Ok(Some(Delivery::Answer(bytes))) if requests == 1 => return PostAnswer::Answer(bytes),
        Ok(Some(Delivery::Refused(bytes))) if requests == 1 => return PostAnswer::Refused(bytes),
        // The session has ended, or the request was cancelled: an empty event stream.
        Ok(None) => return PostAnswer::Stream(events(stream::empty())),
        Ok(Some(first)) => Some(first),
        Err(_) => None,
    };
    let begun = Answers { deliveries, open: requests, first };
    PostAnswer::Stream(events(stream::unfold(begun, |mut answers| async move {
        let event = answers.next().await?;
        Some((event, answers))
    })))
}

/// An event stream without an end of its own.
pub(crate) fn endless_events(messages: Deliveries) -> Response {
    events(stream::unfold(messages, |mut messages| async move {
        let event = match timeout(KEEP_ALIVE_INTERVAL, messages.next()).await {
            Ok(delivery) => match delivery? {
                Delivery::Aside(bytes) | Delivery::Answer(bytes) | Delivery::Refused(bytes) => event(bytes),
            },
            Err(_) => alive(),
        };
        Some((event, messages))
    }))
}

/// An event stream that ends with the last answer.
struct Answers {
    deliveries: Deliveries,
    /// The number of requests without an answer.
    open: usize,
    first: Option<Delivery>,
}

impl Answers {
    async fn next(&mut self) -> Option<Segments> {
        if self.open == 0 {
            return None;
        }
        let delivery = match self.first.take() {
            Some(delivery) => delivery,
            None => match timeout(KEEP_ALIVE_INTERVAL, self.deliveries.next()).await {
                Ok(delivery) => delivery?,
                Err(_) => return Some(alive()),
            },
        };
        Some(match delivery {
            Delivery::Answer(bytes) | Delivery::Refused(bytes) => {
                self.open -= 1;
                event(bytes)
            }
            Delivery::Aside(bytes) => event(bytes),
        })
    }
}

fn event(message: Segments) -> Segments {
    message.between(b"event: message\ndata: ", b"\n\n")
}

fn alive() -> Segments {
    Bytes::from_static(b": alive\n\n").into()
}

fn events(stream: impl Stream<Item = Segments> + Send + 'static) -> Response {
    let parts = stream.flat_map(|event| stream::iter(event.into_iter().map(Ok::<Bytes, Infallible>)));
    let body = Body::from_stream(parts);
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (StatusCode::OK, headers, body).into_response()
}
