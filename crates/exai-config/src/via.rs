//! `via`: the exai of another machine, reached by the ssh of this one.

use std::fmt;

use crate::server_name;

/// The scheme of a `via`.
const SCHEME: &str = "ssh://";

/// The program that leads there.
pub const SSH: &str = "ssh";

/// What `server` says for all servers of the exai there.
const ALL_SERVERS: &str = "*";

/// What is passed to ssh behind the `args` of the server. For each option ssh takes the first value that it is told, so
/// what stands here wins over ssh's configuration, and `args` win over both.
const OPTIONS: [&str; 7] = [
    // Nobody could answer a question.
    "BatchMode=yes",
    // A network that is gone is noticed within a minute.
    "ConnectTimeout=20",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    // A connection that others share must not end with the server. One that is there is used.
    "ControlMaster=no",
    // What a person has for a terminal there is no part of a server: ports may be taken, a command would take our place.
    "ClearAllForwardings=yes",
    "RemoteCommand=none",
];

/// Where a server is that another exai hosts, and how that exai is started there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Via {
    /// The account there, if it is named.
    user: Option<String>,
    /// The machine, as ssh knows it; an IPv6 address without its brackets.
    host: String,
    port: Option<u16>,
    /// The server there; all of them if none is named.
    server: Option<String>,
    /// The program there.
    remote_command: String,
}

impl Via {
    /// Takes apart what `via` says. The error is a sentence.
    pub(crate) fn parse(text: &str) -> Result<Via, String> {
        let rest = text.strip_prefix(SCHEME).ok_or("a `via` starts with ssh://")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err("a `via` names a machine and no path: `server` names the server there".to_owned());
        }
        let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
        if user.is_some_and(|user| user.contains(':')) {
            return Err("a password does not belong into a `via`: ssh uses keys and agents".to_owned());
        }
        if !user.is_none_or(|user| is_word(user, "._-+@\\")) {
            return Err("this `via` names no user that may be given to ssh".to_owned());
        }
        let (host, port, may_hold) = match place.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, "")) => (host, None, ":.%_-"),
            Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or("?")), ":.%_-"),
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port), "._-"),
                None => (place, None, "._-"),
            },
        };
        if !is_word(host, may_hold) {
            return Err("this `via` names no machine that may be given to ssh".to_owned());
        }
        let port = port.map(|port| port.parse().ok().filter(|port| *port != 0));
        if port == Some(None) {
            return Err("the port in this `via` is no number from 1 to 65535".to_owned());
        }
        Ok(Via {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port: port.flatten(),
            server: None,
            remote_command: "exai".to_owned(),
        })
    }

    /// Names the server there: `*` for all.
    pub(crate) fn with_server(self, name: &str) -> Result<Via, String> {
        if name == ALL_SERVERS {
            return Ok(Via { server: None, ..self });
        }
        server_name::check(name).map_err(|error| format!("{error}; `server = \"*\"` stands for all"))?;
        Ok(Via { server: Some(name.to_owned()), ..self })
    }

    /// Names the program there.
    pub(crate) fn with_remote_command(self, path: &str) -> Result<Via, String> {
        // ssh looks for its own options behind the machine, too.
        if path.trim().is_empty() || path.starts_with('-') || path.contains(char::is_control) {
            return Err("`remote_command` is the path of exai on the other machine".to_owned());
        }
        Ok(Via { remote_command: path.to_owned(), ..self })
    }

    /// The arguments of ssh. `own` are those that the configuration adds.
    pub fn ssh_args(&self, own: &[String]) -> Vec<String> {
        let mut args = own.to_vec();
        args.push("-T".to_owned());
        args.extend(OPTIONS.iter().flat_map(|option| ["-o", option]).map(str::to_owned));
        if let Some(port) = self.port {
            args.extend(["-p".to_owned(), port.to_string()]);
        }
        args.push(self.destination());
        args.extend([quote_for_shell(&self.remote_command), "shim".to_owned()]);
        if let Some(server) = &self.server {
            args.extend(["--server".to_owned(), server.clone()]);
        }
        args
    }

    /// What a person types to see what stands in the way.
    pub fn trial_command(&self) -> String {
        let port = self.port.map(|port| format!("-p {port} ")).unwrap_or_default();
        format!("ssh {port}{} {} status", self.destination(), quote_for_shell(&self.remote_command))
    }

    /// The machine, as ssh knows it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The program there, as it was written.
    pub fn remote_command(&self) -> &str {
        &self.remote_command
    }

    /// How the server is reached, in words.
    pub fn describe_hop(&self) -> String {
        let server =
            self.server.as_ref().map_or_else(|| "all servers".to_owned(), |name| format!("`{name}`"));
        format!("{server} of the exai on {self}, over ssh")
    }

    fn destination(&self) -> String {
        match &self.user {
            Some(user) => format!("{user}@{}", self.host),
            None => self.host.clone(),
        }
    }
}

/// The machine, with user and port where they are named.
impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.destination())?;
        self.port.map_or(Ok(()), |port| write!(f, ", port {port}"))
    }
}

/// Whether a text may be an argument of ssh and stand in the commands that ssh's own configuration makes of it.
fn is_word(text: &str, more: &str) -> bool {
    let fits = |character: char| character.is_alphanumeric() || more.contains(character);
    !text.is_empty() && !text.starts_with('-') && !text.ends_with('\\') && text.chars().all(fits)
}

/// A path as the shell there takes it for one word. What needs no quotes gets none: shells of Windows know no single ones.
/// A `~/` at the beginning stays the home there.
fn quote_for_shell(path: &str) -> String {
    let (home, rest) = path.strip_prefix("~/").map_or(("", path), |rest| ("~/", rest));
    let plain = |character: char| character.is_ascii_alphanumeric() || "_./:@%+,-".contains(character);
    let windows = |character: char| plain(character) || character == '\\';
    let has_drive = rest.get(1..3) == Some(":\\");
    if rest.chars().all(plain) || has_drive && rest.chars().all(windows) {
        return path.to_owned();
    }
    if has_drive {
        return format!("\"{}\"", rest.replace('"', ""));
    }
    format!("{home}'{}'", rest.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_named_as_ssh_knows_it() {
        for (text, shown, trial) in [
            ("ssh://build", "build", "ssh build exai status"),
            ("ssh://build.example/", "build.example", "ssh build.example exai status"),
            ("ssh://me@build:2222", "me@build, port 2222", "ssh -p 2222 me@build exai status"),
            ("ssh://me@corp@build", "me@corp@build", "ssh me@corp@build exai status"),
            ("ssh://CORP\\me@build", "CORP\\me@build", "ssh CORP\\me@build exai status"),
            ("ssh://[fe80::1%eth0]", "fe80::1%eth0", "ssh fe80::1%eth0 exai status"),
            ("ssh://me@[::1]:22", "me@::1, port 22", "ssh -p 22 me@::1 exai status"),
        ] {
            let via = Via::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((via.to_string(), via.trial_command()), (shown.to_owned(), trial.to_owned()));
        }
    }

    #[test]
    fn nothing_is_taken_for_a_machine_that_ssh_could_take_for_something_else() {
        for (text, sentence) in [
            ("build", "starts with ssh://"),
            ("https://build", "starts with ssh://"),
            ("ssh://", "no machine"),
            ("ssh://-oProxyCommand=x", "no machine"),
            ("ssh://me@-oProxyCommand", "no machine"),
            ("ssh://-lroot@build", "no user"),
            ("ssh://@build", "no user"),
            ("ssh://a b", "no machine"),
            ("ssh://a\nb", "no machine"),
            ("ssh://a;b", "no machine"),
            ("ssh://$(x)", "no machine"),
            ("ssh://${env:HOST}", "no machine"),
            ("ssh://[-x]", "no machine"),
            ("ssh://[::1", "no machine"),
            ("ssh://me:word@build", "password"),
            ("ssh://build:", "port"),
            ("ssh://build:0", "port"),
            ("ssh://build:70000", "port"),
            ("ssh://[::1]22", "port"),
            ("ssh://build/notes", "no path"),
        ] {
            let said = Via::parse(text).expect_err(text);
            assert!(said.contains(sentence), "{text}: {said}");
        }
        let via = || Via::parse("ssh://build").unwrap();
        for path in ["", " ", "-x", "a\nb"] {
            assert!(via().with_remote_command(path).is_err(), "{path}");
        }
        for server in ["", "a b", "-x", "a;b", "**"] {
            assert!(via().with_server(server).is_err(), "{server}");
        }
    }

    #[test]
    fn the_program_there_is_one_word_for_its_shell() {
        for (path, word) in [
            ("exai", "exai"),
            ("/opt/exai-1.0/bin/exai", "/opt/exai-1.0/bin/exai"),
            ("~/.local/bin/exai", "~/.local/bin/exai"),
            ("~/my tools/exai", "~/'my tools/exai'"),
            ("a b", "'a b'"),
            ("it's; rm -r $HOME", r"'it'\''s; rm -r $HOME'"),
            (r"C:\exai\exai.exe", r"C:\exai\exai.exe"),
            (r"C:\Program Files\exai.exe", r#""C:\Program Files\exai.exe""#),
            (r"a\b", r"'a\b'"),
        ] {
            assert_eq!(quote_for_shell(path), word);
        }
    }

    #[test]
    fn the_own_arguments_of_a_server_come_before_those_that_exai_adds() {
        let via = Via::parse("ssh://me@build:2222").unwrap();
        let own = ["-o".to_owned(), "ServerAliveInterval=60".to_owned()];
        let args = via.clone().with_server("notes").unwrap().ssh_args(&own).join(" ");
        assert!(args.starts_with("-o ServerAliveInterval=60 -T -o BatchMode=yes "), "{args}");
        assert!(args.ends_with(" -p 2222 me@build exai shim --server notes"), "{args}");
        let all = via.with_server("*").unwrap().ssh_args(&[]).join(" ");
        assert!(all.ends_with(" me@build exai shim"), "{all}");
    }
}
