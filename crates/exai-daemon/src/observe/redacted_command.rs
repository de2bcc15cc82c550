//! What may be shown of a foreign command line: the program, and the script, module or package that it runs. Arguments may
//! hold secrets and are never shown.

/// A command line without its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedactedCommand {
    /// The program as it was called, with its directory.
    pub program: String,
    /// The script, module, package or image that the program runs, if it runs one.
    pub target: Option<String>,
}

/// Options of interpreters whose value is the next word.
const OF_SCRIPTS: [&str; 6] = ["-X", "-W", "-r", "--require", "--import", "--loader"];
/// Options of launchers whose value is the next word.
const OF_PACKAGES: [&str; 20] = [
    "-e",
    "--env",
    "--env-file",
    "-v",
    "--volume",
    "--mount",
    "--name",
    "--network",
    "-u",
    "--user",
    "-w",
    "--workdir",
    "--from",
    "--with",
    "--python",
    "-p",
    "--package",
    "--directory",
    "--project",
    "--entrypoint",
];

/// How a program is told what to run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    /// The first word is a script; `-m` names a module, `-jar` and `-File` a file.
    Script,
    /// The first word is a package, behind these words.
    Package(&'static [&'static str]),
}

fn runs(program: &str) -> Option<Runs> {
    // `python3.12` is a python.
    let plain = program.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    Some(match plain {
        "python" | "pythonw" | "pypy" | "node" | "nodejs" | "ruby" | "perl" | "php" | "java" | "dotnet"
        | "sh" | "bash" | "dash" | "zsh" | "fish" | "pwsh" | "powershell" => Runs::Script,
        "deno" | "bun" => Runs::Package(&["run", "x"]),
        "npx" | "bunx" | "uvx" => Runs::Package(&[]),
        "npm" | "pnpm" | "yarn" => Runs::Package(&["exec", "x", "dlx"]),
        "uv" => Runs::Package(&["run", "tool", "x"]),
        "pipx" => Runs::Package(&["run"]),
        "docker" | "podman" | "nerdctl" => Runs::Package(&["run", "container"]),
        _ => return None,
    })
}

impl RedactedCommand {
    /// Reads a list of arguments, the program first. `None` when the list is empty.
    pub fn of(args: &[String]) -> Option<RedactedCommand> {
        let (first, rest) = args.split_first().filter(|(first, _)| !first.is_empty())?;
        // npm writes its whole command line into its process name.
        if rest.is_empty() && first.starts_with("npm exec ") {
            let words: Vec<String> = first.split(' ').map(str::to_owned).collect();
            return RedactedCommand::of(&words);
        }
        let target = runs(&bare_name(first)).and_then(|runs| target(runs, rest));
        Some(RedactedCommand { program: first.clone(), target })
    }

    /// The text for people: names without directories.
    pub fn shown(&self) -> String {
        let program = file_name(&self.program);
        match &self.target {
            // A package's scope belongs to its name.
            Some(target) if target.starts_with('@') => format!("{program} {target}"),
            Some(target) => format!("{program} {}", file_name(target)),
            None => program.to_owned(),
        }
    }
}

fn target(runs: Runs, args: &[String]) -> Option<String> {
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match (runs, word.as_str()) {
            (Runs::Script, "-m" | "-jar" | "-File" | "-file") => return words.next().cloned(),
            (Runs::Package(between), word) if between.contains(&word) => {}
            // A program given on the command line has no name.
            (Runs::Script, "-c" | "-e" | "-p" | "--eval" | "--print" | "-lc" | "-ic" | "-Command") => {
                return None;
            }
            (Runs::Script, word) if OF_SCRIPTS.contains(&word) => _ = words.next(),
            (Runs::Package(_), word) if OF_PACKAGES.contains(&word) => _ = words.next(),
            (_, word) if word.starts_with('-') => {}
            (_, word) => return is_a_name(word).then(|| word.to_owned()),
        }
    }
    None
}

/// Whether a word can be the name of a script or package: it has no white space, and an end.
fn is_a_name(word: &str) -> bool {
    !word.is_empty() && word.len() <= 256 && !word.contains(|letter: char| letter.is_whitespace())
        // A URL may carry a password.
        && !word.contains("://")
}

/// Whether this is the daemon that exai replaces: a Python that runs `run_ws_daemon.py`, or something else
/// in `scripts/ws/`.
pub fn is_earlier_daemon(args: &[String]) -> bool {
    let Some((first, rest)) = args.split_first() else { return false };
    bare_name(first).starts_with("py")
        && rest.iter().any(|word| {
            let word = word.replace('\\', "/");
            file_name(&word) == "run_ws_daemon.py"
                || word.starts_with("scripts/ws/")
                || word.contains("/scripts/ws/")
        })
}

/// The last part of a path, of any system.
pub fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(path)
}

/// A program's common name: without directory, without `.exe`, and in lower case on Windows.
pub fn bare_name(program: &str) -> String {
    let name = file_name(program).to_ascii_lowercase();
    name.strip_suffix(".exe").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split('|').map(str::to_owned).collect()
    }

    #[test]
    fn program_and_script_are_shown_and_no_argument() {
        let cases = [
            ("python3|/srv/exai/scripts/ws/run_ws_daemon.py|--token|s3cret", "python3 run_ws_daemon.py"),
            (r"C:\Python313\python.exe|-u|scripts\ws\run_ws_daemon.py", "python.exe run_ws_daemon.py"),
            ("/usr/bin/python3.12|-X|dev|-m|http.server|8079", "python3.12 http.server"),
            ("python3|-c|import secret; go('s3cret')", "python3"),
            ("node|--require|./hook.js|server.js|--key=s3cret", "node server.js"),
            ("node|--token=s3cret", "node"),
            ("nginx|s3cret", "nginx"),
            ("bash|-lc|curl -H s3cret", "bash"),
            ("npx|-y|@modelcontextprotocol/server-github|s3cret", "npx @modelcontextprotocol/server-github"),
            ("npm exec @scope/mcp-server s3cret", "npm @scope/mcp-server"),
            ("uv|tool|run|mcp-server-git|--repository|/s3cret", "uv mcp-server-git"),
            ("uvx|--from|git+https://user:s3cret@host/x|mcp-x", "uvx mcp-x"),
            ("docker|run|-i|--rm|-e|KEY=s3cret|mcp/github", "docker github"),
            ("deno|run|https://user:s3cret@host/x.ts", "deno"),
            ("java|-jar|/opt/tool.jar|s3cret", "java tool.jar"),
        ];
        for (line, expected) in cases {
            let shown = RedactedCommand::of(&words(line)).expect("a program").shown();
            assert_eq!(shown, expected, "{line}");
            assert!(!shown.contains("s3cret"));
        }
        assert_eq!(RedactedCommand::of(&[]), None);
    }

    #[test]
    fn the_earlier_daemon_is_known() {
        let cases = [
            ("python3|/srv/exai/scripts/ws/run_ws_daemon.py", true),
            (r"C:\x\.venv\Scripts\python.exe|-u|scripts\ws\run_ws_daemon.py", true),
            ("python3.13|-I|-u|run_ws_daemon.py", true),
            ("python|/srv/exai/scripts/ws/ws_server.py", true),
            ("py.exe|-3|scripts/ws/run_ws_daemon.py", true),
            ("python3|-m|http.server", false),
            ("python3|/srv/other/run_ws_daemon.py.bak", false),
            ("vim|scripts/ws/run_ws_daemon.py", false),
            ("node|run_ws_daemon.py", false),
        ];
        for (line, expected) in cases {
            assert_eq!(is_earlier_daemon(&words(line)), expected, "{line}");
        }
    }
}
