//! Calls: how one begins, what becomes of it.

use jiff::Timestamp;
use serde_json::Value;

use super::call_key::CallKey;
use super::thread::NewTurn;

/// A call that an agent wants to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewCall<'a> {
    /// The thread that it is made in.
    pub thread: &'a str,
    /// What it asks.
    pub key: &'a CallKey,
    /// The tool that makes it.
    pub tool: &'a str,
    /// How many models are asked, each of which is paid. 0 for a call that costs nothing.
    pub asks: u32,
    /// How many paid calls the thread may make, those that are under way included.
    pub max_paid: u32,
    /// Whether the agent wants a call to be paid a second time that was paid and brought nothing.
    pub pay_again: bool,
    /// Whether the same request is meant anew after its answer was told: "go on" in a chat. The step of an investigation
    /// has a number, and is never meant anew.
    pub repeatable: bool,
}

/// How a call begins.
#[derive(Debug, Clone, PartialEq)]
pub enum CallStart {
    /// It is to be made. Whoever gets this ends the call with [`super::ThreadStore::finish_call`], `fail_call` or
    /// `cancel_call`.
    New {
        /// The name of the call.
        reference: String,
    },
    /// The same call is being made.
    Running {
        /// Its name.
        reference: String,
        /// Whether this process makes it.
        here: bool,
    },
    /// The same call was made, and this was its result. Nothing is paid.
    Done {
        /// Its name.
        reference: String,
        /// Its result.
        result: Value,
    },
    /// The same call was paid, has failed, and no agent has heard of that yet. The next one is made anew.
    Failed {
        /// Its name.
        reference: String,
        /// What it would have been answered with.
        result: Value,
    },
    /// The same call was paid, perhaps, and has brought no result: the process that made it is gone, or it was cancelled.
    /// It is made anew if the agent says `pay_again`.
    Interrupted {
        /// Its name.
        reference: String,
        /// What has come of the answer.
        partial: String,
    },
}

/// How a call ends that has a result.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// What the agent is answered with, and is answered again if it repeats the call.
    pub result: &'a Value,
    /// How many models were paid.
    pub paid: u32,
    /// What the call adds to its thread.
    pub turns: &'a [NewTurn],
}

/// A call, as another request finds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Its name.
    pub reference: String,
    /// The thread that it is made in.
    pub thread: String,
    /// The tool that makes it.
    pub tool: String,
    /// When it began.
    pub begun_at: Timestamp,
    /// What has become of it.
    pub state: CallState,
}

/// What has become of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum CallState {
    /// It is being made.
    Running {
        /// What has come of the answer.
        partial: String,
        /// Whether this process makes it.
        here: bool,
    },
    /// It has a result.
    Done {
        /// The result.
        result: Value,
    },
    /// It has failed.
    Failed {
        /// What it is answered with.
        result: Value,
    },
    /// Its client has cancelled it, or the server that made it was stopped.
    Cancelled {
        /// What had come of the answer.
        partial: String,
    },
    /// The process that made it is gone.
    Interrupted {
        /// What had come of the answer.
        partial: String,
    },
}
