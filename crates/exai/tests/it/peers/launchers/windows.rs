//! Launchers of Windows, as their installers put them on the account's PATH: Python, uv, and node with npm.

use super::*;

pub(super) fn cases(dir: &Path) -> Vec<Case> {
    let server = copy_of_the_server(dir);
    let module = server.join("src").join("pid_server");
    let script = text(&module.join("__init__.py"));
    let venv = virtual_environment(dir, &module);
    let shim = npm_package(dir);
    let node_script = text(&server.join("index.js"));
    let server = text(&server);
    vec![
        Case::new("venv", venv.join("python.exe"), &[&script], &["venv"]),
        Case::new("distlib", venv.join("pid-server.exe"), &[], &["trampoline", "venv"]),
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

/// The folder with the programs of a virtual environment, among them one that pip's distlib made.
fn virtual_environment(dir: &Path, module: &Path) -> PathBuf {
    const MAKE_SCRIPT: &str = "
import ensurepip, glob, os, sys
sys.path.insert(0, glob.glob(os.path.join(os.path.dirname(ensurepip.__file__), '_bundled', 'pip-*.whl'))[0])
from pip._vendor.distlib.scripts import ScriptMaker
maker = ScriptMaker(None, sys.argv[1])
maker.executable = os.path.join(sys.argv[1], 'python.exe')
maker.variants = {''}
maker.make('pid-server = pid_server:main')
";
    let venv = dir.join("venv");
    run(Command::new("python").args(["-m", "venv", "--without-pip"]).arg(&venv));
    let programs = venv.join("Scripts");
    run(Command::new("python").args(["-c", MAKE_SCRIPT]).arg(&programs));
    let package = venv.join("Lib").join("site-packages").join("pid_server");
    std::fs::create_dir(&package).expect("a directory");
    std::fs::copy(module.join("__init__.py"), package.join("__init__.py")).expect("a copy");
    programs
}

/// The script for cmd that npm makes of a package's program.
fn npm_package(dir: &Path) -> PathBuf {
    std::fs::write(dir.join("package.json"), r#"{"name":"x","version":"1.0.0"}"#).expect("a file");
    let npm = |args: &[&str]| run(Command::new("npm.cmd").args(args).arg("--offline").current_dir(dir));
    npm(&["pack", "./pid-server"]);
    npm(&["install", "--no-audit", "--no-fund", "./pid-server-1.0.0.tgz"]);
    dir.join("node_modules").join(".bin").join("pid-server.cmd")
}

/// The system gives each program of the console a helper.
pub(super) fn comes_with_the_console(process: &Value) -> bool {
    process["role"] == "helper" && process["name"] == "conhost.exe"
}

/// Windows counts what a process reads and writes; Wine does not, so there each server is presumed.
pub(super) fn counts_io() -> bool {
    !exai_os::build::under_wine()
}
