//! Everything `main` does: read the command line, run the command, say how it went.

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::commands;
use crate::error::Error;
use crate::printer::Printer;
use crate::short_forms::{guard_args, put_url_last, shim_args};

/// Everything `main` does.
pub(crate) fn run() -> ExitCode {
    exai_os::allocator::give_back_long_buffers();
    exai_os::inherited_state::let_children_be_waited_for();
    // A client waits for its shim, and there may be thirty of them: they do without the parser.
    if let Some(args) = shim_args(std::env::args_os().skip(1)) {
        return finish(commands::shim::run(args));
    }
    // There is one for each server: the parser would be half of its memory.
    if let Some(args) = guard_args(std::env::args_os().skip(1)) {
        return finish(commands::guard::run(&args));
    }
    let cli = match Cli::try_parse_from(put_url_last(std::env::args_os().collect())) {
        Ok(cli) => cli,
        Err(error) => {
            // Nowhere to say it: the exit code must do.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(exai_proto::exit::USAGE).into();
        }
    };
    finish(dispatch(cli.command))
}

fn dispatch(command: Command) -> Result<u8, Error> {
    let printer = Printer::new();
    match command {
        Command::Start => commands::start::run(&printer),
        Command::Stop(args) => commands::stop::run(&args, &printer),
        Command::Restart(args) => commands::restart::run(args, &printer),
        Command::Status(args) => commands::status::run(&args, &printer),
        Command::Ps(args) => commands::ps::run(&args, &printer),
        Command::Doctor(args) => commands::doctor::run(&args, &printer),
        Command::Serve(args) => commands::serve::run(&args, &printer),
        Command::Shim(args) => commands::shim::run(args),
        Command::Add(args) => commands::add::run(*args, &printer),
        Command::Remove(args) => commands::remove::run(&args, &printer),
        Command::List(args) => commands::list::run(&args, &printer),
        Command::Tools(args) => commands::tools::run(args, &printer),
        Command::Login(args) => commands::login::run(&args, &printer),
        Command::Logout(args) => commands::logout::run(&args, &printer),
        Command::RenewSignIn(args) => commands::renew_sign_in::run(&args, &printer),
        Command::Why(args) => commands::why::run(&args, &printer),
        Command::Call(args) => commands::call::run(&args, &printer),
        Command::Logs(args) => commands::logs::run(&args, &printer),
        Command::Token(args) => commands::token::run(&args, &printer),
        Command::Install(args) => commands::install::run(&args, &printer),
        Command::Uninstall(args) => commands::uninstall::run(&args, &printer),
        Command::Import(args) => commands::import::run(&args, &printer),
        Command::Restore(args) => commands::restore::run(&args, &printer),
        Command::Clients(args) => commands::clients::run(&args, &printer),
        Command::Secret(args) => commands::secret::run(&args, &printer),
        Command::Threads(args) => commands::threads::run(args, &printer),
        Command::Cleanup(args) => commands::cleanup::run(&args, &printer),
        Command::Selftest(args) => commands::selftest::run(&args, &printer),
        Command::SelftestServer(args) => commands::selftest::server::run(&args, &printer),
        Command::ToolsServer => commands::tools_server::run(),
        Command::Guard(args) => commands::guard::run(&args),
        Command::Outside(args) => commands::outside::run(&args),
    }
}

fn finish(outcome: Result<u8, Error>) -> ExitCode {
    match outcome {
        Ok(code) => code.into(),
        Err(error) => {
            Printer::new().error(&error);
            error.code().into()
        }
    }
}
