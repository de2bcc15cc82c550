//! The home directory of a user, with the files of clients in it.

use std::env::consts::EXE_EXTENSION;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use exai_test::{asleep, program};

use crate::support::{Instance, text};

/// A home directory with the files of clients.
pub(crate) struct Home {
    pub(crate) instance: Instance,
    pub(crate) path: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        let instance = Instance::with_fixture(&[]);
        Home::of(instance)
    }

    /// The home directory beside the state directory of an instance.
    pub(crate) fn of(instance: Instance) -> Self {
        let path = instance.dir().join("user");
        fs::create_dir(&path).expect("a directory");
        Home { instance, path }
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        // With the separators of the system, as exai shows it.
        let path = self.path.join(name.split('/').collect::<PathBuf>());
        fs::create_dir_all(path.parent().expect("a directory")).expect("it is made");
        fs::write(&path, bytes).expect("a file");
        path
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.instance.command(args);
        lead_home(&mut command, &self.path);
        command
    }

    pub(crate) fn exai(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("it runs")
    }

    #[track_caller]
    pub(crate) fn ends(&self, code: i32, args: &[&str]) -> String {
        let output = self.exai(args);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }

    /// Starts a program that has this name and does nothing.
    pub(crate) fn run_as(&self, name: &str) -> Running {
        let copy = self.instance.dir().join(name).with_extension(EXE_EXTENSION);
        fs::copy(program("fixture-server"), &copy).expect("it is copied");
        Running(asleep(copy).spawn().expect("it starts"))
    }
}

/// Lets a command find the files of clients in this home directory alone.
pub(crate) fn lead_home(command: &mut Command, home: &Path) {
    command.env("HOME", home).env("USERPROFILE", home);
    command.env("APPDATA", home.join("AppData/Roaming"));
    command.env("LOCALAPPDATA", home.join("AppData/Local"));
    for name in exai_setup::client::location_variables() {
        command.env_remove(name);
    }
    command.env_remove("XDG_CONFIG_HOME");
}

/// A program that ends with this value.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
