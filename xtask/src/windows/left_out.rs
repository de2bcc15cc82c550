//! The tests that are left out on Windows, and a check that the list is complete.
//!
//! `xtask/windows/left-out.txt` lists them with reasons. The test names of both systems must differ by exactly this
//! list.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::{self, Outcome};
use crate::project;

const LIST: &str = "xtask/windows/left-out.txt";
const CONFIG: &str = ".config/nextest.toml";
const PROFILE: &str = "[profile.windows]\n";

/// The names of one system's tests, each after the id of its binary: `exai::it alone::racing::many`.
pub(super) type Names = BTreeSet<String>;

/// The left-out tests, in the order of the file.
pub(super) struct LeftOut(Vec<Line>);

/// One test, or with `::` at its end all tests in a module, or with `*` all of the binary.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    binary: String,
    name: String,
}

impl Line {
    fn covers(&self, test: &str) -> bool {
        let Some((binary, name)) = test.split_once(' ') else { return false };
        let module = self.name.ends_with("::") && name.starts_with(&self.name);
        binary == self.binary && (name == self.name || module || self.name == "*")
    }

    fn filter(&self) -> String {
        if self.name == "*" {
            return format!("binary_id(={})", self.binary);
        }
        let end = if self.name.ends_with("::") { "" } else { "$" };
        format!("(binary_id(={}) & test(/^{}{end}/))", self.binary, self.name)
    }

    fn text(&self) -> String {
        format!("{} {}", self.binary, self.name)
    }
}

impl LeftOut {
    pub(super) fn read() -> Result<Self, String> {
        let text = fs::read_to_string(project::root().join(LIST))
            .map_err(|error| format!("cannot read {LIST}: {error}"))?;
        Self::parse(&text)
    }

    /// Parses the list. A line that begins with a space is a test or a module; any other line is the reason for those
    /// below it.
    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = Vec::new();
        let mut has_reason = false;
        let full =
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        for (number, line) in full {
            if !line.starts_with(' ') {
                has_reason = true;
                continue;
            }
            match line.trim().split_once(' ') {
                Some((binary, name)) if has_reason => {
                    lines.push(Line { binary: binary.to_owned(), name: name.trim().to_owned() });
                }
                Some(_) => return Err(format!("{LIST}:{}: no reason stands above it", number + 1)),
                None => return Err(format!("{LIST}:{}: it needs a binary and a name", number + 1)),
            }
        }
        Ok(Self(lines))
    }

    /// Writes a configuration for nextest whose profile leaves these tests out, whatever other filter is given, and
    /// returns the file. (nextest ignores default filters in `--tool-config-file`.)
    pub(super) fn config(&self, folder: &Path) -> Result<PathBuf, String> {
        let known = fs::read_to_string(project::root().join(CONFIG))
            .map_err(|error| format!("cannot read {CONFIG}: {error}"))?;
        let filters: Vec<String> = self.0.iter().map(Line::filter).collect();
        let filter =
            if filters.is_empty() { "all()".to_owned() } else { format!("not ({})", filters.join(" | ")) };
        let text = known.replace(PROFILE, &format!("{PROFILE}default-filter = '''{filter}'''\n"));
        if text == known {
            return Err(format!("{CONFIG} has no profile for Windows"));
        }
        let file = folder.join("nextest.toml");
        fs::write(&file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        Ok(file)
    }

    /// Checks that the list holds exactly the difference between both systems.
    pub(super) fn check(&self, linux: &Names, windows: &Names) -> Outcome {
        let listed = |test: &&String| self.0.iter().any(|line| line.covers(test));
        let missing: Vec<&str> =
            linux.difference(windows).filter(|test| !listed(test)).map(String::as_str).collect();
        let idle: Vec<String> = self
            .0
            .iter()
            .filter(|line| !linux.iter().any(|test| line.covers(test)))
            .map(Line::text)
            .collect();
        let mut wrong = Vec::new();
        if !missing.is_empty() {
            wrong.push(format!("{LIST} does not say why Windows has no\n  {}", missing.join("\n  ")));
        }
        if !idle.is_empty() {
            wrong.push(format!("no test on Linux is what {LIST} leaves out as\n  {}", idle.join("\n  ")));
        }
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        let out = linux.iter().filter(listed).count();
        println!(
            "names: {} tests run on both, {out} are left out on Windows with a reason, {} are of Windows alone",
            linux.intersection(windows).filter(|test| !listed(test)).count(),
            windows.difference(linux).count()
        );
        Ok(())
    }
}

/// The tests that `command`, a `cargo nextest list`, names: without ignored tests, but with those that the default
/// filter leaves out.
pub(super) fn names(command: &mut Command) -> Result<Names, String> {
    // The output of the build stays visible.
    command.args(["--workspace", "--message-format", "json"]).stderr(Stdio::inherit());
    let text = process::output(command)?;
    let list: Value =
        serde_json::from_str(&text).map_err(|error| format!("`cargo nextest list` says no JSON: {error}"))?;
    let suites = list["rust-suites"].as_object().ok_or("`cargo nextest list` names no binaries")?;
    let mut names = Names::new();
    for (binary, suite) in suites {
        let tests = suite["testcases"].as_object().into_iter().flatten();
        let run = tests.filter(|(_, test)| test["ignored"] == false);
        names.extend(run.map(|(name, _)| format!("{binary} {name}")));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a comment\nno signals there\n  exai::it alone::frozen::\n\nno modes\n  exai-os modes\n\npure\n  exai-mux *\n";

    fn of(names: &[&str]) -> Names {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_line_is_a_test_a_module_or_a_binary() {
        let list = LeftOut::parse(TEXT).unwrap();
        let covers = |test: &str| list.0.iter().any(|line| line.covers(test));
        assert!(covers("exai::it alone::frozen::one") && covers("exai-os modes"));
        assert!(!covers("exai::it alone::frozenly") && !covers("exai-os modes_too") && !covers("exai modes"));
        assert!(covers("exai-mux a::b") && !covers("exai-mux::it a::b"));
        assert_eq!(list.0[2].filter(), "binary_id(=exai-mux)");
        assert_eq!(list.0[0].filter(), "(binary_id(=exai::it) & test(/^alone::frozen::/))");
        assert_eq!(list.0[1].filter(), "(binary_id(=exai-os) & test(/^modes$/))");
    }

    #[test]
    fn every_line_needs_a_reason() {
        assert!(LeftOut::parse("  exai x\n").is_err_and(|error| error.contains(":1: no reason")));
        assert!(LeftOut::parse("because\n  x\n").is_err_and(|error| error.contains(":2: it needs")));
    }

    #[test]
    fn both_systems_differ_by_what_the_list_says() {
        let list = LeftOut::parse(TEXT).unwrap();
        let linux = of(&["exai x", "exai-os modes", "exai-mux y", "exai::it alone::frozen::a"]);
        assert_eq!(list.check(&linux, &of(&["exai x", "exai handles", "exai-os modes"])), Ok(()));
        let missing = list.check(&linux, &of(&[])).unwrap_err();
        assert!(missing.ends_with("no\n  exai x"), "{missing}");
        let idle = list.check(&of(&["exai-os modes", "exai-mux y"]), &of(&[])).unwrap_err();
        assert!(idle.ends_with("as\n  exai::it alone::frozen::"), "{idle}");
    }
}
