//! What a server has said of changes of its lists.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::types::ids::InstanceId;
use crate::types::list_kind::ListKind;
use crate::types::throttle::Throttle;

/// What servers have said of their lists, each by the list: the templates have that of the resources.
#[derive(Debug, Default)]
pub(crate) struct AnnouncedChanges(BTreeMap<ListKind, (Throttle, Option<InstanceId>)>);

impl AnnouncedChanges {
    /// An instance says that a list has changed. Returns whether that is to be passed on now.
    pub(crate) fn said(&mut self, kind: ListKind, instance: InstanceId, time: Instant) -> bool {
        let (throttle, by) = self.0.entry(kind).or_insert_with(|| (Throttle::of_server(), None));
        *by = Some(instance);
        throttle.happened(time)
    }

    /// The announcements that have waited for their time, and the instances that made them.
    pub(crate) fn take_due(&mut self, time: Instant) -> Vec<(InstanceId, ListKind)> {
        let due = |(&kind, (throttle, by)): (&ListKind, &mut (Throttle, Option<InstanceId>))| {
            if throttle.take_due(time) { by.map(|instance| (instance, kind)) } else { None }
        };
        self.0.iter_mut().filter_map(due).collect()
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.values().filter_map(|(throttle, _)| throttle.due()).min()
    }

    /// The lists of which the server says without end that they have changed.
    pub(crate) fn restless(&self, time: Instant) -> impl Iterator<Item = ListKind> {
        self.0.iter().filter(move |(_, (throttle, _))| throttle.is_restless(time)).map(|(&kind, _)| kind)
    }
}
