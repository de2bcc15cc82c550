//! The answer to one HTTP request.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender};
use std::thread;

use serde_json::Value;

use crate::rules::Refusal;

/// What an open request waits for.
pub(crate) enum Event {
    /// A message for the client, the response or one before it.
    Message(Value),
    /// The client has closed the connection.
    Left,
    /// Nothing more comes from the server.
    Over,
}

/// How a stream or a document ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Answered,
    ClientLeft,
    /// The server has ended the stream, or has gone.
    Over,
}

/// Where the answer goes. The connection is closed behind it.
pub(crate) struct Response<'a> {
    stream: &'a TcpStream,
}

impl<'a> Response<'a> {
    pub(crate) fn new(stream: &'a TcpStream) -> Self {
        Response { stream }
    }

    pub(crate) fn refuse(&self, refusal: &Refusal) -> io::Result<()> {
        self.document(refusal.status, "", &refusal.body.to_string())
    }

    /// Sends everything at once. `headers` are whole lines.
    pub(crate) fn document(&self, status: u16, headers: &str, body: &str) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 {status} X\r\n{headers}Content-Type: application/json\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.write(&head)
    }

    /// Says that a notification or a response was taken.
    pub(crate) fn accepted(&self) -> io::Result<()> {
        self.write("HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    }

    /// Answers a request with what comes for it: with a document if that is the response, else with a stream that ends
    /// with the response. `status` says which status a document gets.
    pub(crate) fn answer(
        &self,
        events: &Receiver<Event>,
        headers: &str,
        status: fn(&Value) -> u16,
    ) -> io::Result<End> {
        match events.recv() {
            Err(_) | Ok(Event::Over) => {
                self.refuse(&Refusal::plain(502, "the server has gone"))?;
                Ok(End::Over)
            }
            Ok(Event::Left) => Ok(End::ClientLeft),
            Ok(Event::Message(message)) if is_response(&message) => {
                self.document(status(&message), headers, &message.to_string())?;
                Ok(End::Answered)
            }
            Ok(first) => {
                self.begin_stream(headers)?;
                Ok(self.stream(std::iter::once(first).chain(events)))
            }
        }
    }

    pub(crate) fn begin_stream(&self, headers: &str) -> io::Result<()> {
        self.write(&format!(
            "HTTP/1.1 200 OK\r\n{headers}Content-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n\
             Cache-Control: no-cache\r\nConnection: close\r\n\r\n"
        ))
    }

    /// Sends messages until a response, or until there are no more.
    pub(crate) fn stream(&self, events: impl IntoIterator<Item = Event>) -> End {
        for event in events {
            let message = match event {
                Event::Message(message) => message,
                Event::Left => return End::ClientLeft,
                Event::Over => return End::Over,
            };
            if self.write(&format!("event: message\ndata: {message}\n\n")).is_err() {
                return End::ClientLeft;
            }
            if is_response(&message) {
                return End::Answered;
            }
        }
        End::Over
    }

    /// Sends [`Event::Left`] when the client closes the connection.
    pub(crate) fn watch(&self, events: Sender<Event>) -> io::Result<()> {
        let mut stream = self.stream.try_clone()?;
        thread::spawn(move || {
            // Nothing comes any more: each connection has one request.
            while matches!(stream.read(&mut [0; 64]), Ok(1..)) {}
            // The answer may be complete, and its receiver gone.
            let _ = events.send(Event::Left);
        });
        Ok(())
    }

    fn write(&self, text: &str) -> io::Result<()> {
        (&*self.stream).write_all(text.as_bytes())
    }
}

impl Drop for Response<'_> {
    fn drop(&mut self) {
        // This also ends the thread that watches.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

pub(crate) fn is_response(message: &Value) -> bool {
    message.get("method").is_none()
}
