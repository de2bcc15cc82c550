//! The agents whose command lines are known: how each is started without a terminal, and what it prints.

use serde_json::Value;

/// An agent with a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agent {
    /// Claude Code.
    Claude,
    /// Codex CLI.
    Codex,
    /// Gemini CLI.
    Gemini,
}

/// What an agent has answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    pub(crate) text: String,
    /// What it tells about its cost, as it tells it.
    pub(crate) usage: Option<Value>,
}

impl Agent {
    pub(crate) fn named(name: &str) -> Option<Agent> {
        match name {
            "claude" => Some(Agent::Claude),
            "codex" => Some(Agent::Codex),
            "gemini" => Some(Agent::Gemini),
            _ => None,
        }
    }

    /// The name of the program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Agent::Claude => "claude",
            Agent::Codex => "codex",
            Agent::Gemini => "gemini",
        }
    }

    /// The arguments with which it reads a prompt from stdin, prints JSON and ends. Its own settings may let it change
    /// files and call MCP servers unasked, exai among them, which would begin the next agent: so it is kept from both as
    /// far as its arguments can do that.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Agent::Claude => {
                &["-p", "--output-format", "json", "--strict-mcp-config", "--tools", "Read,Grep,Glob"]
            }
            // No argument switches its MCP servers off.
            Agent::Codex => &["exec", "--skip-git-repo-check", "--sandbox", "read-only", "--json", "-"],
            // There is no server `none`.
            Agent::Gemini => &[
                "--output-format",
                "json",
                "--approval-mode",
                "default",
                "--allowed-mcp-server-names",
                "none",
            ],
        }
    }

    /// Reads what it has printed. `None` if there is no answer in it.
    pub(super) fn read_report(self, output: &str) -> Option<Report> {
        match self {
            Agent::Claude => {
                let report = first_object(output)?;
                let text = report.get("result")?.as_str()?.to_owned();
                let failed = report.get("is_error").and_then(Value::as_bool).unwrap_or_default();
                (!failed).then(|| Report { text, usage: report.get("usage").cloned() })
            }
            Agent::Gemini => {
                let report = first_object(output)?;
                let text = report.get("response")?.as_str()?.to_owned();
                Some(Report { text, usage: report.get("stats").cloned() })
            }
            // One event on each line; the last message of the agent is its answer.
            Agent::Codex => {
                let events = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let mut report = None;
                let mut usage = None;
                for event in events {
                    let item = &event["item"];
                    if event["type"] == "item.completed" && item["type"] == "agent_message" {
                        report = item["text"].as_str().map(str::to_owned).or(report);
                    }
                    if event["type"] == "turn.completed" {
                        usage = event.get("usage").cloned();
                    }
                }
                report.map(|text| Report { text, usage })
            }
        }
    }
}

/// The first JSON object in a text: some versions print warnings before it.
fn first_object(output: &str) -> Option<Value> {
    let starts = output.match_indices('{').map(|(at, _)| at);
    let read =
        |at: usize| serde_json::Deserializer::from_str(&output[at..]).into_iter::<Value>().next()?.ok();
    // A brace in a warning begins no object; a few are tried.
    starts.take(16).find_map(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(agent: Agent, output: &str) -> Option<String> {
        agent.read_report(output).map(|report| report.text)
    }

    #[test]
    fn the_answer_of_each_agent_is_found() {
        let claude = r#"{"type":"result","subtype":"success","is_error":false,"result":"fine","usage":{"input_tokens":3}}"#;
        assert_eq!(text(Agent::Claude, claude).as_deref(), Some("fine"));
        let gemini =
            "Loaded cached credentials {not json}.\n{\n  \"response\": \"fine\",\n  \"stats\": {}\n}\n";
        assert_eq!(text(Agent::Gemini, gemini).as_deref(), Some("fine"));
        let codex = concat!(
            r#"{"type":"thread.started","thread_id":"x"}"#,
            "\n",
            r#"{"type":"item.completed","item":{"id":"1","type":"reasoning","text":"hm"}}"#,
            "\n",
            r#"{"type":"item.completed","item":{"id":"2","type":"agent_message","text":"fine"}}"#,
            "\n",
            r#"{"type":"turn.completed","usage":{"input_tokens":7}}"#,
        );
        let report = Agent::Codex.read_report(codex).expect("an answer");
        assert_eq!(
            (report.text.as_str(), report.usage.expect("usage")["input_tokens"].as_u64()),
            ("fine", Some(7))
        );
    }

    #[test]
    fn an_error_is_no_answer() {
        let failed = r#"{"type":"result","is_error":true,"result":"Invalid API key"}"#;
        for (agent, output) in [(Agent::Claude, failed), (Agent::Gemini, "oops"), (Agent::Codex, "{}")] {
            assert_eq!(text(agent, output), None, "{agent:?}");
        }
    }
}
