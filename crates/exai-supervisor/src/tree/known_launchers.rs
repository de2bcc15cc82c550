//! Programs that are known to start other programs. They are known by name and arguments, never by what they did.

use super::member_facts::Facts;

/// The kind of a launcher that passes every byte on.
pub(super) const RELAY: &str = "relay";

/// How a process is known as a launcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// What kind of launcher it is.
    pub(super) kind: &'static str,
    /// What it was recognised by, in words without secrets: `npm exec`, `sh -c`.
    pub(super) label: String,
    /// What it calls itself, where that is not its program's name.
    pub(super) title: Option<String>,
    /// Whether such a program can also be a server, as a script of a shell can.
    pub(super) may_serve: bool,
    /// Whether it starts a process in another tree: in a container, or on another machine.
    pub(super) leads_elsewhere: bool,
}

impl Signature {
    fn new(kind: &'static str, label: impl Into<String>) -> Self {
        Self { kind, label: label.into(), title: None, may_serve: false, leads_elsewhere: false }
    }

    fn elsewhere(label: impl Into<String>) -> Self {
        Self { leads_elsewhere: true, ..Self::new(RELAY, label) }
    }

    /// A script of a shell may itself be the server.
    fn script(program: &str, path: &str) -> Self {
        Self { may_serve: true, ..Self::new("shell", format!("{program} {}", file_name(path))) }
    }

    pub(super) fn is_relay(&self) -> bool {
        self.kind == RELAY
    }
}

/// The console host that Windows starts for each console program, visible or not. It is never anything else.
pub(super) fn is_console(facts: &Facts) -> bool {
    program(facts) == "conhost"
}

/// The launcher that a process with these facts and children is known as.
pub(super) fn of(facts: &Facts, children: &[&Facts]) -> Option<Signature> {
    let program = program(facts);
    let first = facts.args.first().map_or("", String::as_str);
    let rest = facts.args.get(1..).unwrap_or_default();
    title(first)
        .or_else(|| by_name(&program, rest, facts.args.is_empty()))
        .or_else(|| script(&program, rest))
        .or_else(|| redirector(facts, children))
        .or_else(|| trampoline(facts, children))
}

/// npm writes what it does over its arguments.
fn title(first: &str) -> Option<Signature> {
    let mut words = first.split(' ');
    let (npm, verb) = (words.next()?, words.next()?);
    let kind = match (npm, verb) {
        ("npm", "exec" | "x") => "npx",
        ("npm", _) => "npm",
        _ => return None,
    };
    let label = format!("{npm} {verb}");
    Some(Signature { title: Some(label.clone()), ..Signature::new(kind, label) })
}

fn by_name(program: &str, rest: &[String], unknown: bool) -> Option<Signature> {
    let verb = verb(rest);
    let named = |kind| Some(Signature::new(kind, program));
    let with_verb = |kind| Some(Signature::new(kind, format!("{program} {verb}")));
    match program {
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "ash" | "fish" | "busybox" => {
            if unknown {
                named("shell")
            } else {
                shell(program, rest)
            }
        }
        "powershell" | "pwsh" => Some(powershell(program, rest)),
        "cmd" if unknown => named("cmd"),
        "cmd" => {
            rest.iter().any(|arg| arg.eq_ignore_ascii_case("/c")).then(|| Signature::new("cmd", "cmd /c"))
        }
        "npx" | "uvx" | "bunx" | "pnpx" => named(match program {
            "npx" => "npx",
            "uvx" => "uvx",
            "bunx" => "bunx",
            _ => "pnpm",
        }),
        "uv" if verb == "run" => with_verb("uv"),
        "uv" if verb == "tool" => Some(Signature::new("uvx", "uv tool run")),
        "bun" if verb == "x" => with_verb("bunx"),
        "pipx" if verb == "run" => with_verb("pipx"),
        "py" | "pyw" => named("py"),
        "conda" | "mamba" | "micromamba" if verb == "run" => with_verb("conda"),
        "poetry" | "pipenv" | "hatch" | "pdm" | "rye" if verb == "run" => with_verb("wrapper"),
        "mise" | "asdf" | "direnv" | "op" | "doppler" | "dotenvx" if matches!(verb, "exec" | "x" | "run") => {
            with_verb("wrapper")
        }
        "docker" | "podman" | "nerdctl" if matches!(verb, "run" | "exec" | "start") => {
            Some(Signature::elsewhere(format!("{program} {verb}")))
        }
        "kubectl" | "oc" if verb == "exec" => Some(Signature::elsewhere(format!("{program} exec"))),
        "ssh" | "plink" | "wsl" | "socat" | "nc" | "ncat" | "netcat" => Some(Signature::elsewhere(program)),
        "tee" | "cat" | "pv" => named(RELAY),
        "env" | "nice" | "ionice" | "chrt" | "taskset" | "timeout" | "sudo" | "doas" | "su" | "runuser"
        | "nohup" | "setsid" | "stdbuf" | "time" | "strace" | "ltrace" | "xvfb-run" | "dumb-init"
        | "tini" | "unshare" | "firejail" | "bwrap" | "dotenv" => named("wrapper"),
        _ => None,
    }
}

/// Options whose value is an argument of its own, of the programs above.
const WITH_VALUE: [&str; 12] = [
    "--context",
    "-c",
    "--host",
    "-H",
    "--config",
    "--log-level",
    "-l",
    "--directory",
    "--project",
    "--cache-dir",
    "-n",
    "--namespace",
];

/// The first argument that is no option.
fn verb(rest: &[String]) -> &str {
    let mut rest = rest.iter();
    while let Some(arg) = rest.next() {
        if WITH_VALUE.contains(&arg.as_str()) {
            rest.next();
        } else if !arg.starts_with('-') {
            return arg;
        }
    }
    ""
}

/// `sh -c …`, or a script, which may do the work itself.
fn shell(program: &str, rest: &[String]) -> Option<Signature> {
    let rest = if program == "busybox" { rest.get(1..).unwrap_or_default() } else { rest };
    let is_option = |arg: &&String| arg.starts_with(['-', '+']);
    let is_command = |arg: &String| {
        let letters = arg.strip_prefix('-').filter(|letters| !letters.starts_with('-'));
        letters.is_some_and(|letters| letters.contains('c'))
    };
    if rest.iter().take_while(is_option).any(is_command) {
        return Some(Signature::new("shell", format!("{program} -c")));
    }
    rest.iter().find(|arg| !is_option(arg)).map(|script| Signature::script(program, script))
}

/// PowerShell's options are words, and some have values.
fn powershell(program: &str, rest: &[String]) -> Signature {
    match rest.iter().find(|arg| arg.to_ascii_lowercase().ends_with(".ps1")) {
        Some(script) => Signature::script(program, script),
        None => Signature::new("shell", program),
    }
}

/// Launchers that are scripts of node or Python.
fn script(program: &str, rest: &[String]) -> Option<Signature> {
    let is_node = matches!(program, "node" | "nodejs" | "bun");
    let is_python = program.starts_with("python") || program.starts_with("pypy");
    let module = rest.iter().position(|arg| arg == "-m").filter(|_| is_python);
    let at = module.map_or_else(|| rest.iter().position(|arg| !arg.starts_with('-')), |at| Some(at + 1))?;
    let name = file_name(rest.get(at)?);
    let verb = verb(rest.get(at + 1..).unwrap_or_default());
    match name {
        "npx-cli.js" | "npx" if is_node => Some(Signature::new("npx", "npx")),
        "npm-cli.js" | "npm" if is_node && matches!(verb, "exec" | "x") => {
            Some(Signature::new("npx", "npm exec"))
        }
        "npm-cli.js" | "npm" if is_node => Some(Signature::new("npm", "npm")),
        "pnpm.cjs" | "pnpm" | "pnpx" if is_node => Some(Signature::new("pnpm", "pnpm")),
        "yarn.js" | "yarn.cjs" | "yarn" if is_node => Some(Signature::new("yarn", "yarn")),
        "bunx" if is_node => Some(Signature::new("bunx", "bunx")),
        "pipx" if is_python && verb == "run" => Some(Signature::new("pipx", "pipx run")),
        "conda" | "mamba" if is_python && verb == "run" => Some(Signature::new("conda", "conda run")),
        _ => None,
    }
}

/// A virtual environment's `python.exe`, which starts the real one with the same arguments.
fn redirector(facts: &Facts, children: &[&Facts]) -> Option<Signature> {
    let is_python = |facts: &Facts| program(facts).starts_with("python");
    let tail = |facts: &Facts| facts.args.get(1..).map(<[String]>::to_vec);
    let goes_on = |child: &&&Facts| {
        is_python(child) && child.exe != facts.exe && !child.in_venv && tail(child) == tail(facts)
    };
    let is_one = facts.in_venv && is_python(facts) && children.iter().any(|child| goes_on(&child));
    is_one.then(|| Signature::new("venv", "the python of a virtual environment"))
}

/// An `.exe` that only starts another program with its own path among the arguments.
fn trampoline(facts: &Facts, children: &[&Facts]) -> Option<Signature> {
    let own = facts.exe.as_ref().filter(|exe| exe.to_ascii_lowercase().ends_with(".exe"))?;
    let names_it = |child: &&Facts| child.args.iter().skip(1).any(|arg| arg.eq_ignore_ascii_case(own));
    children
        .iter()
        .any(names_it)
        .then(|| Signature::new("trampoline", format!("trampoline {}", file_name(own))))
}

/// The name a program was called by, else that of its file, without `.exe`, in small letters.
pub(super) fn program(facts: &Facts) -> String {
    let called = facts.args.first().filter(|first| !first.is_empty()).or(facts.exe.as_ref());
    let name = file_name(called.map_or(facts.process.name.as_str(), String::as_str)).to_ascii_lowercase();
    let name = name.strip_prefix('-').unwrap_or(&name); // a login shell
    name.strip_suffix(".exe").unwrap_or(name).to_owned()
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
