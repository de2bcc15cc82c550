//! What is required, and what the suite has found.

use std::fmt;

/// A revision of the protocol, of which the suite says what it requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirements {
    /// 2025-11-25, the last revision of the legacy era: 30 scenarios for servers.
    Legacy,
    /// 2026-07-28, the first of the modern era: 37 scenarios for servers.
    Modern,
}

impl Requirements {
    pub(super) fn revision(self) -> &'static str {
        match self {
            Requirements::Legacy => "2025-11-25",
            Requirements::Modern => "2026-07-28",
        }
    }

    /// How many scenarios are required of a server. A run that knows fewer has not judged everything.
    pub fn count(self) -> usize {
        match self {
            Requirements::Legacy => 30,
            Requirements::Modern => 37,
        }
    }
}

/// What the suite has found.
#[derive(Debug)]
pub struct Verdict {
    revision: &'static str,
    /// How many scenarios must be judged.
    required: usize,
    /// How many of the required scenarios have passed.
    pub passed: usize,
    /// The required scenarios that have failed, and what was wrong.
    pub failed: Vec<String>,
    /// The suite's own judgement, and what it said.
    pub(super) ended_well: bool,
    pub(super) output: String,
}

impl Verdict {
    /// Before anything is judged.
    pub(super) fn new(requirements: Requirements, required: usize) -> Self {
        Verdict {
            revision: requirements.revision(),
            required,
            passed: 0,
            failed: Vec::new(),
            ended_well: false,
            output: String::new(),
        }
    }

    /// Whether every required scenario has passed.
    pub fn is_good(&self) -> bool {
        self.ended_well && self.failed.is_empty() && self.passed == self.required
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { revision, required, passed, .. } = self;
        writeln!(to, "{passed} of {required} required scenarios of {revision} passed")?;
        self.failed.iter().try_for_each(|failed| writeln!(to, "  {failed}"))?;
        if passed + self.failed.len() != *required {
            writeln!(to, "the suite has not judged everything:\n{}", self.output)?;
        }
        Ok(())
    }
}
