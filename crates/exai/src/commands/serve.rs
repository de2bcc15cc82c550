//! `exai serve`

use exai_config::Home;
use exai_daemon::{Options, ServeError};
use exai_os::detach::{self, DetachMethod, WAY_ARGUMENT};
use exai_proto::exit;

use crate::cli::ServeArgs;
use crate::error::Error;
use crate::printer::Printer;

#[expect(clippy::disallowed_methods, reason = "main is what hangs: it cannot return")]
fn give_up() {
    std::process::exit(exit::FAILED.into());
}

pub(crate) fn run(args: &ServeArgs, printer: &Printer) -> Result<u8, Error> {
    // A service manager may have chosen a priority. A client that starts a daemon in passing has not.
    exai_os::inherited_state::shed(args.way.is_some());
    exai_os::process::name_this();
    exai_os::process::fail_without_windows();
    let home = Home::locate()?;
    let ready = args.ready.as_deref().map(detach::ready_writer).transpose();
    let ready = ready.map_err(|error| Error::usage(format!("--ready: {error}")))?;
    let way = args
        .way
        .as_deref()
        .map(|name| DetachMethod::named(name).ok_or_else(|| format!("`{name}` is no way")));
    let way = way.transpose().map_err(|why| Error::usage(format!("{WAY_ARGUMENT}: {why}")))?;
    if ready.is_none() {
        printer.progress(&format!("serving {}; Ctrl-C ends it", home.path().display()));
    }
    match exai_daemon::serve(Options { home, ready, way, starter: args.starter, give_up }) {
        Ok(()) => {
            printer.clear_progress();
            Ok(exit::DONE)
        }
        Err(error @ ServeError::LockHeld { .. }) => {
            Err(Error::lock_held(error.to_string()).hint("`exai status`"))
        }
        Err(ServeError::Unsafe(reason)) => Err(Error::refused(reason)),
        Err(error @ (ServeError::Config(_) | ServeError::Io { .. })) => Err(Error::failed(error.to_string())),
    }
}
