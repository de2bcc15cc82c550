//! Servers that end without having been asked to, and the processes that they leave behind.

use bytes::Bytes;
use std::time::{Duration, Instant};

use exai_supervisor::outbox::Unsent;
use exai_supervisor::{JobEvent, StdioUse};

use crate::support::{Bench, PING, garbage_lines, nobody_lives, text};

#[tokio::test]
async fn a_crash_is_told_with_status_and_last_words() {
    let mut bench = Bench::fixture(&["--die-at-start", "no such database"]);
    let (ended, _) = bench.end().await;
    assert_eq!(ended.reason, "exited with status 3");
    assert_eq!(ended.stderr_tail, "no such database");
    assert_eq!(bench.job.send(Bytes::from("late")), Err(Unsent::Closed));
    bench.tasks.close();
    bench.tasks.wait().await;
}

#[tokio::test]
async fn last_words_need_no_line_feed() {
    let mut bench = Bench::fixture(&["--die-at-start", "one\nfatal: two"]);
    let (ended, _) = bench.end().await;
    assert_eq!((&*ended.reason, &*ended.stderr_tail), ("exited with status 3", "one\nfatal: two"));
    assert!(std::fs::read(bench.log()).unwrap().ends_with(b"two"));
}

#[tokio::test]
async fn a_crash_is_seen_though_a_child_holds_the_pipes() {
    let mut bench = Bench::fixture(&["--children-inherit", "2", "--children", "1"]);
    bench.ready().await;
    assert_eq!(bench.living(), 4);
    let start = Instant::now();
    bench.call(1, "echo", r#"{"message":"the last answer"}"#);
    bench.call(2, "die", r#"{"code":3}"#);
    let (ended, lines) = bench.end().await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(ended.reason, "exited with status 3");
    assert!(lines.len() == 1 && text(&lines[0]).contains("the last answer"), "{lines:?}");
    nobody_lives(bench.job.root());
    eprintln!("a worker that dies under 3 children, 2 with its pipes: told as a crash after {took:.2?}");
}

#[tokio::test]
async fn a_crash_ends_the_job_even_when_somebody_outside_the_group_holds_the_pipes() {
    let mut bench = Bench::shell("setsid sleep 5 & echo started; exit 4");
    let start = Instant::now();
    let (ended, lines) = bench.end().await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!((&*ended.reason, lines.len()), ("exited with status 4", 1));
}

#[tokio::test]
async fn everything_written_before_a_crash_is_read() {
    let mut bench = Bench::fixture(&[]);
    for id in 0..200 {
        bench.call(id, "big", r#"{"bytes":20000}"#);
    }
    bench.call(200, "die", r#"{"code":5}"#);
    let (ended, lines) = bench.end().await;
    assert_eq!(ended.reason, "exited with status 5");
    assert_eq!(lines.len(), 200);
    for (id, line) in lines.iter().enumerate() {
        assert!(
            text(line).contains(&format!(r#""id":{id},"#)) && line.len() > 20_000,
            "{id}: {}",
            line.len()
        );
    }
}

#[tokio::test]
async fn a_server_that_closes_its_stdin_ends_at_the_next_message() {
    let mut bench = Bench::shell("exec <&-; echo deaf; exec sleep 60");
    assert_eq!(bench.lines(1).await, ["deaf"]);
    bench.send("anybody?");
    let (ended, _) = bench.end().await;
    assert_eq!(ended.reason, "closed its stdin and was ended");
    assert_eq!(bench.job.send(Bytes::from("anybody?")), Err(Unsent::Closed));
    nobody_lives(bench.job.root());
}

#[tokio::test]
async fn a_server_that_closes_its_stdout_ends() {
    let mut bench = Bench::shell("exec >&-; exec sleep 60");
    let (ended, _) = bench.end().await;
    assert_eq!(ended.reason, "closed its stdout and was ended");
    nobody_lives(bench.job.root());
}

/// Chance decides whether the exit or the last line is seen first. Among eight servers both orders happen.
#[tokio::test]
async fn a_dead_servers_last_line_is_no_sign_of_life() {
    let switches = ["--children-inherit", "1", "--print-garbage", "--die-at-start", "the end"];
    let benches: Vec<Bench> = (0..8).map(|_| Bench::fixture(&switches)).collect();
    // Blocks the only thread on purpose: all exits and all lines have happened before the supervisor looks at any of
    // them.
    exai_test::eventually("all are dead", Duration::from_secs(5), || {
        benches.iter().all(|bench| exai_os::process::identify(bench.job.root().pid).unwrap().is_none())
    });
    let start = Instant::now();
    for mut bench in benches {
        let (ended, lines) = bench.end().await;
        assert_eq!((&*ended.reason, lines), ("exited with status 3", garbage_lines()));
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

/// A job whose launcher has exited lives on as long as its server speaks.
#[tokio::test]
async fn a_launcher_may_exit_while_its_server_speaks() {
    let mut bench = Bench::left_by_its_launcher(StdioUse::Stdio, &[]);
    let root = bench.job.root().clone();
    let mut gone_since = None;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        bench.send(PING);
        match bench.event().await {
            JobEvent::Lines(..) => {}
            JobEvent::Ended(ended) => panic!("{ended:?}"),
        }
        if exai_os::process::identify(root.pid).unwrap().is_none() {
            let since: &mut Instant = gone_since.get_or_insert_with(Instant::now);
            if since.elapsed() > Duration::from_millis(1500) {
                break;
            }
        }
    }
    // On Windows the process table cannot show this: a process whose parent is gone descends from no process.
    assert!(cfg!(windows) || bench.living() > 0);
    bench.job.stop(exai_supervisor::limits::STOP_GRACE);
    let (ended, _) = bench.end().await;
    assert_eq!(ended.reason, "was stopped");
    nobody_lives(&root);
}

/// Its children hold the pipes open, and its parent is gone: neither pipes nor exits tell.
#[tokio::test]
async fn a_server_that_was_left_by_its_launcher_and_dies_is_a_crash() {
    if exai_os::build::under_wine() {
        eprintln!("skipped: Wine does not count what a process writes");
        return;
    }
    let mut bench = Bench::left_by_its_launcher(StdioUse::Stdio, &["--children-inherit", "1"]);
    let root = bench.job.root().clone();
    let mut gone_since = None;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    while gone_since.is_none_or(|since: Instant| since.elapsed() < Duration::from_millis(1500)) {
        tick.tick().await;
        bench.send(PING);
        bench.lines(1).await;
        if exai_os::process::identify(root.pid).unwrap().is_none() {
            gone_since.get_or_insert_with(Instant::now);
        }
    }
    // Silence alone is no end.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    bench.send(PING);
    bench.lines(1).await;
    let start = Instant::now();
    bench.call(1, "die", r#"{"code":3}"#);
    let (ended, _) = bench.end().await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(ended.reason, "has ended, as the process that had started it had before");
    nobody_lives(&root);
    eprintln!("a server whose launcher is gone: its death is told after {took:.2?}");
}

#[tokio::test]
async fn a_launcher_that_exits_and_leaves_silence_is_a_crash() {
    let mut bench = Bench::left_by_its_launcher(StdioUse::Stdio, &[]);
    let start = Instant::now();
    let (ended, _) = bench.end().await;
    assert_eq!(ended.reason, "exited with status 0");
    nobody_lives(bench.job.root());
    eprintln!("a launcher that has left silence: told as a crash after {:.2?}", start.elapsed());
}
