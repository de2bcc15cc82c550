//! Jobs that are not spoken to over their stdio.

use std::time::{Duration, Instant};

use exai_supervisor::job::GRACE;

use crate::support::{Bench, nobody_lives};

#[tokio::test]
async fn stdout_goes_where_stderr_goes_and_is_no_line() {
    let mut bench = Bench::silent_shell("echo one; sleep 0.1; echo two >&2; sleep 0.1; exit 3");
    let (ended, lines) = bench.end().await;
    assert_eq!((&*ended.reason, &*ended.stderr_tail), ("exited with status 3", "one\ntwo"));
    assert!(lines.is_empty(), "{lines:?}");
    assert_eq!(std::fs::read_to_string(bench.log()).unwrap(), "one\ntwo\n");
}

#[tokio::test]
async fn closing_the_stdio_ends_nothing_and_stop_does_not_wait_for_stdin() {
    let mut bench = Bench::silent_shell("exec <&- >&- 2>&-; while :; do sleep 60; done");
    assert!(tokio::time::timeout(Duration::from_millis(1500), bench.event()).await.is_err());
    let start = Instant::now();
    bench.job.stop(GRACE);
    let (ended, _) = bench.end().await;
    assert!(start.elapsed() < GRACE, "{:?}", start.elapsed());
    assert_eq!(ended.reason, "was stopped");
    nobody_lives(bench.job.root().pid);
}

#[tokio::test]
async fn what_a_launcher_started_lives_on_until_it_ends_by_itself() {
    let mut bench = Bench::silent_shell("(sleep 2; echo done) & exit 0");
    let start = Instant::now();
    let (ended, _) = bench.end().await;
    // On systems without a guard that inherits orphans nobody is left with the launcher's end.
    let least = if cfg!(target_os = "linux") { 2 } else { 0 };
    assert!(start.elapsed() >= Duration::from_secs(least), "{:?}", start.elapsed());
    assert_eq!(&*ended.reason, "exited with status 0");
}
