//! Messages of D-Bus, as far as the calls of a keyring need them: little-endian, as libdbus writes them on the machines that
//! exai runs on. Whatever is malformed panics.

/// A secret and what it is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Names and values, sorted.
    pub attributes: Vec<(String, String)>,
    /// What is kept.
    pub secret: Vec<u8>,
}

/// How many bytes follow the first 16 of a message.
pub(super) fn rest(head: &[u8; 16]) -> usize {
    assert_eq!(head[0], b'l', "little-endian");
    (number(head, 12) as usize).next_multiple_of(8) + number(head, 4) as usize
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// A call.
pub(super) struct Call<'a> {
    pub(super) serial: u32,
    path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    body: &'a [u8],
}

impl<'a> Call<'a> {
    pub(super) fn read(head: &[u8; 16], rest: &'a [u8]) -> Self {
        let fields = number(head, 12) as usize;
        let body = &rest[fields.next_multiple_of(8)..];
        let mut call = Call { serial: number(head, 8), path: "", interface: "", member: "", body };
        let mut reader = Reader { bytes: &rest[..fields], at: 0 };
        while reader.at < fields {
            reader.align(8);
            let code = reader.byte();
            let signature = reader.signature();
            let text = match signature {
                "s" | "o" => reader.text(),
                "g" => reader.signature(),
                "u" => {
                    reader.number();
                    ""
                }
                other => panic!("a field of kind {other}"),
            };
            match code {
                1 => call.path = text,
                2 => call.interface = text,
                3 => call.member = text,
                _ => {}
            }
        }
        call
    }

    pub(super) fn body(&self) -> Reader<'a> {
        Reader { bytes: self.body, at: 0 }
    }

    /// The number at the end of the path.
    pub(super) fn number(&self) -> usize {
        self.path.rsplit('/').next().and_then(|text| text.parse().ok()).expect("an item")
    }
}

/// Reads values one after the other.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn byte(&mut self) -> u8 {
        self.at += 1;
        self.bytes[self.at - 1]
    }

    fn number(&mut self) -> u32 {
        self.align(4);
        self.at += 4;
        number(self.bytes, self.at - 4)
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        self.at += length;
        &self.bytes[self.at - length..self.at]
    }

    fn text(&mut self) -> &'a str {
        let length = self.number() as usize;
        let text = self.take(length);
        self.byte();
        std::str::from_utf8(text).expect("a text")
    }

    fn signature(&mut self) -> &'a str {
        let length = usize::from(self.byte());
        let text = self.take(length);
        self.byte();
        std::str::from_utf8(text).expect("a signature")
    }

    /// `ay`.
    fn blob(&mut self) -> &'a [u8] {
        let length = self.number() as usize;
        self.take(length)
    }

    /// `a{ss}`, sorted.
    pub(super) fn texts(&mut self) -> Vec<(String, String)> {
        let length = self.number() as usize;
        self.align(8);
        let end = self.at + length;
        let mut texts = Vec::new();
        while self.at < end {
            self.align(8);
            texts.push((self.text().to_owned(), self.text().to_owned()));
        }
        texts.sort();
        texts
    }

    /// `a{sv}(oayays)b`: what `CreateItem` is given.
    pub(super) fn item(&mut self) -> Item {
        let length = self.number() as usize;
        self.align(8);
        let end = self.at + length;
        let mut attributes = Vec::new();
        while self.at < end {
            self.align(8);
            let name = self.text();
            match self.signature() {
                "s" => {
                    self.text();
                }
                "a{ss}" => attributes = self.texts(),
                other => panic!("{name} of kind {other}"),
            }
        }
        self.align(8);
        self.text();
        assert!(self.blob().is_empty(), "the parameters of the session");
        Item { attributes, secret: self.blob().to_vec() }
    }
}

/// An answer.
pub(super) struct Reply {
    signature: &'static str,
    error: Option<&'static str>,
    body: Vec<u8>,
}

impl Reply {
    pub(super) fn new(signature: &'static str) -> Self {
        Reply { signature, error: None, body: Vec::new() }
    }

    pub(super) fn error(name: &'static str) -> Self {
        Reply { error: Some(name), ..Reply::new("s").string("as the test wants it") }
    }

    /// A text, or a path.
    pub(super) fn string(mut self, text: &str) -> Self {
        push_text(&mut self.body, text);
        self
    }

    pub(super) fn variant_string(mut self, text: &str) -> Self {
        push_signature(&mut self.body, "s");
        self.string(text)
    }

    pub(super) fn variant_bool(mut self, value: bool) -> Self {
        push_signature(&mut self.body, "b");
        push_number(&mut self.body, u32::from(value));
        self
    }

    /// `ao`.
    pub(super) fn paths(mut self, paths: &[String]) -> Self {
        let start = begin_array(&mut self.body, 4);
        for path in paths {
            push_text(&mut self.body, path);
        }
        end_array(&mut self.body, start);
        self
    }

    /// `(oayays)`.
    pub(super) fn secret(mut self, secret: &[u8]) -> Self {
        align(&mut self.body, 8);
        push_text(&mut self.body, "/session/1");
        push_number(&mut self.body, 0);
        push_number(&mut self.body, secret.len() as u32);
        self.body.extend(secret);
        push_text(&mut self.body, "application/octet-stream");
        self
    }

    /// The answer to the call with this serial.
    pub(super) fn write(&self, to: u32) -> Vec<u8> {
        let kind = if self.error.is_some() { 3 } else { 2 };
        let mut bytes = vec![b'l', kind, 1, 1];
        push_number(&mut bytes, self.body.len() as u32);
        push_number(&mut bytes, to);
        let start = begin_array(&mut bytes, 8);
        field(&mut bytes, 5, "u", |bytes| push_number(bytes, to));
        field(&mut bytes, 7, "s", |bytes| push_text(bytes, ":1.1"));
        if let Some(name) = self.error {
            field(&mut bytes, 4, "s", |bytes| push_text(bytes, name));
        }
        if !self.signature.is_empty() {
            field(&mut bytes, 8, "g", |bytes| push_signature(bytes, self.signature));
        }
        end_array(&mut bytes, start);
        align(&mut bytes, 8);
        bytes.extend(&self.body);
        bytes
    }
}

fn field(bytes: &mut Vec<u8>, code: u8, signature: &str, value: impl FnOnce(&mut Vec<u8>)) {
    align(bytes, 8);
    bytes.push(code);
    push_signature(bytes, signature);
    value(bytes);
}

fn align(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn push_number(bytes: &mut Vec<u8>, number: u32) {
    align(bytes, 4);
    bytes.extend(number.to_le_bytes());
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    push_number(bytes, text.len() as u32);
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

fn push_signature(bytes: &mut Vec<u8>, signature: &str) {
    bytes.push(signature.len() as u8);
    bytes.extend(signature.as_bytes());
    bytes.push(0);
}

/// Begins an array whose elements stand at multiples of `to`; returns where its elements begin.
fn begin_array(bytes: &mut Vec<u8>, to: usize) -> usize {
    push_number(bytes, 0);
    align(bytes, to);
    bytes.len()
}

/// Writes the length of the array, which does not count what is before its first element.
fn end_array(bytes: &mut [u8], start: usize) {
    // Only the arrays of fields have room between the length and the first element, and that stands at 16.
    let length = bytes.len() - start;
    bytes[start - 4..start].copy_from_slice(&(length as u32).to_le_bytes());
}
