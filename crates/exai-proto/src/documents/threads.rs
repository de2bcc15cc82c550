//! The threads of the EXAI tools.

use serde::{Deserialize, Serialize};

/// `exai threads --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threads {
    /// [`super::SCHEMA`].
    pub schema: u32,
    /// All threads, the one used last first.
    pub threads: Vec<ListedThread>,
}

/// One line of `exai threads`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedThread {
    /// The `continuation_id` by which any client goes on with it.
    pub id: String,
    /// The tool that began it.
    pub tool: String,
    /// The first line of its first request.
    pub title: String,
    /// The client that began it; null where it said no name.
    pub client: Option<String>,
    /// When it began.
    pub created_at: String,
    /// When it was used last.
    pub used_at: String,
    /// How many calls of models were paid for in it.
    pub paid_calls: u32,
    /// How many turns it has.
    pub turns: u32,
}

/// `exai threads show ID --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownThread {
    /// [`super::SCHEMA`].
    pub schema: u32,
    /// What `exai threads` lists of it.
    pub thread: ListedThread,
    /// What was said, oldest first.
    pub turns: Vec<ShownTurn>,
}

/// One turn of a thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownTurn {
    /// Its place in the thread, from 1.
    pub number: u32,
    /// `user` or `assistant`.
    pub role: String,
    /// The tool in which it was said.
    pub tool: String,
    /// The model that has answered.
    pub model: Option<String>,
    /// The provider of the model.
    pub provider: Option<String>,
    /// When it was said.
    pub at: String,
    /// What was said.
    pub text: String,
    /// The arguments of the step, in workflow tools.
    pub step: Option<serde_json::Value>,
    /// The files that it refers to.
    pub files: Vec<String>,
}
