//! The questions of servers (sampling, elicitation, roots) that clients have not answered.

use std::collections::BTreeMap;

use exai_proto::Id;

use crate::limits::MAX_QUESTIONS_PER_CLIENT;
use crate::types::ids::{CallId, ClientId, InstanceId};

/// All open questions, by the client that is asked and by the number under which it is asked.
#[derive(Debug)]
pub(crate) struct Questions {
    /// The number of the next question. There is one counter for all clients and for the whole life of the router: a
    /// client that has linked anew may still answer a question of an earlier link, and that answer must not be taken
    /// for one to a later question.
    next_number: u64,
    open: BTreeMap<ClientId, BTreeMap<u64, Question>>,
}

/// A question that waits for a client's answer.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) origin: QuestionOrigin,
}

/// Why a client is asked, and so where the answer goes.
#[derive(Debug)]
pub(crate) enum QuestionOrigin {
    /// A server has sent a request.
    Server {
        instance: InstanceId,
        /// The server's id of the request.
        id: Id,
        /// The server's progress token of the request.
        token: Option<Id>,
    },
    /// A call needs further input.
    Input {
        call: CallId,
        /// The key under which the server wants the answer.
        key: String,
        method: String,
    },
}

impl Question {
    fn is_of(&self, instance: InstanceId) -> bool {
        match &self.origin {
            QuestionOrigin::Server { instance: asker, .. } => *asker == instance,
            // It outlives the instance: the server keeps nothing.
            QuestionOrigin::Input { .. } => false,
        }
    }
}

impl Questions {
    pub(crate) fn new(epoch: u32) -> Self {
        // Below 2^53, so that a client that keeps numbers as doubles returns the same one.
        Questions { next_number: (u64::from(epoch) << 20) | 1, open: BTreeMap::new() }
    }

    /// Whether one more question may be put to the client.
    pub(crate) fn has_room(&self, client: ClientId) -> bool {
        self.open.get(&client).is_none_or(|open| open.len() < MAX_QUESTIONS_PER_CLIENT)
    }

    /// Adds a question to a client. Returns its number, which no other question of this router has or will have.
    pub(crate) fn add_question(&mut self, client: ClientId, question: Question) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.open.entry(client).or_default().insert(number, question);
        number
    }

    pub(crate) fn find_question(&self, client: ClientId, number: u64) -> Option<&Question> {
        self.open.get(&client)?.get(&number)
    }

    pub(crate) fn take_question(&mut self, client: ClientId, number: u64) -> Option<Question> {
        let open = self.open.get_mut(&client)?;
        let question = open.remove(&number)?;
        if open.is_empty() {
            self.open.remove(&client);
        }
        Some(question)
    }

    /// Takes the question that a server has asked under this id. Returns the client and the number.
    pub(crate) fn take_by_server_id(&mut self, instance: InstanceId, id: &Id) -> Option<(ClientId, u64)> {
        let is_it = |question: &Question| {
            matches!(&question.origin, QuestionOrigin::Server { instance: asker, id: own, .. }
                if *asker == instance && own == id)
        };
        let found = self.open.iter().find_map(|(&client, open)| {
            let (&number, _) = open.iter().find(|(_, question)| is_it(question))?;
            Some((client, number))
        });
        let (client, number) = found?;
        self.take_question(client, number)?;
        Some((client, number))
    }

    /// Takes the questions of an instance to one client.
    pub(crate) fn take_between(&mut self, client: ClientId, instance: InstanceId) -> Vec<Question> {
        let Some(open) = self.open.get_mut(&client) else { return Vec::new() };
        let taken = open.extract_if(.., |_, question| question.is_of(instance));
        let taken = taken.map(|(_, question)| question).collect();
        if open.is_empty() {
            self.open.remove(&client);
        }
        taken
    }

    /// Takes the questions of an instance to all clients: their numbers and the clients, oldest first.
    pub(crate) fn take_of_instance(&mut self, instance: InstanceId) -> Vec<(u64, ClientId)> {
        let mut taken = Vec::new();
        self.open.retain(|&client, open| {
            let of_instance = open.extract_if(.., |_, question| question.is_of(instance));
            taken.extend(of_instance.map(|(number, _)| (number, client)));
            !open.is_empty()
        });
        taken.sort_unstable();
        taken
    }

    /// Takes the questions that were put because of a call. Returns their numbers, oldest first.
    pub(crate) fn take_of_call(&mut self, call: CallId) -> Vec<u64> {
        let Some(open) = self.open.get_mut(&call.client) else { return Vec::new() };
        let is_it = |question: &Question| matches!(&question.origin, QuestionOrigin::Input { call: of, .. } if *of == call);
        let taken = open.extract_if(.., |_, question| is_it(question)).map(|(number, _)| number).collect();
        if open.is_empty() {
            self.open.remove(&call.client);
        }
        taken
    }

    pub(crate) fn forget_client(&mut self, client: ClientId) {
        self.open.remove(&client);
    }

    pub(crate) fn len(&self) -> usize {
        self.open.values().map(BTreeMap::len).sum()
    }
}
