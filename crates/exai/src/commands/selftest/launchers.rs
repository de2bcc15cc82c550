//! The launchers of this machine, each of which starts a server without the network.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use exai_config::environment;
use exai_os::{launchers, search};
use exai_proto::json;

use super::bench::Bench;

/// The server for launchers of Python.
const SERVER: &str = include_str!("server.py");
/// What npx is told to run.
const NAME: &str = "exai-selftest-server";

/// A launcher that may be on this machine.
pub(super) enum Found {
    /// It can be tried.
    Usable {
        command: String,
        args: Vec<String>,
        /// More lines for the server in `config.toml`.
        more: String,
        /// How many launchers there are above the server, at least.
        launchers: usize,
    },
    /// It cannot.
    Absent { why: String },
}

/// Looks for each launcher.
pub(super) fn find(bench: &Bench) -> Result<Vec<(&'static str, Found)>, String> {
    let found = |found: Result<Found, String>| match found {
        Err(why) if !bench.is_interrupted() => Ok(Found::Absent { why }),
        other => other,
    };
    let mut all = vec![("npx", found(npx(bench))?), ("uv", found(uv(bench))?)];
    // Python brings it to Windows alone.
    if let Ok(py) = program("py") {
        all.push(("py", found(py_launcher(bench, py))?));
    }
    match found(venv(bench))? {
        Found::Usable { command, args, more, launchers } => {
            for (name, more) in [("venv", more), ("venv-port", at_a_port()?)] {
                let (command, args) = (command.clone(), args.clone());
                all.push((name, Found::Usable { command, args, more, launchers }));
            }
        }
        absent @ Found::Absent { .. } => all.push(("venv", absent)),
    }
    Ok(all)
}

/// The change that gives the server for Python a port of its own.
fn at_a_port() -> Result<String, String> {
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let addr = free.map_err(|error| format!("no port of this machine can be had: {error}"))?;
    let url = json::quote(&format!("http://{addr}/mcp"));
    Ok(format!("url = {url}\n{}", variables(&[("EXAI_SELFTEST_PORT", &addr.port().to_string())])?))
}

/// `npx NAME` runs a script from `node_modules/.bin` of its directory, without asking the network.
fn npx(bench: &Bench) -> Result<Found, String> {
    let command = program("npx")?;
    let dir = bench.dir("npx")?;
    let bin = dir.join("node_modules").join(".bin");
    std::fs::create_dir_all(&bin).map_err(|error| format!("cannot create {}: {error}", bin.display()))?;
    let exe = text(bench.exe.clone())?;
    launchers::script(&bin, NAME, &exe, &["selftest-server"]).map_err(|error| error.to_string())?;
    // npm would keep its logs and what it has downloaded in the account's home.
    let cache = text(dir.join("cache"))?;
    let own = [
        ("npm_config_cache", &*cache),
        ("npm_config_offline", "true"),
        ("npm_config_update_notifier", "false"),
    ];
    let more = format!("cwd = {}\n{}", json::quote(&text(dir)?), variables(&own)?);
    let args = ["--no-install", NAME].map(str::to_owned).to_vec();
    Ok(Found::Usable { command, args, more, launchers: 1 })
}

/// `uv run` of a script, with the Python that is there.
fn uv(bench: &Bench) -> Result<Found, String> {
    let command = program("uv")?;
    let python = python()?;
    let dir = bench.dir("uv")?;
    let server = server(&dir)?;
    let cache = text(dir.join("cache"))?;
    let args = ["run", "--offline", "--no-project", "--no-config", "--python", &python, "python", &server];
    let args = args.map(str::to_owned).to_vec();
    Ok(Found::Usable { command, args, more: variables(&[("UV_CACHE_DIR", &cache)])?, launchers: 1 })
}

/// `py -3 SCRIPT`.
fn py_launcher(bench: &Bench, command: String) -> Result<Found, String> {
    let args = vec!["-3".to_owned(), "-u".to_owned(), server(&bench.dir("py")?)?];
    Ok(Found::Usable { command, args, more: String::new(), launchers: 1 })
}

/// The Python of a virtual environment: on Windows a launcher, elsewhere the interpreter itself.
fn venv(bench: &Bench) -> Result<Found, String> {
    let python = python()?;
    let dir = bench.dir("venv")?;
    let mut command = Command::new(&python);
    command.args(["-m", "venv", "--without-pip"]).arg(&dir);
    let said = bench.run(command)?;
    if said.code != Some(0) {
        let last = said.err.lines().last().unwrap_or_default().to_owned();
        return Err(format!("{python} cannot make a virtual environment: {last}"));
    }
    let args = vec!["-u".to_owned(), server(&dir)?];
    let launchers = usize::from(launchers::PYTHON_OF_A_VENV_IS_ONE);
    Ok(Found::Usable { command: text(launchers::python_of(&dir))?, args, more: String::new(), launchers })
}

/// A program on the `PATH` of this process.
fn program(name: &str) -> Result<String, String> {
    let vars = environment::of_this_process();
    let here = PathBuf::from(".");
    match search::resolve(name, &here, &vars) {
        Ok(file) => text(std::path::absolute(&file).unwrap_or(file)),
        Err(_) => Err(format!("`{name}` is not on PATH")),
    }
}

fn python() -> Result<String, String> {
    let found = launchers::PYTHONS.into_iter().find_map(|name| program(name).ok());
    found.ok_or_else(|| "Python is not on PATH".to_owned())
}

fn server(dir: &std::path::Path) -> Result<String, String> {
    let file = dir.join("server.py");
    std::fs::write(&file, SERVER).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    text(file)
}

/// `env = { … }`, with the `PATH` by which the launcher was found: it finds its interpreter there.
fn variables(own: &[(&str, &str)]) -> Result<String, String> {
    let vars = environment::of_this_process();
    let path = exai_os::account::find_variable(&vars, "PATH").map(|path| text(path.into())).transpose()?;
    let all = own.iter().copied().chain(path.as_deref().map(|path| ("PATH", path)));
    let all: Vec<String> = all.map(|(name, value)| format!("{name} = {}", json::quote(value))).collect();
    Ok(format!("env = {{ {} }}\n", all.join(", ")))
}

fn text(path: PathBuf) -> Result<String, String> {
    path.into_os_string().into_string().map_err(|path| format!("{} is no text", path.display()))
}
