//! The few members of a request that an answer needs, found in one pass over its text.

/// The text of each member; `None` where the request lacks the member.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    pub(crate) id: Option<&'a [u8]>,
    pub(crate) method: Option<&'a [u8]>,
    /// `params.arguments.message`
    pub(crate) message: Option<&'a [u8]>,
    /// `params.protocolVersion`
    pub(crate) version: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// Reads a JSON object. From a text that is not JSON it takes the members that come before the mistake.
    pub(crate) fn read(line: &'a [u8]) -> Self {
        let mut request = Request::default();
        Scanner { text: line, at: 0 }.object(Place::Top, &mut request);
        request
    }
}

/// The objects whose members are looked at.
#[derive(Clone, Copy)]
enum Place {
    Top,
    Params,
    Arguments,
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn object(&mut self, place: Place, request: &mut Request<'a>) -> Option<()> {
        self.take(b'{')?;
        loop {
            let name = self.value()?;
            self.take(b':')?;
            match (place, name) {
                (Place::Top, br#""params""#) => self.object(Place::Params, request)?,
                (Place::Params, br#""arguments""#) => self.object(Place::Arguments, request)?,
                (Place::Top, br#""id""#) => request.id = Some(self.value()?),
                (Place::Top, br#""method""#) => request.method = Some(self.value()?),
                (Place::Params, br#""protocolVersion""#) => request.version = Some(self.value()?),
                (Place::Arguments, br#""message""#) => request.message = Some(self.value()?),
                (Place::Top | Place::Params | Place::Arguments, _) => {
                    self.value()?;
                }
            }
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    /// The text of the value that begins here, with everything nested in it.
    fn value(&mut self) -> Option<&'a [u8]> {
        self.space();
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.text.get(self.at)? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                _ if depth == 0 => self.word(),
                _ => self.at += 1,
            }
            if depth == 0 {
                return (self.at > start).then(|| &self.text[start..self.at]);
            }
        }
    }

    /// A quote ends the string unless an odd number of backslashes stands before it.
    fn string(&mut self) -> Option<()> {
        let start = self.at + 1;
        let mut look = start;
        loop {
            let quote = look + find(&self.text[look..], b'"')?;
            let before = self.text[start..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
            look = quote + 1;
            if before % 2 == 0 {
                self.at = look;
                return Some(());
            }
        }
    }

    /// A number, `true`, `false`, `null`.
    fn word(&mut self) {
        let rest = &self.text[self.at..];
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || b",}]".contains(byte);
        self.at += rest.iter().position(is_end).unwrap_or(rest.len());
    }

    fn space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn take(&mut self, expected: u8) -> Option<()> {
        self.space();
        (*self.text.get(self.at)? == expected).then(|| self.at += 1)
    }
}

/// The position of the first `wanted`. Searching block by block first, and within the block then, is faster.
pub(crate) fn find(text: &[u8], wanted: u8) -> Option<usize> {
    const BLOCK: usize = 256;
    let start = text.chunks(BLOCK).position(|block| block.contains(&wanted))? * BLOCK;
    let place = text[start..].iter().position(|byte| *byte == wanted)?;
    Some(start + place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(part: Option<&[u8]>) -> Option<&str> {
        part.map(|bytes| std::str::from_utf8(bytes).unwrap())
    }

    #[test]
    fn members_are_found_in_any_order_and_only_where_they_belong() {
        let line = r#" { "x" : {"id":7,"a":["]"]} , "params": {"_meta":{"message":1},
            "arguments" : { "other":[1,2], "message": ["a",{"b":"}"}] }, "id":8 }, "method":"m", "id": 9.0 }"#;
        let request = Request::read(line.as_bytes());
        assert_eq!(text(request.id), Some("9.0"));
        assert_eq!(text(request.method), Some(r#""m""#));
        assert_eq!(text(request.message), Some(r#"["a",{"b":"}"}]"#));
        assert_eq!(request.version, None);
    }

    #[test]
    fn backslashes_are_counted() {
        let request = Request::read(br#"{"id":"a\\\"b\\","method":"\"}"}"#);
        assert_eq!(text(request.id), Some(r#""a\\\"b\\""#));
        assert_eq!(text(request.method), Some(r#""\"}""#));
    }

    #[test]
    fn what_is_no_request_has_no_members() {
        for line in ["", "{", "{}", "[1]", "{\"id\"", "{\"id\":", "{\"id\":\"a", "hello", "}"] {
            let request = Request::read(line.as_bytes());
            assert!(request.method.is_none(), "{line}");
        }
    }

    #[test]
    fn blocks_have_no_seams() {
        let mut text = vec![b'.'; 600];
        assert_eq!(find(&text, b'x'), None);
        for place in [599, 512, 511, 256, 255, 0] {
            text[place] = b'x';
            assert_eq!(find(&text, b'x'), Some(place));
        }
    }
}
