//! `cargo xtask windows`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

use crate::{Outcome, process, project, test};

pub(crate) const HELP: &str = "\
usage: cargo xtask windows --check [--if-possible]
       cargo xtask windows --test [ARGUMENT...]

  --check   runs clippy on the whole workspace, tests included, for x86_64-pc-windows-gnu
  --test    builds all of it and runs the tests under Wine 10; the arguments are those of `cargo nextest run`

The compiler, its std for Windows and the linker come from Debian 12 packages, and Wine from Debian 13's, with
Windows' own Python, uv and node from PyPI. They are set up once, in two and another two minutes, in the folder
exai-windows of the account's cache folder; that needs root, and Wine needs it each time. Without Debian or
root, and without that folder, neither is possible.

  --if-possible   then say so and succeed, instead of failing";

const TARGET: &str = "x86_64-pc-windows-gnu";
const LINKER: &str = "x86_64-w64-mingw32-gcc";

pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let (if_possible, tests) = match arguments {
        ["--check"] => (false, None),
        ["--check", "--if-possible"] | ["--if-possible", "--check"] => (true, None),
        ["--test", arguments @ ..] => (false, Some(arguments)),
        _ => return Err("needs --check, which takes --if-possible, or --test".to_owned()),
    };
    if let Some(missing) = missing() {
        if if_possible {
            println!("skipped: {missing}");
            return Ok(());
        }
        return Err(missing);
    }
    let toolchain = toolchain()?;
    if !is_ready(&toolchain) || tests.is_some() && !has_wine(&toolchain) {
        println!("      setting up what Windows needs in {}", toolchain.display());
        let mut setup = Command::new("bash");
        setup.arg(project::root().join("xtask/windows/setup.sh")).arg(&toolchain);
        process::run(setup.args(tests.map(|_| "--wine")))?;
    }
    let target = project::target().join("windows");
    wipe_if_std_is_new(&toolchain, &target)?;
    let bin = |name: &str| toolchain.join("bin").join(name);
    let with_toolchain = |program: PathBuf| {
        let mut command = Command::new(program);
        command
            .current_dir(project::root())
            .env("CARGO", bin("cargo"))
            .env("RUSTC", bin("rustc"))
            .env("CARGO_TARGET_DIR", &target)
            // rustup's proxy set these for its own compiler.
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTC_WRAPPER");
        command
    };
    let Some(arguments) = tests else {
        let mut clippy = with_toolchain(bin("cargo-clippy"));
        clippy.args(["clippy", "--workspace", "--all-targets", "--target", TARGET, "--", "-D", "warnings"]);
        return process::run(&mut clippy);
    };
    test::install_nextest()?;
    // The tests start these programs.
    let mut build = with_toolchain(bin("cargo"));
    process::run(build.args(["build", "--workspace", "--bins", "--target", TARGET]))?;
    let mut nextest = with_toolchain("cargo-nextest".into());
    nextest.args(["nextest", "run", "--profile", "windows", "--target", TARGET]).args(arguments);
    nextest.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", bin("wine"));
    // Windows' Python under Wine dies of a stdin that it does not know.
    process::run(nextest.stdin(Stdio::null()))
}

/// What stands in the way on this machine, in a sentence.
fn missing() -> Option<String> {
    if toolchain().is_ok_and(|folder| is_ready(&folder)) {
        return None;
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) || !Path::new("/etc/debian_version").exists() {
        return Some(
            "the toolchain for Windows comes from Debian packages, and this is no Debian on x86_64"
                .to_owned(),
        );
    }
    let user = process::output(Command::new("id").arg("-u"));
    if user.is_ok_and(|id| id.trim() == "0") {
        return None;
    }
    Some("the toolchain for Windows is not set up, and setting it up needs root".to_owned())
}

fn toolchain() -> Result<PathBuf, String> {
    project::cache()
        .map(|folder| folder.join("exai-windows"))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME says where to keep the toolchain".to_owned())
}

/// Where the std for Windows is; its setup puts it there last.
fn std_folder(toolchain: &Path) -> PathBuf {
    toolchain.join("rustweb/usr/lib/rustlib").join(TARGET).join("lib")
}

fn is_ready(toolchain: &Path) -> bool {
    std_folder(toolchain).is_dir()
        && toolchain.join("bin/cargo-clippy").exists()
        && Command::new(LINKER).arg("--version").output().is_ok()
}

fn has_wine(toolchain: &Path) -> bool {
    toolchain.join("bin/wine").exists() && toolchain.join("prefix/programs").exists()
}

/// Crates compiled against an earlier std do not fit a new one, and cargo does not notice.
fn wipe_if_std_is_new(toolchain: &Path, target: &Path) -> Outcome {
    let built = fs::metadata(std_folder(toolchain))
        .and_then(|folder| folder.modified())
        .map_err(|error| format!("cannot read the std for Windows: {error}"))?;
    let now = format!("{:?}", built.duration_since(UNIX_EPOCH).unwrap_or_default());
    let stamp = target.join("std-stamp");
    if fs::read_to_string(&stamp).is_ok_and(|before| before == now) {
        return Ok(());
    }
    let made = match fs::remove_dir_all(target) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(target).and_then(|()| fs::write(&stamp, now)),
    };
    made.map_err(|error| format!("cannot empty {}: {error}", target.display()))
}
