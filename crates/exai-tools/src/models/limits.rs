//! The bounds of what endpoints say, and how long is waited for what. See ARCHITECTURE.md, "Bounds".

use std::time::Duration;

/// The longest line of an event stream, in bytes.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// The longest answer of a model, and the longest text of its thoughts: in bytes.
pub const MAX_ANSWER_BYTES: usize = 8 << 20;
/// The longest body of an answer in one piece, and of a whole stream with all that is around the text: in bytes.
pub const MAX_BODY_BYTES: usize = 64 << 20;
/// How much of an error's body is read, in bytes.
pub const MAX_ERROR_BYTES: usize = 64 << 10;
/// How long the body of an error is waited for.
pub const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(3);
/// How much text of an endpoint an error quotes, in characters.
pub const MAX_QUOTED_CHARS: usize = 500;

/// How often a request is made again that has cost nothing.
pub const MAX_RETRIES: u32 = 3;
/// The wait before the first retry. Each further wait is twice as long, and each is shortened by a random part.
pub const FIRST_RETRY_WAIT: Duration = Duration::from_millis(400);
/// The longest `Retry-After` that is waited for. An endpoint that wants more gets no retry.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

/// How long a provider may take for its list of models.
pub const LIST_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a list is believed.
pub const LIST_LIFE: Duration = Duration::from_mins(10);
/// How long a failure to list is believed.
pub const FAILURE_LIFE: Duration = Duration::from_secs(30);
/// The longest list of models, in bytes. The longest one known (OpenRouter's) has about 1 MB.
pub const MAX_LIST_BYTES: usize = 8 << 20;
/// How many models of one provider are known.
pub const MAX_LISTED: usize = 5000;
/// For how many names of providers connections and places are kept.
pub const MAX_KNOWN_PROVIDERS: usize = 64;
