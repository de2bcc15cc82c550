use std::time::SystemTime;

use serde_json::json;
use tempfile::TempDir;

use super::*;

const URL: &str = "https://mcp.example.com/mcp";

/// A directory of mcp-remote.
struct Kept(TempDir);

impl Kept {
    fn new() -> Self {
        Kept(tempfile::tempdir().unwrap())
    }

    /// Writes a file as this version would for this text.
    fn write(&self, version: &str, text: &str, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let folder = self.0.path().join(format!("mcp-remote-{version}"));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{}_{name}", hash(text)));
        fs::write(&path, contents).unwrap();
        path
    }

    fn tokens(&self, version: &str, text: &str, access: &str, more: &Value) -> PathBuf {
        let mut tokens = json!({"access_token": access, "token_type": "Bearer"});
        tokens.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.write(version, text, "tokens.json", format!("{tokens:#}"))
    }

    fn find(&self) -> io::Result<Option<McpRemoteSignIn>> {
        McpRemoteSignIn::find(self.0.path(), URL, &[])
    }

    fn found(&self) -> Option<String> {
        self.find().unwrap().map(|found| found.tokens.access_token.expose().to_owned())
    }
}

#[test]
fn names_are_those_of_mcp_remote() {
    // As its `getServerUrlHash` makes them.
    assert_eq!(hash("https://mcp.linear.app/sse"), "2d1a8aae3765090858d82f5630192064");
    let headers = [("A", "1"), ("B", "x\"y")].map(|(name, value)| (name.to_owned(), Secret::new(value)));
    assert_eq!(hashes("https://a.example", &headers)[0], hash(r#"https://a.example|{"A":"1","B":"x\"y"}"#));
    assert_eq!(hashes("https://a.example", &[]), ["https://a.example", "https://a.example/"].map(hash));
}

#[test]
fn the_newest_version_that_has_something_of_use_counts() {
    let kept = Kept::new();
    assert!(kept.find().unwrap().is_none());
    kept.tokens("0.1.9", URL, "old", &json!({"refresh_token": "r"}));
    assert_eq!(kept.found().as_deref(), Some("old"));
    kept.tokens("0.1.31", URL, "newer", &json!({"refresh_token": "r"}));
    kept.tokens("0.1.38", "https://other.example/", "other", &json!({"refresh_token": "r"}));
    assert_eq!(kept.found().as_deref(), Some("newer"), "0.1.31 is newer than 0.1.9");
    let spent = kept.tokens("0.1.43", URL, "spent", &json!({"expires_in": 60}));
    let an_hour_ago = SystemTime::now() - Duration::from_hours(1);
    fs::File::options().write(true).open(spent).unwrap().set_modified(an_hour_ago).unwrap();
    assert_eq!(kept.found().as_deref(), Some("newer"));
    kept.tokens("0.1.44", &format!("{URL}/"), "with a slash", &json!({"expires_in": 3600, "extra": [1]}));
    assert_eq!(kept.found().as_deref(), Some("with a slash"));
}

#[test]
fn a_token_ends_so_long_after_its_file_was_written() {
    let kept = Kept::new();
    for (expires_in, lifetime) in [
        (json!(3600), Some(3600)),
        (json!(3599.9), Some(3599)),
        (json!(1e300), Some(MAX_LIFETIME.as_secs())),
        (json!(0), None),
        (json!(-5), None),
        (json!(null), None),
        (json!("soon"), None),
    ] {
        kept.tokens("0.1.43", URL, "t", &json!({"expires_in": expires_in, "refresh_token": "r"}));
        let found = kept.find().unwrap().unwrap();
        assert_eq!(found.expires_at().map(|end| end - found.obtained_at), lifetime, "{expires_in}");
        assert!(unix_time() - found.obtained_at < 60);
    }
    let file = kept.tokens("0.1.43", URL, "t", &json!({"refresh_token": "r"}));
    let later = SystemTime::now() + Duration::from_hours(1000);
    fs::File::options().write(true).open(file).unwrap().set_modified(later).unwrap();
    assert!(kept.find().unwrap().unwrap().obtained_at <= unix_time());
}

#[test]
fn what_mcp_remote_does_not_write_is_an_error_that_shows_nothing_of_it() {
    for (name, contents) in [
        ("tokens.json", "topsecret".to_owned()),
        ("tokens.json", r#"{"access_token": "topsecret"}"#.to_owned()),
        ("tokens.json", r#"{"access_token": ["topsecret"], "token_type": "Bearer"}"#.to_owned()),
        ("tokens.json", format!("\"{}", "topsecret".repeat(10_000))),
        ("client_info.json", r#"{"client_id": 7, "client_secret": "topsecret"}"#.to_owned()),
    ] {
        let kept = Kept::new();
        kept.tokens("0.1.43", URL, "t", &json!({"refresh_token": "r"}));
        let path = kept.write("0.1.43", URL, name, &contents);
        let error = kept.find().unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()) && !error.contains("topsecret"), "{error}");
    }
}

#[test]
fn what_is_no_file_in_the_way_is_no_hang() {
    let kept = Kept::new();
    fs::write(kept.0.path().join("mcp-remote-9.9.9"), "no directory").unwrap();
    assert!(kept.find().unwrap().is_none());
    let folder = kept.0.path().join(format!("mcp-remote-0.1.43/{}_tokens.json", hash(URL)));
    fs::create_dir_all(folder).unwrap();
    assert!(kept.find().is_err());
    let file = kept.0.path().join("mcp-remote-9.9.9");
    assert!(McpRemoteSignIn::find(&file, URL, &[]).unwrap().is_none());
}
