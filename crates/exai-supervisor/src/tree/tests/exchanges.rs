//! Judgements with an exchange, which shows what the processes did.

use super::*;

fn judged(members: &[Facts], moved: &[(u32, u64, u64)]) -> Judgement {
    let exchange = exchange(members, moved);
    judge(&Observation { exchange: Some(&exchange), initialized: Some(1000), ..seen(members) })
}

#[test]
fn npx_is_told_in_the_words_of_the_design() {
    let found = judged(&npx(), &[answers(5)]);
    assert_eq!(roles(&found), "3 launcher npx, 4 launcher shell, 5 server!");
    assert_eq!(found.server, Some(5));
    assert!(found.is_confirmed());
    assert_eq!(
        explanation(&found),
        "3 processes, 1 server (node, pid 5): npm exec is the npx launcher, sh a shell"
    );
    assert_eq!(found.processes[1].name, "npm exec");
    assert_eq!(
        evidence(&found, 3),
        ["holds the stdin pipe", "holds the stdout pipe", "did none of the I/O of the last ping", "npm exec"]
    );
    assert_eq!(
        evidence(&found, 5),
        [
            "holds the stdin pipe",
            "holds the stdout pipe",
            "did the I/O of the last ping",
            "answered initialize"
        ]
    );
    assert_eq!(evidence(&found, 2), ["the guard of this tree"]);
}

#[test]
fn whoever_did_it_is_the_server() {
    let passes = |pid| (pid, SENT, SENT);
    let passes_both = |pid| (pid, SENT + ANSWERED, SENT + ANSWERED);
    let cases = [
        ("one process", vec![guard(), member(3, 2, "/opt/server", "io")], vec![answers(3)], "3 server!", ""),
        (
            "uvx",
            vec![
                guard(),
                member(3, 2, "/usr/bin/uv tool uvx mcp-server-time", "io"),
                member(4, 3, "/cache/bin/python /cache/bin/mcp-server-time", "io"),
            ],
            vec![answers(4)],
            "3 launcher uvx, 4 server!",
            "2 processes, 1 server (python, pid 4): uv is the uvx launcher",
        ),
        (
            "a shell that waits",
            vec![guard(), member(3, 2, "sh -c prog;true", "io"), member(4, 3, "prog", "io")],
            vec![answers(4)],
            "3 launcher shell, 4 server!",
            "2 processes, 1 server (prog, pid 4): sh is a shell",
        ),
        (
            "a script of a shell that is the server, with a child that has its stdio",
            vec![guard(), member(3, 2, "bash /opt/server.sh", "io"), member(4, 3, "sleep 1", "io")],
            vec![answers(3)],
            "3 server!, 4 helper",
            "2 processes, 1 server (bash, pid 3): 1 helper",
        ),
        (
            "tee before it",
            vec![
                guard(),
                member(3, 2, "sh -c tee log|prog", "io"),
                member(4, 3, "tee log", "i"),
                member(5, 3, "prog", "o"),
            ],
            vec![(4, SENT, 2 * SENT), answers(5)],
            "3 launcher shell, 4 launcher relay, 5 server!",
            "3 processes, 1 server (prog, pid 5): sh is a shell, tee a relay",
        ),
        (
            "tee behind it, which reads the answer alone",
            vec![
                guard(),
                member(3, 2, "sh -c prog|tee log", "io"),
                member(4, 3, "prog", "i"),
                member(5, 3, "tee log", "o"),
            ],
            vec![answers(4), (5, ANSWERED, 2 * ANSWERED)],
            "3 launcher shell, 4 server!, 5 launcher relay",
            "3 processes, 1 server (prog, pid 4): sh is a shell, tee a relay",
        ),
        (
            "a relay nobody knows, with pipes of its own to the server",
            vec![guard(), member(3, 2, "python spy.py", "io"), member(4, 3, "prog", "")],
            vec![passes_both(3), answers(4)],
            "3 launcher relay, 4 server!",
            "2 processes, 1 server (prog, pid 4): python is a relay",
        ),
        (
            "a server that logs every message, and a reader of its log",
            vec![guard(), member(3, 2, "prog", "io"), member(4, 3, "logger", "")],
            vec![(3, SENT, SENT + ANSWERED), (4, SENT, 100)],
            "3 server!, 4 helper",
            "2 processes, 1 server (prog, pid 3): 1 helper",
        ),
        (
            "a container",
            vec![guard(), member(3, 2, "docker --context x run -i --rm mcp/time", "io")],
            vec![passes_both(3)],
            "3 launcher relay",
            "1 process, no server: docker is a relay, what docker run starts is not in this tree",
        ),
        (
            "a container whose relay moves bytes without counting them",
            vec![guard(), member(3, 2, "podman run -i mcp/time", "io")],
            vec![],
            "3 launcher relay",
            "1 process, no server: podman is a relay, what podman run starts is not in this tree",
        ),
        (
            "one that logs or passes on, who knows: it is the one that talks with us",
            vec![guard(), member(3, 2, "node bridge.js", "io")],
            vec![passes_both(3)],
            "3 server?",
            "",
        ),
        (
            "a server whose children have its stdio",
            vec![
                guard(),
                member(3, 2, "python server.py", "io"),
                member(4, 3, "python worker.py", "io"),
                member(5, 4, "git log", "io"),
            ],
            vec![answers(3)],
            "3 server!, 4 helper, 5 helper",
            "3 processes, 1 server (python, pid 3): 2 helpers",
        ),
        (
            "a node cluster whose first process speaks",
            vec![
                guard(),
                member(3, 2, "node main.js", "io"),
                member(4, 3, "node main.js", "io"),
                member(5, 3, "node main.js", "io"),
            ],
            vec![answers(3)],
            "3 server!, 4 helper, 5 helper",
            "3 processes, 1 server (node, pid 3): 2 helpers",
        ),
        (
            "a launcher nobody knows",
            vec![guard(), member(3, 2, "my-wrapper", "io"), member(4, 3, "prog", "io")],
            vec![answers(4)],
            "3 launcher, 4 server!",
            "2 processes, 1 server (prog, pid 4): my-wrapper is a launcher",
        ),
        (
            "a helper that got away",
            vec![guard(), member(3, 2, "prog", "io"), member(9, 2, "chrome", "")],
            vec![answers(3)],
            "3 server!, 9 helper",
            "2 processes, 1 server (prog, pid 3): 1 helper",
        ),
        (
            "the launcher is gone",
            vec![guard(), member(5, 2, "prog", "io")],
            vec![answers(5)],
            "5 server!",
            "1 process, 1 server (prog, pid 5): what was spawned (pid 3) has exited",
        ),
        (
            "two that may have done it",
            vec![guard(), member(3, 2, "npm exec x", "io"), member(4, 3, "node x", "io")],
            vec![answers(3), answers(4)],
            "3 launcher npx, 4 server?",
            "2 processes, 1 server (node, pid 4, presumed): npm exec is the npx launcher",
        ),
        (
            "nobody was counted",
            vec![guard(), member(3, 2, "sh -c x", "io"), member(4, 3, "x", "io")],
            vec![],
            "3 launcher shell, 4 server?",
            "2 processes, 1 server (x, pid 4, presumed): sh is a shell",
        ),
        (
            "the half of a relay that writes",
            vec![guard(), member(3, 2, "spy", "io"), member(4, 3, "prog", "o")],
            vec![passes(3), answers(4)],
            "3 launcher relay, 4 server!",
            "2 processes, 1 server (prog, pid 4): spy is a relay",
        ),
    ];
    for (what, members, moved, expected, words) in cases {
        let found = judged(&members, &moved);
        assert_eq!(roles(&found), expected, "{what}");
        assert_eq!(explanation(&found), words, "{what}");
    }
}

#[test]
fn an_exchange_that_tells_nothing_confirms_nobody() {
    let members = npx();
    let good = exchange(&members, &[answers(5)]);
    let lost = Exchange { lost: true, ..good.clone() };
    let long = Exchange { answered: 0, ..good.clone() };
    let mut other = good.clone();
    other.moved[3].start += 1; // another process now has the pid of the server
    for exchange in [lost, long, other] {
        let found = judge(&Observation { exchange: Some(&exchange), ..seen(&members) });
        assert_eq!(roles(&found), "3 launcher npx, 4 launcher shell, 5 server?");
        assert!(!found.is_confirmed());
    }
}
