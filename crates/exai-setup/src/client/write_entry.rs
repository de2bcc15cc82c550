//! The entry of exai, in the shape that each client asks for.

use super::launch::Launch;
use crate::Value;

/// `command`, `args` and, if there is a variable, `env`: what most clients read.
pub(crate) fn plain(launch: &Launch) -> Value {
    let mut pairs = vec![("command", Value::text(&launch.program)), ("args", Value::texts(launch.args()))];
    if !launch.env().is_empty() {
        pairs.push(("env", variables(launch)));
    }
    Value::map(pairs)
}

/// The plain entry with a type before it.
fn with_type(kind: &str, launch: &Launch) -> Value {
    let Value::Map(pairs) = plain(launch) else { unreachable!("BUG: the plain entry is a map") };
    Value::Map([("type".to_owned(), Value::text(kind))].into_iter().chain(pairs).collect())
}

/// With `type: stdio`.
pub(crate) fn stdio(launch: &Launch) -> Value {
    with_type("stdio", launch)
}

/// Copilot's CLI: <https://docs.github.com/en/copilot/how-tos/copilot-cli/customize-copilot/add-mcp-servers>.
pub(crate) fn copilot(launch: &Launch) -> Value {
    let Value::Map(mut pairs) = with_type("local", launch) else { unreachable!("BUG: the entry is a map") };
    pairs.push(("tools".to_owned(), Value::texts(["*"])));
    Value::Map(pairs)
}

/// opencode: one list of program and arguments, and no key that it does not know: <https://opencode.ai/docs/mcp-servers/>.
pub(crate) fn opencode(launch: &Launch) -> Value {
    let words = std::iter::once(launch.program.clone()).chain(launch.args());
    let mut pairs = vec![
        ("type", Value::text("local")),
        ("command", Value::texts(words)),
        ("enabled", Value::Bool(true)),
    ];
    if !launch.env().is_empty() {
        pairs.push(("environment", variables(launch)));
    }
    Value::map(pairs)
}

/// Augment's list in the storage of its extension. The id must be a UUID of its own, and the same each time.
pub(crate) fn augment(launch: &Launch) -> Value {
    Value::map([
        ("type", Value::text("stdio")),
        ("id", Value::text(stable_uuid(launch))),
        ("disabled", Value::Bool(false)),
        ("command", Value::text(&launch.program)),
        ("args", Value::texts(launch.args())),
        ("env", variables(launch)),
        ("useShellInterpolation", Value::Bool(false)),
    ])
}

/// Goose: <https://block.github.io/goose/docs/getting-started/using-extensions>.
pub(crate) fn goose(launch: &Launch) -> Value {
    Value::map([
        ("enabled", Value::Bool(true)),
        ("type", Value::text("stdio")),
        ("name", Value::text(launch.server.as_deref().unwrap_or("exai"))),
        ("cmd", Value::text(&launch.program)),
        ("args", Value::texts(launch.args())),
        ("envs", variables(launch)),
        ("timeout", Value::Number("300".to_owned())),
    ])
}

fn variables(launch: &Launch) -> Value {
    Value::map(launch.env().into_iter().map(|(name, value)| (name, Value::Text(value))))
}

/// A UUID (version 8: made by a rule of one's own) for the server that an entry stands for.
fn stable_uuid(launch: &Launch) -> String {
    let hash = |seed: u64| {
        let name = launch.server.as_deref().unwrap_or_default();
        // FNV-1a: <https://datatracker.ietf.org/doc/draft-eastlake-fnv/>.
        name.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let (high, low) = (hash(0xcbf2_9ce4_8422_2325), hash(0x6578_6169_6578_6169));
    format!(
        "{:08x}-{:04x}-8{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}
