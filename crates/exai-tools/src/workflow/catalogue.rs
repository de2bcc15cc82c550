//! All tools, read once from the files that are part of the program.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::spec::{Entry, Field, Spec};

/// The file and the system prompt of each tool, in the order of the definitions.
const FILES: [(&str, &str); 19] = [
    (include_str!("specs/chat.json"), include_str!("prompts/chat.md")),
    (include_str!("specs/thinkdeep.json"), include_str!("prompts/thinkdeep.md")),
    (include_str!("specs/debug.json"), include_str!("prompts/debug.md")),
    (include_str!("specs/codereview.json"), include_str!("prompts/codereview.md")),
    (include_str!("specs/analyze.json"), include_str!("prompts/analyze.md")),
    (include_str!("specs/planner.json"), ""),
    (include_str!("specs/consensus.json"), include_str!("prompts/consensus.md")),
    (include_str!("specs/precommit.json"), include_str!("prompts/precommit.md")),
    (include_str!("specs/listmodels.json"), ""),
    (include_str!("specs/status.json"), ""),
    (include_str!("specs/more.json"), ""),
    (include_str!("specs/refactor.json"), include_str!("prompts/refactor.md")),
    (include_str!("specs/testgen.json"), include_str!("prompts/testgen.md")),
    (include_str!("specs/secaudit.json"), include_str!("prompts/secaudit.md")),
    (include_str!("specs/tracer.json"), ""),
    (include_str!("specs/docgen.json"), ""),
    (include_str!("specs/challenge.json"), ""),
    (include_str!("specs/threads.json"), ""),
    (include_str!("specs/clink.json"), ""),
];

/// What every model is told after the prompt of its tool.
const FOR_EACH_MODEL: &str = include_str!("prompts/expert.md");

/// The fields that several tools have.
const SHARED: &str = include_str!("specs/shared.json");

/// What the old EXAI shim put behind the names of tools.
const SUFFIXES: [&str; 4] = ["_EXAI-WS", "-EXAI-WS", "_EXAI_WS", "-EXAI_WS"];

static SPECS: LazyLock<Vec<Spec>> = LazyLock::new(|| {
    let shared: Shared = serde_json::from_str(SHARED).expect("BUG: specs/shared.json is not valid");
    FILES.iter().map(|(file, prompt)| read(&shared, file, prompt)).collect()
});

/// All tools.
pub fn specs() -> &'static [Spec] {
    &SPECS
}

/// The tool that a client means by `name`; see [`canonical_name`].
pub fn find(name: &str) -> Option<&'static Spec> {
    let name = canonical_name(name);
    specs().iter().find(|spec| spec.name == name)
}

/// The name of the tool that a client means by `name`: without the suffix of the old EXAI shim, and `status` for the
/// tools of the origin that it replaces. A name that means no tool comes back as it is, without the suffix.
pub fn canonical_name(name: &str) -> &str {
    let plain = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    specs()
        .iter()
        .find(|spec| spec.aliases.iter().any(|alias| alias == plain))
        .map_or(plain, |spec| spec.name.as_str())
}

/// `specs/shared.json`.
#[derive(Deserialize)]
struct Shared {
    sets: BTreeMap<String, Vec<String>>,
    fields: Vec<Field>,
}

impl Shared {
    /// Adds what one entry of a list of fields means.
    fn add(&self, entry: &str, fields: &mut Vec<Field>) {
        if let Some(set) = entry.strip_prefix('@') {
            let entries =
                self.sets.get(set).unwrap_or_else(|| panic!("BUG: there is no set of fields {set}"));
            for entry in entries {
                self.add(entry, fields);
            }
            return;
        }
        let name = entry.trim_end_matches('*');
        let found = self.fields.iter().find(|field| field.name == name);
        let mut field = found.unwrap_or_else(|| panic!("BUG: there is no shared field {name}")).clone();
        field.required = entry.ends_with('*');
        fields.push(field);
    }
}

fn read(shared: &Shared, file: &str, prompt: &str) -> Spec {
    let mut spec: Spec =
        serde_json::from_str(file).unwrap_or_else(|error| panic!("BUG: a file in specs/: {error}: {file}"));
    let mut fields = Vec::new();
    for entry in &spec.entries {
        let first = fields.len();
        match entry {
            Entry::Shared(name) => shared.add(name, &mut fields),
            Entry::Own(field) => fields.push(field.clone()),
        }
        let is_set = matches!(entry, Entry::Shared(name) if name.starts_with('@'));
        fields[first..].iter_mut().for_each(|field| field.is_setting = !is_set && !field.hidden);
    }
    spec.fields = fields;
    if !prompt.is_empty() {
        // A checkout on Windows may have other line ends.
        spec.system = format!("{prompt}\n{FOR_EACH_MODEL}").replace("\r\n", "\n");
    }
    spec
}
