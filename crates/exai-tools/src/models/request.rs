//! What a model is asked and what it answers, whatever its endpoint speaks.

use std::time::Duration;

/// One request to a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelRequest {
    /// The system prompt.
    pub system: String,
    /// The conversation, oldest first. The last message is the user's.
    pub messages: Vec<ModelMessage>,
    /// From 0 to 1; `None` leaves it to the model. Left out for models that refuse it.
    pub temperature: Option<f64>,
    /// How much the model may think before it answers; `None` leaves it to the model.
    pub thinking: Option<Thinking>,
    /// At most so many tokens of output.
    pub max_output: Option<u32>,
}

/// One message of a conversation with a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelMessage {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub text: String,
    /// Images that go with it, for models that see.
    pub images: Vec<Image>,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The agent that asks.
    User,
    /// The model.
    Assistant,
}

/// An image for a model that sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its media type: `image/png`.
    pub media_type: String,
    /// Its bytes in Base64.
    pub base64: String,
}

/// How much a model may think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// As little as it can.
    Minimal,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// As much as it can.
    Max,
}

/// What a model has answered.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelAnswer {
    /// The text, without what the model thought.
    pub text: String,
    /// The model, as the endpoint calls it.
    pub model: String,
    /// The provider's name in `config.toml`, or `client`.
    pub provider: String,
    /// Why the text ends.
    pub finish: Finish,
    /// What the call has cost, if the endpoint tells it.
    pub usage: Option<Usage>,
    /// From the request to the end of the stream.
    pub elapsed: Duration,
}

/// Why an answer ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// The model was done.
    Complete,
    /// The limit of tokens is reached: the text is cut off.
    Length,
    /// The provider holds the rest back.
    Filtered,
    /// Another reason, in the endpoint's word.
    Other(String),
}

/// What a call has cost, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of the request.
    pub input: u64,
    /// Of the answer, thinking included.
    pub output: u64,
}

/// How far a stream has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamProgress {
    /// The text that is new since the last time.
    pub text: String,
    /// All characters of the answer so far.
    pub chars: usize,
    /// All characters of the model's thoughts so far.
    pub thought_chars: usize,
    /// Since the request was made.
    pub elapsed: Duration,
}
