//! The daemon's log: one line an event, in `log/daemon.log`.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use exai_config::Home;
use tracing_subscriber::EnvFilter;

/// A log larger than this is set aside when the daemon starts.
const LARGEST: u64 = 10 * 1024 * 1024;

/// The file in use. There is one log in a process, as there is one subscriber.
static LOG: Mutex<Option<File>> = Mutex::new(None);

/// Where events are written to.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = &mut *LOG.lock().unwrap_or_else(PoisonError::into_inner) {
            // What cannot be written is lost. An error would be told on stderr, which is this file as well, and what
            // cannot be said there ends the process: a full disk must not end the daemon.
            let _ = file.write_all(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends events to the log file. Only the first call of a process has an effect.
pub(crate) fn start(home: &Home) -> io::Result<()> {
    let path = home.daemon_log();
    let mut moved = Ok(());
    if exai_os::private::open_append(&path)?.metadata()?.len() > LARGEST {
        moved = std::fs::rename(&path, path.with_extension("log.1"));
    }
    renew(home)?;
    let filter = exai_config::environment::LOG
        .get()
        .and_then(|filter| filter.into_string().ok())
        .unwrap_or_else(|| "info".to_owned());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(|| Log)
        .with_ansi(false)
        .with_target(false)
        .finish();
    // A test process may have one already.
    let _ = tracing::subscriber::set_global_default(subscriber);
    if let Err(error) = moved {
        // On Windows somebody may have it open who lets nobody move it.
        tracing::warn!(%error, "this log is larger than 10 MiB and cannot be set aside; it goes on");
    }
    Ok(())
}

/// Whether the log file has a name: what is written to a deleted one is lost.
pub(crate) fn is_there(home: &Home) -> bool {
    std::fs::symlink_metadata(home.daemon_log()).is_ok()
}

/// Goes on in the file that has the log's name now, or in a new one.
pub(crate) fn renew(home: &Home) -> io::Result<()> {
    home.prepare().map_err(io::Error::other)?;
    let file = exai_os::private::open_append(&home.daemon_log())?;
    *LOG.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    Ok(())
}
