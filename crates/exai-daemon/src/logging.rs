//! The daemon's log: one line an event, in `log/daemon.log`.

use std::fs::File;
use std::io;
use std::sync::Mutex;

use exai_config::Home;
use tracing_subscriber::EnvFilter;

/// A log larger than this is set aside when the daemon starts.
const LARGEST: u64 = 10 * 1024 * 1024;

/// Sends events to the log file. Only the first call of a process has an effect.
pub(crate) fn start(home: &Home) -> io::Result<()> {
    let path = home.daemon_log();
    let mut file = exai_os::private::open_append(&path)?;
    if file.metadata()?.len() > LARGEST {
        std::fs::rename(&path, path.with_extension("log.1"))?;
        file = exai_os::private::open_append(&path)?;
    }
    let filter = exai_config::environment::LOG
        .get()
        .and_then(|filter| filter.into_string().ok())
        .unwrap_or_else(|| "info".to_owned());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(Mutex::<File>::new(file))
        .with_ansi(false)
        .with_target(false)
        .finish();
    // A test process may have one already.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}
