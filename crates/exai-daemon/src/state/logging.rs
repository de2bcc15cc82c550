//! The daemon's log: one line an event, in `log/daemon.log`, bounded as those of servers are.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use exai_config::Home;
use exai_supervisor::Log;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

/// The file in use. There is one log in a process, as there is one subscriber.
static LOG: Mutex<Option<Log>> = Mutex::new(None);

/// Where events are written to.
struct Events;

impl Write for Events {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(log) = &mut *LOG.lock().unwrap_or_else(PoisonError::into_inner) {
            // What cannot be written is lost. An error would be told on stderr, which is this file as well, and what
            // cannot be said there ends the process: a full disk must not end the daemon.
            let _ = log.write(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends events to the log file. Only the first call of a process has an effect.
pub(crate) fn start(home: &Home) -> io::Result<()> {
    renew(home)?;
    let filter = exai_config::environment::LOG
        .get()
        .and_then(|filter| filter.into_string().ok()?.parse::<Targets>().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let events = tracing_subscriber::fmt::layer().with_writer(|| Events).with_ansi(false).with_target(false);
    // A test process may have one already.
    let _ = tracing::subscriber::set_global_default(
        tracing_subscriber::registry().with(events.with_filter(filter)),
    );
    Ok(())
}

/// Whether the log file has a name: what is written to a deleted one is lost.
pub(crate) fn is_there(home: &Home) -> bool {
    std::fs::symlink_metadata(home.daemon_log()).is_ok()
}

/// Goes on in the file that has the log's name now, or in a new one.
pub(crate) fn renew(home: &Home) -> io::Result<()> {
    home.prepare().map_err(io::Error::other)?;
    let next = Log::open(home.daemon_log())?;
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *log {
        Some(log) => log.succeed_by(next),
        None => *log = Some(next),
    }
    Ok(())
}
