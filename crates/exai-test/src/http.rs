//! HTTP/1.1 as far as servers and proxies of tests need it.

use std::io::{self, BufRead, Read as _};

/// No body of a test is longer.
const LONGEST_BODY: u64 = 64 * 1024 * 1024;

/// A request as it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// GET, POST and so on.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as long as `Content-Length` says.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads the next request; `None` if the client is done.
    ///
    /// # Errors
    /// When the connection breaks off, or ends in the middle.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = || {
            let mut line = String::new();
            from.read_line(&mut line)?;
            io::Result::Ok(line.trim_end().to_owned())
        };
        let first = line()?;
        let mut words = first.split(' ').map(ToOwned::to_owned);
        let (Some(method), Some(path)) = (words.next().filter(|word| !word.is_empty()), words.next()) else {
            return Ok(None);
        };
        let mut request = Request { method, path, ..Request::default() };
        loop {
            let header = line()?;
            let Some((name, value)) = header.split_once(':') else { break };
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        from.take(LONGEST_BODY.min(length)).read_to_end(&mut request.body)?;
        if (request.body.len() as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(request))
    }

    /// The value of the first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}
