use super::*;

#[test]
fn secrets_are_refused_also_when_they_are_named() {
    let tree = Tree::new();
    let secrets =
        [".env", ".env.local", "tls/server.pem", "id_rsa", "credentials.json", ".ssh/config", ".netrc"];
    for secret in secrets {
        tree.write(&format!("home/project/{secret}"), "OUTSIDE");
        assert_eq!(refusal(&tree.project(), secret), "secret", "{secret}");
    }
    tree.write("home/project/src/credentials.rs", "fn f() {}");
    tree.write("home/project/.env.example", "KEY=");
    let embedded = collect_all(&tree.project(), &[".", ".env.example"]);
    assert_eq!(names(&embedded), [".env.example", "src/credentials.rs"]);
    let mut left_out = omitted(&embedded);
    left_out.sort_unstable();
    let expected = [".env", ".env.local", ".netrc", ".ssh", "credentials.json", "id_rsa", "tls/server.pem"];
    assert_eq!(left_out, expected.map(|name| (name.to_owned(), "secret")));
    // The model is not told of them: nobody has named them.
    assert!(!embedded.text.contains("Not shown"), "{}", embedded.text);
}

#[test]
fn what_is_no_text_or_is_not_there_is_told_apart() {
    let tree = Tree::new();
    tree.write("home/project/a.png", b"\x89PNG\r\n\x1a\n\0\0\0");
    tree.write("home/project/a.bin", [0xC3; 100]);
    tree.write("home/project/large.txt", "x\n".repeat(1024 * 1024 + 1));
    let access = tree.project();
    let table = [
        ("a.png", "binary"),
        ("a.bin", "binary"),
        ("large.txt", "file_too_large"),
        ("gone.rs", "not_found"),
        ("a.png/below", "not_found"),
        ("", "invalid_path"),
        ("a\0b", "invalid_path"),
        ("file://elsewhere/a", "invalid_path"),
    ];
    for (path, code) in table {
        assert_eq!(refusal(&access, path), code, "{path:?}");
    }
    let embedded = collect_all(&access, &["a.png", "gone.rs"]);
    let told = "\nNot shown: a.png is no text in UTF-8.\nNot shown: gone.rs does not exist.\n";
    assert_eq!(embedded.text, told);
    assert_eq!(embedded.refused().count(), 2);
}

/// Nothing waits for the other end of a FIFO.
#[cfg(unix)]
#[test]
fn special_files_are_refused_at_once() {
    let tree = Tree::new();
    let fifo = tree.text("home/project/fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(tree.at("home/project/socket")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", tree.at("home/project/.gitignore")).unwrap();
    assert!(
        std::process::Command::new("mkfifo").arg(tree.at("home/project/.ignore")).status().unwrap().success()
    );
    let started = Instant::now();
    let access = tree.project();
    assert_eq!(refusal(&access, "fifo"), "special_file");
    assert_eq!(refusal(&access, "socket"), "special_file");
    let embedded = collect_all(&access, &["."]);
    assert!(omitted(&embedded).contains(&("fifo".to_owned(), "special_file")));
    let everything = FileAccess::new(
        &Offered { working_directory: Some(Path::new("/")), ..Offered::default() },
        tree.places(),
    );
    let special = ["/dev/zero", "/dev/tty"];
    // The kernel's link to the file system's own top.
    let through_top = ["/proc/self/root", "etc/shadow"].join("/");
    let of_linux = ["/proc/self/mem", "/proc/self/environ", &through_top, "/proc", "/sys"];
    for path in special.iter().chain(of_linux.iter().filter(|_| cfg!(target_os = "linux"))) {
        let code = refusal(&everything, path);
        assert!(matches!(code, "special_file" | "secret"), "{path}: {code}");
    }
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[cfg(unix)]
#[test]
fn what_the_system_does_not_let_be_read_is_said() {
    use std::os::unix::fs::PermissionsExt as _;

    let tree = Tree::new();
    tree.write("home/project/closed.txt", "x");
    fs::set_permissions(tree.at("home/project/closed.txt"), fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything.
    if fs::read(tree.at("home/project/closed.txt")).is_err() {
        let embedded = collect_all(&tree.project(), &["closed.txt"]);
        let sentence = embedded.omitted[0].to_string();
        assert!(sentence.starts_with("closed.txt cannot be read: Permission denied"), "{sentence}");
    }
}
