//! The daemon's log: one line per event in `log/daemon.log`, bounded like the logs of servers.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use exai_config::Home;
use exai_supervisor::Log;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

/// The file in use. A process has one log, as it has one subscriber.
static LOG: Mutex<Option<Log>> = Mutex::new(None);

/// Writes events to the file in use.
struct EventWriter;

impl Write for EventWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(log) = &mut *LOG.lock().unwrap_or_else(PoisonError::into_inner) {
            // An event that cannot be written is lost. An error would go to stderr, which is this file as well, and the
            // process ends when that fails: a full disk must not end the daemon.
            let _ = log.write(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends events to the log file. Only the first call of a process has an effect.
pub(crate) fn start_log(home: &Home) -> io::Result<()> {
    reopen_log(home)?;
    let filter = exai_config::environment::LOG
        .get()
        .and_then(|filter| filter.into_string().ok()?.parse::<Targets>().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let events =
        tracing_subscriber::fmt::layer().with_writer(|| EventWriter).with_ansi(false).with_target(false);
    // A test process may have a subscriber already.
    let _ = tracing::subscriber::set_global_default(
        tracing_subscriber::registry().with(events.with_filter(filter)),
    );
    Ok(())
}

/// Whether the log file still has its name: what is written to a deleted file is lost.
pub(crate) fn log_exists(home: &Home) -> bool {
    std::fs::symlink_metadata(home.daemon_log()).is_ok()
}

/// Continues in the file that has the log's name now, or in a new file.
pub(crate) fn reopen_log(home: &Home) -> io::Result<()> {
    home.prepare().map_err(io::Error::other)?;
    let next = Log::open(home.daemon_log())?;
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *log {
        Some(log) => log.succeed_by(next),
        None => *log = Some(next),
    }
    Ok(())
}
