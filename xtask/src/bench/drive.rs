//! Calls one after the other, and many calls in flight.

use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, shown};
use super::requests::{ECHO, Requests};

/// How long calls run before they count.
const WARM: Duration = Duration::from_millis(200);
const SMALL: usize = 100;

/// The time of each of `number` calls with a message of `size` bytes.
pub(crate) fn sequential(client: &mut Client, size: usize, number: usize) -> Result<Vec<Duration>, String> {
    let message = "x".repeat(size);
    one_by_one(client, Requests::new(ECHO, &message, 1), &message, number)
}

/// The same with calls of the modern era.
pub(crate) fn sequential_modern(
    client: &mut Client,
    size: usize,
    number: usize,
) -> Result<Vec<Duration>, String> {
    let message = "x".repeat(size);
    one_by_one(client, Requests::modern(ECHO, &message, 1), &message, number)
}

/// The time of the same request, made this often.
pub(crate) fn repeated(client: &mut Client, request: &[u8], number: usize) -> Result<Vec<Duration>, String> {
    let mut times = Vec::with_capacity(number);
    for _ in 0..number {
        let start = Instant::now();
        client.send(request)?;
        let answer = client.receive()?;
        times.push(start.elapsed());
        if !answer.windows(8).any(|part| part == b"\"result\"") {
            return Err(format!("a request was answered with {}", shown(answer)));
        }
    }
    Ok(times)
}

fn one_by_one(
    client: &mut Client,
    mut requests: Requests,
    message: &str,
    number: usize,
) -> Result<Vec<Duration>, String> {
    let length = client.try_call(&mut requests, message)?;
    let mut times = Vec::with_capacity(number);
    for _ in 0..number {
        let request = requests.next(1);
        let start = Instant::now();
        client.send(request)?;
        let answer = client.receive()?.len();
        times.push(start.elapsed());
        if answer != length {
            return Err(format!("an answer has {answer} bytes and not {length}"));
        }
    }
    Ok(times)
}

/// The calls per second of all clients together, each with `in_flight` small calls in flight.
pub(crate) fn flowing(clients: &mut [Client], in_flight: usize, time: Duration) -> Result<f64, String> {
    let begin = Instant::now() + WARM;
    let end = begin + time;
    let counts: Vec<Result<u32, String>> = thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .map(|client| scope.spawn(move || flow(client, in_flight, begin, end)))
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    let calls = counts.into_iter().sum::<Result<u32, String>>()?;
    Ok(f64::from(calls) / time.as_secs_f64())
}

/// Keeps `in_flight` calls in flight until `end`, and returns how many were answered since `begin`.
///
/// Reads the answers that are available, and sends as many new calls with one write. All calls in flight fit into the
/// pipes, so neither side waits for the other to read.
fn flow(client: &mut Client, in_flight: usize, begin: Instant, end: Instant) -> Result<u32, String> {
    let message = "x".repeat(SMALL);
    let mut requests = Requests::new(ECHO, &message, in_flight);
    let mut answers = Answers { length: client.try_call(&mut requests, &message)?, begun: 0 };
    client.send(requests.next(in_flight))?;
    let (mut open, mut counted) = (in_flight, 0);
    while open > 0 {
        let answered = answers.count(client.read()?)?;
        let now = Instant::now();
        open = open.checked_sub(answered).ok_or("there are more answers than calls")?;
        if now < end {
            client.send(requests.next(answered))?;
            open += answered;
            if now >= begin {
                counted += answered;
            }
        }
    }
    Ok(u32::try_from(counted).unwrap_or(u32::MAX))
}

/// Counts answers, all of which have the same length.
struct Answers {
    length: usize,
    /// The number of bytes of the next answer that have been read already.
    begun: usize,
}

impl Answers {
    /// Counts the answers that end in `text`.
    fn count(&mut self, text: &[u8]) -> Result<usize, String> {
        let all = self.begun + text.len();
        let number = all / self.length;
        for answer in 1..=number {
            let end = answer * self.length - self.begun;
            if text[end - 1] != b'\n' {
                return Err(format!("an answer does not have {} bytes: {}", self.length, shown(text)));
            }
        }
        self.begun = all % self.length;
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_where_they_end() {
        let mut answers = Answers { length: 4, begun: 0 };
        let parts = ["abc\nab", "c", "\n", "abc\nabc\na"];
        let counts = parts.map(|part| answers.count(part.as_bytes()).unwrap());
        assert_eq!(counts, [1, 0, 1, 2]);
        assert!(answers.count(b"b\nabcd").is_err());
    }
}
