//! Carries out the ops of clients of the origin's wire, as `control` does the control messages of the link.

use bytes::Bytes;
use exai_proto::ParseError;
use exai_proto::limits::LONG_BYTES;

use crate::client::inbound::Inbound;
use crate::client::message_checks::MessageChecks;
use crate::core::event::{HubGone, Question};
use crate::front::control::Controls;
use crate::front::origin_wire::op::{self, BadOp, Op, RotateToken};
use crate::front::origin_wire::{DaemonHealth, Moment, OriginWire, Step, reply};
use crate::observe::facts::ClientFacts;

/// Carries out the op in a frame. What follows from it is added to `inbound`. The only inner error is that the frame is not
/// UTF-8; a refusal is added all the same.
pub(crate) async fn carry_out(
    controls: &Controls,
    wire: &OriginWire,
    checks: &MessageChecks,
    inbound: &mut Inbound,
    frame: Bytes,
) -> Result<Result<(), ParseError>, HubGone> {
    inbound.bytes += frame.len();
    let number = wire.next_number();
    let read = if frame.len() < LONG_BYTES {
        op::read(&frame, number)
    } else {
        match checks.run_check(move || op::read(&frame, number)).await {
            Some(read) => read,
            // The daemon ends.
            None => return Ok(Ok(())),
        }
    };
    let is_text = read.as_ref().err() != Some(&BadOp::NotUtf8);
    let step = match read {
        Ok(Op::ListTools) => wire.list_tools(number),
        Ok(Op::CallTool(call)) => wire.call_tool(number, call, Moment::now()),
        Ok(Op::Health) => wire.check_health(number, ask_health(controls).await?),
        Ok(Op::RotateToken(order)) => Step::say(&reply::token_stays(refuse_rotation(controls, &order))),
        Ok(Op::Unknown(op)) => OriginWire::refuse(&format!("Unknown op: {op}")),
        Err(BadOp::NotJson | BadOp::NotUtf8) => OriginWire::refuse("invalid_json"),
        Err(BadOp::Invalid(why)) => OriginWire::refuse(&format!("invalid_message: {why}")),
    };
    inbound.messages.extend(step.messages);
    inbound.refusals.extend(step.frames);
    Ok(if is_text { Ok(()) } else { Err(ParseError::Utf8) })
}

async fn ask_health(controls: &Controls) -> Result<DaemonHealth, HubGone> {
    let facts = controls.hub.ask(Question::Facts).await?;
    let uptime = jiff::Timestamp::now().duration_since(facts.daemon.started_at);
    let is_client = |client: &&ClientFacts| client.shown;
    Ok(DaemonHealth {
        uptime_s: u64::try_from(uptime.as_secs()).unwrap_or_default(),
        sessions: facts.clients.values().filter(is_client).count(),
    })
}

/// Why the token stays as it is. No client on the network chooses the token of the daemon.
fn refuse_rotation(controls: &Controls, order: &RotateToken) -> &'static str {
    match order {
        RotateToken::Missing => "missing_params",
        RotateToken::Old(old) if controls.admission.own.matches(old) => {
            "unsupported: run `exai token rotate`"
        }
        RotateToken::Old(_) => "unauthorized",
    }
}
