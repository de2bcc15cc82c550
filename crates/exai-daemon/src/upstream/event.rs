//! What a server that was started brings before the hub, beside what its job does.

use std::io;

use bytes::Bytes;
use exai_mux::Down;
use exai_supervisor::Job;
use exai_supervisor::record::TreeRecord;

use crate::upstream::http::event::Event;
use crate::upstream::http::target::HttpTarget;

/// What happens to a server.
#[derive(Debug)]
pub(crate) enum ServerEvent {
    /// Its program was started, or could not be.
    Started(Result<Box<Started>, Down>),
    /// What a server does that is reached by URL.
    Http(Event),
    /// The built-in server is sent this message.
    BuiltinAsked(Bytes),
    /// The built-in server answers.
    BuiltinAnswered(Bytes),
}

/// A server that was started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) job: Job,
    pub(crate) record: TreeRecord,
    /// What became of the record's file.
    pub(crate) written: io::Result<()>,
    pub(crate) max_processes: u32,
    /// For a server that opens its own port.
    pub(crate) reached: Option<HttpTarget>,
}
