use std::io::Write as _;

use proptest::prelude::*;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::super::shown::{answers, show};
use super::*;

const HELLO: &str = r#"{
  "manifest_version": "0.3",
  "name": "hello-world-node",
  "version": "0.1.0",
  "author": { "name": "Anthropic" },
  "server": {
    "type": "node",
    "entry_point": "server/index.js",
    "mcp_config": { "command": "node", "args": ["${__dirname}/server/index.js"] }
  }
}"#;

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

/// A zip of files with these names, contents and modes.
fn zip_with(files: &[(&str, &[u8], SimpleFileOptions)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents, options) in files {
        if name.ends_with('/') {
            writer.add_directory(*name, *options).unwrap();
        } else {
            writer.start_file(*name, *options).unwrap();
            writer.write_all(contents).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let files: Vec<_> = files.iter().map(|(name, contents)| (*name, *contents, options())).collect();
    zip_with(&files)
}

fn error_of(bytes: &[u8]) -> String {
    Bundle::open(bytes).map(|bundle| bundle.files).unwrap_err().to_string()
}

fn unpack(bundle: &mut Bundle<'_>) -> Result<Vec<(String, Vec<u8>)>, UnpackError> {
    let mut unpacked = Vec::new();
    bundle.unpack(&mut |file, contents| {
        let mut bytes = Vec::new();
        contents.read_to_end(&mut bytes)?;
        unpacked.push((file.path.clone(), bytes));
        Ok(())
    })?;
    Ok(unpacked)
}

fn places() -> Places {
    Places {
        bundle: "/b".into(),
        home: "/h".into(),
        desktop: "/h/Desktop".into(),
        documents: "/h/Documents".into(),
        downloads: "/h/Downloads".into(),
    }
}

#[test]
fn a_bundle_is_listed_unpacked_and_planned() {
    let large = b"console.log(1)\n".repeat(10_000);
    let bytes = zip_with(&[
        ("server/", b"", options()),
        ("manifest.json", HELLO.as_bytes(), options()),
        ("server/index.js", &large, options()),
        (
            "server/run",
            b"#!",
            options().unix_permissions(0o755).compression_method(CompressionMethod::Stored),
        ),
        ("server/empty", b"", options()),
    ]);
    let mut bundle = Bundle::open(&bytes).unwrap();
    let listed: Vec<_> =
        bundle.files().iter().map(|file| (file.path.as_str(), file.size, file.executable)).collect();
    assert_eq!(
        listed,
        [
            ("manifest.json", HELLO.len() as u64, false),
            ("server/index.js", large.len() as u64, false),
            // An archive that is written on Windows holds no permissions.
            ("server/run", 2, std::env::consts::OS != "windows"),
            ("server/empty", 0, false)
        ]
    );
    assert_eq!(
        (bundle.manifest().name.as_str(), bundle.manifest().version.as_str()),
        ("hello-world-node", "0.1.0")
    );
    let plan = bundle.plan(&places(), Platform::Linux).unwrap();
    assert_eq!(show(&plan.fill(&answers(&[])).unwrap()), "hello-world-node: node|/b/server/index.js cwd=/b");
    let unpacked = unpack(&mut bundle).unwrap();
    assert_eq!(unpacked.len(), 4);
    assert_eq!(unpacked[1], ("server/index.js".to_owned(), large));
    assert_eq!(unpacked[2], ("server/run".to_owned(), b"#!".to_vec()));
}

#[test]
fn a_file_that_is_not_read_is_checked_all_the_same_and_a_failure_to_write_is_told() {
    let bytes = zip(&[("manifest.json", HELLO.as_bytes()), ("a.txt", b"abc")]);
    let mut bundle = Bundle::open(&bytes).unwrap();
    let mut seen = 0;
    bundle
        .unpack(&mut |_, _| {
            seen += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, 2);
    let error = bundle.unpack(&mut |_, _| Err(io::Error::other("disk full"))).unwrap_err();
    assert_eq!(error.to_string(), "`manifest.json` of the bundle could not be written: disk full");
}

#[test]
fn what_climbs_out_collides_or_is_a_link_is_refused() {
    let manifest = ("manifest.json", HELLO.as_bytes());
    for (name, why) in [
        ("../evil", "a path in the bundle climbs out of the bundle: \"../evil\""),
        ("a/../../evil", "a path in the bundle climbs out of the bundle: \"a/../../evil\""),
        ("/etc/cron.d/evil", "a path in the bundle is absolute: \"/etc/cron.d/evil\""),
        ("C:\\evil", "a path in the bundle has a drive, a backslash or a colon: \"C:\\\\evil\""),
        ("..\\evil", "a path in the bundle has a drive, a backslash or a colon: \"..\\\\evil\""),
        ("Manifest.JSON", "a path in the bundle is there twice, without regard to case: \"Manifest.JSON\""),
        ("manifest.json/x", "a path in the bundle is a file and a directory: \"manifest.json/x\""),
        ("nul", "a path in the bundle has the name of a device of Windows: \"nul\""),
        ("../", "a path in the bundle climbs out of the bundle: \"..\""),
    ] {
        let bytes = zip(&[manifest, (name, b"x")]);
        assert_eq!(error_of(&bytes), why);
    }
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(manifest.0, options()).unwrap();
    writer.write_all(manifest.1).unwrap();
    writer.add_symlink("link", "/etc/passwd", options()).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    assert_eq!(error_of(&bytes), "a path in the bundle is a link: \"link\"");
}

/// The archive with the same bytes changed wherever `from` stands.
fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut changed = bytes.to_vec();
    let mut found = 0;
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            changed[at..at + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0);
    changed
}

#[test]
fn one_name_for_two_files_and_files_that_share_bytes_are_refused() {
    let bytes = zip(&[("manifest.json", HELLO.as_bytes()), ("aaaa", b"x"), ("bbbb", b"y")]);
    assert_eq!(error_of(&replace(&bytes, b"bbbb", b"aaaa")), "files of the bundle overlap each other");

    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("manifest.json", options()).unwrap();
    writer.write_all(HELLO.as_bytes()).unwrap();
    writer.start_file("kernel", options()).unwrap();
    writer.write_all(&vec![0; 1 << 20]).unwrap();
    for copy in 0..10 {
        writer.shallow_copy_file("kernel", &format!("copy{copy}")).unwrap();
    }
    assert_eq!(error_of(&writer.finish().unwrap().into_inner()), "files of the bundle overlap each other");
}

#[test]
fn bombs_are_refused_before_and_while_they_unpack() {
    let zeros = vec![0; 24 << 20];
    let bytes = zip(&[("manifest.json", HELLO.as_bytes()), ("zeros", &zeros)]);
    assert!(bytes.len() < 100_000);
    assert_eq!(error_of(&bytes), "a path in the bundle unpacks to far more than its size: \"zeros\"");

    // Each of them alone is small enough.
    let part = &zeros[..10 << 20];
    let bytes = zip(&[("manifest.json", HELLO.as_bytes()), ("a", part), ("b", part), ("c", part)]);
    assert_eq!(error_of(&bytes), "the bundle unpacks to far more than its size");

    // The directory of the archive lies: 12 MiB are declared to be 100 bytes.
    let contents = &zeros[..12 << 20];
    let bytes = zip(&[("manifest.json", HELLO.as_bytes()), ("liar", contents)]);
    let size = |size: u32| size.to_le_bytes();
    let lie = replace(&bytes, &size(12 << 20), &size(100));
    let mut bundle = Bundle::open(&lie).unwrap();
    assert_eq!(bundle.files()[1].size, 100);
    let mut largest = 0;
    let error = bundle
        .unpack(&mut |_, contents| {
            largest = io::copy(contents, &mut io::sink()).unwrap_or(0).max(largest);
            Ok(())
        })
        .unwrap_err();
    assert_eq!(error.to_string(), "`liar` in the bundle is broken");
    assert!(largest <= HELLO.len() as u64);
}

#[test]
fn too_many_files_are_refused() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = options().compression_method(CompressionMethod::Stored);
    for file in 0..=MAX_BUNDLE_FILES {
        writer.start_file(format!("{file}"), stored).unwrap();
    }
    assert_eq!(error_of(&writer.finish().unwrap().into_inner()), "the bundle has more than 20000 files");
}

#[test]
fn broken_archives_are_told() {
    let good = zip(&[("manifest.json", HELLO.as_bytes()), ("a", b"some contents that are long enough")]);
    for (bytes, error) in [
        (Vec::new(), "the bundle is no valid zip file"),
        (b"PK\x03\x04".to_vec(), "the bundle is no valid zip file"),
        (b"<html>not found</html>".to_vec(), "the bundle is no valid zip file"),
        (good[..good.len() - 30].to_vec(), "the bundle is no valid zip file"),
        (zip(&[("a", b"x")]), "the bundle has no `manifest.json`"),
        (zip(&[("x/manifest.json", HELLO.as_bytes())]), "the bundle has no `manifest.json`"),
        (zip(&[("manifest.json", b"\xff")]), "`manifest.json` of the bundle is no UTF-8 text"),
        (
            zip(&[("manifest.json", b"{\n hunter2")]),
            "`manifest.json` of the bundle: line 2, column 2: this is not valid JSON: expected string for object property",
        ),
        (
            zip(&[("manifest.json", &vec![b' '; (1 << 20) + 1])]),
            "`manifest.json` of the bundle has more than 1 MiB",
        ),
    ] {
        assert_eq!(error_of(&bytes), error);
    }
    // One bit of the contents: the check sum shows it.
    let stored = options().compression_method(CompressionMethod::Stored);
    let bytes = zip_with(&[("manifest.json", HELLO.as_bytes(), stored), ("a", b"some contents", stored)]);
    let changed = replace(&bytes, b"some contents", b"SOME contents");
    let mut bundle = Bundle::open(&changed).unwrap();
    assert_eq!(unpack(&mut bundle).unwrap_err().to_string(), "`a` in the bundle is broken");
    let unread = bundle.unpack(&mut |_, _| Ok(()));
    assert_eq!(unread.unwrap_err().to_string(), "`a` in the bundle is broken");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Bundle::open(&bytes).is_err());
    }

    #[test]
    fn a_changed_bundle_unpacks_to_what_it_says_or_not_at_all(
        changes in prop::collection::vec((0_usize..700, any::<u8>()), 1..6),
        cut in 0_usize..2000,
    ) {
        let script = b"console.log(1)\n".repeat(20);
        let mut bytes = zip(&[("manifest.json", HELLO.as_bytes()), ("server/index.js", &script), ("b", b"x")]);
        bytes.truncate(bytes.len() - if cut < 100 { cut } else { 0 });
        let length = bytes.len();
        for (at, byte) in changes {
            // From the end, where the directory is.
            bytes[length - 1 - at % length] = byte;
        }
        if let Ok(mut bundle) = Bundle::open(&bytes) {
            let files = bundle.files().to_vec();
            for file in &files {
                prop_assert!(find_danger(&file.path).is_none());
            }
            if let Ok(unpacked) = unpack(&mut bundle) {
                for (file, (path, contents)) in files.iter().zip(&unpacked) {
                    prop_assert_eq!((&file.path, file.size), (path, contents.len() as u64));
                }
            }
            let _plan = bundle.plan(&places(), Platform::Windows);
        }
    }
}
