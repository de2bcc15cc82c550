//! `cargo xtask peers`

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::process::{self, Outcome};
use crate::project;

pub(crate) const HELP: &str = "\
usage: cargo xtask peers [--again]

Installs what the tests compare exai with into .peers/, which git ignores: Node, the reference MCP
servers, the conformance suite, the official SDKs for TypeScript and Python in two versions each, an
OpenID provider, a Chromium for Linux on x64, llama.cpp's server for the EXAI tools, an ssh server for machines without sshd, and on Linux the agents Claude Code and Copilot CLI. The versions are pinned in tests/peers/package.json,
package-lock.json and requirements-*.txt. Does nothing when what is installed fits them.

Needs npm, and Python 3.10 or newer with venv.

  --again   install anew even so";

/// The files in tests/peers that pin versions. Their text is part of the stamp.
const PINS: [&str; 6] = [
    "package.json",
    "package-lock.json",
    "requirements-1.txt",
    "requirements-2.txt",
    "requirements-llama.txt",
    "requirements-ssh.txt",
];
const PYTHONS: [&str; 2] = ["python3", "python"];

pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let again = match arguments {
        [] => false,
        ["--again"] => true,
        _ => return Err("takes only --again".to_owned()),
    };
    let pins = project::root().join("tests").join("peers");
    let folder = project::root().join(".peers");
    let stamp = folder.join("stamp");
    let wanted = wanted(&pins, &folder)?;
    let installed = || fs::read_to_string(&stamp).is_ok_and(|text| text == wanted);
    if installed() && !again {
        return Ok(());
    }
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let _lock = lock(&folder)?;
    if installed() && !again {
        return Ok(()); // another run has installed everything meanwhile
    }
    // Without a stamp, an unfinished installation is not taken for a complete one.
    let _ = fs::remove_file(&stamp);
    install(&pins, &folder)?;
    fs::write(&stamp, wanted).map_err(|error| format!("cannot write {}: {error}", stamp.display()))
}

/// The text of a valid stamp: the place, since a Python venv cannot be moved, and the pins.
fn wanted(pins: &Path, folder: &Path) -> Result<String, String> {
    let mut text = format!("{}\n", folder.display());
    for name in PINS {
        let path = pins.join(name);
        text +=
            &fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    }
    Ok(text)
}

/// Keeps other runs from installing until the returned file is dropped.
fn lock(folder: &Path) -> Result<File, String> {
    let path = folder.join("lock");
    File::create(&path)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| format!("cannot lock {}: {error}", path.display()))
}

/// Installs the parts at the same time, since each of them mostly waits for the network.
fn install(pins: &Path, folder: &Path) -> Outcome {
    println!("      installing into .peers/, about a minute");
    thread::scope(|scope| {
        let parts = [
            scope.spawn(|| timed("Node, servers, the TypeScript SDK and agents", || node(pins, folder))),
            scope.spawn(|| timed("Python SDK 1.x", || python(pins, folder, "1", "py1", "mcp"))),
            scope.spawn(|| timed("Python SDK 2.x", || python(pins, folder, "2", "py2", "mcp"))),
            scope.spawn(|| timed("llama.cpp", || python(pins, folder, "llama", "llama", "xllamacpp"))),
            scope.spawn(|| timed("an ssh server", || python(pins, folder, "ssh", "ssh", "asyncssh"))),
        ];
        parts.into_iter().try_for_each(|part| part.join().expect("BUG: an installation panicked"))
    })
}

fn timed(name: &str, install: impl Fn() -> Outcome) -> Outcome {
    let start = Instant::now();
    install().map_err(|why| format!("{name}: {why}"))?;
    println!("      {name}: done in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn node(pins: &Path, folder: &Path) -> Outcome {
    for name in ["package.json", "package-lock.json"] {
        fs::copy(pins.join(name), folder.join(name))
            .map_err(|error| format!("cannot copy {name}: {error}"))?;
    }
    // On Windows npm is a script, and its extension must be given.
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    process::output(Command::new(npm).arg("--version")).map_err(|why| {
        format!("npm is needed ({why}); install it, on Debian with the package npm, elsewhere with Node.js")
    })?;
    process::output(Command::new(npm).args(["ci", "--no-audit", "--no-fund"]).current_dir(folder))?;
    let program = folder
        .join("node_modules")
        .join("node")
        .join("bin")
        .join(format!("node{}", std::env::consts::EXE_SUFFIX));
    let version = process::output(Command::new(program).arg("--version"))?;
    if version.starts_with("v22.") { Ok(()) } else { Err(format!("Node 22 was wanted, {version} came")) }
}

/// Installs `requirements-PIN.txt` into the virtual environment `venv`, and tries to import `module` there.
fn python(pins: &Path, folder: &Path, pin: &str, venv: &str, module: &str) -> Outcome {
    let requirements = pins.join(format!("requirements-{pin}.txt"));
    let venv = folder.join(venv);
    let test = "import sys, venv; sys.exit(sys.version_info < (3, 10))";
    let program = PYTHONS
        .into_iter()
        .find(|name| process::output(Command::new(name).args(["-c", test])).is_ok())
        .ok_or("Python 3.10 or newer is needed, as python3 or python")?;
    process::output(Command::new(program).args(["-m", "venv", "--clear"]).arg(&venv))
        .map_err(|why| format!("{why}\n  (on Debian, venv is the package python3-venv)"))?;
    let inside = venv_python(&venv);
    let mut pip = Command::new(&inside);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(requirements);
    process::output(&mut pip)?;
    process::output(Command::new(inside).args(["-c", &format!("import {module}")])).map(drop)
}

/// The path of a venv's Python.
fn venv_python(venv: &Path) -> PathBuf {
    if cfg!(windows) { venv.join("Scripts").join("python.exe") } else { venv.join("bin").join("python") }
}
