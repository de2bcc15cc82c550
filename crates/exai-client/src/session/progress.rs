//! How far requests have come that may be asked a second time. A second run begins at the bottom, and what a client
//! hears of one progress token must grow: what is not above the last value is not passed on.

use std::collections::HashMap;

use exai_proto::Id;

/// Nothing was heard yet.
pub(super) const NONE: f64 = f64::NEG_INFINITY;

/// See the module. By progress token.
#[derive(Debug, Default)]
pub(super) struct Progress(HashMap<Id, Heard>);

#[derive(Debug)]
struct Heard {
    most: f64,
    /// Another run of the request has come so far.
    again: bool,
}

impl Progress {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A request begins that may be asked again, or is asked again.
    pub(super) fn begin(&mut self, token: Id, heard: f64, again: bool) {
        self.0.insert(token, Heard { most: heard, again });
    }

    /// It is over. How far it has come.
    pub(super) fn end(&mut self, token: &Id) -> f64 {
        self.0.remove(token).map_or(NONE, |heard| heard.most)
    }

    /// Whether the client is to hear this. Of a first run it hears whatever the server says.
    pub(super) fn passes(&mut self, token: &[u8], value: impl FnOnce() -> Option<f64>) -> bool {
        let Some(heard) = self.0.get_mut(&Id::from_json(token)) else { return true };
        match value() {
            Some(value) if value > heard.most => {
                heard.most = value;
                true
            }
            Some(_) | None => !heard.again,
        }
    }
}
