//! Bytes from a client become messages, or the error that answers them.

use bytes::Bytes;
use exai_proto::envelope::Peek;
use exai_proto::{Message, ParseError, answer, envelope, limits};

use crate::client::input_budget::InputClaim;

/// How much of what is no message is looked at for its id.
const PEEKED: usize = 64 * 1024;

/// The messages in what a client sent, and the answers to what is none.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    pub(crate) messages: Vec<Message>,
    pub(crate) refusals: Vec<Bytes>,
    /// How much was taken in.
    pub(crate) bytes: usize,
    /// What it takes of the budget for what the hub has not heard.
    pub(crate) claim: InputClaim,
}

impl Inbound {
    /// Takes in one text frame, one binary frame, one line or one body. A batch is taken apart: revision
    /// 2025-03-26 has them, and whoever sends one cannot be told so in any better way than by answers.
    /// The error says that it is not UTF-8, which some transports do not allow; it is answered all the same.
    pub(crate) fn take(&mut self, bytes: Bytes) -> Result<(), ParseError> {
        self.bytes += bytes.len();
        if bytes.len() > limits::MESSAGE_BYTES {
            self.refuse_long(&bytes);
            return Ok(());
        }
        match Message::parse(bytes.clone()) {
            Ok(message) => self.messages.push(message),
            Err(ParseError::Batch) => match envelope::split_batch(&bytes) {
                Ok(parts) => parts.into_iter().for_each(|part| match Message::parse(part.clone()) {
                    Ok(message) => self.messages.push(message),
                    Err(error) => self.refuse(&part, &error),
                }),
                Err(error) => self.refuse(&bytes, &error),
            },
            Err(ParseError::Utf8) => {
                self.refuse(&bytes, &ParseError::Utf8);
                return Err(ParseError::Utf8);
            }
            Err(error) => self.refuse(&bytes, &error),
        }
        Ok(())
    }

    /// Answers what is no message, to whom its id says where that can be read. What was to be an answer goes on as an
    /// error: a server waits for it.
    fn refuse(&mut self, bytes: &[u8], error: &ParseError) {
        let peek = Peek::at(&bytes[..bytes.len().min(PEEKED)]);
        let id = Some(error.id()).filter(|id| !id.is_null()).or(peek.id);
        if let (Some(id), true, false) = (&id, peek.answers, peek.asks) {
            let text = format!("the client answered with what is no message: {error}");
            self.messages.extend(Message::parse(answer::error(id, -32603, &text)));
            return;
        }
        let id = id.unwrap_or_else(exai_proto::Id::null);
        self.refusals.push(answer::error(&id, error.code(), &error.to_string()));
    }

    fn refuse_long(&mut self, start: &[u8]) {
        let id = envelope::peek_id(start).unwrap_or_else(exai_proto::Id::null);
        self.refusals.push(too_long(&id));
    }
}

/// The answer to a message that is longer than [`limits::MESSAGE_BYTES`].
pub(crate) fn too_long(id: &exai_proto::Id) -> Bytes {
    let data = answer::FailureData::new(answer::Source::Daemon, answer::Failure::RequestTooLarge);
    answer::failure(id, "a message may have 32 MiB", &data)
}
