//! `chat`: one question, one answer.

use serde_json::Value;

use super::context::{Call, CallError};
use super::embed::Asked;
use super::expert;
use super::once::{self, Once};
use super::threads;
use crate::outcome::Outcome;
use crate::threads::{MAX_TURNS, NewTurn};
use crate::workflow::{
    Arguments, ContinuationOffer, ExpertOutcome, chat_answer, chat_request, resend_prompt,
};

/// A longer text does not come through every client whole: it is asked for as a file, as the origin does.
const MAX_PROMPT_CHARS: usize = 60_000;

pub(super) async fn run(call: &Call) -> Result<Outcome, CallError> {
    let spec = call.spec;
    let arguments = Arguments::parse(spec, &call.given)?;
    let prompt = arguments.text("prompt").unwrap_or_default().to_owned();
    let chars = prompt.chars().count();
    if chars > MAX_PROMPT_CHARS {
        return Ok(Outcome::error(resend_prompt(spec, chars, MAX_PROMPT_CHARS)));
    }
    let continued = threads::continued(call, arguments.text("continuation_id")).await?;
    let turns = continued.as_ref().map_or(0, |thread| thread.turns.len());
    let once = Once::of(call, continued.as_ref(), None, arguments.as_json(), &prompt).await?.asking(1);
    let offer = ContinuationOffer {
        continuation_id: once.thread.clone(),
        remaining_turns: (MAX_TURNS as usize).saturating_sub(turns + 2) as u64 / 2,
    };
    let request = chat_request(spec, &arguments);
    let named = request.files.iter().cloned().collect();
    let asked = Asked::of(call, continued, request, named);
    let compose = move |outcome: ExpertOutcome, file_context: Option<Value>| {
        let mut body = chat_answer(spec, &outcome, Some(&offer));
        if let (ExpertOutcome::Answered(_), Some(files)) = (&outcome, file_context) {
            body["file_context"] = files;
        }
        body
    };
    let question = NewTurn::of_user(&spec.name, prompt);
    once::make(call, &once, |progress| expert::ask(asked, question, progress, compose)).await
}
