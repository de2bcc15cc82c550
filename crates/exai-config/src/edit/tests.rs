use super::*;

fn home(text: &str) -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    if !text.is_empty() {
        std::fs::write(home.config(), text).unwrap();
    }
    (dir, home)
}

fn text(home: &Home) -> String {
    std::fs::read_to_string(home.config()).unwrap()
}

fn command(command: &str) -> NewServer {
    NewServer { command: Some(command.into()), ..NewServer::default() }
}

#[test]
fn adds_to_nothing() {
    let (_dir, home) = home("");
    let server = NewServer {
        command: Some("npx".into()),
        args: vec!["-y".into(), "it's \"quoted\"\\".into()],
        env: vec![("A".into(), Secret::new("${env:B}")), ("x.y".into(), Secret::new(""))],
        ..NewServer::default()
    };
    add(&home, "first", &server, false).unwrap();
    assert!(text(&home).starts_with("[servers.first]\ncommand = \"npx\"\n"), "{}", text(&home));
    let config = crate::load(&home).unwrap();
    let first = config.servers.get("first").unwrap();
    assert_eq!(first.args, server.args);
    assert_eq!(first.env["A"].expose(), "${env:B}");
    let url = NewServer {
        url: Some("https://example.com/mcp".into()),
        headers: vec![("Authorization".into(), Secret::new("Bearer x"))],
        ..NewServer::default()
    };
    add(&home, "second", &url, false).unwrap();
    let names = crate::load(&home).unwrap();
    assert_eq!(names.servers.names().collect::<Vec<_>>(), ["first", "second"]);
    assert!(!format!("{url:?}").contains("Bearer"));
}

const COMMENTED: &str = "# mine\n[daemon]\nport   = 1 # odd spacing\n\n# the old one\n[servers.old]\ncommand = 'x'\n\n[servers.last]\ncommand = 'y' # why\n";

#[test]
fn keeps_what_a_person_wrote() {
    let (_dir, home) = home(COMMENTED);
    add(&home, "new", &command("z"), false).unwrap();
    assert_eq!(text(&home), format!("{COMMENTED}\n[servers.new]\ncommand = \"z\"\n"));
    remove(&home, "new").unwrap();
    assert_eq!(text(&home), COMMENTED);
    add(&home, "OLD", &command("z"), true).unwrap();
    let replaced = COMMENTED.replace("[servers.old]\ncommand = 'x'", "[servers.OLD]\ncommand = \"z\"");
    assert_eq!(text(&home), replaced);
    remove(&home, "OLD").unwrap();
    assert_eq!(crate::load(&home).unwrap().servers.names().collect::<Vec<_>>(), ["last"]);
    assert!(text(&home).contains("port   = 1 # odd spacing"));
}

#[test]
fn refuses_and_changes_nothing() {
    let (_dir, home) = home(COMMENTED);
    assert!(
        matches!(add(&home, "Old", &command("z"), false), Err(EditError::Exists { name }) if name == "old")
    );
    let error = remove(&home, "nope").unwrap_err();
    assert_eq!(error.to_string(), "there is no server `nope`; there are: old, last");
    assert!(matches!(add(&home, "a__b", &command("z"), false), Err(EditError::Name(_))));
    assert!(matches!(add(&home, "empty", &NewServer::default(), false), Err(EditError::Config(_))));
    assert_eq!(text(&home), COMMENTED);
    std::fs::write(home.config(), "[broken").unwrap();
    assert!(matches!(add(&home, "a", &command("z"), true), Err(EditError::Config(_))));
    assert_eq!(text(&home), "[broken");
}

#[test]
fn understands_the_other_ways_to_write_a_table() {
    for written in [
        "servers = { a = { command = 'x' } }\n",
        "servers.a.command = 'x'\n",
        "servers.a = { command = 'x' }\n",
        "[servers]\na.command = 'x'\n",
    ] {
        let (_dir, home) = home(written);
        add(&home, "b", &command("y"), false).unwrap();
        let names = |home| crate::load(home).unwrap().servers.names().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names(&home), ["a", "b"], "{written}: {}", text(&home));
        remove(&home, "a").unwrap();
        assert_eq!(names(&home), ["b"], "{written}");
    }
}

#[test]
fn of_many_edits_at_once_none_is_lost() {
    let (_dir, home) = home("");
    std::thread::scope(|scope| {
        for number in 0..12 {
            let home = &home;
            scope.spawn(move || add(home, &format!("s{number}"), &command("x"), false).unwrap());
        }
    });
    assert_eq!(crate::load(&home).unwrap().servers.len(), 12);
}

#[test]
fn who_holds_the_lock_for_too_long_is_said_and_nothing_is_changed() {
    let (_dir, home) = home("# mine\n");
    let _held = lock_edits(&home, Instant::now()).unwrap().unwrap();
    assert!(matches!(lock_edits(&home, Instant::now()), Err(EditError::Busy { .. })));
    assert_eq!(text(&home), "# mine\n");
}
