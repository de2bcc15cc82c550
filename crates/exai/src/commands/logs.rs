//! `exai logs`

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use exai_client::log_tail::last_lines;
use exai_config::server_name;
use exai_proto::exit;

use super::connector;
use crate::cli::LogsArgs;
use crate::error::Error;
use crate::limits::{FOLLOW_INTERVAL, SHOWN_LOG_LINES};
use crate::printer::Printer;

pub(crate) fn run(args: &LogsArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let path = match &args.server {
        Some(name) => {
            server_name::check(name).map_err(|error| Error::usage(error.to_string()))?;
            connector.home().server_log(name)
        }
        None => connector.home().daemon_log(),
    };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Error::failed(format!("there is no log {} yet", path.display())),
        _ => Error::failed(format!("cannot read {}: {error}", path.display())),
    };
    let mut seen = 0;
    match last_lines(&path, SHOWN_LOG_LINES) {
        Ok((lines, end)) => {
            seen = end;
            printer.raw(&lines)?;
        }
        Err(error) if args.follow && error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    if !args.follow {
        return Ok(exit::DONE);
    }
    loop {
        std::thread::sleep(FOLLOW_INTERVAL);
        match news(&path, &mut seen) {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => printer.raw(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => seen = 0,
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The text behind `seen`, without an incomplete character at the end. Begins at 0 when the log was begun anew.
fn news(path: &Path, seen: &mut u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() < *seen {
        *seen = 0;
    }
    file.seek(SeekFrom::Start(*seen))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    // Bytes that cannot begin a character are no text, and are shown as such.
    let begun = bytes.utf8_chunks().last().map_or(0, |chunk| {
        let end = std::str::from_utf8(chunk.invalid());
        if end.is_err_and(|error| error.error_len().is_none()) { chunk.invalid().len() } else { 0 }
    });
    bytes.truncate(bytes.len() - begun);
    *seen += bytes.len() as u64;
    Ok(bytes)
}
