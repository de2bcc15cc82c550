//! What a daemon does with an invalid `config.toml`: a typo must not cost every client its session.
//!
//! Each valid configuration that was read is kept in `backups/config.N.toml`, the newest with the highest number. A
//! daemon that starts with an invalid one takes the newest of these; where there is none, it takes the servers that
//! are valid.

use std::fmt;
use std::io;
use std::path::PathBuf;

use exai_os::private;

use crate::limits::{MAX_CONFIG_BYTES, MAX_COPIES};
use crate::load::{self, Config, ConfigError};
use crate::{Home, environment};

/// A valid configuration.
#[derive(Debug)]
pub struct Loaded {
    /// It.
    pub config: Config,
    /// Whether a copy of it could be kept.
    pub kept: io::Result<()>,
}

/// What replaces an invalid configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instead {
    /// The last valid configuration.
    Copy {
        /// Where it is.
        path: PathBuf,
    },
    /// There is no copy; these servers of the file are valid.
    Rest {
        /// Their names.
        servers: Vec<String>,
        /// The names of the servers that are invalid.
        left_out: Vec<String>,
    },
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Instead::Copy { path } => write!(f, "the last good configuration ({})", path.display()),
            Instead::Rest { servers, .. } if servers.is_empty() => {
                write!(f, "a configuration without servers")
            }
            Instead::Rest { servers, left_out } => {
                write!(f, "the part that is right ({})", servers.join(", "))?;
                if left_out.is_empty() { Ok(()) } else { write!(f, " without {}", left_out.join(", ")) }
            }
        }
    }
}

/// Loads the configuration of this home and keeps a copy of it. Only the daemon of the home may call this.
pub fn load_and_keep(home: &Home) -> Result<Loaded, ConfigError> {
    let path = home.config();
    let text = load::read(&path)?;
    let config =
        Config::from_text(&path, text.as_deref().unwrap_or_default(), environment::PORT.get().as_deref())?;
    // A missing file is nothing to go back to.
    let kept = text.map_or(Ok(()), |text| keep(home, &text));
    Ok(Loaded { config, kept })
}

/// The replacement for a configuration of this home that cannot be used. Changes nothing.
///
/// # Errors
/// The environment is invalid, which holds for every configuration.
pub fn instead(home: &Home) -> Result<(Config, Instead), ConfigError> {
    let port = environment::PORT.get();
    for (_, path) in copies(home) {
        let Some(text) = text_of(&path) else { continue };
        match Config::from_text(&path, &text, port.as_deref()) {
            Ok(config) => return Ok((config, Instead::Copy { path })),
            Err(error @ ConfigError::Environment { .. }) => return Err(error),
            // Another version or another program wrote it.
            Err(ConfigError::Invalid { .. } | ConfigError::Read { .. }) => {}
        }
    }
    let path = home.config();
    // A file that cannot be read, or may be another account's, has no valid part.
    let text = load::read(&path).ok().flatten().unwrap_or_default();
    let (config, left_out) = Config::salvaged(&path, &text, port.as_deref())?;
    let servers = config.servers.names().map(str::to_owned).collect();
    Ok((config, Instead::Rest { servers, left_out }))
}

/// Number and place of each copy, the newest first.
fn copies(home: &Home) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(home.backups_dir()).into_iter().flatten().flatten();
    let number = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let number = name.strip_prefix("config.")?.strip_suffix(".toml")?.parse().ok()?;
        Some((number, path))
    };
    let mut found: Vec<(u64, PathBuf)> = entries.filter_map(|entry| number(entry.path())).collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
}

fn text_of(path: &std::path::Path) -> Option<String> {
    String::from_utf8(private::read(path, MAX_CONFIG_BYTES).ok()?).ok()
}

/// Keeps a text as the newest copy, unless it is that already.
fn keep(home: &Home, text: &str) -> io::Result<()> {
    let mut known = copies(home);
    if known.first().is_some_and(|(_, path)| text_of(path).as_deref() == Some(text)) {
        return Ok(());
    }
    let next = known.first().map_or(1, |(number, _)| number.saturating_add(1));
    let path = home.backups_dir().join(format!("config.{next}.toml"));
    private::write_atomic(&path, text.as_bytes())?;
    if std::fs::symlink_metadata(home.backups_dir())?.is_symlink() {
        // The target of a link is not ours to remove.
        return Ok(());
    }
    known
        .split_off(known.len().min(MAX_COPIES - 1))
        .into_iter()
        .try_for_each(|(_, old)| private::remove(&old))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.prepare().unwrap();
        (dir, home)
    }

    fn server(name: &str) -> String {
        format!("[servers.{name}]\ncommand = \"x\"\n")
    }

    fn names(config: &Config) -> Vec<&str> {
        config.servers.names().collect()
    }

    #[test]
    fn a_few_are_kept_and_the_newest_that_is_right_counts() {
        let (_dir, home) = home();
        for name in ["a", "b", "b", "c", "d", "e", "f", "g"] {
            std::fs::write(home.config(), server(name)).unwrap();
            load_and_keep(&home).unwrap().kept.unwrap();
        }
        let numbers = |home: &Home| copies(home).into_iter().map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!(numbers(&home), [7, 6, 5, 4, 3]);
        std::fs::write(home.config(), "[servers.a]\ncomand = 1\n").unwrap();
        load_and_keep(&home).unwrap_err();
        let (config, instead) = super::instead(&home).unwrap();
        assert_eq!(names(&config), ["g"]);
        assert_eq!(instead, Instead::Copy { path: home.backups_dir().join("config.7.toml") });
        // A damaged copy is skipped.
        std::fs::write(home.backups_dir().join("config.7.toml"), "[servers").unwrap();
        assert_eq!(names(&super::instead(&home).unwrap().0), ["f"]);
        assert_eq!(numbers(&home), [7, 6, 5, 4, 3], "to look changes nothing");
    }

    #[test]
    fn without_a_copy_each_server_is_taken_that_is_right() {
        let (_dir, home) = home();
        let (a, c) = (server("a"), server("c"));
        let cases: [(&str, &[&str]); 12] = [
            ("comand = \"x\"\n", &["b"]),
            ("command = \"x\n", &["b"]),
            ("command = \n", &["b"]),
            ("command \"x\"\n", &["b"]),
            ("command = \"x\"\nargs = [\"y\"\n", &["b"]),
            ("command = \"x\"\nenv = { A = 1 }\n", &["b"]),
            ("command = \"x\"\nurl = \"ftp://x\"\n", &["b"]),
            ("command = \"x\"\n[servers.a]\ncommand = \"y\"\n", &["a"]),
            ("command = \"x\"\n[servers.A]\ncommand = \"y\"\n", &["A"]),
            ("command = \"x\"\n[servers.b.env\nX = \"y\"\n", &["b"]),
            ("command = \"x\"\n[nonsense]\nx = 1\n", &[]),
            ("command = \"x\"\n[servers.b__b]\ncommand = \"y\"\n", &["b__b"]),
        ];
        for (b, broken) in cases {
            let text = format!("{a}[servers.b]\n{b}{c}[daemon]\nport = 7\n");
            std::fs::write(home.config(), &text).unwrap();
            load_and_keep(&home).unwrap_err();
            let (config, instead) = super::instead(&home).unwrap();
            let Instead::Rest { servers, left_out } = instead else { panic!("{instead}") };
            assert_eq!(left_out, broken, "{text}");
            let mut expected = vec!["a", "b", "c"];
            expected.retain(|name| !broken.contains(name));
            assert_eq!(servers, expected, "{text}");
            assert_eq!(names(&config), expected);
            assert_eq!(config.daemon.port.value, 7, "{text}");
        }
    }

    #[test]
    fn a_mistake_among_the_allowed_hosts_allows_none_and_costs_no_server() {
        let (_dir, home) = home();
        for (hosts, allowed) in [("[\"a.example\", \"*\"]", false), ("[\"a.example\"]", true)] {
            let text = format!(
                "[daemon]\nport = 7\nallowed_hosts = {hosts}\n{}[servers.b]\ncomand = \"x\"\n",
                server("a")
            );
            std::fs::write(home.config(), &text).unwrap();
            let (config, _) = super::instead(&home).unwrap();
            assert_eq!((names(&config), config.daemon.port.value), (vec!["a"], 7), "{text}");
            assert_eq!(config.daemon.allowed_hosts.has("a.example"), allowed, "{text}");
        }
    }

    /// Whoever may see a part only must not see everything because of a typo elsewhere.
    #[test]
    fn without_a_copy_each_choice_is_taken_that_is_right_and_what_is_wrong_chooses_nothing() {
        let (_dir, home) = home();
        let a = server("a");
        for broken in ["[servers.b]\ncomand = 1\n", "[servers.b]\ncommand = \n"] {
            let text = format!(
                "{a}[clients.cursor]\nservers = [\"a\"]\n[clients.cursor.tools]\ndeny = [\"a__x\"]\n{broken}\
                 [clients.\"Some Client\"]\nserver = [\"a\"]\n"
            );
            std::fs::write(home.config(), &text).unwrap();
            let (config, _) = super::instead(&home).unwrap();
            let (_, cursor) = config.clients.find("cursor").unwrap();
            assert!(cursor.has_server("a") && !cursor.has_server("b"), "{text}");
            assert_eq!(cursor.tools.deny, ["a__x"], "{text}");
            let (_, wrong) = config.clients.find("some client").unwrap();
            assert!(!wrong.has_server("a") && names(&config) == ["a"], "{text}");
        }
    }

    #[test]
    fn without_a_copy_the_settings_of_the_tools_are_taken_that_are_right() {
        let (_dir, home) = home();
        let good = "[servers.a]\ncommand = \"x\"\n[providers.p]\nbase_url = \"https://x\"\n\
                    [providers.p.extra_body.thinking]\ntype = \"enabled\"\n[models.\"m.1\"]\nprovider = \"p\"\n\
                    id = \"m\"\n[ai]\nmax_paid_calls = 7\n";
        for broken in [
            "[providers.b]\nbase_url = 1\n",
            "[providers.P]\nbase_url = \"https://y\"\n",
            "[models.b]\n",
            "[providers.b]\nbase_url = \n",
            "[models.b]\nid = \"\n",
        ] {
            std::fs::write(home.config(), format!("{good}{broken}")).unwrap();
            load_and_keep(&home).unwrap_err();
            let (config, _) = super::instead(&home).unwrap();
            assert_eq!(names(&config), ["a"], "{broken}");
            let [provider] = &config.providers[..] else { panic!("{broken}") };
            assert_eq!((&*provider.base_url, provider.extra_body.len()), ("https://x", 1), "{broken}");
            assert_eq!((config.models.len(), config.ai.max_paid_calls), (1, 7), "{broken}");
        }
        std::fs::write(home.config(), format!("{good}keep_threads = 1\n")).unwrap();
        let (config, _) = super::instead(&home).unwrap();
        assert_eq!((names(&config), config.ai.max_paid_calls), (vec!["a"], 50));
    }

    #[test]
    fn what_is_no_text_at_all_leaves_nothing_and_is_no_error() {
        let (_dir, home) = home();
        for text in [
            "this is no configuration",
            "\u{0}",
            "[",
            "[servers.a]\nargs = \"\"\"\n[servers.b]\ncommand = \"x\"\n",
        ] {
            std::fs::write(home.config(), text).unwrap();
            let (config, instead) = super::instead(&home).unwrap();
            assert!(config.servers.is_empty(), "{text}");
            assert!(matches!(instead, Instead::Rest { servers, .. } if servers.is_empty()), "{text}");
        }
    }
}
