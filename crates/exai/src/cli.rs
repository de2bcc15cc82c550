//! The command line: its commands and their arguments.

mod internal;
mod sign_in;

use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};
use jiff::SpanRelativeTo;

pub(crate) use self::internal::{GuardArgs, OutsideArgs, RenewSignInArgs};
pub(crate) use self::sign_in::{LoginArgs, LogoutArgs};
use crate::limits::{MAX_STOP_GRACE_S, STOP_GRACE_S};

/// Hosts every MCP server once, for all MCP clients of this account.
#[derive(Debug, Parser)]
#[command(name = "exai", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the daemon in the background
    Start,
    /// Stop the daemon and every server it hosts
    Stop(StopArgs),
    /// Restart the daemon, or one server
    Restart(RestartArgs),
    /// Say whether the daemon runs, what it hosts and who uses it
    Status(StatusArgs),
    /// List every process of exai: what it is, and how that is known
    Ps(PsArgs),
    /// Look for what is wrong, and explain it
    Doctor(JsonArgs),
    /// Run the daemon in the foreground
    Serve(ServeArgs),
    /// Speak MCP over stdio: what an MCP client runs
    Shim(ShimArgs),
    /// Add a server to the configuration
    Add(Box<AddArgs>),
    /// Remove a server from the configuration
    Remove(RemoveArgs),
    /// List the configured servers
    List(JsonArgs),
    /// List the tools of the servers
    Tools(ToolsArgs),
    /// Call a tool
    Call(CallArgs),
    /// Sign in at a server that runs elsewhere, for all clients
    Login(LoginArgs),
    /// Forget the sign-in at a server
    Logout(LogoutArgs),
    /// Say why the clients of a server share its processes, or do not
    Why(WhyArgs),
    /// Show the log of the daemon or of a server
    Logs(LogsArgs),
    /// Make, list and remove the tokens that WebSocket and HTTP clients show
    Token(TokenArgs),
    /// Write exai into the configuration of MCP clients
    Install(InstallArgs),
    /// Take exai out of the configuration of MCP clients
    Uninstall(UninstallArgs),
    /// Take over the servers that MCP clients have
    Import(ImportArgs),
    /// Give the clients back what they had before `install` and `import`
    Restore(RestoreArgs),
    /// List the MCP clients on this machine, and which of them use exai
    Clients(JsonArgs),
    /// Keep values that `config.toml` names as ${secret:NAME}
    Secret(SecretArgs),
    /// Speak MCP over stdio: the EXAI tools
    ToolsServer,
    /// List, show and remove the threads of the EXAI tools
    Threads(ThreadsArgs),
    /// Show what a daemon that died left behind, and end and remove it
    Cleanup(CleanupArgs),
    /// Try everything that exai promises, in a private instance
    Selftest(JsonArgs),
    /// The MCP server of the self-test
    #[command(hide = true)]
    SelftestServer(SelftestServerArgs),
    /// End a server's processes when the daemon is gone
    #[command(hide = true)]
    Guard(GuardArgs),
    /// Replace the token of a sign-in
    #[command(hide = true)]
    RenewSignIn(RenewSignInArgs),
    /// Start the daemon from outside of its starter's job (Windows) or control group (Linux)
    #[command(hide = true)]
    Outside(OutsideArgs),
}

/// Whether to print JSON.
#[derive(Debug, Args)]
pub(crate) struct JsonArgs {
    /// Print a JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// `exai status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    /// Say also what the daemon bounds and has counted
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// `exai ps`.
#[derive(Debug, Args)]
pub(crate) struct PsArgs {
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    /// Look again every second
    #[arg(short, long)]
    pub(crate) watch: bool,
}

/// `exai stop`.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Seconds that calls under way may take to finish
    #[arg(long, value_name = "S", default_value_t = STOP_GRACE_S,
        value_parser = clap::value_parser!(u64).range(..=MAX_STOP_GRACE_S))]
    pub(crate) timeout: u64,
}

/// `exai restart`.
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    /// The server; without one, the daemon
    pub(crate) server: Option<String>,
}

/// `exai serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to say that the daemon is ready
    #[arg(long, value_name = "TOKEN", hide = true)]
    pub(crate) ready: Option<String>,
    /// Which process starts the daemon, and waits until it is ready
    #[arg(long, value_name = "PID", hide = true)]
    pub(crate) starter: Option<u32>,
    /// How the daemon got away from its starter
    #[arg(long, value_name = "WAY", hide = true)]
    pub(crate) way: Option<String>,
}

/// `exai shim`.
#[derive(Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct ShimArgs {
    /// Offer one server, under its own names, instead of all; more than once: these servers, as SERVER__TOOL
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Vec<String>,
    /// The name of this client in `exai status` and in `[clients.LABEL]` of `config.toml`; with `--url` nothing carries it
    /// there
    #[arg(long, value_name = "LABEL")]
    pub(crate) client: Option<String>,
    /// Connect over TCP, to ws://127.0.0.1:PORT/mcp for all servers or to …/mcp/NAME for one
    #[arg(long, conflicts_with = "server")]
    pub(crate) url: Option<String>,
}

/// `exai selftest-server`.
#[derive(Debug, Args)]
pub(crate) struct SelftestServerArgs {
    /// How many children to have
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) children: u32,
    /// Stay for a while after the end of stdin
    #[arg(long)]
    pub(crate) stubborn: bool,
}

/// `exai add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The server's name: letters and digits, with single `-` or `_` between them. Or what describes servers by itself: a
    /// file (.mcp.json, server.json, a .mcpb bundle), a name in the MCP registry (io.github.owner/server, or with @version),
    /// the link of an "Add to …" button, or `-` for a pasted block
    #[arg(required_unless_present = "tools")]
    pub(crate) name: Option<String>,
    /// Add the EXAI tools, which ask another model; they are called `ai` unless a name is given
    #[arg(long, conflicts_with_all = ["command", "url", "header", "cwd", "env_file", "set"])]
    pub(crate) tools: bool,
    /// An environment variable of the server
    #[arg(short, long, value_name = "K=V", value_parser = pair)]
    pub(crate) env: Vec<(String, String)>,
    /// A file with more variables, one NAME=VALUE in each line; it is read now
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<String>,
    /// The server's working directory
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<String>,
    /// Where the server is reached by HTTP; with a command, where that command listens
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// The machine whose exai hosts the server, as ssh://[USER@]HOST[:PORT]
    #[arg(long, value_name = "SSH-URL", conflicts_with_all = ["command", "url", "header", "tools", "set"])]
    pub(crate) via: Option<String>,
    /// The name of the server there, if it is another one; `*` for all servers of that exai
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// The path of exai there, if ssh does not find it
    #[arg(long, value_name = "PATH")]
    pub(crate) remote_command: Option<String>,
    /// A header of each request to the URL, as NAME=VALUE or as `NAME: VALUE`
    #[arg(short = 'H', long, value_name = "K=V", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
    /// Which clients share a process of the server
    #[arg(long, value_name = "WHICH", value_parser = ["auto", "shared", "client"])]
    pub(crate) share: Option<String>,
    /// Seconds that a call may take without progress
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
    /// Replace a server of the same name
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not try the server
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Do not ask before a registry or a bundle decides what is run, and take the first package that works here
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// An answer to what a registry, a bundle or a block asks for
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// The command that starts the server, and its arguments; or its URL, also that of --via; or `-` for a pasted block
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// `exai remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The server's name
    pub(crate) name: String,
    /// Forget also the secrets that no other server uses, without asking
    #[arg(long)]
    pub(crate) secrets: bool,
}

/// `exai tools`.
#[derive(Debug, Args)]
pub(crate) struct ToolsArgs {
    /// The server; without one, all
    pub(crate) server: Option<String>,
    /// Only what the client with this label may see: see `[clients.LABEL]` of `config.toml`
    #[arg(long, value_name = "LABEL")]
    pub(crate) client: Option<String>,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

/// `exai why`.
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The server
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

/// `exai call`.
#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    /// The server
    pub(crate) server: String,
    /// The tool, by the server's own name for it
    pub(crate) tool: String,
    /// The arguments, a JSON object; `-` reads them from stdin
    #[arg(value_name = "JSON")]
    pub(crate) arguments: Option<String>,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

/// `exai logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Go on with what is written from now on
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The server; without one, the daemon
    pub(crate) server: Option<String>,
}

/// `exai token`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) action: TokenAction,
}

/// What is done with the tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenAction {
    /// Make a token with a name, and print it; exai keeps only a hash of it
    Add {
        /// Whom or what it is for, as in `laptop`
        name: String,
    },
    /// Remove a token, and disconnect the clients that have shown it
    Remove {
        /// Its name
        name: String,
    },
    /// List the tokens that have names
    List(JsonArgs),
    /// Replace the one in the file `token`; the old one is refused from then on
    Rotate,
}

/// `exai install`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").args(["clients", "all"]).required(true))]
pub(crate) struct InstallArgs {
    /// The clients, by the ids of `exai clients`
    #[arg(value_name = "CLIENT")]
    pub(crate) clients: Vec<String>,
    /// All clients that are found on this machine
    #[arg(long)]
    pub(crate) all: bool,
    /// One entry for each server, with the tools' own names, instead of one for all
    #[arg(long)]
    pub(crate) each: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Replace another server of that name, and write into a read-only file and while the client runs
    #[arg(long)]
    pub(crate) force: bool,
}

/// `exai uninstall`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").args(["clients", "all"]).required(true))]
pub(crate) struct UninstallArgs {
    /// The clients, by the ids of `exai clients`
    #[arg(value_name = "CLIENT")]
    pub(crate) clients: Vec<String>,
    /// All clients that are found on this machine
    #[arg(long)]
    pub(crate) all: bool,
    /// Write into a read-only file, and while the client runs, though it may write over it
    #[arg(long)]
    pub(crate) force: bool,
}

/// `exai import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The client whose servers are read, by its id in `exai clients`; can be repeated. Without it, all
    #[arg(long, value_name = "CLIENT")]
    pub(crate) from: Vec<String>,
    /// Put exai in the place of the servers in the clients; `exai restore` undoes it
    #[arg(long)]
    pub(crate) takeover: bool,
    /// One entry for each server with the tools' own names, instead of one for all
    #[arg(long, requires = "takeover")]
    pub(crate) each: bool,
    /// Say what would be imported, and change nothing
    #[arg(long, conflicts_with = "takeover")]
    pub(crate) dry_run: bool,
    /// Do not try the servers
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Write also while a client runs that may write over it, over a read-only file, and where rules of a client that name
    /// its servers would hold no longer
    #[arg(long, requires = "takeover")]
    pub(crate) force: bool,
}

/// `exai restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The clients, by the ids of `exai clients`; without one, all, and exai's own configuration
    #[arg(value_name = "CLIENT")]
    pub(crate) clients: Vec<String>,
    /// Write into read-only files, and while a client runs, though it may write over it
    #[arg(long)]
    pub(crate) force: bool,
}

/// `exai secret`.
#[derive(Debug, Args)]
pub(crate) struct SecretArgs {
    #[command(subcommand)]
    pub(crate) action: SecretAction,
}

/// What is done with the secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretAction {
    /// Keep a value: asked for on a terminal, else read from stdin
    Set {
        /// The name; the configuration refers to it as ${secret:NAME}
        name: String,
    },
    /// Forget a value
    Remove {
        /// The name
        name: String,
    },
    /// List the names, and the servers that use each
    List(JsonArgs),
}

/// `exai threads`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ThreadsArgs {
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    #[command(subcommand)]
    pub(crate) action: Option<ThreadsAction>,
}

/// What is done with threads.
#[derive(Debug, Subcommand)]
pub(crate) enum ThreadsAction {
    /// Show what was said in a thread
    Show {
        /// Its id, or the beginning of it
        id: String,
        #[command(flatten)]
        json: JsonArgs,
    },
    /// Remove threads
    Remove(RemoveThreadsArgs),
    /// Put the database of all threads aside, into `backups`, and begin a new one
    Reset,
}

/// `exai threads remove`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").args(["ids", "older_than"]).required(true))]
pub(crate) struct RemoveThreadsArgs {
    /// Their ids, or the beginnings of them
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// All that were not used for so long: `7d`, `12h`
    #[arg(long, value_name = "TIME", value_parser = length_of_time)]
    pub(crate) older_than: Option<Duration>,
}

/// `exai cleanup`.
#[derive(Debug, Args)]
pub(crate) struct CleanupArgs {
    /// End and remove it; without this, only say what would be done
    #[arg(long)]
    pub(crate) apply: bool,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

/// A length of time as `config.toml` has it. A day has 24 hours.
fn length_of_time(text: &str) -> Result<Duration, String> {
    let wrong = "a length of time is written like 7d, 12h or 90m";
    let span: jiff::Span = text.parse().map_err(|_| wrong)?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong)?;
    Duration::try_from(length).map_err(|_| wrong.to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("it takes the form NAME=VALUE".to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    // The name of a header holds neither sign.
    match text.split_once(['=', ':']) {
        Some((name, value)) if !name.is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        Some(_) | None => Err("it takes the form NAME=VALUE or `NAME: VALUE`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }
}
