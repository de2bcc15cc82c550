//! Launchers on Windows, as their installers put them on the account's PATH: Python, uv, and node with npm.

use std::process::Command;

use super::*;

pub(super) fn cases(dir: &Path) -> Vec<Case> {
    let server = copy_of_the_server(dir);
    let script = text(&server.join(MODULE).join("__init__.py"));
    let venv = virtual_environment(dir);
    let programs = venv.parent().expect("it is in a folder");
    add_the_package(&venv, &server);
    let shim = npm_package(dir);
    let node_script = text(&server.join("index.js"));
    let server = text(&server);
    vec![
        Case::new("venv", venv.clone(), &[&script], &["venv"]),
        Case::new("distlib", programs.join("pid-server.exe"), &[], &["trampoline", "venv"]),
        Case::new("uv-run", "uv", &["run", "--offline", "--no-project", &script], &["uv"]),
        Case::new(
            "uv-run-project",
            "uv",
            &["run", "--offline", "--project", &server, "pid-server"],
            &["uv", "trampoline", "venv"],
        ),
        Case::new(
            "uvx",
            "uvx",
            &["--offline", "--from", &server, "pid-server"],
            &["uvx", "uvx", "trampoline", "venv"],
        ),
        Case::new("node", "node", &[&node_script], &[]),
        Case::new("npm-shim", shim, &[], &["cmd"]),
        Case::new("npx", "npx", &["--no", "--", "pid-server"], &["cmd", "npx", "cmd"]),
    ]
}

/// Makes a virtual environment in this folder, and returns its Python.
pub(crate) fn virtual_environment(dir: &Path) -> PathBuf {
    let venv = dir.join("venv");
    run(Command::new("python").args(["-m", "venv", "--without-pip"]).arg(&venv));
    venv.join("Scripts").join("python.exe")
}

/// The kinds of the launchers above a server that such a Python runs.
pub(crate) const VENV: &[&str] = &["venv"];

/// Installs the server into the environment, with a program that pip's distlib makes.
fn add_the_package(venv: &Path, server: &Path) {
    const MAKE_SCRIPT: &str = "
import ensurepip, glob, os, sys
sys.path.insert(0, glob.glob(os.path.join(os.path.dirname(ensurepip.__file__), '_bundled', 'pip-*.whl'))[0])
from pip._vendor.distlib.scripts import ScriptMaker
maker = ScriptMaker(None, os.path.dirname(sys.argv[1]))
maker.executable = sys.argv[1]
maker.variants = {''}
maker.make('pid-server = pid_server:main')
";
    run(Command::new("python").args(["-c", MAKE_SCRIPT]).arg(venv));
    let folder = venv.ancestors().nth(2).expect("a virtual environment");
    let package = folder.join("Lib").join("site-packages").join("pid_server");
    std::fs::create_dir(&package).expect("a directory");
    std::fs::copy(server.join(MODULE).join("__init__.py"), package.join("__init__.py")).expect("a copy");
}

/// Installs the package, and returns the batch file that npm makes for its program.
fn npm_package(dir: &Path) -> PathBuf {
    std::fs::write(dir.join("package.json"), r#"{"name":"x","version":"1.0.0"}"#).expect("a file");
    let npm = |args: &[&str]| run(Command::new("npm.cmd").args(args).arg("--offline").current_dir(dir));
    npm(&["pack", "./pid-server"]);
    npm(&["install", "--no-audit", "--no-fund", "./pid-server-1.0.0.tgz"]);
    dir.join("node_modules").join(".bin").join("pid-server.cmd")
}

/// Windows adds a helper process for each console program.
pub(crate) fn comes_with_the_console(process: &Value) -> bool {
    process["role"] == "helper" && process["name"] == "conhost.exe"
}

/// Windows counts the bytes that a process reads and writes. Wine does not, so there every server is only presumed.
pub(crate) fn counts_io() -> bool {
    !exai_os::build::under_wine()
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
}
