use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

/// An account with a fresh directory as its home, and bash as its shell.
fn account(home: &Path) -> Account {
    Account { uid: 0, name: "somebody".into(), home: home.to_owned(), shell: "/bin/bash".into() }
}

fn get<'a>(environment: &'a AccountEnvironment, name: &str) -> Option<&'a OsStr> {
    environment.vars.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
}

fn starter(vars: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    vars.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn this_account_has_a_home_and_a_shell() {
    let account = current().unwrap();
    assert!(account.home.is_absolute() && account.shell.is_absolute() && !account.name.is_empty());
}

#[test]
fn captures_through_noise_then_caches_until_a_start_file_changes() {
    let home = tempfile::tempdir().unwrap();
    let profile = home.path().join(".bash_profile");
    std::fs::write(&profile, "echo noise; echo more >&2\nexport TOKEN=$'two\\nlines' LANG=xx\n").unwrap();
    let account = account(home.path());
    let mine =
        starter(&[("SSH_AUTH_SOCK", "/sock/1"), ("LANG", "en"), ("LC_TIME", "de"), ("VIRTUAL_ENV", "/venv")]);

    let first = environment(&account, &mine, LIMIT);
    assert_eq!(first.source, EnvironmentSource::Captured);
    assert_eq!(get(&first, "TOKEN").unwrap(), "two\nlines");
    assert_eq!(get(&first, "HOME").unwrap(), home.path());
    assert_eq!(get(&first, "LANG").unwrap(), "xx");
    assert_eq!(get(&first, "LC_TIME").unwrap(), "de");
    assert_eq!(get(&first, "SSH_AUTH_SOCK").unwrap(), "/sock/1");
    for absent in ["VIRTUAL_ENV", "PWD", "SHLVL", "_", "OLDPWD"] {
        assert_eq!(get(&first, absent), None, "{absent}");
    }
    assert!(!format!("{first:?}").contains("lines"), "values stay out of debug output");

    let second = environment(&account, &starter(&[("SSH_AUTH_SOCK", "/sock/2")]), LIMIT);
    assert!(matches!(second.source, EnvironmentSource::Cached { .. }), "{second:?}");
    assert_eq!(get(&second, "TOKEN").unwrap(), "two\nlines");
    assert_eq!(get(&second, "SSH_AUTH_SOCK").unwrap(), "/sock/2");
    let third = environment(&account, &[], LIMIT);
    assert_eq!(get(&third, "SSH_AUTH_SOCK"), None, "a session's socket is not kept");
    // Other load on the machine makes a look slower but never faster, so one fast look is enough.
    let begun = Instant::now();
    loop {
        let started = Instant::now();
        let again = environment(&account, &[], LIMIT);
        assert!(matches!(again.source, EnvironmentSource::Cached { .. }), "{again:?}");
        if started.elapsed() < Duration::from_millis(100) {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "it is never read within a tenth of a second");
    }

    std::fs::write(&profile, "export TOKEN=three\n").unwrap();
    let changed = environment(&account, &[], LIMIT);
    assert_eq!(changed.source, EnvironmentSource::Captured);
    assert_eq!(get(&changed, "TOKEN").unwrap(), "three");
}

#[test]
fn the_cache_is_private_and_a_broken_one_is_no_cache() {
    let home = tempfile::tempdir().unwrap();
    let account = account(home.path());
    refresh_environment(&account, &[], LIMIT);
    let file = crate::environment_cache::path(&account).unwrap();
    assert!(file.starts_with(home.path()));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&file, "{").unwrap();
    assert_eq!(environment(&account, &[], LIMIT).source, EnvironmentSource::Captured);
}

#[test]
fn a_shell_that_hangs_is_ended_with_its_children() {
    let home = tempfile::tempdir().unwrap();
    let pids = home.path().join("pids");
    // The second child has a process group of its own, like a job of an interactive shell.
    let script =
        format!("sleep 300 & echo $! >>{0}; set -m; sleep 300 & echo $! >>{0}; wait\n", pids.display());
    std::fs::write(home.path().join(".bash_profile"), script).unwrap();
    let started = Instant::now();
    let environment = environment(&account(home.path()), &[], Duration::from_secs(3));
    assert!(started.elapsed() < Duration::from_secs(10));
    let EnvironmentSource::Fallback { reason } = &environment.source else { panic!("{environment:?}") };
    assert!(reason.contains("did not finish"), "{reason}");
    assert_eq!(get(&environment, "HOME").unwrap(), home.path());
    let pids = std::fs::read_to_string(pids).unwrap();
    assert_eq!(pids.lines().count(), 2);
    // The children are first asked to end and later killed, while the caller goes on.
    let gone = |pid: &str| crate::process::identify(pid.parse().unwrap()).unwrap().is_none();
    let limit = Instant::now() + Duration::from_secs(20);
    while !pids.lines().all(gone) {
        assert!(Instant::now() < limit, "they still live: {pids}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_broken_shell_gives_the_bare_variables() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["/bin/false", "/nonexistent/shell"] {
        let account = Account { shell: shell.into(), ..account(home.path()) };
        let environment = environment(&account, &starter(&[("DISPLAY", ":0")]), LIMIT);
        assert!(matches!(environment.source, EnvironmentSource::Fallback { .. }), "{environment:?}");
        assert_eq!(get(&environment, "USER").unwrap(), "somebody");
        assert_eq!(get(&environment, "DISPLAY").unwrap(), ":0");
        assert!(get(&environment, "PATH").is_some());
    }
}

/// The test runs itself again with another environment.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test asks its own other half")]
fn the_home_is_the_accounts_whatever_the_environment_says() {
    let say = "EXAI_TEST_WRITES_ITS_HOME";
    let home = current().unwrap().home;
    if let Some(path) = std::env::var_os(say) {
        return std::fs::write(path, home.to_str().unwrap()).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let said = dir.path().join("said");
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "account::tests::the_home_is_the_accounts_whatever_the_environment_says"]);
    again.env_clear().env(say, &said);
    for (name, value) in [("HOME", "/nowhere"), ("USER", "nobody"), ("XDG_RUNTIME_DIR", "/nowhere")] {
        assert!(again.env(name, value).output().unwrap().status.success());
        assert_eq!(std::fs::read_to_string(&said).unwrap(), home.to_str().unwrap(), "{name}");
        std::fs::remove_file(&said).unwrap();
    }
}
