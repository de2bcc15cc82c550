//! Compares the calls that the servers have executed with what the clients were told. Each server appends every call to
//! a ledger before it answers. A call is known by its text, which no other call of the run has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::SERVERS;
use crate::support::Instance;

/// The last thing that a client was told about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    /// Nothing, because the shim was killed.
    Nothing,
    Ok,
    /// An error that says that the call has not reached the server.
    NotSent,
    /// An error that says that the call may have been executed.
    PerhapsDone,
}

pub(super) struct Call {
    pub(super) server: usize,
    pub(super) tool: &'static str,
    pub(super) text: String,
    pub(super) told: Told,
}

/// The ledgers of a run, one for each server.
pub(super) struct Ledgers {
    files: [PathBuf; SERVERS.len()],
}

impl Ledgers {
    pub(super) fn new(dir: &Path) -> Self {
        Ledgers { files: SERVERS.map(|server| dir.join(format!("{server}.ledger"))) }
    }

    pub(super) fn file(&self, server: usize) -> &Path {
        &self.files[server]
    }

    /// Reads the ledgers. No server may be alive any more.
    pub(super) fn read(&self) -> Executed {
        let mut executed = Executed::default();
        for (server, file) in self.files.iter().enumerate() {
            executed.read(server, &std::fs::read(file).expect("a ledger"));
        }
        executed
    }
}

/// The tools whose annotations allow executing a call twice.
pub(super) fn repeatable(instance: &Instance) -> BTreeSet<String> {
    let tools = instance.client(SERVERS[0]).ask("tools/list", &json!({}))["result"]["tools"].clone();
    let allows = |tool: &&Value| {
        ["readOnlyHint", "idempotentHint"].iter().any(|hint| tool["annotations"][*hint] == json!(true))
    };
    let names = tools.as_array().expect("tools").iter().filter(allows);
    names.filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect()
}

/// The servers that executed each call, once for each execution.
#[derive(Default)]
pub(super) struct Executed {
    calls: HashMap<String, Vec<usize>>,
    /// The number of lines whose server was killed while it wrote them.
    cut_short: u32,
}

impl Executed {
    fn read(&mut self, server: usize, ledger: &[u8]) {
        for line in String::from_utf8_lossy(ledger).lines() {
            let whole = text_of(line);
            self.cut_short += u32::from(whole.is_none());
            // The rest of a cut line stands at the beginning of the next line.
            let text = whole.or_else(|| line.match_indices('{').find_map(|(at, _)| text_of(&line[at..])));
            if let Some(text) = text {
                self.calls.entry(text).or_default().push(server);
            }
        }
    }

    /// Returns the figures of the run, and the complaints about calls that should not have happened in this way.
    pub(super) fn compare(&self, calls: &[Call], repeatable: &BTreeSet<String>) -> (String, Vec<String>) {
        let mut complaints = Vec::new();
        // For each kind of answer: how many calls were executed, and how many were not.
        let mut told: BTreeMap<Told, (u32, u32)> = BTreeMap::new();
        let (mut once, mut again) = (0, 0);
        for call in calls {
            let places = self.calls.get(&call.text).map_or(&[][..], Vec::as_slice);
            let mut complain = |what: &str| {
                let (server, places) = (SERVERS[call.server], places.iter().map(|at| SERVERS[*at]));
                let places: Vec<&str> = places.collect();
                complaints.push(format!(
                    "{what}: {} {} of {server}, told {:?}, executed by {places:?}",
                    call.tool, call.text, call.told
                ));
            };
            if places.iter().any(|at| *at != call.server) {
                complain("executed by another server");
            }
            if places.len() > 1 && !repeatable.contains(call.tool) {
                complain("executed more than once");
            }
            match call.told {
                Told::Ok if places.is_empty() => complain("answered and not executed"),
                Told::NotSent if !places.is_empty() => complain("told as not sent, and executed"),
                Told::Ok | Told::NotSent | Told::PerhapsDone | Told::Nothing => {}
            }
            once += u32::from(places.len() == 1);
            again += u32::from(places.len() > 1);
            let (done, not_done) = told.entry(call.told).or_default();
            *(if places.is_empty() { not_done } else { done }) += 1;
        }
        let known: BTreeSet<&str> = calls.iter().map(|call| &*call.text).collect();
        let unknown = self.calls.keys().filter(|text| !known.contains(&***text));
        complaints.extend(unknown.map(|text| format!("executed, and asked for by nobody: {text}")));
        let count = |what: Told| told.get(&what).copied().unwrap_or_default();
        let (ok, not_sent) = (count(Told::Ok), count(Told::NotSent));
        let (perhaps, nothing) = (count(Told::PerhapsDone), count(Told::Nothing));
        let figures = format!(
            "ledgers: {} calls executed, {once} once, {again} more often (such as may be); {} lines cut short\n\
             told ok {}, all executed but {}; not sent {}, {} executed; perhaps done {}, {} executed; \
             no answer (shim killed) {}, {} executed",
            self.calls.len(),
            self.cut_short,
            ok.0 + ok.1,
            ok.1,
            not_sent.0 + not_sent.1,
            not_sent.0,
            perhaps.0 + perhaps.1,
            perhaps.0,
            nothing.0 + nothing.1,
            nothing.0
        );
        (figures, complaints)
    }
}

fn text_of(line: &str) -> Option<String> {
    let params: Value = serde_json::from_str(line).ok()?;
    params["arguments"]["message"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executed(ledgers: [&str; SERVERS.len()]) -> Executed {
        let mut executed = Executed::default();
        for (server, ledger) in ledgers.iter().enumerate() {
            executed.read(server, ledger.as_bytes());
        }
        executed
    }

    fn line(tool: &str, text: &str) -> String {
        format!("{}\n", json!({"name": tool, "arguments": {"message": text}}))
    }

    fn complaints(ledger: &str, tool: &'static str, told: Told) -> Vec<String> {
        let calls = [Call { server: 0, tool, text: "a".to_owned(), told }];
        executed([ledger, "", ""]).compare(&calls, &BTreeSet::from(["echo".to_owned()])).1
    }

    #[test]
    fn each_disagreement_is_a_complaint() {
        let (append, echo) = (line("append", "a"), line("echo", "a"));
        let twice = |line: &str| line.repeat(2);
        for told in [Told::Nothing, Told::Ok, Told::PerhapsDone] {
            assert!(complaints(&append, "append", told).is_empty());
            assert!(complaints(&twice(&echo), "echo", told).is_empty());
            assert!(complaints(&twice(&append), "append", told)[0].starts_with("executed more than once"));
        }
        assert!(complaints("", "append", Told::Ok)[0].starts_with("answered and not executed"));
        assert!(complaints(&echo, "echo", Told::NotSent)[0].starts_with("told as not sent, and executed"));
        for told in [Told::Nothing, Told::NotSent, Told::PerhapsDone] {
            assert!(complaints("", "append", told).is_empty());
        }
        let (_, nobody) = executed([&echo, "", ""]).compare(&[], &BTreeSet::new());
        assert_eq!(nobody, ["executed, and asked for by nobody: a"]);
        let call = Call { server: 1, tool: "echo", text: "a".to_owned(), told: Told::Ok };
        let (_, elsewhere) = executed([&echo, "", ""]).compare(&[call], &BTreeSet::new());
        assert!(elsewhere[0].starts_with("executed by another server: echo a of launched"), "{elsewhere:?}");
    }

    #[test]
    fn a_line_that_was_cut_short_hides_no_other() {
        let whole = line("append", "a");
        let torn = format!("{}{whole}{}", &line("append", "b")[..25], &whole[..10]);
        let executed = executed([&torn, "", ""]);
        assert_eq!((executed.cut_short, executed.calls.get("a")), (2, Some(&vec![0])));
        assert_eq!(executed.calls.len(), 1);
    }
}
