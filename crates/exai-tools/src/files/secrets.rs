//! Files that hold secrets, by their names. They are not read, whoever names them.

use std::path::{Component, Path};
use std::sync::LazyLock;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Patterns of `.gitignore`, without regard to case. A later one counts more, and `!` makes an exception.
const PATTERNS: &[&str] = &[
    // Environments of applications.
    ".env*",
    "!.env.example",
    "!.env.sample",
    "!.env.template",
    "!.env.dist",
    "!.envrc.example",
    // Keys and certificates.
    "*.pem",
    "*.key",
    "*.p8",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "*.jks",
    "*.keystore",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    // Stores of passwords.
    "*.kdb",
    "*.kdbx",
    "*.keychain",
    "*.keychain-db",
    "wallet.dat",
    "login.keyring",
    // Logins of programs.
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".mylogin.cnf",
    ".git-credentials",
    ".htpasswd",
    ".dockercfg",
    ".boto",
    ".s3cfg",
    ".vault-token",
    ".vault_pass*",
    "*.tfstate",
    "*.tfstate.*",
    "service-account*.json",
    "service_account*.json",
    "**/.docker/config.json",
    "**/.git/config",
    "**/gh/hosts.yml",
    "**/gcloud/*.db",
    "**/etc/shadow*",
    "**/etc/gshadow*",
    // What was typed at a prompt.
    ".*_history",
    // Whatever is called so, but for the source of a program that is about it.
    "credentials*",
    "secret.*",
    "secrets.*",
    "!{credentials*,secret,secrets}.{c,cc,cpp,cs,css,cxx,ex,exs,go,h,hpp,html,java,js,jsx,kt,md,mjs,php,py,rb,rs,scala,svelte,swift,ts,tsx,vue}",
    // Directories of such files. Nothing in them is an exception.
    ".ssh/",
    ".aws/",
    ".azure/",
    ".gnupg/",
    ".kube/",
    ".password-store/",
    "keyrings/",
];

static MATCHER: LazyLock<Gitignore> = LazyLock::new(|| {
    let mut builder = GitignoreBuilder::new("");
    builder.case_insensitive(true).expect("BUG: this setting cannot fail");
    for pattern in PATTERNS {
        builder.add_line(None, pattern).expect("BUG: the patterns are valid");
    }
    builder.build().expect("BUG: the patterns are valid")
});

/// Whether the file at this path may hold secrets, or any directory above it may.
pub(super) fn is_secret(path: &Path) -> bool {
    let mut names: Vec<String> = Vec::new();
    for part in path.components() {
        if let Component::Normal(name) = part {
            let name = name.to_string_lossy();
            names.push(match names.last() {
                Some(above) => format!("{above}/{name}"),
                None => name.into_owned(),
            });
        }
    }
    let is_secret = |name: &String, is_directory| MATCHER.matched(name, is_directory).is_ignore();
    names.iter().any(|name| is_secret(name, true)) || names.last().is_some_and(|name| is_secret(name, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_name_and_place() {
        let secret = [
            "/p/.env",
            "/p/.env.local",
            "/p/.ENV.Production",
            "/p/.envrc",
            "/p/server.pem",
            "/p/tls/Server.KEY",
            "/p/id_rsa",
            "/p/id_rsa.pub",
            "/p/id_ed25519",
            "/p/a.p12",
            "/p/a.pfx",
            "/p/.netrc",
            "/p/.npmrc",
            "/p/.pypirc",
            "/p/credentials",
            "/p/credentials.json",
            "/p/Credentials-prod.yaml",
            "/p/secrets.toml",
            "/p/secret.yml",
            "/p/passwords.kdbx",
            "/p/terraform.tfstate.backup",
            "/home/u/.ssh/config",
            "/home/u/.ssh",
            "/home/u/.ssh/.env.example",
            "/home/u/.aws/sso/cache/x.json",
            "/home/u/.docker/config.json",
            "/home/u/.cargo/credentials.toml",
            "/home/u/.config/gh/hosts.yml",
            "/home/u/.bash_history",
            "/p/.git/config",
            "/etc/shadow",
            "/etc/shadow-",
        ];
        let plain = [
            "/p/.env.example",
            "/p/src/credentials.rs",
            "/p/src/credentials_test.go",
            "/p/src/secrets.py",
            "/p/docs/secrets.md",
            "/p/environment.rs",
            "/p/monkey.rs",
            "/p/key.rs",
            "/p/src/keys/mod.rs",
            "/p/.github/workflows/ci.yml",
            "/p/.docker/Dockerfile",
            "/p/config.json",
            "/p/src/ssh/config",
            "/",
        ];
        for path in secret {
            assert!(is_secret(Path::new(path)), "{path}");
        }
        for path in plain {
            assert!(!is_secret(Path::new(path)), "{path}");
        }
    }
}
