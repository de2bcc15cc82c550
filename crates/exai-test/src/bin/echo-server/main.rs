//! The smallest MCP server that can be measured: it costs so little that a measurement shows the cost of the way to it.
//!
//! Newline-delimited JSON on stdio, one tool `echo {message}`. With `--modern` the server speaks the revision 2026-07-28, and
//! otherwise those before it. The texts of the id and of the message
//! go into the answer as they came, without being decoded. The server reads all input that is available and answers all
//! complete lines in it with one write. Lines without an id or a method get no answer.

mod https;
mod request;

use std::io::{self, Read, Write};

use request::Request;

/// The capacity of a pipe on Linux.
const CHUNK: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--https"] => return https::serve(answer),
        ["--time-https", port, calls, bytes] => return https::time_calls(port, calls, bytes),
        _ => {}
    }
    let modern = arguments.first() == Some(&"--modern");
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    let (mut text, mut answers) = (Vec::new(), Vec::new());
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = input.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        let new = text.len();
        text.extend_from_slice(&chunk[..length]);
        let done = answer_lines(&text, new, modern, &mut answers);
        if !answers.is_empty() {
            output.write_all(&answers)?;
            output.flush()?;
            answers.clear();
        }
        text.drain(..done);
    }
}

/// Answers every complete line of `text`, whose bytes before `new` hold no newline, and returns where the
/// rest begins.
fn answer_lines(text: &[u8], new: usize, modern: bool, answers: &mut Vec<u8>) -> usize {
    let (mut start, mut look) = (0, new);
    while let Some(length) = request::find(&text[look..], b'\n') {
        let end = look + length;
        answer(&text[start..end], modern, answers);
        (start, look) = (end + 1, end + 1);
    }
    start
}

fn answer(line: &[u8], modern: bool, answers: &mut Vec<u8>) {
    let request = Request::read(line);
    let (Some(id), Some(method)) = (request.id, request.method) else { return };
    let parts: [&[u8]; 3] = match method {
        br#""tools/call""# if modern => {
            let head = br#""result":{"resultType":"complete","content":[{"type":"text","text":"#;
            [head, request.message.unwrap_or(br#""""#), b"}]}"]
        }
        br#""server/discover""# if modern => [DISCOVERED, b"", b""],
        br#""tools/call""# => {
            [br#""result":{"content":[{"type":"text","text":"#, request.message.unwrap_or(br#""""#), b"}]}"]
        }
        br#""initialize""# if !modern => [
            br#""result":{"protocolVersion":"#,
            request.version.unwrap_or(br#""2025-06-18""#),
            br#","capabilities":{"tools":{}},"serverInfo":{"name":"echo-server","version":"1"}}"#,
        ],
        br#""tools/list""# => [TOOLS, b"", b""],
        br#""ping""# => [br#""result":{}"#, b"", b""],
        _ => [br#""error":{"code":-32601,"message":"Method not found"}"#, b"", b""],
    };
    for part in [br#"{"jsonrpc":"2.0","id":"#, id, b","].into_iter().chain(parts).chain([b"}\n".as_slice()]) {
        answers.extend_from_slice(part);
    }
}

const TOOLS: &[u8] = br#""result":{"tools":[{"name":"echo","description":"Returns the message","inputSchema":{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}}]}"#;

const DISCOVERED: &[u8] = br#""result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"public"}"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(text: &str) -> String {
        let mut answers = Vec::new();
        answer_lines(text.as_bytes(), 0, false, &mut answers);
        String::from_utf8(answers).unwrap()
    }

    #[test]
    fn the_message_comes_back_as_it_was_written() {
        let call = r#"{"jsonrpc":"2.0","id":"a\"b","method":"tools/call","params":{"name":"echo","arguments":{"message":"x\u00e4\\"}}}"#;
        assert_eq!(
            answers(&format!("{call}\n")),
            concat!(
                r#"{"jsonrpc":"2.0","id":"a\"b","result":{"content":[{"type":"text","text":"x\u00e4\\"}]}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn the_modern_era_has_other_answers() {
        let mut found = Vec::new();
        let text = "{\"id\":1,\"method\":\"server/discover\"}\n{\"id\":2,\"method\":\"initialize\"}\n";
        answer_lines(text.as_bytes(), 0, true, &mut found);
        let found = String::from_utf8(found).unwrap();
        assert!(found.contains("supportedVersions") && found.contains("-32601"), "{found}");
    }

    #[test]
    fn complete_lines_are_answered_and_the_rest_stays() {
        let text = "{\"id\":1,\"method\":\"ping\"}\n{\"method\":\"n\"}\n\n{\"id\":2,\"me";
        let mut found = Vec::new();
        let rest = answer_lines(text.as_bytes(), 0, false, &mut found);
        assert_eq!(&text[rest..], "{\"id\":2,\"me");
        assert_eq!(found, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
    }

    #[test]
    fn the_version_of_the_client_is_spoken() {
        let text = r#"{"params":{"protocolVersion":"v","capabilities":{}},"method":"initialize","id":0}"#;
        assert!(answers(&format!("{text}\n")).contains(r#""result":{"protocolVersion":"v","#));
    }
}
