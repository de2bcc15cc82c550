//! Calls of clients of the modern era that a server of the legacy era has interrupted with a question.
//!
//! Such a client cannot be asked while it waits. It is answered that input is required, and makes its request again with
//! the answer; the call at the server, which waits for the answer meanwhile, is parked. A request state leads from one to
//! the other: it cannot be guessed, is good once, and only for the same request of the same client.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use exai_proto::{Id, Message};

use crate::limits::{MAX_PARKED_BYTES, MAX_PARKED_CALLS, MAX_PARKED_CALLS_PER_CLIENT, MAX_PARKED_QUESTIONS};
use crate::router::on_success::OnSuccess;
use crate::types::client_context::ClientContext;
use crate::types::ids::{CallId, ClientId, InstanceId};

/// All parked calls, by request state.
#[derive(Debug, Default)]
pub(crate) struct ParkedCalls {
    by_state: HashMap<String, ParkedCall>,
    /// What servers have asked because of calls that are about to be parked, and until when more is waited for.
    gathering: BTreeMap<CallId, (Vec<Message>, Instant)>,
    minted: u64,
    keys: (RandomState, RandomState),
}

/// A call that waits for input.
#[derive(Debug)]
pub(crate) struct ParkedCall {
    pub(crate) claim: Claim,
    /// What the client has said of itself with its request.
    pub(crate) context: Arc<ClientContext>,
    /// The client whose call was parked.
    pub(crate) by: ClientId,
    pub(crate) until: Instant,
    pub(crate) at: ParkedAt,
}

/// Who may go on with a parked call, and with which request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// `None` for a client that may come over another connection.
    pub(crate) client: Option<ClientId>,
    /// A hash of what the request asks for, and of the name of its client.
    pub(crate) digest: u64,
}

/// Where a call is parked.
#[derive(Debug)]
pub(crate) enum ParkedAt {
    /// The server works on it.
    Leg {
        instance: InstanceId,
        number: u64,
        on_success: OnSuccess,
        /// The server's questions that wait for answers.
        questions: Vec<Message>,
        /// The answer of the server, if it has not waited.
        answer: Option<Message>,
    },
    /// Nowhere: the request is made anew.
    Nowhere {
        /// When the client was asked to have its user sign in, if it was asked for that.
        sign_in_wanted_at: Option<Instant>,
    },
}

impl ParkedCall {
    /// Whether this instance works on the call.
    fn is_at(&self, wanted: InstanceId) -> bool {
        matches!(self.at, ParkedAt::Leg { instance, .. } if instance == wanted)
    }
}

impl ParkedCalls {
    /// Keeps a question until others that come together with it are there. Returns whether it was kept.
    pub(crate) fn gather(&mut self, call: CallId, question: Message, until: Instant) -> bool {
        let has_bytes = self.has_room_for_bytes(question.bytes().len());
        let (questions, _) = self.gathering.entry(call).or_insert_with(|| (Vec::new(), until));
        let has_room = has_bytes && questions.len() < MAX_PARKED_QUESTIONS;
        if has_room {
            questions.push(question);
        }
        has_room
    }

    /// Takes the calls whose questions are there.
    pub(crate) fn take_gathered(&mut self, time: Instant) -> Vec<(CallId, Vec<Message>)> {
        let due = self.gathering.extract_if(.., |_, (_, until)| *until <= time);
        due.map(|(call, (questions, _))| (call, questions)).collect()
    }

    /// Whether one more call of the client may be parked.
    pub(crate) fn has_room(&self, client: Option<ClientId>) -> bool {
        let of_client = self.by_state.values().filter(|parked| parked.claim.client == client).count();
        self.by_state.len() < MAX_PARKED_CALLS
            && (client.is_none() || of_client < MAX_PARKED_CALLS_PER_CLIENT)
    }

    /// A request state that nobody can guess.
    pub(crate) fn mint_state(&mut self) -> String {
        self.minted += 1;
        let (one, two) = (self.keys.0.hash_one(self.minted), self.keys.1.hash_one(self.minted));
        format!("exai-{one:016x}{two:016x}")
    }

    pub(crate) fn add(&mut self, state: String, parked: ParkedCall) {
        self.by_state.insert(state, parked);
    }

    /// Takes the call that a request state leads to, if it may be claimed, and if it is at the right place.
    pub(crate) fn take_claimed(
        &mut self,
        state: &str,
        claim: Claim,
        is_here: impl FnOnce(&ParkedAt) -> bool,
    ) -> Option<ParkedCall> {
        let parked = self.by_state.get(state)?;
        if parked.claim == claim && is_here(&parked.at) { self.by_state.remove(state) } else { None }
    }

    /// Whether this many bytes more may be kept for parked calls.
    pub(crate) fn has_room_for_bytes(&self, bytes: usize) -> bool {
        let of_call = |parked: &ParkedCall| match &parked.at {
            ParkedAt::Leg { questions, answer, .. } => {
                questions.iter().chain(answer).map(|message| message.bytes().len()).sum()
            }
            ParkedAt::Nowhere { .. } => 0,
        };
        let gathered = self.gathering.values().flat_map(|(questions, _)| questions);
        let kept: usize = self.by_state.values().map(of_call).sum::<usize>()
            + gathered.map(|message| message.bytes().len()).sum::<usize>();
        kept + bytes <= MAX_PARKED_BYTES
    }

    /// Forgets a question of an instance. `is_there` says whether a call that is about to be parked is at that instance.
    pub(crate) fn withdraw_question(
        &mut self,
        instance: InstanceId,
        id: &Id,
        is_there: impl Fn(CallId) -> bool,
    ) {
        let is_other = |question: &Message| id_of(question).as_ref() != Some(id);
        for parked in self.by_state.values_mut() {
            if parked.is_at(instance)
                && let ParkedAt::Leg { questions, .. } = &mut parked.at
            {
                questions.retain(is_other);
            }
        }
        for (call, (questions, _)) in &mut self.gathering {
            if is_there(*call) {
                questions.retain(is_other);
            }
        }
    }

    pub(crate) fn get_mut(&mut self, state: &str) -> Option<&mut ParkedCall> {
        self.by_state.get_mut(state)
    }

    pub(crate) fn take(&mut self, state: &str) -> Option<ParkedCall> {
        self.by_state.remove(state)
    }

    /// Whether an instance works on a parked call of anybody but this client.
    pub(crate) fn has_others(&self, instance: InstanceId, client: ClientId) -> bool {
        self.by_state.values().any(|parked| parked.is_at(instance) && parked.by != client)
    }

    /// Whether an instance works on a parked call of this client.
    pub(crate) fn has_of_client(&self, instance: InstanceId, client: ClientId) -> bool {
        self.by_state.values().any(|parked| parked.is_at(instance) && parked.by == client)
    }

    /// The only parked call that an instance works on.
    pub(crate) fn find_sole_of_instance(&mut self, instance: InstanceId) -> Option<&mut ParkedCall> {
        let mut found = self.by_state.values_mut().filter(|parked| parked.is_at(instance));
        let sole = found.next()?;
        found.next().is_none().then_some(sole)
    }

    /// The request states of a client.
    pub(crate) fn states_of(&self, client: ClientId) -> Vec<String> {
        let own = self.by_state.iter().filter(|(_, parked)| parked.claim.client == Some(client));
        own.map(|(state, _)| state.clone()).collect()
    }

    /// The request states whose time is over.
    pub(crate) fn find_late(&self, time: Instant) -> Vec<String> {
        self.by_state
            .iter()
            .filter(|(_, parked)| parked.until <= time)
            .map(|(state, _)| state.clone())
            .collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let parked = self.by_state.values().map(|parked| parked.until);
        parked.chain(self.gathering.values().map(|(_, until)| *until)).min()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_state.len()
    }
}

/// The id under which a server has asked a question.
pub(crate) fn id_of(question: &Message) -> Option<Id> {
    match question.kind() {
        exai_proto::Kind::Request { id, .. } => Some(Id::from_json(question.at(id))),
        exai_proto::Kind::Notification { .. } | exai_proto::Kind::Response { .. } => None,
    }
}
