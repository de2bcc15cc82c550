//! The tools as data, and what each step of each tool answers. Pure: no I/O, no clock.
//!
//! A tool is a file in `specs/`, and a system prompt in `prompts/` if it asks a model ([`find`], [`tool_definitions`]).
//! What a call does depends on its [`Kind`]:
//!
//! - workflow, notebook, consensus: [`Step::parse`], [`State::fold`] of the earlier steps, [`advance`]. If that is not the
//!   answer yet, the caller asks the model or the models, and [`finish`] or [`combine`] makes the answer;
//! - simple (chat): [`Arguments::parse`], [`chat_request`], [`chat_answer`];
//! - utility: [`Arguments::parse`]; the server answers, for challenge with [`challenge`].
//!
//! The contract of the answers is that of the origin, the EX-AI server and its parent: the same names of tools, fields
//! and statuses.

mod answer;
mod arguments;
mod bad_input;
mod catalogue;
mod challenge;
mod chat;
mod confidence;
mod consensus;
mod definitions;
mod docgen;
mod engine;
mod expert_request;
mod finish;
mod limits;
mod order;
mod outcome;
mod planner;
mod read;
mod spec;
mod state;
mod step;
mod summary;
#[cfg(test)]
mod tests;
mod too_large;
mod tracer;

pub use answer::CallContext;
pub use arguments::Arguments;
pub use bad_input::BadInput;
pub use catalogue::{canonical_name, find, specs};
pub use challenge::challenge;
pub use chat::{ContinuationOffer, chat_answer, chat_request};
pub use confidence::Confidence;
pub use consensus::{Consultation, combine};
pub use definitions::{Annotations, Definition, tool_definitions};
pub use engine::{Next, advance};
pub use expert_request::{ExpertRequest, Part};
pub use finish::finish;
pub use outcome::{ExpertFailure, ExpertOutcome};
pub use spec::{Field, FieldKind, Kind, Ring, Spec};
pub use state::State;
pub use step::Step;
pub use too_large::{code_too_large, resend_prompt};
