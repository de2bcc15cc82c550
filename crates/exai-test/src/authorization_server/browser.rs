//! A browser that goes where it is sent, on this machine, and can press a button.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::form::encode;
use super::loopback::Loopback;

/// A browser follows no more redirections.
const MOST_REDIRECTIONS: usize = 10;
/// No page takes longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Where a browser has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its URL, which may be one that nobody answers: then the status is 0.
    pub url: String,
    /// Its status.
    pub status: u16,
    /// Its text.
    pub text: String,
}

/// Opens a URL, and goes wherever it is sent: to the end of the way, which is the client's callback if nobody has to press a
/// button first.
///
/// # Panics
/// When it is sent to another machine, or in circles.
pub fn follow(url: &str) -> Page {
    go("GET", url, "", &|_| true)
}

/// The same with the browser of another machine, which reaches nothing at this path.
///
/// # Panics
/// As [`follow`].
pub fn follow_without(url: &str, path: &str) -> Page {
    go("GET", url, "", &|place| !place.path.starts_with(path))
}

impl Page {
    /// Presses `allow` or `deny` on an authorization page, and goes wherever it is sent.
    ///
    /// # Panics
    /// When there is no such button.
    #[must_use]
    pub fn press(&self, choice: &str) -> Page {
        let find = |before: &str| {
            let rest = self.text.split_once(before).map(|(_, rest)| rest);
            rest.and_then(|rest| rest.split_once('"')).map(|(value, _)| value)
        };
        let (action, ticket) = (find("action=\""), find("name=\"ticket\" value=\""));
        let is_there = self.text.contains(&format!("name=\"choice\" value=\"{choice}\""));
        let (Some(action), Some(ticket), true) = (action, ticket, is_there) else {
            panic!("there is no button `{choice}` on {self:?}")
        };
        let place = parse(&self.url);
        let url = format!("http://{}:{}{action}", place.host, place.port);
        go("POST", &url, &encode(&[("ticket", ticket), ("choice", choice)]), &|_| true)
    }

    /// The value of a field in the query of its URL.
    pub fn field(&self, name: &str) -> Option<String> {
        let (_, query) = super::form::split_query(&self.url);
        super::form::Form::parse(query).get(name).map(str::to_owned)
    }
}

fn parse(url: &str) -> Loopback {
    Loopback::parse(url).unwrap_or_else(|| panic!("the browser is sent away from this machine: {url}"))
}

fn go(method: &str, url: &str, body: &str, reaches: &dyn Fn(&Loopback) -> bool) -> Page {
    let (mut method, mut url, mut body) = (method, url.to_owned(), body);
    for _ in 0..MOST_REDIRECTIONS {
        let place = parse(&url);
        let answer = reaches(&place).then(|| exchange(method, &place, body).ok()).flatten();
        let Some((status, head, text)) = answer else {
            return Page { url, status: 0, text: String::new() };
        };
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
        };
        match head.lines().find_map(header).filter(|_| (300..400).contains(&status)) {
            None => return Page { url, status, text },
            Some(location) if location.starts_with('/') => {
                url = format!("http://{}:{}{location}", place.host, place.port);
            }
            Some(location) => url = location,
        }
        (method, body) = ("GET", "");
    }
    panic!("the browser is sent in circles, last to {url}")
}

/// One request: the status, the head and the text of its answer.
fn exchange(method: &str, place: &Loopback, body: &str) -> io::Result<(u16, String, String)> {
    let Loopback { host, port, path } = place;
    let host = host.trim_matches(['[', ']']);
    let mut stream = TcpStream::connect((host, *port))?;
    stream.set_read_timeout(Some(LONGEST_WAIT))?;
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {}:{port}\r\nconnection: close\r\n", place.host);
    stream.write_all(format!("{head}{form}content-length: {length}\r\n\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, text) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, head.to_owned(), text.to_owned()))
}
