//! Which files of a client exai's entry goes into, and whether the client is here and runs.

use std::fs;
use std::path::{Path, PathBuf};

use exai_config::Home;
use exai_os::process::ProcessInfo;
use exai_setup::client::{Client, ConfigFile, Directories, Role};

use super::installs::Installs;
use crate::error::Error;

/// A configuration file of a client on this machine.
pub(crate) struct Located {
    pub(crate) file: &'static ConfigFile,
    pub(crate) path: PathBuf,
    pub(crate) exists: bool,
}

/// All files of the account that a client has on this machine, also those that exai's entry does not go into.
pub(crate) fn find_files(client: &Client, directories: &Directories) -> Vec<Located> {
    let mut found = Vec::new();
    for file in client.user_files() {
        let places = file.paths(directories);
        for path in find_first(places.iter().map(|place| expand(place)), Path::exists) {
            // A client may read a file in any case that is the first of several places, too.
            let is_same = |known: &&Located| known.path == path && known.file.pointer == file.pointer;
            if !found.iter().any(|known| is_same(&known)) {
                found.push(Located { file, path, exists: true });
            }
        }
    }
    found
}

/// The file of a client that was at this path when exai changed it.
pub(crate) fn locate_recorded(client: &Client, path: &Path, directories: &Directories) -> Option<Located> {
    let is_there = |file: &&'static ConfigFile| {
        file.paths(directories).iter().any(|known| known == path || expand(known).contains(&path.to_owned()))
    };
    // A variable that moves the files of the client may have been set differently then.
    let has_name = |file: &&'static ConfigFile| {
        file.paths(directories).iter().any(|known| known.file_name() == path.file_name())
    };
    let edited = || client.user_files().filter(|file| file.is_edited());
    let file = edited().find(is_there).or_else(|| edited().find(has_name))?;
    Some(Located { file, path: path.to_owned(), exists: path.exists() })
}

/// All files of a client that exai may be in: those that are there, and those that exai has changed.
pub(crate) fn find_touched(
    client: &Client,
    directories: &Directories,
    home: &Home,
) -> Result<Vec<Located>, Error> {
    let mut found = find_files(client, directories);
    for install in Installs::load(home)?.files.iter().filter(|install| install.client == client.id) {
        if !found.iter().any(|one| one.path == install.path) {
            found.extend(locate_recorded(client, &install.path, directories));
        }
    }
    // A file that exai only reads has nothing of exai.
    found.retain(|one| one.file.is_edited());
    Ok(found)
}

/// The files that exai's entry goes into, and whether the client seems to be on this machine: it has a file, or the directory
/// for one.
pub(crate) fn locate_files(client: &Client, directories: &Directories) -> (Vec<Located>, bool) {
    let mut located = Vec::new();
    let mut is_here = false;
    let mut main = None;
    for file in client.entry_files() {
        let places: Vec<Vec<PathBuf>> = file.paths(directories).iter().map(|place| expand(place)).collect();
        // The home directory is there without the client, too.
        let is_of_client = |directory: &Path| directory.is_dir() && directory != directories.home;
        is_here |= places.iter().flatten().any(|path| path.parent().is_some_and(is_of_client));
        let first = places.first().and_then(|paths| paths.first()).cloned();
        let is_wanted = |path: &Path| path.exists() || file.role == Role::IfDirectory;
        let paths = find_first(places.into_iter(), is_wanted);
        let create = file.role == Role::Main && paths.is_empty() && main.is_none();
        located.extend(paths.into_iter().map(|path| Located { file, exists: path.exists(), path }));
        if create {
            main = first.map(|path| Located { file, path, exists: false });
        }
    }
    is_here |= !located.is_empty();
    if located.is_empty() {
        located.extend(main);
    }
    (located, is_here)
}

/// The files that may have exai's entry, written by exai or pasted by the user, and whether the client seems to be on this
/// machine.
pub(crate) fn locate_entries(client: &Client, directories: &Directories) -> (Vec<Located>, bool) {
    let (located, is_here) = locate_files(client, directories);
    if !located.is_empty() {
        return (located, is_here);
    }
    let pasted = find_files(client, directories);
    let is_here = is_here || !pasted.is_empty();
    (pasted, is_here)
}

/// Files that exai's entry does not go into any more, and that may have one of earlier: another file came that counts first.
pub(crate) fn find_others(client: &Client, directories: &Directories, located: &[Located]) -> Vec<Located> {
    let mut others = find_files(client, directories);
    others.retain(|one| one.file.is_edited() && !located.iter().any(|known| known.path == one.path));
    others
}

/// Whether one of these processes is a program of the client, by its name.
pub(crate) fn is_running(client: &Client, processes: &[ProcessInfo]) -> bool {
    let is_its = |name: &str| client.processes.contains(&name.strip_suffix(".exe").unwrap_or(name));
    processes.iter().any(|one| !one.zombie && is_its(&one.name))
}

/// The paths of the first place that has any. A `*` may stand for several.
fn find_first(
    mut places: impl Iterator<Item = Vec<PathBuf>>,
    is_wanted: impl Fn(&Path) -> bool,
) -> Vec<PathBuf> {
    let wanted = |paths: Vec<PathBuf>| paths.into_iter().filter(|path| is_wanted(path)).collect::<Vec<_>>();
    places.find_map(|paths| Some(wanted(paths)).filter(|paths| !paths.is_empty())).unwrap_or_default()
}

/// The paths that fit a path with a `*` in one of its names.
fn expand(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for name in path.components() {
        let text = name.as_os_str().to_string_lossy();
        let Some((before, after)) = text.split_once('*') else {
            for path in &mut found {
                path.push(name);
            }
            continue;
        };
        let fits = |entry: &fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        };
        found = found
            .iter()
            .filter_map(|path| fs::read_dir(path).ok())
            .flat_map(|entries| entries.flatten().filter(fits).map(|entry| entry.path()))
            .collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use exai_setup::client::{Platform, find_client};

    use super::*;

    fn directories(platform: Platform, home: &Path) -> Directories {
        Directories {
            platform,
            home: home.to_owned(),
            app_data: None,
            local_app_data: None,
            config_home: None,
            project: None,
            variables: BTreeMap::new(),
        }
    }

    fn names(located: &[Located], home: &Path) -> Vec<(String, bool)> {
        let shown = |one: &Located| {
            let below = one.path.strip_prefix(home).expect("it is below");
            (below.to_string_lossy().replace('\\', "/"), one.exists)
        };
        located.iter().map(shown).collect()
    }

    #[test]
    fn the_packaged_build_of_claude_desktop_gets_its_file_where_it_looks() {
        let dir = tempfile::tempdir().expect("a directory");
        let directories = directories(Platform::Windows, dir.path());
        let client = find_client("claude-desktop").expect("it is known");
        let usual = "AppData/Roaming/Claude/claude_desktop_config.json";
        let (located, is_here) = locate_files(client, &directories);
        assert_eq!((names(&located, dir.path()), is_here), (vec![(usual.to_owned(), false)], false));
        fs::create_dir_all(dir.path().join("AppData/Local/Packages/Claude_pzs8sxrjxfjjc"))
            .expect("a directory");
        let packaged = "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json";
        let (located, is_here) = locate_files(client, &directories);
        assert_eq!((names(&located, dir.path()), is_here), (vec![(packaged.to_owned(), false)], true));
        fs::create_dir_all(dir.path().join("AppData/Roaming/Claude")).expect("a directory");
        fs::write(dir.path().join(usual), "{}").expect("a file");
        let (located, _) = locate_files(client, &directories);
        assert_eq!(names(&located, dir.path()), [(packaged.to_owned(), false), (usual.to_owned(), true)]);
    }

    #[test]
    fn a_client_whose_file_is_in_the_home_directory_is_here_when_it_has_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let directories = directories(Platform::Linux, dir.path());
        let client = find_client("claude-code").expect("it is known");
        assert!(!locate_files(client, &directories).1);
        fs::write(dir.path().join(".claude.json"), "{}").expect("a file");
        assert!(locate_files(client, &directories).1);
    }

    #[test]
    fn every_profile_of_vs_code_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        for profile in ["a", "b", "c"] {
            fs::create_dir_all(dir.path().join(".config/Code/User/profiles").join(profile))
                .expect("a directory");
        }
        for file in ["mcp.json", "profiles/a/mcp.json", "profiles/c/mcp.json"] {
            fs::write(dir.path().join(".config/Code/User").join(file), "{}").expect("a file");
        }
        let client = find_client("vscode").expect("it is known");
        let (located, _) = locate_files(client, &directories(Platform::Linux, dir.path()));
        let mut found = names(&located, dir.path());
        found.sort();
        let expected = ["mcp.json", "profiles/a/mcp.json", "profiles/c/mcp.json"];
        assert_eq!(found, expected.map(|file| (format!(".config/Code/User/{file}"), true)));
    }
}
