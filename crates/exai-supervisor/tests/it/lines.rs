//! Lines to a server and lines from it.

use std::path::PathBuf;

use bytes::Bytes;
use exai_supervisor::outbox::Unsent;

use crate::support::{Bench, MIB, text, until};

#[tokio::test]
async fn lines_come_back_in_order() {
    let mut bench = Bench::fixture(&[]);
    for id in 0..200 {
        bench.call(id, "echo", &format!(r#"{{"message":"line {id}"}}"#));
    }
    let lines = bench.lines(200).await;
    for (id, line) in lines.iter().enumerate() {
        assert!(text(line).contains(&format!("\"line {id}\"")), "{}", text(line));
    }
    assert_eq!(bench.job.queued(), 0);
}

#[tokio::test]
async fn large_lines_pass_both_ways_among_small_ones() {
    let mut bench = Bench::fixture(&[]);
    let large = "x".repeat(3 * MIB);
    bench.call(1, "echo", r#"{"message":"first"}"#);
    // The next line is larger than the whole queue, and therefore only allowed while the queue is empty.
    until("all is written", || bench.job.queued() == 0).await;
    bench.call(2, "echo", &format!(r#"{{"message":"{large}"}}"#));
    until("all is written", || bench.job.queued() == 0).await;
    bench.call(3, "big", r#"{"bytes":9000000}"#);
    bench.call(4, "echo", r#"{"message":"last"}"#);
    let lines = bench.lines(4).await;
    assert!(text(&lines[0]).contains("first") && text(&lines[3]).contains("last"));
    assert!(text(&lines[1]).contains(&large));
    assert!(lines[2].len() > 9_000_000);
}

#[tokio::test]
async fn who_does_not_read_is_told_of_at_the_limit_and_costs_no_more() {
    let bench = Bench::fixture(&["--start-after", "a file that is never there"]);
    let message = Bytes::from(vec![b'x'; 1000]);
    let mut sent = 0;
    let error = loop {
        match bench.job.send(message.clone()) {
            Ok(()) => sent += message.len(),
            Err(error) => break error,
        }
        tokio::task::yield_now().await;
        assert!(sent < 2 * MIB);
    };
    let Unsent::Full { queued } = error else { panic!("{error:?}") };
    assert!(queued <= MIB && queued > MIB - 1000, "{queued}");
    assert_eq!(bench.job.queued(), queued);
}

#[tokio::test]
async fn a_missing_program_is_an_error_at_once() {
    let error = Bench::start(PathBuf::from("/nonexistent/program"), &[]).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
}
