//! Tools that work in steps: workflows, consensus, notebooks.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::context::{Call, CallError};
use super::embed::{Asked, Embedding};
use super::expert::{self, said_by};
use super::once::{self, Once};
use super::threads;
use super::work::Worked;
use crate::jobs::Progress;
use crate::outcome::Outcome;
use crate::threads::{NewTurn, Thread};
use crate::workflow::{
    self, CallContext, Consultation, ExpertFailure, ExpertOutcome, Next, Spec, State, Step, advance,
};

pub(super) async fn run(call: &Call) -> Result<Outcome, CallError> {
    let spec = call.spec;
    let step = Step::parse(spec, &call.given)?;
    let continued = threads::continued(call, step.continuation_id.as_deref()).await?;
    let state = State::fold(spec, steps_of(spec, continued.as_ref()));
    // A step that is wrong begins no thread.
    advance(spec, &state, &step, &CallContext::default())?;
    let arguments = step.arguments().as_json();
    let once = Once::of(call, continued.as_ref(), Some(step.number), arguments, step.text()).await?;
    let context = CallContext { continuation_id: Some(once.thread.clone()), file_context: None };
    let next = advance(spec, &state, &step, &context)?;
    let before = continued.map(|thread| without_steps(thread, spec));
    let stepped = Stepped { spec, state, step, context };
    let named = stepped.step.arguments().texts("relevant_files").map(str::to_owned).collect::<BTreeSet<_>>();
    match next {
        Next::Answer(answer) => {
            let worked = Worked::unpaid(Outcome::success(answer), vec![stepped.turn()]);
            once::make(call, &once, |_| async { worked }).await
        }
        Next::AskExpert(request) => {
            let asked = Asked::of(call, before, request, named);
            once::make(call, &once.asking(1), |progress| ask_expert(stepped, asked, progress)).await
        }
        Next::AskModels(consultations) => {
            let asked = consultations.into_iter().map(|consultation| {
                let asked = Asked::of(call, before.clone(), consultation.request.clone(), named.clone());
                (consultation, asked)
            });
            let asked: Vec<_> = asked.collect();
            let once = once.asking(asked.len());
            once::make(call, &once, |progress| ask_models(stepped, asked, progress)).await
        }
    }
}

/// A step and where it stands.
struct Stepped {
    spec: &'static Spec,
    state: State,
    step: Step,
    context: CallContext,
}

impl Stepped {
    /// What the thread keeps of the step.
    fn turn(&self) -> NewTurn {
        let Stepped { spec, step, .. } = self;
        let mut text = step.text().to_owned();
        if !step.findings().is_empty() {
            text = format!("{text}\n\n{}", step.findings());
        }
        let arguments = Value::Object(step.arguments().as_json().clone());
        NewTurn { step: Some(arguments), ..NewTurn::of_user(&spec.name, text) }
    }
}

async fn ask_expert(stepped: Stepped, asked: Asked, progress: watch::Sender<Progress>) -> Worked {
    let turn = stepped.turn();
    let Stepped { spec, state, step, mut context } = stepped;
    let finish = |outcome, file_context| {
        context.file_context = file_context;
        workflow::finish(spec, &state, &step, &context, &outcome)
    };
    expert::ask(asked, turn, progress, finish).await
}

async fn ask_models(
    stepped: Stepped,
    asked: Vec<(Consultation, Asked)>,
    progress: watch::Sender<Progress>,
) -> Worked {
    let consulted = asked.into_iter().map(|(consultation, asked)| {
        let progress = progress.clone();
        async move {
            let (outcome, may_have_cost) = consult(&asked, progress).await;
            ((consultation, outcome), may_have_cost)
        }
    });
    let (outcomes, costs): (Vec<_>, Vec<bool>) = join_all(consulted).await.into_iter().unzip();
    let Stepped { spec, state, step, context } = &stepped;
    let mut turns = vec![stepped.turn()];
    turns.extend(outcomes.iter().filter_map(|(_, outcome)| match outcome {
        ExpertOutcome::Answered(model) => Some(said_by(&spec.name, model)),
        ExpertOutcome::Failed(_) => None,
    }));
    let body = workflow::combine(spec, state, step, context, &outcomes);
    let outcome = if turns.len() > 1 { Outcome::success(body) } else { Outcome::error(body) };
    Worked { outcome, turns, paid: costs.into_iter().map(u32::from).sum() }
}

/// Asks one of several models: what came of it, and whether somebody may have to pay for it.
async fn consult(asked: &Asked, progress: watch::Sender<Progress>) -> (ExpertOutcome, bool) {
    let Embedding { candidates, request, .. } = match asked.embed().await {
        Ok(embedding) => embedding,
        Err(refused) => return (ExpertOutcome::Failed(failure_in(&refused)), false),
    };
    match asked.ask(&candidates, &request, progress).await {
        Ok(model) => (ExpertOutcome::Answered(model), true),
        Err(error) => (ExpertOutcome::Failed(error.failure()), error.may_have_cost()),
    }
}

/// The failure that an answer tells, for the place of one model beside others.
fn failure_in(refused: &Outcome) -> ExpertFailure {
    let body = Value::Object(refused.body.clone());
    let text = |places: [&str; 2]| {
        places.into_iter().find_map(|place| body.pointer(place)?.as_str().map(str::to_owned))
    };
    ExpertFailure {
        code: text(["/error/code", "/status"]).unwrap_or_default(),
        message: text(["/error/message", "/content"]).unwrap_or_default(),
        hint: text(["/error/hint", "/next_steps"]),
    }
}

/// The steps of a tool in a thread, oldest first.
fn steps_of<'a>(spec: &'a Spec, thread: Option<&'a Thread>) -> impl Iterator<Item = &'a Map<String, Value>> {
    let turns = thread.into_iter().flat_map(|thread| &thread.turns);
    turns.filter(|turn| turn.tool == spec.name).filter_map(|turn| turn.step.as_ref()?.as_object())
}

/// The thread without the steps of a tool: the summary of its work has them already.
fn without_steps(mut thread: Thread, spec: &Spec) -> Thread {
    thread.turns.retain(|turn| turn.tool != spec.name || turn.step.is_none());
    thread
}
