//! The question and the answer with which a WebSocket begins (RFC 6455, section 1.3). They show that the server speaks
//! WebSocket; they are no secret.

use base64::prelude::{BASE64_STANDARD, Engine};
use hyper::header::HeaderValue;
use sha1::{Digest, Sha1};

/// The text that every server appends to the key.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a server answers to the key of a client.
pub(crate) fn answer(key: &HeaderValue) -> Option<HeaderValue> {
    let digest = Sha1::new().chain_update(key).chain_update(MAGIC).finalize();
    HeaderValue::from_str(&BASE64_STANDARD.encode(digest)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_the_key_of_the_specification() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(answer(&key).expect("an answer"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
