//! Bounds on what one message may be. They hold in both directions and on every transport.

/// The longest message, in bytes. A longer one is answered with -31007 and its bytes are skipped.
pub const MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// From this length on a message is long: it is checked outside of the loop that routes, and not copied when an id in
/// it is changed. For a shorter message, passing it to another thread or making another write costs more than it
/// saves.
pub const LONG_BYTES: usize = 128 * 1024;

/// The deepest nesting of objects and arrays in one message.
pub const DEPTH: u32 = 128;

/// The longest request id or progress token, in bytes of JSON text.
pub const ID_BYTES: usize = 1024;

/// The most messages one JSON-RPC batch may hold (only protocol 2025-03-26 has batches).
pub const BATCH: usize = 256;

/// How many resources one client may be subscribed to. One more is answered with -31003.
pub const SUBSCRIPTIONS: usize = 1024;

/// The longest address of a resource that can be subscribed to, in bytes. A longer one is answered with -32602.
pub const URI_BYTES: usize = 8 * 1024;

/// How many items are kept of one list of a server (its tools, its resources…), and how many bytes of them.
pub const LIST_ITEMS: usize = 10_000;
/// See [`LIST_ITEMS`].
pub const LIST_BYTES: usize = 16 * 1024 * 1024;

/// How many further pages of one list are asked for.
pub const LIST_PAGES: usize = 1000;

/// How many servers a client may name, of which it wants to see the tools.
pub const NAMED_SERVERS: usize = 256;
/// How many characters are kept of a name that a client or a server gives. The name is kept to be shown, and a status
/// of the daemon must be available however long these names are.
pub const NAME_CHARS: usize = 128;

/// The longest path of a client's working directory that is kept, in bytes. Of a longer one nothing is said.
pub const PATH_BYTES: usize = 4096;

/// How many characters of a server's instructions the clients of the endpoint of all servers get.
pub const INSTRUCTIONS_CHARS: usize = 16 * 1024;

/// A text of at most `most` characters; one that was longer ends in an ellipsis.
pub fn cut(text: &str, most: usize) -> String {
    if text.char_indices().nth(most).is_none() {
        return text.to_owned();
    }
    let end = text.char_indices().nth(most.saturating_sub(1)).map_or(0, |(at, _)| at);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(cut("", 3), "");
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(cut(&"\u{1F600}".repeat(1000), NAME_CHARS).chars().count(), NAME_CHARS);
    }
}
