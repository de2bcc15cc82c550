//! Where clients keep their files, as templates, and the paths that come of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A family of operating systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux and other systems with the XDG directories.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

/// The directories of an account, as the caller has found them.
#[derive(Clone, Debug)]
pub struct Directories {
    /// The operating system.
    pub platform: Platform,
    /// The home directory.
    pub home: PathBuf,
    /// `%APPDATA%` on Windows; `AppData/Roaming` of the home directory if this is `None`.
    pub app_data: Option<PathBuf>,
    /// `%LOCALAPPDATA%` on Windows; `AppData/Local` of the home directory if this is `None`.
    pub local_app_data: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`; `.config` of the home directory if this is `None`.
    pub config_home: Option<PathBuf>,
    /// The project whose files are looked at, too.
    pub project: Option<PathBuf>,
    /// The variables that move the files of a client ([`super::location_variables`]), as far as they are set.
    pub variables: BTreeMap<String, PathBuf>,
}

/// A place of a configuration file.
///
/// The template begins with one of these, and continues with `/` and the rest of the path:
/// - `{home}`, `{appdata}`, `{localappdata}`, `{project}`;
/// - `{xdg}`: `$XDG_CONFIG_HOME`, or `~/.config` on every platform;
/// - `{config}`: where programs keep their settings: `%APPDATA%`, `~/Library/Application Support`, or `{xdg}` on Linux;
/// - `{NAME}` in capitals: the directory or file in that variable.
///
/// One name in the rest may have a `*`, which stands for any text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The only platform with this place; `None` for all.
    pub platform: Option<Platform>,
    /// The template.
    pub template: &'static str,
}

/// A place on every platform.
pub(crate) const fn everywhere(template: &'static str) -> Location {
    Location { platform: None, template }
}

/// A place on one platform.
pub(crate) const fn only_on(platform: Platform, template: &'static str) -> Location {
    Location { platform: Some(platform), template }
}

impl Location {
    /// The variable that the template begins with, if it does.
    pub fn variable(&self) -> Option<&'static str> {
        let (name, _) = self.template.strip_prefix('{')?.split_once('}')?;
        name.starts_with(|c: char| c.is_ascii_uppercase()).then_some(name)
    }

    /// The path. `None` on another platform, without a project or with a variable that is not set.
    pub fn resolve(&self, directories: &Directories) -> Option<PathBuf> {
        if self.platform.is_some_and(|platform| platform != directories.platform) {
            return None;
        }
        let (base, rest) = self.template.strip_prefix('{')?.split_once('}')?;
        let mut path = directories.base(base)?;
        path.extend(rest.split('/').filter(|name| !name.is_empty()));
        Some(path)
    }
}

impl Directories {
    fn base(&self, name: &str) -> Option<PathBuf> {
        let or_home =
            |path: &Option<PathBuf>, rest: &str| path.clone().unwrap_or_else(|| self.home.join(rest));
        match name {
            "home" => Some(self.home.clone()),
            "appdata" => Some(or_home(&self.app_data, "AppData/Roaming")),
            "localappdata" => Some(or_home(&self.local_app_data, "AppData/Local")),
            "xdg" => Some(or_home(&self.config_home, ".config")),
            "config" => Some(match self.platform {
                Platform::Linux => or_home(&self.config_home, ".config"),
                Platform::MacOs => self.home.join("Library/Application Support"),
                Platform::Windows => or_home(&self.app_data, "AppData/Roaming"),
            }),
            "project" => self.project.clone(),
            variable => self.variables.get(variable).cloned(),
        }
    }
}

/// The paths of the places of one file, in the order in which they count: the first that exists is the file, and the first of
/// all is created if none exists. A variable that is set leaves no other place.
pub(crate) fn resolve_all(locations: &[Location], directories: &Directories) -> Vec<PathBuf> {
    let mut moved = locations.iter().filter(|location| location.variable().is_some());
    if let Some(path) = moved.find_map(|location| location.resolve(directories)) {
        return vec![path];
    }
    locations.iter().filter_map(|location| location.resolve(directories)).collect()
}
