//! What can go wrong with one request to one endpoint. Texts of endpoints in here are cleaned (`foreign_text.rs`).

use std::time::Duration;

/// What went wrong. The text goes on after the name of the provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The provider's keys in `config.toml` cannot be used.
    #[error("{why}")]
    Misconfigured {
        /// Which key, and why not.
        why: String,
    },
    /// The key of the provider is not known.
    #[error("the key is not known: {why}")]
    KeyMissing {
        /// Which variable or secret is missing.
        why: String,
    },
    /// Nothing listens there.
    #[error("nothing listens at {address}")]
    Refused {
        /// Host and port.
        address: String,
    },
    /// The name of the host leads nowhere.
    #[error("the host {host} has no address")]
    NoAddress {
        /// The host.
        host: String,
    },
    /// No private connection.
    #[error("there is no trusted TLS connection to {address}: {why}")]
    Tls {
        /// Host and port.
        address: String,
        /// Why not.
        why: String,
    },
    /// No connection, for another reason.
    #[error("{address} cannot be reached: {why}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// Why not.
        why: String,
    },
    /// Other calls have held all places of the provider (`max_concurrency`).
    #[error("all places of this provider were taken for {} s", after.as_secs())]
    NoTurn {
        /// How long this call has waited.
        after: Duration,
    },
    /// It takes too long.
    #[error("{wait} {} s", seconds(*after))]
    TimedOut {
        /// What was waited for.
        wait: Wait,
        /// How long it was waited for.
        after: Duration,
    },
    /// The connection ended after the request was sent and before anything came.
    #[error("the connection ended before an answer came: {why}")]
    Lost {
        /// In the words of the connection.
        why: String,
    },
    /// The stream ended before the answer did.
    #[error("the answer was cut off in the middle{}", because(why))]
    Cut {
        /// In the words of the connection; empty where it ended in an orderly way.
        why: String,
    },
    /// More than is accepted.
    #[error("{what} is longer than {} KiB", max_bytes >> 10)]
    TooLong {
        /// The line, the answer or the list.
        what: &'static str,
        /// The most that is accepted.
        max_bytes: usize,
    },
    /// Not what an OpenAI-compatible endpoint says.
    #[error("{what} came in place of an answer{}", quote(line))]
    Nonsense {
        /// What it is.
        what: &'static str,
        /// Its first line.
        line: String,
    },
    /// The endpoint leads elsewhere.
    #[error("the endpoint leads to another address ({status}), which the key is not sent to")]
    Redirected {
        /// The HTTP status.
        status: u16,
    },
    /// The key is not accepted, or not for this.
    #[error("the endpoint does not accept the key ({status}){}", quote(said))]
    Unauthorised {
        /// The HTTP status: 401 or 403.
        status: u16,
        /// What the endpoint says.
        said: String,
    },
    /// The account has no money or quota left.
    #[error("the account has no credit left{}", quote(said))]
    NoCredit {
        /// What the endpoint says.
        said: String,
    },
    /// The endpoint does not have the model, or no longer.
    #[error("the endpoint does not have this model{}", quote(said))]
    ModelGone {
        /// What the endpoint says.
        said: String,
    },
    /// There is no such path at the host.
    #[error("the endpoint knows no such address ({status}){}", quote(said))]
    NoEndpoint {
        /// The HTTP status: 404, 405 or 410.
        status: u16,
        /// What the host says.
        said: String,
    },
    /// The request is longer than the model can read.
    #[error("the request is longer than the model can read{}", quote(said))]
    ContextOverflow {
        /// What the endpoint says.
        said: String,
    },
    /// Too many requests.
    #[error("the endpoint takes no more requests for now{}{}", wait_of(*retry_after), quote(said))]
    RateLimited {
        /// How long the endpoint wants to be left alone.
        retry_after: Option<Duration>,
        /// What the endpoint says.
        said: String,
    },
    /// The endpoint is broken or overloaded.
    #[error("the endpoint has failed ({status}){}", quote(said))]
    Failing {
        /// The HTTP status, from 500 on.
        status: u16,
        /// What the endpoint says.
        said: String,
    },
    /// The provider does not allow the request, or the answer.
    #[error("the content filter of the provider holds the answer back{}", quote(said))]
    Filtered {
        /// What the endpoint says.
        said: String,
    },
    /// The request has more bytes than the endpoint takes.
    #[error("the request has more bytes than the endpoint takes{}", quote(said))]
    RequestTooLarge {
        /// What the endpoint says.
        said: String,
    },
    /// The endpoint does not understand the request.
    #[error("the endpoint rejects the request ({status}){}", quote(said))]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// What the endpoint says.
        said: String,
    },
    /// The endpoint told an error in the middle of its answer.
    #[error("the endpoint has failed in the middle of its answer{}", quote(said))]
    Broke {
        /// What the endpoint says.
        said: String,
    },
    /// The model is done, and has said nothing.
    #[error("the model has answered nothing{}", used_up(*is_cut))]
    Empty {
        /// All tokens that it may say were used up, by its thoughts.
        is_cut: bool,
    },
}

/// What [`Fault::Nonsense`] calls a web page, for which nobody demands money.
pub const WEB_PAGE: &str = "a web page";

/// What was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The connection.
    Connect,
    /// The next byte (`idle_timeout`).
    Silence,
    /// The whole answer (`total_timeout`).
    Whole,
}

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Wait::Connect => "no connection was made within",
            Wait::Silence => "nothing more came for",
            Wait::Whole => "the answer was not complete within",
        })
    }
}

impl Fault {
    /// A stable name in snake case, for [`Explain`](crate::explain::Explain).
    pub fn code(&self) -> &'static str {
        match self {
            Fault::Misconfigured { .. } => "provider_misconfigured",
            Fault::KeyMissing { .. } => "key_missing",
            Fault::Refused { .. } => "connection_refused",
            Fault::NoAddress { .. } => "host_not_found",
            Fault::Tls { .. } => "tls_failed",
            Fault::Unreachable { .. } => "unreachable",
            Fault::NoTurn { .. } => "provider_busy",
            Fault::TimedOut { wait: Wait::Connect, .. } => "connect_timed_out",
            Fault::TimedOut { wait: Wait::Silence, .. } => "idle_timed_out",
            Fault::TimedOut { wait: Wait::Whole, .. } => "total_timed_out",
            Fault::Lost { .. } => "connection_lost",
            Fault::Cut { .. } => "stream_cut",
            Fault::TooLong { .. } => "answer_too_large",
            Fault::Nonsense { .. } => "nonsense",
            Fault::Redirected { .. } => "redirected",
            Fault::Unauthorised { .. } => "unauthorised",
            Fault::NoCredit { .. } => "no_credit",
            Fault::ModelGone { .. } => "model_gone",
            Fault::NoEndpoint { .. } => "no_endpoint",
            Fault::ContextOverflow { .. } => "context_overflow",
            Fault::RateLimited { .. } => "rate_limited",
            Fault::Failing { .. } => "endpoint_failing",
            Fault::Filtered { .. } => "content_filtered",
            Fault::RequestTooLarge { .. } => "request_too_large",
            Fault::Rejected { .. } => "request_rejected",
            Fault::Broke { .. } => "stream_failed",
            Fault::Empty { .. } => "empty_answer",
        }
    }

    /// What to do about it, in one sentence. `provider` is its name in `config.toml`.
    pub fn hint(&self, provider: &str) -> String {
        let row = format!("[providers.{provider}] of config.toml");
        match self {
            Fault::Misconfigured { .. } => format!("Mend {row}."),
            Fault::KeyMissing { .. } => {
                format!(
                    "Keep the key with `exai secret set NAME` and name it in {row}: key = \"${{secret:NAME}}\"."
                )
            }
            Fault::Refused { .. } => format!("Start the model server there, or correct `base_url` in {row}."),
            Fault::NoAddress { .. } => {
                format!("Look at the network connection, and at the host of `base_url` in {row}.")
            }
            Fault::Tls { .. } => format!(
                "Look at the clock and the certificates of this machine, and whether `base_url` in {row} should \
                 begin with http:// instead."
            ),
            Fault::Unreachable { .. } => {
                format!("Look at the network connection and the proxy, and at `base_url` in {row}.")
            }
            Fault::NoTurn { .. } => format!("Ask again later, or raise `max_concurrency` in {row}."),
            Fault::TimedOut { wait, .. } => {
                let key = match wait {
                    Wait::Connect => "connect_timeout",
                    Wait::Silence => "idle_timeout",
                    Wait::Whole => "total_timeout",
                };
                format!("Ask again or ask another model; a slow model needs a longer `{key}` in {row}.")
            }
            Fault::Lost { .. } | Fault::Cut { .. } | Fault::Broke { .. } => {
                "Ask again if the answer is worth its price: what came so far may have been paid.".to_owned()
            }
            Fault::TooLong { .. } => "Ask for less at once.".to_owned(),
            Fault::Nonsense { .. } | Fault::NoEndpoint { .. } => format!(
                "Correct `base_url` in {row}: it must be the address before `/chat/completions`, and often ends in /v1."
            ),
            Fault::Redirected { .. } => format!("Put the address that it leads to into `base_url` in {row}."),
            Fault::Unauthorised { .. } => {
                format!("Replace the key with `exai secret set NAME`, as NAME stands in `key` in {row}.")
            }
            Fault::NoCredit { .. } => {
                "Add credit to the provider's account, or ask another model.".to_owned()
            }
            Fault::ModelGone { .. } => "Ask the tool `listmodels` for the models that there are.".to_owned(),
            Fault::ContextOverflow { .. } | Fault::RequestTooLarge { .. } => {
                "Give fewer or shorter files, begin a new thread, or ask a model with a longer context."
                    .to_owned()
            }
            Fault::RateLimited { .. } => "Ask again later, or ask another model.".to_owned(),
            Fault::Failing { .. } => "Ask again in a minute, or ask another model.".to_owned(),
            Fault::Filtered { .. } => "Say it in other words, or ask another model.".to_owned(),
            Fault::Rejected { .. } => {
                format!("If it names a member of the request, leave that out with `omit` in {row}.")
            }
            Fault::Empty { is_cut: true } => {
                "Allow more output, or ask with a lower `thinking_mode`.".to_owned()
            }
            Fault::Empty { is_cut: false } => "Ask again in other words, or ask another model.".to_owned(),
        }
    }

    /// Whether the same request may succeed soon, and has cost nothing when it was answered in this way.
    pub fn is_worth_a_retry(&self) -> bool {
        match self {
            Fault::Refused { .. }
            | Fault::NoAddress { .. }
            | Fault::Unreachable { .. }
            | Fault::TimedOut { wait: Wait::Connect, .. }
            | Fault::RateLimited { .. } => true,
            // 504 and 524: a gateway has given up waiting, and the model behind it may work on.
            Fault::Failing { status, .. } => !matches!(status, 504 | 524),
            _ => false,
        }
    }
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

fn quote(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": \"{said}\"") }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

fn wait_of(retry_after: Option<Duration>) -> String {
    retry_after
        .map_or_else(String::new, |wait| format!(" and wants to be left alone for {} s", wait.as_secs()))
}

fn used_up(is_cut: bool) -> &'static str {
    if is_cut { ": its thoughts have used up all the tokens that it may say" } else { "" }
}
