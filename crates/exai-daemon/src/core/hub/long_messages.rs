//! Long messages of servers are checked on another thread ([`crate::client::message_checks`]). Later events of the same
//! server wait behind them, so that the order stays; the server's turns bound how many.

use std::collections::VecDeque;

use exai_mux::InstanceId;
use exai_proto::Message;
use exai_proto::limits::LONG_BYTES;
use exai_supervisor::{JobEvent, Line};

use super::{DeferredEvent, Hub};
use crate::core::event::{Arrival, Checked, HubEvent};
use crate::upstream::conversation_event::ConversationEvent;

/// Whether the check of a line takes long.
pub(super) fn long(line: &Line) -> bool {
    matches!(line, Line::Whole(bytes) if bytes.len() >= LONG_BYTES)
}

impl Hub {
    /// Hears an event of a job, after the long message that is being checked.
    pub(super) fn hear_job(&mut self, instance: InstanceId, event: JobEvent) {
        match self.deferred_events(instance) {
            Some(behind) => behind.push_back(DeferredEvent::Job(event)),
            None => self.handle_job_event(instance, event),
        }
    }

    /// Hears an event of a server with a URL, after the long message that is being checked.
    pub(super) fn hear_conversation(&mut self, instance: InstanceId, event: ConversationEvent) {
        match self.deferred_events(instance) {
            Some(behind) => behind.push_back(DeferredEvent::Conversation(event)),
            None => self.handle_conversation_event(instance, event),
        }
    }

    /// The queue behind a long message of this instance, if one is being checked.
    fn deferred_events(&mut self, instance: InstanceId) -> Option<&mut VecDeque<DeferredEvent>> {
        self.hosted.get_mut(&instance)?.behind.as_mut()
    }

    /// Has a long message checked on another thread. `rest` is what arrived together with it.
    pub(super) fn check_long_message(
        &mut self,
        instance: InstanceId,
        line: Line,
        way: Arrival,
        rest: DeferredEvent,
    ) {
        let (Line::Whole(bytes), Some(hosted)) = (line, self.hosted.get_mut(&instance)) else { return };
        hosted.behind = Some(VecDeque::from([rest]));
        let (checks, hub) = (self.host.message_checks.clone(), self.handle.clone());
        self.host.tasks.spawn(async move {
            let check = move || {
                let message = Message::of_server(bytes.clone()).ok();
                // Finds the parameters here, and keeps them with the message for the router.
                message.as_ref().map(Message::params);
                Checked { bytes, message, way }
            };
            if let Some(checked) = checks.run_check(check).await {
                // A hub that has ended ignores it.
                let _ = hub.send(HubEvent::Checked { instance, checked }).await;
            }
        });
    }

    /// Hears a long message that was checked, and then what waited behind it.
    pub(super) fn hear_checked(&mut self, instance: InstanceId, checked: Checked) {
        let Some(hosted) = self.hosted.get_mut(&instance) else { return };
        let mut behind = hosted.behind.take().unwrap_or_default();
        let Checked { bytes, message, way } = checked;
        match (message, way) {
            (Some(message), way) => {
                let begun = hosted.reader.end().filter(|_| way == Arrival::Line);
                let said = begun
                    .into_iter()
                    .chain([crate::upstream::server_output::Said::Message(message)])
                    .collect();
                self.handle_output(instance, said);
            }
            (None, Arrival::Line) => self.hear_line(instance, Line::Whole(bytes)),
            (None, Arrival::Document) => self.hear_document(instance, Line::Whole(bytes)),
        }
        while let Some(event) = behind.pop_front() {
            match event {
                DeferredEvent::Job(event) => self.handle_job_event(instance, event),
                DeferredEvent::Conversation(event) => self.handle_conversation_event(instance, event),
                DeferredEvent::Heard(turn) => turn.end(),
            }
            if let Some(again) = self.deferred_events(instance) {
                return again.extend(behind);
            }
        }
    }
}
