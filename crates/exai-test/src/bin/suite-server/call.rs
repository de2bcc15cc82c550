//! One request as tools, prompts and resources see it, whatever its era.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::message::{self, CAPABILITIES_KEY, LOG_LEVEL_KEY};
use crate::options::Era;
use crate::output;
use crate::server::{Server, lock};

/// Levels of log messages, the least important first.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The result of a call, or why there is none.
pub(crate) type Outcome = Result<Value, Refusal>;

pub(crate) enum Refusal {
    Error {
        code: i64,
        message: String,
        data: Option<Value>,
    },
    /// The tool has failed.
    Failed(String),
    /// The result that asks the client for something, in the modern era alone.
    InputRequired(Value),
}

impl Refusal {
    pub(crate) fn invalid(message: &str) -> Self {
        Refusal::Error { code: -32602, message: message.to_owned(), data: None }
    }
}

/// Something that a call asks its client for.
pub(crate) struct Question {
    pub(crate) key: &'static str,
    pub(crate) method: &'static str,
    pub(crate) params: Value,
}

impl Question {
    /// The capability that a client needs to be asked this.
    fn capability(&self) -> &'static str {
        match self.method {
            "sampling/createMessage" => "sampling",
            "roots/list" => "roots",
            _ => "elicitation",
        }
    }

    /// Whether a value has the form of an answer.
    fn fits(&self, answer: &Value) -> bool {
        match self.method {
            "sampling/createMessage" => answer["role"].is_string() && !answer["content"].is_null(),
            "roots/list" => answer["roots"].is_array(),
            _ => answer["action"].is_string(),
        }
    }
}

/// A request under way.
pub(crate) struct Call {
    pub(crate) server: Arc<Server>,
    /// Never `Dual`.
    pub(crate) era: Era,
    pub(crate) id: Value,
    pub(crate) method: String,
    pub(crate) params: Value,
    /// What the client has answered in this era's way, in this round and, by the request state, in the rounds before.
    answers: RefCell<Map<String, Value>>,
}

impl Call {
    /// Fails when the request brings a state that is not its own.
    pub(crate) fn new(
        server: Arc<Server>,
        (era, id): (Era, Value),
        method: String,
        params: Value,
    ) -> Result<Self, Refusal> {
        let answers = match params.get("requestState") {
            Some(state) if era == Era::Modern => state
                .as_str()
                .and_then(|state| server.seal.open(state, &method, &params))
                .ok_or_else(|| Refusal::invalid("the request state is not one of this call"))?,
            _ => Map::new(),
        };
        Ok(Call { server, era, id, method, params, answers: RefCell::new(answers) })
    }

    /// A string among the arguments of a tool or prompt; empty if there is none.
    pub(crate) fn argument(&self, name: &str) -> &str {
        self.params["arguments"][name].as_str().unwrap_or_default()
    }

    pub(crate) fn has_capability(&self, name: &str) -> bool {
        match self.era {
            Era::Modern => self.params["_meta"][CAPABILITIES_KEY].get(name).is_some(),
            _ => lock(&self.server.legacy).as_ref().is_some_and(|it| it.capabilities.get(name).is_some()),
        }
    }

    pub(crate) fn require(&self, capability: &str) -> Result<(), Refusal> {
        match self.era {
            _ if self.has_capability(capability) => Ok(()),
            Era::Modern => Err(Refusal::Error {
                code: -32021,
                message: format!("this needs the client capability {capability}"),
                data: Some(json!({"requiredCapabilities": {capability: {}}})),
            }),
            _ => Err(Refusal::Failed(format!("the client has no capability {capability}"))),
        }
    }

    /// Asks the client one question.
    pub(crate) fn ask(&self, question: Question) -> Outcome {
        self.ask_all(&[question], false).map(|mut answers| answers.remove(0))
    }

    /// Asks the client one question whatever it has declared, as servers of the legacy era do that do not look.
    pub(crate) fn ask_regardless(&self, question: Question) -> Outcome {
        match self.era {
            Era::Modern => self.ask(question),
            _ => self.await_answers(&[question]).map(|mut answers| answers.remove(0)),
        }
    }

    /// Asks the client one question, and seals a request state even if there is nothing to remember.
    pub(crate) fn ask_with_state(&self, question: Question) -> Outcome {
        self.ask_all(&[question], true).map(|mut answers| answers.remove(0))
    }

    /// Asks the client several questions at once. The answers are in the order of the questions.
    ///
    /// With `stateful`, a modern client must bring back the request state together with its answers.
    pub(crate) fn ask_all(&self, questions: &[Question], stateful: bool) -> Result<Vec<Value>, Refusal> {
        match self.era {
            Era::Modern => self.ask_modern(questions, stateful),
            _ => self.ask_legacy(questions),
        }
    }

    fn ask_modern(&self, questions: &[Question], stateful: bool) -> Result<Vec<Value>, Refusal> {
        let mut answers = self.answers.borrow_mut();
        if !stateful || self.params.get("requestState").is_some() {
            for question in questions {
                let given = &self.params["inputResponses"][question.key];
                if question.fits(given) {
                    answers.insert(question.key.to_owned(), given.clone());
                }
            }
        }
        let missing: Vec<&Question> =
            questions.iter().filter(|question| !answers.contains_key(question.key)).collect();
        if missing.is_empty() {
            return Ok(questions.iter().map(|question| answers[question.key].clone()).collect());
        }
        let mut requests = json!({});
        for question in missing {
            self.require(question.capability())?;
            requests[question.key] = json!({"method": question.method, "params": question.params});
        }
        let mut result = json!({"resultType": "input_required", "inputRequests": requests});
        if stateful || !answers.is_empty() {
            result["requestState"] = json!(self.server.seal.close(&self.method, &self.params, &answers));
        }
        Err(Refusal::InputRequired(result))
    }

    fn ask_legacy(&self, questions: &[Question]) -> Result<Vec<Value>, Refusal> {
        questions.iter().try_for_each(|question| self.require(question.capability()))?;
        self.await_answers(questions)
    }

    fn await_answers(&self, questions: &[Question]) -> Result<Vec<Value>, Refusal> {
        let asked: Vec<_> =
            questions.iter().map(|one| self.server.ask(one.key, one.method, &one.params)).collect();
        let answer = |(question, answer): (&Question, std::sync::mpsc::Receiver<Value>)| {
            let response = answer.recv().map_err(|_| Refusal::Failed("nobody answers".to_owned()))?;
            let result = &response["result"];
            if question.fits(result) {
                return Ok(result.clone());
            }
            Err(Refusal::Failed(format!("{} was answered with {response}", question.method)))
        };
        questions.iter().zip(asked).map(answer).collect()
    }

    /// Tells how far the call is, if the client wants to know.
    pub(crate) fn progress(&self, progress: u64, total: u64) {
        let token = &self.params["_meta"]["progressToken"];
        if !token.is_null() {
            let params = json!({"progressToken": token, "progress": progress, "total": total});
            output::send(&message::notification("notifications/progress", params));
        }
    }

    /// Sends a log message, if the client wants those of this level.
    pub(crate) fn log(&self, level: &str, text: &str) {
        let rank = |level: &str| LEVELS.iter().position(|one| *one == level);
        let wanted = match self.era {
            Era::Modern => self.params["_meta"][LOG_LEVEL_KEY].as_str().and_then(rank),
            _ => lock(&self.server.legacy).as_ref().and_then(|client| rank(&client.log_level)),
        };
        if wanted.is_some_and(|wanted| rank(level) >= Some(wanted)) {
            let params = json!({"level": level, "logger": "suite-server", "data": text});
            output::send(&message::notification("notifications/message", params));
        }
    }
}

/// Takes a little time, as the suite wants some tools to.
pub(crate) fn work() {
    thread::sleep(Duration::from_millis(50));
}
