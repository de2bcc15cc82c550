//! Answers that the shim makes itself, as lines.

use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::{Id, json};

use super::methods::Method;
use crate::peek::{self, Peeked};

/// The message as a line.
pub(super) fn line_of(message: &[u8]) -> Vec<u8> {
    [message, b"\n"].concat()
}

/// One answer for each request with this id: it was sent, and whether it was carried out is not known.
pub(super) fn outcome_unknown(id: &Id, tool: Option<&str>, count: u32) -> Vec<u8> {
    let sentence = "the exai daemon went away while it worked on this; it may have been carried out";
    let data = FailureData { tool, ..FailureData::new(Source::Shim, Failure::OutcomeUnknown) };
    line_of(&answer::failure(id, sentence, &data)).repeat(count as usize)
}

/// Answers each request of a line with the same failure.
pub(super) fn failures(line: &[u8], failure: Failure, sentence: &str) -> Vec<u8> {
    let mut lines = Vec::new();
    peek::peek_each(line, |part, peeked| {
        if let Peeked::Request { id, method } = peeked {
            let name = || peek::find_path(line, part.start, &["params", "name"]);
            let call = Method::of(&peek::method_name(line, method)) == Method::Call;
            let tool = if call { name().and_then(|at| json::string(line, at)) } else { None };
            let data = FailureData {
                tool: tool.as_deref(),
                hint: (failure == Failure::DaemonUnavailable).then_some("exai status"),
                ..FailureData::new(Source::Shim, failure)
            };
            let answer = answer::failure(&Id::from_json(&line[id]), sentence, &data);
            lines.extend_from_slice(&line_of(&answer));
        }
    });
    lines
}
