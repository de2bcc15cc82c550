//! The command line.

/// The text that `--help` prints and that follows the complaint about a wrong argument.
pub(crate) const USAGE: &str = "\
usage: fixture-server [SWITCH…]

  --name NAME            serverInfo.name (default fixture-server)
  --instructions TEXT    the instructions of the initialize result
  --tools-per-page N     tools/list in pages of N
  --ledger FILE          append every executed call to FILE, and sync it, before it is answered
  --note-start FILE      append a line to FILE first of all
  --answers DIR          answer every call with the text of the file of DIR that is named like the tool, as it is
  --tools FILE           answer tools/list with the text of FILE, as it is
  --dual                 speak MCP 2026-07-28 too
  --ask-roots-at-start   ask the client for its roots after notifications/initialized
  --children N           start N sleeping children (null stdio)
  --children-inherit N   start N sleeping children that hold this server's stdio

over HTTP
  --http PORT            Streamable HTTP on 127.0.0.1:PORT/mcp instead of stdio
  --http-child           start a copy that listens, and wait for its end
  --http-sse             answer as a stream of events, not as a document
  --http-poll            break each stream off at once; the rest is had by GET
  --http-break HOW       break the stream of each call off once it was executed: HOW is `exit` (the process ends),
                         `deaf` (it does not listen any more), `hang-up` (it answers no GET) or `refuse` (503 to each)
  --http-no-rest FILE    end each stream that is asked for by GET at once, want to be asked again at once, and append a
                         line to FILE for each
  --http-no-get          no stream for what belongs to no request
  --http-forget-after N  forget the session after N messages
  --http-redirect PLACE  redirect every request there that is not for exactly this path
  --http-require H=V     the header that every request must have

misbehaviour
  --print-garbage        lines of text on stdout, at start and before every message
  --die-at-start TEXT    write TEXT to stderr, without a newline, and exit 3
  --hang-at-start        read, and never answer
  --start-after FILE     do nothing before FILE exists
  --bad-ids              before every answer, answers to requests nobody made
  --stderr-noise KIB     so much to stderr at start, and two lines for every message
  --ignore-stdin-eof     stay alive when stdin ends
  --no-newline BYTES     at start, BYTES bytes on stdout without a newline
  --same-cursor CURSOR   every answer to tools/list has all tools, and this cursor for more
  --initialize FILE      answer `initialize` with the text of FILE, in which ID stands for its id
  --silent-unknown       do not answer unknown methods
  --exit-on-early        exit 4 at any request before initialize

Every process of the fixture ends by itself after 15 minutes, whatever the switches say.";

/// The switches, as the command line gives them.
#[derive(Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one per switch of the command line")]
pub(crate) struct Options {
    pub(crate) name: Option<String>,
    pub(crate) instructions: Option<String>,
    pub(crate) tools_per_page: Option<usize>,
    pub(crate) ledger: Option<String>,
    pub(crate) note_start: Option<String>,
    pub(crate) answers: Option<String>,
    pub(crate) tools: Option<String>,
    pub(crate) dual: bool,
    pub(crate) ask_roots_at_start: bool,
    pub(crate) children: usize,
    pub(crate) children_inherit: usize,
    pub(crate) print_garbage: bool,
    pub(crate) die_at_start: Option<String>,
    pub(crate) hang_at_start: bool,
    pub(crate) start_after: Option<String>,
    pub(crate) bad_ids: bool,
    pub(crate) stderr_noise: Option<usize>,
    pub(crate) ignore_stdin_eof: bool,
    pub(crate) no_newline: usize,
    pub(crate) same_cursor: Option<String>,
    pub(crate) initialize: Option<String>,
    pub(crate) silent_unknown: bool,
    pub(crate) exit_on_early: bool,
    pub(crate) http: Option<u16>,
    pub(crate) http_child: bool,
    pub(crate) http_sse: bool,
    pub(crate) http_poll: bool,
    pub(crate) http_break: Option<String>,
    pub(crate) http_no_rest: Option<String>,
    pub(crate) http_no_get: bool,
    pub(crate) http_forget_after: Option<u64>,
    pub(crate) http_redirect: Option<String>,
    pub(crate) http_require: Option<String>,
    /// Set for the children of this server: they sleep and do nothing else.
    pub(crate) sleep: bool,
}

impl Options {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(switch) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{switch} needs a value"));
            match switch.as_str() {
                "--name" => options.name = Some(value()?),
                "--instructions" => options.instructions = Some(value()?),
                "--tools-per-page" => options.tools_per_page = Some(number(&switch, &value()?)?),
                "--ledger" => options.ledger = Some(value()?),
                "--note-start" => options.note_start = Some(value()?),
                "--answers" => options.answers = Some(value()?),
                "--tools" => options.tools = Some(value()?),
                "--dual" => options.dual = true,
                "--ask-roots-at-start" => options.ask_roots_at_start = true,
                "--children" => options.children = number(&switch, &value()?)?,
                "--children-inherit" => options.children_inherit = number(&switch, &value()?)?,
                "--print-garbage" => options.print_garbage = true,
                "--die-at-start" => options.die_at_start = Some(value()?),
                "--hang-at-start" => options.hang_at_start = true,
                "--start-after" => options.start_after = Some(value()?),
                "--bad-ids" => options.bad_ids = true,
                "--stderr-noise" => options.stderr_noise = Some(number(&switch, &value()?)?),
                "--ignore-stdin-eof" => options.ignore_stdin_eof = true,
                "--no-newline" => options.no_newline = number(&switch, &value()?)?,
                "--same-cursor" => options.same_cursor = Some(value()?),
                "--initialize" => options.initialize = Some(value()?),
                "--silent-unknown" => options.silent_unknown = true,
                "--exit-on-early" => options.exit_on_early = true,
                "--http" => options.http = Some(number(&switch, &value()?)?),
                "--http-child" => options.http_child = true,
                "--http-sse" => options.http_sse = true,
                "--http-poll" => options.http_poll = true,
                "--http-break" => options.http_break = Some(value()?),
                "--http-no-rest" => options.http_no_rest = Some(value()?),
                "--http-no-get" => options.http_no_get = true,
                "--http-forget-after" => options.http_forget_after = Some(number(&switch, &value()?)?),
                "--http-redirect" => options.http_redirect = Some(value()?),
                "--http-require" => options.http_require = Some(value()?),
                "--sleep" => options.sleep = true,
                _ => return Err(format!("unknown argument {switch:?}")),
            }
        }
        if options.tools_per_page == Some(0) {
            return Err("--tools-per-page needs at least 1".to_owned());
        }
        Ok(options)
    }
}

fn number<T: std::str::FromStr>(switch: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{switch} needs a number, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn switches_and_values() {
        let options = parse("--name x --children 5 --bad-ids").unwrap();
        assert_eq!((options.name.as_deref(), options.children, options.bad_ids), (Some("x"), 5, true));
    }

    #[test]
    fn wrong_arguments_are_named() {
        assert_eq!(parse("--nmae x"), Err("unknown argument \"--nmae\"".to_owned()));
        assert_eq!(parse("--name"), Err("--name needs a value".to_owned()));
        assert_eq!(parse("--children many"), Err("--children needs a number, not \"many\"".to_owned()));
    }
}
