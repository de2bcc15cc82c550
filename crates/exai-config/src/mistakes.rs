//! Mistakes in a configuration that a shell or another program would understand.
//!
//! Such a text is not wrong in itself: a program may be called `my tool`, a directory `~`. So nothing here is an error;
//! a sentence goes with the failure that follows, and with `exai add`.

use std::path::Path;

use exai_os::platform_hints::HOME_VARIABLE;

use crate::ServerConfig;

impl ServerConfig {
    /// What should probably be written differently, each as a sentence that quotes nothing but `command` and keys.
    /// Arguments and variables may be secrets.
    pub fn likely_mistakes(&self) -> Vec<String> {
        let mut found = Vec::new();
        // A program's path may have spaces in it.
        if let Some(command) = self.command.as_ref().filter(|command| !Path::new(command).is_file()) {
            found.extend(whole_command_line(command, &self.args));
        }
        let command = self.command.iter().map(|text| ("command", text.as_str()));
        let cwd = self.cwd.iter().map(|text| ("cwd", text.as_str()));
        let args = self.args.iter().map(|text| ("args", text.as_str()));
        let env = self.env.values().map(|value| ("env", value.expose()));
        let mut keys: Vec<&str> = Vec::new();
        for (key, text) in command.chain(cwd).chain(args).chain(env) {
            let Some(instead) = home_of_a_shell(text).filter(|_| !keys.contains(&key)) else { continue };
            keys.push(key);
            found.push(format!("`{key}` holds {instead}"));
        }
        found
    }
}

/// A whole command line where the program alone belongs.
fn whole_command_line(command: &str, args: &[String]) -> Option<String> {
    let (program, rest) = command.trim().split_once(char::is_whitespace)?;
    let parts: Vec<&str> = rest.split_whitespace().collect();
    let plain = args.is_empty() && !rest.contains(['"', '\'', '\\', '$']);
    Some(if plain && !rest.chars().any(char::is_control) {
        format!(
            "`command` is one program, not a command line: write command = {program:?} and args = {parts:?}"
        )
    } else {
        "`command` is one program, not a command line: write what follows the program into `args`, one text each"
            .to_owned()
    })
}

/// The account's home as a shell writes it, and how it is written here.
fn home_of_a_shell(text: &str) -> Option<String> {
    let begins = |name: &str| {
        // Behind `=` as well, as in `--root=~/notes`.
        let value = text.split_once('=').map_or(text, |(_, value)| value);
        [text, value].iter().any(|text| {
            text.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '\\']))
        })
    };
    let word = match () {
        () if begins("~") => "~",
        () if begins("$HOME") || begins("${HOME}") => "$HOME",
        () if text.to_ascii_uppercase().contains("%USERPROFILE%") => "%USERPROFILE%",
        () => return None,
    };
    Some(format!("`{word}`, which only a shell replaces: write the whole path, or ${{env:{HOME_VARIABLE}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn mistakes(keys: &str) -> Vec<String> {
        let text = format!("[servers.a]\n{keys}\n");
        let config = Config::from_text(Path::new("config.toml"), &text, None).unwrap();
        config.servers.get("a").unwrap().likely_mistakes()
    }

    #[test]
    fn a_command_line_in_one_string_is_taken_apart() {
        assert_eq!(
            mistakes("command = 'npx -y @x/server-a'"),
            [
                r#"`command` is one program, not a command line: write command = "npx" and args = ["-y", "@x/server-a"]"#
            ]
        );
        let quoted = "`command` is one program, not a command line: write what follows the program into `args`, one text each";
        assert_eq!(mistakes(r#"command = "python -c 'print(1)'""#), [quoted]);
        assert_eq!(mistakes("command = 'uvx tool'\nargs = ['x']"), [quoted]);
    }

    #[test]
    fn the_home_of_a_shell_is_named_once_for_each_key() {
        let said = mistakes("command = '~/bin/a'\nargs = ['--root=~/x', '$HOME/y', 'a~b']\ncwd = '${HOME}'");
        let instead =
            format!("which only a shell replaces: write the whole path, or ${{env:{HOME_VARIABLE}}}");
        assert_eq!(
            said,
            [
                format!("`command` holds `~`, {instead}"),
                format!("`cwd` holds `$HOME`, {instead}"),
                format!("`args` holds `~`, {instead}"),
            ]
        );
        assert_eq!(mistakes("command = 'a'\nenv = { X = '%UserProfile%\\x' }").len(), 1);
    }

    #[test]
    fn what_is_meant_as_it_stands_is_left_alone() {
        let plain = "command = 'npx'\nargs = ['-y', 'x y', 'a=b', '${env:HOME}/x', '$HOMER', '~user']";
        assert_eq!(mistakes(plain), [""; 0]);
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("my tool");
        std::fs::write(&program, "").unwrap();
        assert_eq!(mistakes(&format!("command = '{}'", program.display())), [""; 0]);
    }
}
