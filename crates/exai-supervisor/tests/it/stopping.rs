//! The steps of a stop: closed stdin, request to terminate, kill.

use std::time::{Duration, Instant};

use exai_supervisor::limits::STOP_GRACE;

use crate::support::{Bench, LIMIT, nobody_lives, text};

/// Stops the job; returns how long that took and the lines that the server still wrote.
async fn stop(bench: &mut Bench) -> (Duration, Vec<bytes::Bytes>) {
    let start = Instant::now();
    bench.job.stop(STOP_GRACE);
    let (ended, lines) = bench.end().await;
    assert_eq!(ended.reason, "was stopped");
    nobody_lives(bench.job.root());
    bench.tasks.close();
    tokio::time::timeout(LIMIT, bench.tasks.wait()).await.expect("no task is left");
    (start.elapsed(), lines)
}

#[tokio::test]
async fn closing_stdin_is_enough_for_most_and_all_that_was_sent_is_answered() {
    let mut bench = Bench::fixture(&[]);
    bench.ready().await;
    for id in 0..100 {
        bench.call(id, "echo", r#"{"message":"before the end"}"#);
    }
    let (took, lines) = stop(&mut bench).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(lines.len(), 100);
}

#[tokio::test]
async fn children_go_with_it() {
    let mut bench = Bench::fixture(&["--children", "3", "--children-inherit", "2"]);
    bench.ready().await;
    assert_eq!(bench.living(), 6);
    let (took, _) = stop(&mut bench).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn who_ignores_the_end_of_stdin_is_asked_to_terminate() {
    let mut bench = Bench::fixture(&["--ignore-stdin-eof", "--children", "3", "--children-inherit", "2"]);
    bench.ready().await;
    let (took, _) = stop(&mut bench).await;
    assert!((Duration::from_secs(2)..Duration::from_secs(4)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn who_ignores_that_too_is_killed() {
    let script = "trap '' TERM; echo up; cat; echo more to say; while :; do sleep 1; done";
    let mut bench = Bench::shell(script);
    bench.lines(1).await;
    let (took, lines) = stop(&mut bench).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(lines.iter().map(|line| text(line)).collect::<Vec<_>>(), ["more to say"]);
}

/// The server fills its stdout before it reads on, so a supervisor that wrote without reading would wait for ever.
#[tokio::test]
async fn stdout_is_read_while_stdin_is_written() {
    let mut bench = Bench::fixture(&[]);
    bench.ready().await;
    for id in 0..500 {
        bench.call(id, "big", &format!(r#"{{"bytes":20000,"padding":"{}"}}"#, "p".repeat(1000)));
    }
    let (_, lines) = stop(&mut bench).await;
    assert_eq!(lines.len(), 500);
}

#[tokio::test]
async fn dropping_the_job_stops_it() {
    let mut bench = Bench::fixture(&["--children-inherit", "1"]);
    bench.ready().await;
    let Bench { job, tasks, .. } = bench;
    let leader = job.root().clone();
    drop(job);
    tasks.close();
    tokio::time::timeout(LIMIT, tasks.wait()).await.expect("the tasks end");
    nobody_lives(&leader);
}
