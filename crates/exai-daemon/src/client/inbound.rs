//! Bytes from a client become messages, or the error that answers them.

use bytes::Bytes;
use exai_proto::envelope::Peek;
use exai_proto::{Message, ParseError, answer, envelope, limits};

use crate::client::input_budget::InputClaim;

/// Bytes of an invalid message that are searched for its id.
const MAX_PEEKED_BYTES: usize = 64 * 1024;

/// The messages of a client, and the answers to what is no message.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    pub(crate) messages: Vec<Message>,
    pub(crate) refusals: Vec<Bytes>,
    /// Some of the messages came as a batch.
    pub(crate) has_batch: bool,
    /// Bytes of the input so far.
    pub(crate) bytes: usize,
    /// The part of the input budget that is held until the hub has heard the messages.
    pub(crate) claim: InputClaim,
}

impl Inbound {
    /// Adds one text frame, one binary frame, one line or one body. A batch is split into its messages: revision
    /// 2025-03-26 has batches, and answers are the best way to reply to a client that sends one. The only error is that the
    /// input is not UTF-8, which some transports do not allow; a refusal is added all the same.
    pub(crate) fn add_input(&mut self, bytes: Bytes) -> Result<(), ParseError> {
        self.bytes += bytes.len();
        if bytes.len() > limits::MESSAGE_BYTES {
            self.refuse_long_input(&bytes);
            return Ok(());
        }
        match Message::parse(bytes.clone()) {
            Ok(message) => self.messages.push(message),
            Err(ParseError::Batch) => {
                self.has_batch = true;
                match envelope::split_batch(&bytes) {
                    Ok(parts) => parts.into_iter().for_each(|part| match Message::parse(part.clone()) {
                        Ok(message) => self.messages.push(message),
                        Err(error) => self.refuse_input(&part, &error),
                    }),
                    Err(error) => self.refuse_input(&bytes, &error),
                }
            }
            Err(ParseError::Utf8) => {
                self.refuse_input(&bytes, &ParseError::Utf8);
                return Err(ParseError::Utf8);
            }
            Err(error) => self.refuse_input(&bytes, &error),
        }
        Ok(())
    }

    /// Adds the refusal of input that is no message, under its id if that can be read. Input that was meant as an answer
    /// becomes an error that goes to the server, which waits for it.
    fn refuse_input(&mut self, bytes: &[u8], error: &ParseError) {
        let peek = Peek::at(&bytes[..bytes.len().min(MAX_PEEKED_BYTES)]);
        let id = Some(error.id()).filter(|id| !id.is_null()).or(peek.id);
        if let (Some(id), true, false) = (&id, peek.answers, peek.asks) {
            let text = format!("the client answered with what is no message: {error}");
            self.messages.extend(Message::parse(answer::error(id, -32603, &text)));
            return;
        }
        let id = id.unwrap_or_else(exai_proto::Id::null);
        self.refusals.push(answer::error(&id, error.code(), &error.to_string()));
    }

    fn refuse_long_input(&mut self, start: &[u8]) {
        let id = envelope::peek_id(start).unwrap_or_else(exai_proto::Id::null);
        self.refusals.push(too_long_answer(&id));
    }
}

/// The answer to a message that is longer than [`limits::MESSAGE_BYTES`].
pub(crate) fn too_long_answer(id: &exai_proto::Id) -> Bytes {
    let data = answer::FailureData::new(answer::Source::Daemon, answer::Failure::RequestTooLarge);
    answer::failure(id, "a message may have 32 MiB", &data)
}
