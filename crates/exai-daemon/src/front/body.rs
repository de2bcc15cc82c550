//! The body of a POST: a message, read within the input budget.

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use exai_proto::Id;
use exai_proto::answer::{self, Failure, FailureData, Source};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::client::inbound::too_long_answer;
use crate::client::input_budget::{InputBudget, InputClaim, Yielder};
use crate::limits::MAX_INPUT_BYTES;
use crate::limits::{UNBUDGETED_BYTES, UNFINISHED_TIMEOUT};

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is longer than a message may be.
    TooLong,
    /// The input budget is used up by other messages.
    Full,
    /// The client fell silent within the body.
    Late,
    /// The connection broke.
    Lost,
}

impl IntoResponse for Unread {
    fn into_response(self) -> Response {
        let overloaded = || {
            let data = FailureData::new(Source::Daemon, Failure::Overloaded);
            answer::failure(&Id::null(), "too much is under way; nothing was executed", &data)
        };
        let (status, body) = match self {
            Unread::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, too_long_answer(&Id::null())),
            Unread::Full => (StatusCode::SERVICE_UNAVAILABLE, overloaded()),
            Unread::Late => {
                let text = "the rest of the body did not come within 30 s";
                (StatusCode::REQUEST_TIMEOUT, answer::error(&Id::null(), -32600, text))
            }
            Unread::Lost => {
                (StatusCode::BAD_REQUEST, answer::error(&Id::null(), -32700, "the body broke off"))
            }
        };
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        let headers = response.headers_mut();
        // The rest of the body is not read.
        headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        if self == Unread::Full {
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

/// Reads a body. Claims its room first: the announced length, or piece by piece as it arrives.
pub(crate) async fn read(input_budget: &InputBudget, mut body: Body) -> Result<(Bytes, InputClaim), Unread> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > MAX_INPUT_BYTES {
        return Err(Unread::TooLong);
    }
    let mut claim = InputClaim::default();
    let mut claimed = UNBUDGETED_BYTES;
    if announced > claimed {
        claim = input_budget.claim(announced).await.map_err(|_| Unread::Full)?;
        claimed = announced;
    }
    let mut all = Vec::with_capacity(announced);
    let mut yielder = Yielder::default();
    loop {
        let frame = match timeout(UNFINISHED_TIMEOUT, body.frame()).await {
            Err(_) => return Err(Unread::Late),
            Ok(None) => return Ok((all.into(), claim)),
            Ok(Some(frame)) => frame.map_err(|_| Unread::Lost)?,
        };
        let Ok(data) = frame.into_data() else { continue };
        let length = all.len() + data.len();
        if length > MAX_INPUT_BYTES {
            return Err(Unread::TooLong);
        }
        if length > claimed {
            // The length was not announced: the claim is doubled each time, as the buffer is.
            let more = length.max(claimed).min(MAX_INPUT_BYTES);
            let grown = if claim.holds_room() {
                claim.grow(more)
            } else {
                input_budget.try_claim(claimed + more).map(|first| claim = first)
            };
            grown.map_err(|_| Unread::Full)?;
            claimed += more;
        }
        all.extend_from_slice(&data);
        yielder.yield_after(data.len()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_UNFINISHED_BYTES;

    #[tokio::test(start_paused = true)]
    async fn a_body_claims_what_it_takes_and_must_come_to_its_end() {
        let input_budget = InputBudget::default();
        let body = Body::from(vec![b'x'; 1 << 20]);
        let (bytes, claim) = read(&input_budget, body).await.expect("a body");
        assert_eq!((bytes.len(), input_budget.claimed_bytes()), (1 << 20, 1 << 20));
        drop(claim);
        // A body without a given length.
        let pieces = (0..64).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 16 * 1024])));
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let (bytes, claim) = read(&input_budget, body).await.expect("a body");
        assert_eq!(bytes.len(), 1 << 20);
        assert!(
            (1 << 20..=2 << 20).contains(&input_budget.claimed_bytes()),
            "{}",
            input_budget.claimed_bytes()
        );
        drop(claim);
        assert_eq!(input_budget.claimed_bytes(), 0);
        let endless =
            futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![0; 1 << 20])));
        assert_eq!(read(&input_budget, Body::from_stream(endless)).await.err(), Some(Unread::TooLong));
        let silent = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        assert_eq!(read(&input_budget, Body::from_stream(silent)).await.err(), Some(Unread::Late));
        let all = input_budget.claim(MAX_UNFINISHED_BYTES).await.expect("room");
        assert_eq!(read(&input_budget, Body::from(vec![0; 1 << 20])).await.err(), Some(Unread::Full));
        assert!(
            read(&input_budget, Body::from(vec![0; UNBUDGETED_BYTES])).await.is_ok(),
            "what is short is always taken"
        );
        drop(all);
    }
}
