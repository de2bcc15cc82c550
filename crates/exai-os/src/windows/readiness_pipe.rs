//! The pipe on which a daemon says how its start went.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Instant;

/// Such pipes cannot be waited on with a deadline: a thread reads, and ends with the pipe.
#[derive(Debug)]
pub(crate) struct ReadinessPipe {
    chunks: Receiver<io::Result<Vec<u8>>>,
    rest: Vec<u8>,
}

impl ReadinessPipe {
    pub(super) fn new(mut reader: impl io::Read + Send + 'static) -> io::Result<ReadinessPipe> {
        let (sender, chunks) = sync_channel(4);
        std::thread::Builder::new().name("ready-pipe".to_owned()).spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let chunk = match reader.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(count) => Ok(buffer[..count].to_vec()),
                    Err(error) => Err(error),
                };
                let failed = chunk.is_err();
                // The receiver is gone, or the pipe has ended.
                if sender.send(chunk).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(ReadinessPipe { chunks, rest: Vec::new() })
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match self.chunks.recv() {
                Ok(chunk) => self.rest = chunk?,
                Err(_) => return Ok(0),
            }
        }
        Ok(self.take(buffer))
    }

    pub(crate) fn read_until(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        if self.rest.is_empty() {
            match self.chunks.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(chunk) => self.rest = chunk?,
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) => {
                    let sentence = "the daemon did not say whether it is ready";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, sentence));
                }
            }
        }
        Ok(self.take(buffer))
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        count
    }
}
