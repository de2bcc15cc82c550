//! `exai add` with a bundle: asked, unpacked, removed; and bundles that mean harm.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::registry::{Registry, ok, response};
use super::{add, config, fixture};
use crate::support::{Instance, text};

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in files {
        writer.start_file(*name, stored()).expect("a file");
        writer.write_all(contents).expect("it is written");
    }
    writer.finish().expect("a zip").into_inner()
}

/// In the form of the examples of modelcontextprotocol/mcpb, with a setting of each kind that matters here.
fn manifest() -> Value {
    json!({
        "manifest_version": "0.3",
        "name": "hello-world",
        "display_name": "Hello, World",
        "version": "0.1.0",
        "description": "A bundle of the tests",
        "author": {"name": "Ada"},
        "server": {
            "type": "binary",
            "entry_point": "server/hello",
            "mcp_config": {
                "command": "${__dirname}/server/hello",
                "args": ["--children", "${user_config.children}"],
                "env": {"API_KEY": "${user_config.api_key}", "NOTES": "${user_config.notes}"},
            },
        },
        "user_config": {
            "children": {"type": "number", "title": "Children", "description": "How many", "default": 1},
            "api_key": {"type": "string", "title": "Key", "sensitive": true, "required": true},
            "notes": {"type": "directory", "title": "Notes"},
        },
    })
}

/// A bundle with the fixture server in it.
fn bundle(manifest: &Value) -> Vec<u8> {
    let program = std::fs::read(fixture()).expect("the fixture");
    let name = format!("server/hello{}", std::env::consts::EXE_SUFFIX);
    zip(&[
        ("manifest.json", manifest.to_string().as_bytes()),
        (&name, &program),
        ("data/words.txt", b"hello\n"),
    ])
}

fn write(instance: &Instance, name: &str, bytes: &[u8]) -> String {
    let path = instance.dir().join(name);
    std::fs::write(&path, bytes).expect("a file");
    path.to_str().expect("a path").to_owned()
}

/// What is in the directory of bundles, hidden names as well.
fn unpacked(instance: &Instance) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(instance.home().join("bundles"));
    entries.into_iter().flatten().map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn a_bundle_is_shown_asked_unpacked_started_and_removed_again() {
    let instance = Instance::new("");
    let file = write(&instance, "hello.mcpb", &bundle(&manifest()));
    let unseen = add(&instance, &[&file], "");
    let said = text(&unseen.stdout);
    assert_eq!(unseen.status.code(), Some(2), "{said}");
    for expected in
        ["Hello, World (hello-world 0.1.0), by Ada", "A bundle of the tests", "api_key (needed, a secret)"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(unpacked(&instance).is_empty(), "nothing is unpacked before it was agreed to");

    let output = add(&instance, &["--yes", "--set", "api_key=h1dden", &file], "");
    let (said, warned) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{warned}");
    assert!(said.contains("added hello-world: ") && said.contains(" tools"), "it runs: {said}{warned}");
    assert!(!said.contains("h1dden") && !config(&instance).contains("h1dden"), "{said}");
    let directory = match &unpacked(&instance)[..] {
        [one] => one.clone(),
        others => panic!("{others:?}"),
    };
    assert_eq!(std::fs::read_to_string(directory.join("data/words.txt")).expect("a file"), "hello\n");
    #[cfg(unix)]
    for (path, mode) in [("", 0o700), ("server", 0o700), ("server/hello", 0o700), ("data/words.txt", 0o600)] {
        use std::os::unix::fs::PermissionsExt as _;
        let found = directory.join(path).metadata().expect("it is there").permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path} is private");
    }
    let mut client = instance.client("hello-world");
    assert_eq!(client.call("env", &json!({"name": "API_KEY"})), "h1dden", "the server gets the secret");
    drop(client);

    // The same bundle again is another server with the same files.
    let again = add(&instance, &["--yes", "--no-check", "--set", "api_key=x", "--force", &file], "");
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    let twin = format!("\n[servers.twin]\ncommand = {}\n", json!(directory.join("server/hello")));
    let written = config(&instance) + &twin;
    std::fs::write(instance.home().join("config.toml"), written).expect("config.toml");
    let said = instance.ends(0, &["remove", "hello-world"]);
    assert_eq!(said, "removed hello-world\n");
    assert_eq!(unpacked(&instance), [directory], "another server uses the files");
    instance.ends(0, &["remove", "twin"]);
    assert_eq!(unpacked(&instance), Vec::<PathBuf>::new());
}

#[test]
fn the_secrets_of_a_removed_server_are_kept_or_forgotten_as_the_person_says() {
    let instance = Instance::new("");
    for name in ["one", "two"] {
        instance.ends(0, &["add", name, "--no-check", "-e", "API_KEY=h1dden", "--", "x"]);
    }
    let output = instance.exai(&["remove", "one"]);
    assert!(text(&output.stderr).contains("`exai secret remove one.API_KEY`"), "{}", text(&output.stderr));
    let said = instance.ends(0, &["remove", "two", "--secrets"]);
    assert!(said.contains("forgot two.API_KEY"), "{said}");
    let kept = std::fs::read_to_string(instance.home().join("secrets.toml")).expect("secrets.toml");
    assert!(kept.contains("one.API_KEY") && !kept.contains("two.API_KEY"), "{kept}");
    // A secret that another server uses stays.
    for name in ["three", "four"] {
        instance.ends(0, &["add", name, "--no-check", "-e", "API_KEY=${secret:one.API_KEY}", "--", "x"]);
    }
    let said = instance.ends(0, &["remove", "three", "--secrets"]);
    assert_eq!(said, "removed three\n");
}

#[test]
fn an_older_bundle_without_permissions_is_taken_as_well() {
    let instance = Instance::new("");
    let mut old = manifest();
    old["dxt_version"] = json!("0.1");
    old.as_object_mut().expect("a table").remove("manifest_version");
    let file = write(&instance, "hello.dxt", &bundle(&old));
    let output = add(&instance, &["--yes", "--set", "api_key=x", "--set", "notes=~/notes", &file], "");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("added hello-world: ") && said.contains(" tools"), "{said}");
    let home = exai_os::account::current().expect("the account").home;
    assert!(
        config(&instance).contains(&json!(home.join("notes")).to_string()) || cfg!(windows),
        "{}",
        config(&instance)
    );
}

#[test]
fn a_bundle_of_the_registry_must_have_the_hash_that_the_registry_knows() {
    let instance = Instance::new("");
    let bytes = bundle(&manifest());
    let mut hash = String::new();
    for byte in <sha2::Sha256 as sha2::Digest>::digest(&bytes) {
        write!(hash, "{byte:02x}").expect("a text");
    }
    for (hash, code) in [("0".repeat(64), 1), (hash, 0)] {
        let bytes = bytes.clone();
        let port = exai_test::free_port();
        let url = format!("http://127.0.0.1:{port}/hello.mcpb");
        let server = json!({"name": "io.github.ada/hello", "version": "0.1.0", "packages": [{
            "registryType": "mcpb", "identifier": url, "fileSha256": hash, "transport": {"type": "stdio"},
        }]});
        let files = Registry::at(port, move |_| response("200 OK", "", &bytes));
        let registry = Registry::new(move |_| ok(&json!({"server": server}).to_string()));
        let output = registry.add(&instance, &["--yes", "--set", "api_key=x", "io.github.ada/hello"]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(code == 0 || said.contains("its SHA-256 differs"), "{said}");
        assert_eq!(unpacked(&instance).len(), usize::from(code == 0), "{said}");
        drop(files);
    }
    // The file of a person cannot have something fetched from this machine.
    let server = json!({"name": "io.github.ada/hello", "packages": [{"registryType": "mcpb",
        "identifier": "http://127.0.0.1:1/x.mcpb", "fileSha256": "0".repeat(64)}]});
    let output = add(&instance, &["--yes", "-"], &server.to_string());
    assert!(text(&output.stderr).contains("is at no https URL"), "{}", text(&output.stderr));
}

/// The same zip with another text in the place of a name or a path, wherever that stands.
fn patched(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut patched = bytes.to_vec();
    let places: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, at)| *at == from).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        patched[at..at + to.len()].copy_from_slice(to);
    }
    patched
}

fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let text = manifest().to_string();
    let manifest = ("manifest.json", text.as_bytes());
    let plain = zip(&[manifest, ("server/hello", b"#!"), ("aa/bb", b"12345678")]);
    let link = {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file(manifest.0, stored()).expect("a file");
        writer.write_all(manifest.1).expect("it is written");
        writer.add_symlink("server/hello", "/etc/passwd", stored()).expect("a link");
        writer.finish().expect("a zip").into_inner()
    };
    let bomb = {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file(manifest.0, stored()).expect("a file");
        writer.write_all(manifest.1).expect("it is written");
        writer
            .start_file("server/hello", stored().compression_method(CompressionMethod::Deflated))
            .expect("a file");
        writer.write_all(&vec![0; 40 << 20]).expect("it is written");
        writer.finish().expect("a zip").into_inner()
    };
    let many = {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for number in 0..20_001 {
            writer.start_file(format!("{number}"), stored()).expect("a file");
        }
        writer.finish().expect("a zip").into_inner()
    };
    let broken = patched(&plain, b"12345678", b"1234x678");
    let mut all = vec![
        ("climbs", patched(&plain, b"aa/bb", b"../bb"), "climbs out of the bundle"),
        ("absolute", patched(&plain, b"aa/bb", b"/etcb"), "is absolute"),
        ("bomb", bomb, "unpacks to far more than its size"),
        ("many", many, "more than 20000 files"),
        ("cut", plain[..plain.len() - 40].to_vec(), "is no valid zip file"),
        ("begin", plain[..30].to_vec(), "is no valid zip file"),
        (
            "twice",
            patched(&zip(&[manifest, ("aa/bb", b"1"), ("aa/bc", b"2")]), b"aa/bc", b"aa/bb"),
            "overlap",
        ),
        ("case", zip(&[manifest, ("aa/bb", b"1"), ("AA/bb", b"2")]), "twice, without regard to case"),
        ("broken", broken, "is broken"),
        ("bare", zip(&[("server/hello", b"#!")]), "has no `manifest.json`"),
        ("text", b"hello".to_vec(), "is no valid zip file"),
    ];
    // A zip that is written on Windows holds no links.
    if !cfg!(windows) {
        all.push(("link", link, "is a link"));
    }
    all
}

#[test]
fn a_bundle_that_means_harm_is_refused_with_one_sentence_and_leaves_nothing() {
    let instance = Instance::new("");
    for (name, bytes, expected) in hostile() {
        let file = write(&instance, &format!("{name}.mcpb"), &bytes);
        let output = add(&instance, &["--yes", "--no-check", "--set", "api_key=x", &file], "");
        let said = text(&output.stderr);
        assert_ne!(output.status.code(), Some(0), "{name}: {said}");
        assert!(said.contains(expected) && said.contains("nothing was added"), "{name}: {said}");
        assert_eq!(said.matches("error").count(), 1, "{name}: {said}");
        assert_eq!(unpacked(&instance), Vec::<PathBuf>::new(), "{name}");
    }
    assert!(!config(&instance).contains("servers"), "{}", config(&instance));
    assert!(!Path::new("/etcb").exists());
    let secrets = std::fs::read_to_string(instance.home().join("secrets.toml")).unwrap_or_default();
    assert_eq!(secrets, "", "no secret of a server that was not added is kept");
}
