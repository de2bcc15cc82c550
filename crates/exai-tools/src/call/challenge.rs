//! `challenge`: no model is asked.

use super::context::{Call, CallError};
use crate::outcome::Outcome;
use crate::workflow::{self, Arguments};

pub(super) fn run(call: &Call) -> Result<Outcome, CallError> {
    let arguments = Arguments::parse(call.spec, &call.given)?;
    Ok(Outcome::success(workflow::challenge(call.spec, &arguments)))
}
