//! Events of a server, beside those of its job.

use std::io;

use bytes::Bytes;
use exai_mux::Down;
use exai_supervisor::Job;
use exai_supervisor::record::TreeRecord;

use crate::upstream::http::event::Event;
use crate::upstream::http::target::HttpTarget;

/// An event of a server.
#[derive(Debug)]
pub(crate) enum ServerEvent {
    /// The program was started, or could not be started.
    Started(Result<Box<Started>, Down>),
    /// An event of a server with a URL.
    Http(Event),
    /// The built-in server is sent this message.
    BuiltinAsked(Bytes),
    /// The built-in server answers with this message.
    BuiltinAnswered(Bytes),
}

/// A server that was started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) job: Job,
    pub(crate) record: TreeRecord,
    /// Whether the record could be written.
    pub(crate) written: io::Result<()>,
    pub(crate) max_processes: u32,
    /// The URL of a server that opens its own port.
    pub(crate) target: Option<HttpTarget>,
}
