//! Jobs with which exai does not speak over their stdio.

use std::time::{Duration, Instant};

use exai_supervisor::StdioUse;
use exai_supervisor::limits::STOP_GRACE;

use crate::support::{Bench, GARBAGE, nobody_lives, until};

#[tokio::test]
async fn stdout_goes_where_stderr_goes_and_is_no_line() {
    let mut bench = Bench::silent_fixture(&["--print-garbage", "--die-at-start", "no luck\n"]);
    let (ended, lines) = bench.end().await;
    assert_eq!(ended.reason, "exited with status 3");
    assert!(lines.is_empty(), "{lines:?}");
    // Stdout and stderr are two pipes. Chance decides which of them is read first, for the log and for the tail.
    let err = &b"no luck\n"[..];
    let orders = [[GARBAGE, err].concat(), [err, GARBAGE].concat()];
    let log = std::fs::read(bench.log()).unwrap();
    assert!(orders.contains(&log), "{}", log.escape_ascii());
    // The tail leaves out empty lines.
    let tails = orders.map(|all| String::from_utf8_lossy(&all).replace("\n\n", "\n").trim_end().to_owned());
    assert!(tails.contains(&ended.stderr_tail), "{}", ended.stderr_tail);
}

#[tokio::test]
async fn closing_the_stdio_ends_nothing_and_stop_does_not_wait_for_stdin() {
    let mut bench = Bench::silent_shell("exec <&- >&- 2>&-; while :; do sleep 60; done");
    assert!(tokio::time::timeout(Duration::from_millis(1500), bench.event()).await.is_err());
    let start = Instant::now();
    bench.job.stop(STOP_GRACE);
    let (ended, _) = bench.end().await;
    assert!(start.elapsed() < STOP_GRACE, "{:?}", start.elapsed());
    assert_eq!(ended.reason, "was stopped");
    nobody_lives(bench.job.root());
}

#[tokio::test]
async fn what_a_launcher_started_lives_on_until_it_ends_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let may_end = dir.path().join("may end");
    let switches = ["--start-after", may_end.to_str().unwrap(), "--die-at-start", "done"];
    let mut bench = Bench::left_by_its_launcher(StdioUse::Elsewhere, &switches);
    let launcher = bench.job.root().pid;
    until("the launcher has ended", || exai_os::process::identify(launcher).unwrap().is_none()).await;
    // A system without a guard that inherits orphans, and without a job, has no process of the tree left when the
    // launcher ends.
    if !cfg!(target_os = "macos") {
        assert!(tokio::time::timeout(Duration::from_millis(700), bench.event()).await.is_err());
    }
    std::fs::write(&may_end, "").unwrap();
    let (ended, _) = bench.end().await;
    assert_eq!(&*ended.reason, "exited with status 0");
}
