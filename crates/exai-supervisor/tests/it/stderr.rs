//! The stderr of a server: its log file and its tail.

use crate::support::{Bench, MIB, until};

#[tokio::test]
async fn a_flood_fills_two_files_and_no_more() {
    let mut bench = Bench::fixture(&["--stderr-noise", "32768", "--die-at-start", "end"]);
    let (ended, _) = bench.end().await;
    assert!(ended.stderr_tail.ends_with("end"), "{}", ended.stderr_tail);
    assert_eq!(ended.stderr_tail.lines().count(), 20);
    let sizes: Vec<u64> =
        std::fs::read_dir(bench.dir()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).collect();
    assert_eq!(sizes.len(), 2, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 10 * MIB as u64), "{sizes:?}");
    assert!(std::fs::read(bench.log()).unwrap().ends_with(b"end"));
}

#[tokio::test]
async fn noise_does_not_hinder_the_conversation() {
    let mut bench = Bench::fixture(&["--stderr-noise", "64"]);
    for _ in 0..20 {
        bench.ready().await;
    }
    until("noise is in the tail", || bench.job.stderr_tail().contains("and more noise")).await;
}
