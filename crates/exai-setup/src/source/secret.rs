//! Which values are secrets.

use crate::ServerEntry;
use crate::variables::{Piece, split};

/// Words of a name that say that its value is a secret.
const WORDS: [&str; 17] = [
    "token",
    "tokens",
    "key",
    "apikey",
    "secret",
    "secrets",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "pat",
    "credential",
    "credentials",
    "authorization",
    "auth",
    "bearer",
    "cookie",
];

/// Endings of a word that say the same: `GITHUB_APIKEY`, `DBPASSWORD`, `accesstoken`.
const ENDINGS: [&str; 7] = ["apikey", "accesskey", "secretkey", "token", "secret", "password", "passwd"];

/// Words that turn a name into something else than the secret: `KEY_FILE` and `TOKEN_URL` are places, `MAX_TOKENS` is a
/// number.
const OTHER_THINGS: [&str; 16] = [
    "file", "path", "dir", "url", "uri", "endpoint", "host", "limit", "count", "length", "enabled", "type",
    "mode", "method", "name", "id",
];

/// Whether the name of a variable or header says that its value is a secret.
pub fn is_secret_name(name: &str) -> bool {
    let words = split_into_words(name);
    let says_secret =
        |word: &String| WORDS.contains(&word.as_str()) || ENDINGS.iter().any(|ending| word.ends_with(ending));
    let says_other = |word: &String| OTHER_THINGS.contains(&word.as_str());
    words.iter().any(says_secret)
        && !words.last().is_some_and(says_other)
        && words.first().is_none_or(|word| word != "max")
}

/// Whether a variable or header of a server holds a secret that should be kept elsewhere: `declared` by the source or by
/// its name, and its value is there and is no reference.
pub fn is_secret(name: &str, value: &str, declared: bool) -> bool {
    (declared || is_secret_name(name)) && is_literal(value)
}

/// The names of the variables and headers of a server whose values are literal secrets.
pub fn find_secrets(entry: &ServerEntry) -> Vec<&str> {
    let declared = |name: &str| entry.secrets.iter().any(|secret| secret == name);
    let secret = |(name, value): &&(String, String)| is_secret(name, value, declared(name));
    entry.transport.pairs().iter().filter(secret).map(|(name, _)| name.as_str()).collect()
}

/// The values of the literal secrets of a server, so that a text that holds them can be shown without them.
pub fn secret_values(entry: &ServerEntry) -> Vec<String> {
    let names = find_secrets(entry);
    let secrets = entry.transport.pairs().iter().filter(|(name, _)| names.contains(&name.as_str()));
    secrets.map(|(_, value)| value.clone()).collect()
}

/// Whether a value is more than references and the word before them (`Bearer ${env:TOKEN}`).
fn is_literal(value: &str) -> bool {
    let has_reference =
        split(value).iter().any(|piece| matches!(piece, Piece::Dollar(inside) if !inside.is_empty()));
    !value.trim().is_empty() && !has_reference
}

/// `GitHubApiKey-v2` is `git`, `hub`, `api`, `key`, `v2`.
fn split_into_words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_small = false;
    for character in name.chars() {
        let separates = !character.is_alphanumeric();
        if separates || (character.is_uppercase() && before_small) {
            words.push(String::new());
        }
        before_small = character.is_lowercase();
        if !separates && let Some(word) = words.last_mut() {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transport;

    #[test]
    fn names_of_well_known_servers_are_told_apart() {
        for secret in [
            "GITHUB_PERSONAL_ACCESS_TOKEN",
            "BRAVE_API_KEY",
            "CONTEXT7_API_KEY",
            "NOTION_TOKEN",
            "SENTRY_ACCESS_TOKEN",
            "SLACK_BOT_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID_SECRET",
            "POSTGRES_PASSWORD",
            "GITHUB_PAT",
            "OPENAI_APIKEY",
            "DBPASSWORD",
            "Authorization",
            "X-Api-Key",
            "apiKey",
            "accessToken",
            "GOOGLE_CREDENTIALS",
            "Cookie",
            "DD-APPLICATION-KEY",
        ] {
            assert!(is_secret_name(secret), "{secret}");
        }
        for plain in [
            "",
            "PATH",
            "DEBUG",
            "MEMORY_FILE_PATH",
            "FASTMCP_LOG_LEVEL",
            "AWS_PROFILE",
            "MAX_TOKENS",
            "MAX_TOKENS_PER_CALL",
            "TOKEN_FILE",
            "TOKEN_URL",
            "GOOGLE_CREDENTIALS_PATH",
            "KEYBOARD",
            "MONKEY",
            "PATTERN",
            "AUTHOR",
            "SLACK_TEAM_ID",
            "Content-Type",
        ] {
            assert!(!is_secret_name(plain), "{plain}");
        }
    }

    #[test]
    fn only_values_that_are_there_and_no_references_are_secrets() {
        for (name, value, declared, expected) in [
            ("TOKEN", "ghp_x", false, true),
            ("REGION", "eu", true, true),
            ("REGION", "eu", false, false),
            ("TOKEN", "", true, false),
            ("TOKEN", " ", true, false),
            ("TOKEN", "${env:TOKEN}", true, false),
            ("Authorization", "Bearer ${secret:DOCS}", true, false),
            ("Authorization", "Bearer ${input:pat}", false, false),
            ("TOKEN", "a${b", false, true),
            ("TOKEN", "pa$$word{}", false, true),
        ] {
            assert_eq!(is_secret(name, value, declared), expected, "{name} {value}");
        }
    }

    #[test]
    fn the_secrets_of_a_server_are_found_in_its_order() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let mut entry = ServerEntry::new(
            "x",
            Transport::Url {
                url: "https://example.com/mcp".into(),
                headers: pairs(&[("X-Region", "eu"), ("Authorization", "Bearer x"), ("X-Team", "y")]),
            },
        );
        assert_eq!(find_secrets(&entry), ["Authorization"]);
        entry.secrets = vec!["X-Team".into()];
        assert_eq!(find_secrets(&entry), ["Authorization", "X-Team"]);
    }
}
