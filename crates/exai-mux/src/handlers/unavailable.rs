//! Calls to servers that cannot be started now. Where somebody must sign in first, a client that can show the user a page is
//! asked to.

use exai_proto::answer;

use crate::handlers::opening_pages::{Why, can_open};
use crate::instance::fair_queue::QueuedRequest;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::era::Era;
use crate::types::event::{Down, See};
use crate::types::method::Method;

impl Router {
    /// Answers a call whose server cannot be started now.
    pub(crate) fn refuse_unavailable(
        &mut self,
        queued: &QueuedRequest,
        server: &str,
        why: &Down,
        cx: &mut EventContext<'_>,
    ) {
        let Some(mut call) = self.calls.finish_call(queued.call) else { return };
        let client = queued.call.client;
        let page = match &why.see {
            See::SignIn { page: Some(page) } if can_open(&call.context) => page.clone(),
            See::SignIn { .. } | See::Log | See::Doctor | See::Nobody => {
                return cx.unavailable(client, &call.id, server, why);
            }
        };
        let message = format!("server \"{server}\" {}", why.reason);
        match call.context.era {
            Era::Legacy => {
                let error = answer::url_elicitation_required(&call.id, &page, &message);
                cx.answer(client, call.id, error);
            }
            Era::Modern
                if matches!(call.method, Method::CallTool | Method::GetPrompt | Method::ReadResource) =>
            {
                call.request = Some(queued.message.clone());
                let params = answer::write_url_elicitation(&page, &message);
                self.ask_to_open((client, call), (&[params], Why::SignIn), Some(&message), cx);
            }
            // Nothing else may ask for input.
            Era::Modern => cx.unavailable(client, &call.id, server, why),
        }
    }
}
