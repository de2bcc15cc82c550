//! `cargo xtask windows`

mod left_out;
mod release;
mod wine;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

use self::left_out::LeftOut;
use self::wine::RunningWine;
use crate::process::{self, Outcome};
use crate::{lints, project, test};

pub(crate) const HELP: &str = "\
usage: cargo xtask windows --check [--if-possible]
       cargo xtask windows --test [--if-possible|--or-check] [ARGUMENT...]
       cargo xtask windows --names
       cargo xtask windows --release

  --check   runs clippy on the whole workspace, tests included, for x86_64-pc-windows-gnu
  --test    builds all of it, with the lints of --check, and runs the tests under Wine 10; the arguments are those of
            `cargo nextest run`
  --names   compares the names of the tests here with those on Windows: what is not there must be in
            xtask/windows/left-out.txt, with its reason; --test without arguments begins with it

  --release builds exai.exe as it is released, and says how large it is and how fast it starts under Wine

The compiler, its std for Windows and the linker come from Debian 12 packages, and Wine from Debian 13's, with
Windows' own Python, uv, node and Python SDK from PyPI. They are set up once, in two and another two minutes, in the folder
exai-windows of the account's cache folder; that needs root, and Wine needs it each time. Without Debian or
root, and without that folder, neither is possible.

  --if-possible   then say so and succeed, instead of failing
  --or-check      where only Wine is not possible, say so and do what --check does";

const TARGET: &str = "x86_64-pc-windows-gnu";
const LINKER: &str = "x86_64-w64-mingw32-gcc";
/// Wine maps a program whose sections begin at pages of its file, and reads any other into memory at each start.
const RUSTFLAGS: &str = "-Clink-arg=-Wl,--file-alignment,4096";

/// What this command does.
enum Task<'a> {
    Check(Otherwise),
    Names,
    Test(Otherwise, &'a [&'a str]),
    Release,
}

/// What to do where that is not possible.
#[derive(Clone, Copy, PartialEq)]
enum Otherwise {
    Fail,
    Skip,
    /// Skip Wine alone.
    Check,
}

pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let task = match arguments {
        ["--check"] => Task::Check(Otherwise::Fail),
        ["--check", "--if-possible"] | ["--if-possible", "--check"] => Task::Check(Otherwise::Skip),
        ["--names"] => Task::Names,
        ["--test", "--if-possible", arguments @ ..] => Task::Test(Otherwise::Skip, arguments),
        ["--test", "--or-check", arguments @ ..] => Task::Test(Otherwise::Check, arguments),
        ["--test", arguments @ ..] => Task::Test(Otherwise::Fail, arguments),
        ["--release"] => Task::Release,
        _ => {
            return Err(
                "needs --check, which takes --if-possible, or --test, which takes that or --or-check, or \
                        --names, or --release"
                    .to_owned(),
            );
        }
    };
    let otherwise = match task {
        Task::Check(otherwise) | Task::Test(otherwise, _) => otherwise,
        Task::Names | Task::Release => Otherwise::Fail,
    };
    let with_wine = !matches!(task, Task::Check(_));
    let missing = missing();
    let no_wine = if with_wine && missing.is_none() { no_wine() } else { None };
    match (missing.or_else(|| no_wine.clone()), otherwise) {
        (None, _) => {}
        (Some(why), Otherwise::Skip) => {
            println!("skipped: {why}");
            return Ok(());
        }
        (Some(why), Otherwise::Check) if no_wine.is_some() => {
            println!("skipped, but for the check: {why}");
            return Windows::set_up(false)?.check();
        }
        (Some(why), _) => return Err(why),
    }
    let windows = Windows::set_up(with_wine)?;
    let _wine = with_wine.then(|| RunningWine::start(&windows.bin("wine"))).transpose()?;
    match task {
        Task::Check(_) => windows.check(),
        Task::Names => windows.names(),
        Task::Test(_, arguments) => windows.test(arguments),
        Task::Release => windows.release(),
    }
}

/// The toolchain that builds for Windows and runs the result.
struct Windows {
    toolchain: PathBuf,
    target: PathBuf,
}

impl Windows {
    fn set_up(with_wine: bool) -> Result<Self, String> {
        let toolchain = toolchain()?;
        if !is_ready(&toolchain) || with_wine && !has_wine(&toolchain) {
            println!("      setting up what Windows needs in {}", toolchain.display());
            let mut setup = Command::new("bash");
            setup.arg(project::root().join("xtask/windows/setup.sh")).arg(&toolchain);
            process::run(setup.args(with_wine.then_some("--wine")))?;
        }
        let target = project::target().join("windows");
        wipe_if_std_is_new(&toolchain, &target)?;
        Ok(Self { toolchain, target })
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.toolchain.join("bin").join(name)
    }

    fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(project::root())
            .env("CARGO", self.bin("cargo"))
            .env("RUSTC", self.bin("rustc"))
            .env("CARGO_TARGET_DIR", &self.target)
            // rustup's proxy has set these variables for its own compiler.
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTC_WRAPPER");
        command
    }

    fn check(&self) -> Outcome {
        let mut clippy = self.command(self.bin("cargo-clippy"));
        clippy.args(["clippy", "--workspace", "--all-targets", "--target", TARGET, "--", "-D", "warnings"]);
        process::run(&mut clippy)
    }

    /// A cargo that lints what it compiles for tests. Clippy alone would compile everything a second time.
    fn linting(&self, program: PathBuf) -> Command {
        let mut command = self.command(program);
        lints::while_compiling(&mut command, &self.bin("clippy-driver"));
        // Nobody debugs these, and with debug information they are half as large again.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_TEST_DEBUG", "0");
        command.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUSTFLAGS", RUSTFLAGS);
        command
    }

    fn nextest(&self, what: &str) -> Command {
        let mut nextest = self.linting("cargo-nextest".into());
        nextest.args(["nextest", what, "--profile", "windows", "--target", TARGET]);
        nextest.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", self.bin("wine"));
        // Under Wine, the Python of Windows dies if it does not know the kind of its stdin.
        nextest.stdin(Stdio::null());
        // The Python of Windows looks for the files in these variables, which Wine's file system does not have.
        nextest.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        nextest
    }

    fn names(&self) -> Outcome {
        test::install_nextest()?;
        let here = left_out::names(lints::cargo().args(["nextest", "list"]))?;
        let there = left_out::names(&mut self.nextest("list"))?;
        LeftOut::read()?.check(&here, &there)
    }

    fn test(&self, arguments: &[&str]) -> Outcome {
        test::install_nextest()?;
        // The tests start the programs. All at once, because the tests ask for more features of the dependencies, which
        // would be compiled twice otherwise.
        let mut build = self.linting(self.bin("cargo"));
        process::run(build.args(["build", "--workspace", "--all-targets", "--target", TARGET]))?;
        // A person who asks for a few tests should not wait for more.
        if arguments.is_empty() {
            self.names()?;
        }
        let config = LeftOut::read()?.config(&self.target)?;
        let mut nextest = self.nextest("run");
        nextest.arg("--config-file").arg(config);
        // With `--workspace`, cargo would ignore a choice of packages.
        let chosen = |argument: &str| argument.starts_with("-p") || argument.starts_with("--package");
        let all = (!arguments.iter().any(|argument| chosen(argument))).then_some("--workspace");
        process::run(nextest.args(all).args(arguments))
    }
}

/// The reason why Wine cannot run here, if there is one: Wine's own file system needs mounts and a new root.
fn no_wine() -> Option<String> {
    let tried = process::output(Command::new("unshare").args([
        "-m",
        "--propagation",
        "private",
        "chroot",
        "/",
        "true",
    ]));
    tried.err().map(|why| format!("Wine needs mounts of its own, which this account may not make: {why}"))
}

/// The reason why this machine cannot build for Windows, if there is one.
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

/// The folder of the std for Windows, which the setup creates last.
fn std_folder(toolchain: &Path) -> PathBuf {
    toolchain.join("rustweb/usr/lib/rustlib").join(TARGET).join("lib")
}

fn is_ready(toolchain: &Path) -> bool {
    std_folder(toolchain).is_dir()
        && toolchain.join("bin/cargo-clippy").exists()
        && Command::new(LINKER).arg("--version").output().is_ok()
}

fn has_wine(toolchain: &Path) -> bool {
    toolchain.join("bin/wine").exists() && toolchain.join("prefix/guests-2").exists()
}

/// Removes what was compiled against an earlier std: it does not fit a new std, and cargo does not notice that.
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
