//! What a server offers in one era of MCP. A server that speaks both may offer different things in each.

use std::collections::BTreeSet;

use bytes::Bytes;
use exai_proto::{json, limits};

use crate::server::announced_changes::AnnouncedChanges;
use crate::server::catalogue::Catalogue;
use crate::server::repeatable_tools::may_be;
use crate::types::introduction::Introduction;
use crate::types::list_kind::string_member;

/// What a server offers in one era.
#[derive(Debug, Default)]
pub(crate) struct Offering {
    /// What the server last said of itself.
    pub(crate) introduction: Option<Introduction>,
    pub(crate) catalogue: Catalogue,
    pub(crate) announced_changes: AnnouncedChanges,
    /// The tools that may be called twice, as the server declares.
    pub(crate) repeatable: BTreeSet<String>,
}

impl Offering {
    /// Keeps what the server has said of itself.
    pub(crate) fn set_introduction(&mut self, ready: Introduction) {
        let place = json::find(&ready.result, 0..ready.result.len(), "instructions");
        let text = place.and_then(|place| json::string(&ready.result, place));
        self.catalogue.instructions = text.map(|text| limits::cut(&text, limits::INSTRUCTIONS_CHARS));
        self.introduction = Some(ready);
    }

    /// Learns from the whole list of tools which of them may be called twice. Returns whether these are other tools
    /// than before.
    pub(crate) fn learn_repeatable(&mut self, tools: &[Bytes]) -> bool {
        let name = |tool: &Bytes| string_member(tool, "name");
        let found = tools.iter().filter(|tool| may_be(tool, 0..tool.len())).filter_map(name).collect();
        let before = std::mem::replace(&mut self.repeatable, found);
        before != self.repeatable
    }
}
