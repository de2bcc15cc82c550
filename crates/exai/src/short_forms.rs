//! The commands that programs run, read without the parser of the command line: it costs a shim time and a guard memory.

use std::ffi::OsString;

use crate::cli::{GuardArgs, ShimArgs};

/// The arguments of `exai shim`, where they are as they mostly are; anything else is for the parser.
pub(crate) fn shim_args(mut args: impl Iterator<Item = OsString>) -> Option<ShimArgs> {
    if args.next()? != "shim" {
        return None;
    }
    let mut shim = ShimArgs::default();
    while let Some(flag) = args.next() {
        let flag = flag.into_string().ok()?;
        let (flag, value) = match flag.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), value.to_owned()),
            None => (flag, args.next()?.into_string().ok().filter(|value| !value.starts_with('-'))?),
        };
        let place = match &*flag {
            "--server" => {
                shim.server.push(value);
                continue;
            }
            "--client" => &mut shim.client,
            "--url" => &mut shim.url,
            _ => return None,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    // The path of the URL names the server.
    let conflict = shim.url.is_some() && !shim.server.is_empty();
    (!conflict).then_some(shim)
}

/// The arguments of `exai guard`, in the order in which the daemon gives them.
pub(crate) fn guard_args(args: impl Iterator<Item = OsString>) -> Option<GuardArgs> {
    let args: Vec<String> = args.take(6).map_while(|arg| arg.into_string().ok()).collect();
    match &args[..] {
        [guard, instance, of, flag, control]
            if guard == "guard" && flag == exai_os::tree_guard::CONTROL_ARGUMENT =>
        {
            Some(GuardArgs { instance: instance.clone(), of: of.clone(), control: control.clone() })
        }
        _ => None,
    }
}

/// Lets options stand behind the URL of `exai add NAME URL`, as the commands of MCP clients have them: behind a command
/// they would be its arguments, and a URL has none.
pub(crate) fn put_url_last(mut args: Vec<OsString>) -> Vec<OsString> {
    let is_url = |arg: &OsString| arg.to_str().is_some_and(is_url);
    let adds = args.get(1).is_some_and(|command| command == "add");
    let is_command = args.iter().any(|arg| arg == "--");
    if adds && !is_command && args.get(3).is_some_and(is_url) {
        let url = args.remove(3);
        args.push(url);
    }
    args
}

/// Whether a word is the URL of a server, not a command.
pub(crate) fn is_url(text: &str) -> bool {
    is_via(text) || ["http://", "https://", "ws://", "wss://"].iter().any(|scheme| text.starts_with(scheme))
}

/// Whether a word names the exai of another machine.
pub(crate) fn is_via(text: &str) -> bool {
    text.starts_with("ssh://")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn the_short_way_to_the_shim_agrees_with_the_parser() {
        let lines: [&[&str]; 10] = [
            &["shim"],
            &["shim", "--server", "a"],
            &["shim", "--server=a", "--client", "b c"],
            &["shim", "--client="],
            &["shim", "--server"],
            &["shim", "--server", "a", "--server", "b"],
            &["shim", "--url", "ws://localhost:1/mcp"],
            &["shim", "--url=ws://localhost:1/mcp", "--server", "a"],
            &["shim", "--client=a", "--url=ws://localhost:1/mcp"],
            &["shim", "--help"],
        ];
        for line in lines {
            let quick = shim_args(line.iter().map(Into::into));
            let parsed = Cli::try_parse_from([&["exai"], line].concat());
            match parsed {
                Ok(Cli { command: Command::Shim(args) }) => assert_eq!(quick, Some(args), "{line:?}"),
                Ok(_) => panic!("{line:?} is a shim"),
                Err(_) => assert_eq!(quick, None, "{line:?}"),
            }
        }
        assert_eq!(shim_args(["start"].iter().map(Into::into)), None);
    }

    #[test]
    fn a_url_goes_behind_its_options_and_nothing_else_moves() {
        for (line, expected) in [
            ("exai add x https://a -H K=V --force", "exai add x -H K=V --force https://a"),
            ("exai add x https://a", "exai add x https://a"),
            ("exai add x ssh://a --server y", "exai add x --server y ssh://a"),
            ("exai add x npx https://a -y", "exai add x npx https://a -y"),
            ("exai add --url https://a x -- npx", "exai add --url https://a x -- npx"),
            ("exai add x https://a -- y", "exai add x https://a -- y"),
            ("exai call x https://a y", "exai call x https://a y"),
        ] {
            let moved = put_url_last(line.split(' ').map(OsString::from).collect());
            assert_eq!(moved, expected.split(' ').collect::<Vec<_>>());
        }
    }
}
