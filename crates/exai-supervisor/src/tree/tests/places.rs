//! Judgements without an exchange, by the shape of the tree and by the listener.

use super::*;

#[test]
fn the_deepest_holder_that_is_no_launcher_is_presumed() {
    let cases = [
        ("npx", npx(), "3 launcher npx, 4 launcher shell, 5 server?"),
        ("one process", vec![guard(), member(3, 2, "prog", "io")], "3 server?"),
        (
            "no guard",
            vec![member(3, 1, "sh -c x;y", "io"), member(4, 3, "x", "io")],
            "3 launcher shell, 4 server?",
        ),
        ("no command yet", vec![guard(), member(3, 2, "sh -c x;y", "io")], "3 launcher shell"),
        ("a script alone", vec![guard(), member(3, 2, "bash x.sh", "io")], "3 server?"),
        (
            "a script with a server",
            vec![guard(), member(3, 2, "bash x.sh", "io"), member(4, 3, "prog", "io")],
            "3 launcher shell, 4 server?",
        ),
        (
            "a launcher nobody knows",
            vec![guard(), member(3, 2, "wrap", "io"), member(4, 3, "prog", "io")],
            "3 launcher, 4 server?",
        ),
        (
            "a pipeline",
            vec![
                guard(),
                member(3, 2, "sh -c tee|prog", "io"),
                member(4, 3, "tee", "i"),
                member(5, 3, "prog", "o"),
            ],
            "3 launcher shell, 4 launcher relay, 5 server?",
        ),
        (
            "a child that holds less",
            vec![guard(), member(3, 2, "prog", "io"), member(4, 3, "git log", "i")],
            "3 server?, 4 helper",
        ),
        (
            "children that are equal",
            vec![
                guard(),
                member(3, 2, "node m.js", "io"),
                member(4, 3, "node m.js", "io"),
                member(5, 3, "node m.js", "io"),
            ],
            "3 server?, 4 helper, 5 helper",
        ),
        (
            "two of the same rank: the younger",
            vec![guard(), member(3, 2, "sh -c x&y", "io"), member(4, 3, "x", "io"), member(5, 3, "y", "io")],
            "3 launcher shell, 4 helper, 5 server?",
        ),
        (
            "the launcher is gone, a helper got away",
            vec![guard(), member(4, 2, "prog", "io"), member(6, 2, "chrome", "")],
            "4 server?, 6 helper",
        ),
        (
            "a container",
            vec![guard(), member(3, 2, "docker run -i x", "io"), member(4, 3, "docker-helper", "")],
            "3 launcher relay, 4 helper",
        ),
        ("nobody", vec![guard()], ""),
        ("not even a guard", vec![], ""),
    ];
    for (what, members, expected) in cases {
        assert_eq!(roles(&judge(&seen(&members))), expected, "{what}");
    }
}

#[test]
fn who_came_after_initialize_has_not_answered_it() {
    let members = [guard(), member(3, 2, "prog", "io"), member(7, 3, "prog2", "io")];
    let at = |initialized| roles(&judge(&Observation { initialized, ..seen(&members) }));
    assert_eq!(at(None), "3 launcher, 7 server?");
    assert_eq!(at(Some(7)), "3 launcher, 7 server?");
    assert_eq!(at(Some(6)), "3 server?, 7 helper");
}

#[test]
fn windows_says_nothing_of_pipes() {
    let python = r"C:\Python312\python.exe";
    let venv = r"C:\proj\.venv\Scripts\python.exe";
    let console = r"C:\Windows\System32\conhost.exe";
    let members = [
        windows(3, 1, venv, "-m server"),
        windows(4, 3, console, "0x4"),
        windows(5, 3, python, "-m server"),
        windows(6, 5, console, "0x4"),
    ];
    let found = judge(&seen(&members));
    assert_eq!(roles(&found), "3 launcher venv, 4 helper, 5 server?, 6 helper");
    assert_eq!(
        explanation(&found),
        "4 processes, 1 server, presumed: the first python.exe is the venv launcher, 2 console hosts (conhost.exe)"
    );
    assert_eq!(evidence(&found, 4), ["a console host of Windows"]);
    assert_eq!(evidence(&found, 5), ["presumed: the first process that is no known launcher"]);
    // The same server, confirmed by an exchange, and with arguments or with file names alone.
    for tail in ["-m server", ""] {
        let members = [windows(3, 1, venv, tail), windows(5, 3, python, tail)];
        let exchange = exchange(&members, &[answers(5)]);
        let found = judge(&Observation { exchange: Some(&exchange), ..seen(&members) });
        assert_eq!(roles(&found), "3 launcher venv, 5 server!");
        assert_eq!(explanation(&found), "2 processes, 1 server: the first python.exe is the venv launcher");
    }
    let members = [
        windows(3, 1, r"C:\Windows\System32\cmd.exe", "/d /s /c npx.cmd -y x"),
        windows(4, 3, r"C:\node\node.exe", r"C:\node\node_modules\npm\bin\npx-cli.js -y x"),
        windows(5, 4, r"C:\Windows\System32\cmd.exe", "/d /s /c x"),
        windows(6, 5, r"C:\node\node.exe", r"C:\cache\x\index.js"),
        windows(7, 6, r"C:\node\node.exe", r"C:\cache\x\worker.js"),
    ];
    let found = judge(&seen(&members));
    assert_eq!(roles(&found), "3 launcher cmd, 4 launcher npx, 5 launcher cmd, 6 server?, 7 helper");
    assert_eq!(
        explanation(&found),
        "5 processes, 1 server (node.exe, pid 6, presumed): cmd.exe (pid 3) is a shell, node.exe (pid 4) the npx launcher, \
         cmd.exe (pid 5) a shell, 1 helper"
    );
    let own = r"C:\proj\.venv\bin\mcp-server.exe";
    let members = [windows(3, 1, own, "--x"), windows(4, 3, python, &format!("{own} --x"))];
    assert_eq!(roles(&judge(&seen(&members))), "3 launcher trampoline, 4 server?");
}

#[test]
fn who_listens_is_the_server_of_a_url() {
    let members = [
        guard(),
        member(3, 2, "sh -c python;true", "io"),
        member(4, 3, "python server.py", "io"),
        member(5, 4, "python worker.py", "io"),
    ];
    let addr = "127.0.0.1:9001".parse().unwrap();
    let judged = |owners: &[u32], stranger| {
        let listening = Listening { addr, members: owners.to_vec(), stranger };
        judge(&Observation { listening: Some(&listening), ..seen(&members) })
    };
    let found = judged(&[5, 4], None);
    assert_eq!(roles(&found), "3 launcher shell, 4 server!, 5 helper");
    assert_eq!(evidence(&found, 4), ["owns the LISTEN socket 127.0.0.1:9001"]);
    assert_eq!(evidence(&found, 5), ["owns the LISTEN socket 127.0.0.1:9001", "below the server"]);
    assert_eq!(explanation(&found), "3 processes, 1 server (python, pid 4): sh is a shell, 1 helper");
    let found = judged(&[], Some(77));
    assert_eq!((roles(&found).as_str(), found.server), ("3 launcher shell, 4 helper, 5 helper", None));
    assert_eq!(
        explanation(&found),
        "3 processes, no server: sh is a shell, on 127.0.0.1:9001 listens pid 77, which is none of this tree"
    );
    assert!(explanation(&judged(&[], None)).ends_with("none of them listens on 127.0.0.1:9001"));
}
