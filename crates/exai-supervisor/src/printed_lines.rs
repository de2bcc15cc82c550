//! Lines that a job prints on stdout for people. Another thread, which exists only while there is something to write,
//! writes them to the job's log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;

use crate::limits::{MAX_PRINTED_BYTES, MAX_PRINTED_LINE_BYTES};
use crate::log::Log;

/// The lines that a job prints for people, and the thread that writes them.
#[derive(Debug)]
pub(crate) struct Printed {
    waiting: Arc<Mutex<Waiting>>,
    log: Arc<Mutex<Log>>,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    /// How many lines found no room.
    left_out: usize,
    /// Whether a thread is writing. It looks again when it is done.
    is_written: bool,
}

impl Printed {
    pub(crate) fn to(log: Arc<Mutex<Log>>, tasks: TaskTracker) -> Self {
        Printed { waiting: Arc::default(), log, tasks }
    }

    /// Takes a line. Never waits.
    pub(crate) fn line(&self, line: &[u8]) {
        let mut waiting = lock(&self.waiting);
        if waiting.text.len() >= MAX_PRINTED_BYTES {
            waiting.left_out += 1;
            return;
        }
        waiting.text.extend_from_slice(&line[..line.len().min(MAX_PRINTED_LINE_BYTES)]);
        waiting.text.push(b'\n');
        if !std::mem::replace(&mut waiting.is_written, true) {
            let (waiting, log) = (self.waiting.clone(), self.log.clone());
            self.tasks.spawn_blocking(move || write(&waiting, &log));
        }
    }
}

fn write(waiting: &Mutex<Waiting>, log: &Mutex<Log>) {
    loop {
        let text = {
            let mut waiting = lock(waiting);
            let mut text = std::mem::take(&mut waiting.text);
            let left_out = std::mem::take(&mut waiting.left_out);
            if left_out > 0 {
                text.extend_from_slice(
                    format!("exai: {left_out} lines of stdout were left out\n").as_bytes(),
                );
            }
            waiting.is_written = !text.is_empty();
            text
        };
        if text.is_empty() {
            return;
        }
        if let Err(error) = log.lock().unwrap_or_else(PoisonError::into_inner).write(&text) {
            tracing::debug!(%error, "a server's log could not be written");
        }
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_lines_are_written_in_order_and_of_a_flood_it_is_said_how_many_are_missing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.log");
        let log = Arc::new(Mutex::new(Log::open(path.clone()).unwrap()));
        let tasks = TaskTracker::new();
        let printed = Printed::to(log.clone(), tasks.clone());
        // The lock stands for a disk that hangs.
        let disk = log.lock().unwrap();
        let count = 2 * MAX_PRINTED_BYTES / 10;
        for number in 0..count {
            printed.line(format!("line {number:06}").as_bytes());
        }
        drop(disk);
        tasks.close();
        tasks.wait().await;
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().filter(|line| line.starts_with("line")).is_sorted());
        // The log reports the missing lines once, or twice if the writer took the first lines while others still came.
        let said: Vec<usize> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("exai: ")?.split(' ').next()?.parse().ok())
            .collect();
        let missing: usize = said.iter().sum();
        assert!(missing > 0 && lines.len() - said.len() + missing == count, "{said:?} of {count}");
    }
}
