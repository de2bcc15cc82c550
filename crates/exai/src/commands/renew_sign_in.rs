//! `exai renew-sign-in`: replaces the token of one sign-in. Only the daemon starts it; see [`exai_auth::renew`].

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use exai_auth::{Records, Renewal, SealingKey};
use exai_config::{Home, environment};
use exai_proto::exit;

use crate::cli::RenewSignInArgs;
use crate::error::Error;
use crate::printer::Printer;

/// How long the daemon may take to say the key. It writes it at once, and a dead one closes the pipe.
const KEY_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn run(args: &RenewSignInArgs, printer: &Printer) -> Result<u8, Error> {
    exai_os::process::name_this();
    // What ends the terminal of the daemon, or its group, must not end an exchange that has begun.
    exai_os::detach::new_session_now();
    let renewal = match read_key() {
        Ok(key) => {
            let records = Records::with_key(Home::locate()?.sign_ins_dir(), key);
            let vars = environment::of_this_process();
            exai_auth::renew_alone(&vars, &records, &args.id, &args.fingerprint)
        }
        Err(error) => Renewal::Failed(format!("the key of the sign-ins was not given: {error}")),
    };
    // The daemon that has asked may be gone.
    let _ = printer.json(&renewal);
    Ok(exit::DONE)
}

/// The key in the line on stdin, if there is one.
fn read_key() -> io::Result<Option<SealingKey>> {
    let (tell, hear) = mpsc::sync_channel(1);
    thread::spawn(move || {
        // Nobody may wait any more.
        let _ = tell.send(SealingKey::read_line(io::stdin().lock()));
    });
    hear.recv_timeout(KEY_TIMEOUT).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
