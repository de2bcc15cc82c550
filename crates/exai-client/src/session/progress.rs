//! The progress of requests that may be sent a second time. The progress of a second run begins anew, but the values
//! that a client hears for one token must grow. So a value that is not above the last one is not passed on.

use std::collections::HashMap;

use exai_proto::Id;

/// Nothing was heard yet.
pub(super) const NONE: f64 = f64::NEG_INFINITY;

/// The progress of each request, by progress token.
#[derive(Debug, Default)]
pub(super) struct Progress(HashMap<Id, Heard>);

#[derive(Debug)]
struct Heard {
    most: f64,
    /// Whether this is a second run of the request.
    again: bool,
}

impl Progress {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Begins to track a request that may be sent again, or is sent again.
    pub(super) fn begin(&mut self, token: Id, heard: f64, again: bool) {
        self.0.insert(token, Heard { most: heard, again });
    }

    /// Ends the tracking of a request. Returns the highest value that the client has heard.
    pub(super) fn end(&mut self, token: &Id) -> f64 {
        self.0.remove(token).map_or(NONE, |heard| heard.most)
    }

    /// Whether to pass on this progress. Everything that the server says of a first run passes.
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
