//! `cargo xtask windows`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use crate::{Outcome, process, project};

pub(crate) const HELP: &str = "\
usage: cargo xtask windows --check [--if-possible]

Runs clippy on the whole workspace, tests included, for x86_64-pc-windows-gnu.

The compiler, its std for Windows and the linker come from Debian 12 packages. They are set up once, in
about two minutes, in the folder exai-windows of the account's cache folder; that needs root. Without
Debian or root, and without that folder, the check is not possible.

  --if-possible   then say so and succeed, instead of failing";

const TARGET: &str = "x86_64-pc-windows-gnu";
const LINKER: &str = "x86_64-w64-mingw32-gcc";

pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let if_possible = match arguments {
        ["--check"] => false,
        ["--check", "--if-possible"] | ["--if-possible", "--check"] => true,
        _ => return Err("needs --check, and takes --if-possible".to_owned()),
    };
    if let Some(missing) = missing() {
        if if_possible {
            println!("skipped: {missing}");
            return Ok(());
        }
        return Err(missing);
    }
    let toolchain = toolchain()?;
    if !is_ready(&toolchain) {
        println!("      setting up the toolchain for Windows in {}", toolchain.display());
        process::run(
            Command::new("bash").arg(project::root().join("xtask/windows/setup.sh")).arg(&toolchain),
        )?;
    }
    check(&toolchain)
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

fn check(toolchain: &Path) -> Outcome {
    let target = project::target().join("windows");
    wipe_if_std_is_new(toolchain, &target)?;
    let program = |name: &str| toolchain.join("bin").join(name);
    let mut clippy = Command::new(program("cargo-clippy"));
    clippy
        .current_dir(project::root())
        .args(["clippy", "--workspace", "--all-targets", "--target", TARGET, "--", "-D", "warnings"])
        .env("CARGO", program("cargo"))
        .env("RUSTC", program("rustc"))
        .env("CARGO_TARGET_DIR", target)
        // rustup's proxy set these for its own compiler.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC_WRAPPER");
    process::run(&mut clippy)
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
