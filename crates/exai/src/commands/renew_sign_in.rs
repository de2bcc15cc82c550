//! `exai renew-sign-in`: replaces the token of one sign-in. Only the daemon starts it; see [`exai_auth::renew`].

use exai_auth::Records;
use exai_config::{Home, environment};
use exai_proto::exit;

use crate::cli::RenewSignInArgs;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: &RenewSignInArgs, printer: &Printer) -> Result<u8, Error> {
    exai_os::process::name_this();
    // What ends the terminal of the daemon, or its group, must not end an exchange that has begun.
    exai_os::detach::new_session_now();
    let records = Records::at(Home::locate()?.sign_ins_dir());
    let vars = environment::of_this_process();
    let renewal = exai_auth::renew_alone(&vars, &records, &args.id, &args.fingerprint);
    // The daemon that has asked may be gone.
    let _ = printer.json(&renewal);
    Ok(exit::DONE)
}
