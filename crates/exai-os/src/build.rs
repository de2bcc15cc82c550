//! Which build this is. A debug build may claim to be another one for a test.

use std::sync::OnceLock;

use crate::failpoint;

use crate::sys;

/// The environment variable, such as `EXAI_BUILD=0.2.0`. A starter passes it on to its daemon, which is of the same
/// build.
pub const VARIABLE: &str = "EXAI_BUILD";
/// The same for the versions of the link.
pub const LINK_VARIABLE: &str = "EXAI_LINK";

/// The version of this program.
pub fn version() -> &'static str {
    static CLAIMED: OnceLock<Option<String>> = OnceLock::new();
    let claimed = if failpoint::ACTIVE { CLAIMED.get_or_init(|| claimed(VARIABLE)).as_deref() } else { None };
    claimed.unwrap_or(env!("CARGO_PKG_VERSION"))
}

/// The oldest and the newest version of the link that a test makes this build speak, as in `EXAI_LINK=7-9`.
pub fn link_versions() -> Option<(u32, u32)> {
    static CLAIMED: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    if !failpoint::ACTIVE {
        return None;
    }
    *CLAIMED.get_or_init(|| {
        let claim = claimed(LINK_VARIABLE)?;
        let (min, max) = claim.split_once('-')?;
        min.parse().ok().zip(max.parse().ok())
    })
}

#[expect(clippy::disallowed_methods, reason = "no setting of the product: a release build does not know it")]
fn claimed(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|claim| !claim.is_empty())
}

/// Whether this Windows is Wine, which answers some calls differently. `false` anywhere else.
pub fn under_wine() -> bool {
    sys::inspect::under_wine()
}
