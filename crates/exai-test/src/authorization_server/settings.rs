//! How the server behaves, which a test may change while the server runs.

use std::time::Duration;

/// How the server behaves. [`Settings::default`] consents at once, for `alice`, and gives tokens for an hour.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who signs in at the browser.
    pub account: String,
    /// What happens at the authorization page.
    pub consent: Consent,
    /// Which issuer the redirection names.
    pub iss: Iss,
    /// Who may register.
    pub registration: Registration,
    /// How long an access token is good.
    pub expires_in: Duration,
    /// Whether a token response says that.
    pub says_expires_in: bool,
    /// Who gets refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// The scopes that are granted at most, whatever is asked for.
    pub most_scopes: Option<Vec<String>>,
    /// What the device flow meets.
    pub device: DevicePlan,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            account: "alice".to_owned(),
            consent: Consent::AtOnce,
            iss: Iss::Right,
            registration: Registration::AsAsked,
            expires_in: Duration::from_hours(1),
            says_expires_in: true,
            refresh_tokens: RefreshTokens::Always,
            most_scopes: None,
            device: DevicePlan { interval: 1, pending: 2, slow_downs: 0 },
        }
    }
}

/// What happens at the authorization page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// The browser is sent back at once, with a code.
    AtOnce,
    /// The browser shows a page with two buttons. A device waits until somebody has pressed one.
    Page,
    /// The browser is sent back at once, with `access_denied`.
    Denied,
}

/// Which issuer the redirection names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Iss {
    /// The right one.
    Right,
    /// None.
    Missing,
    /// Another one, as in a mix-up attack.
    Other(String),
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Everybody, with the authentication that is asked for.
    AsAsked,
    /// Everybody, and whoever asks for no secret gets one for `client_secret_basic`.
    WithSecret,
    /// Nobody.
    Refused,
}

/// Who gets refresh tokens. A client that has registered without the grant type `refresh_token` never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshTokens {
    /// Everybody.
    Always,
    /// Who asks for the scope `offline_access`, which the metadata announce, and at a page with `prompt=consent`, as OpenID
    /// Connect wants it.
    Offline,
    /// Nobody.
    Never,
}

/// What the device flow meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevicePlan {
    /// The pause between two polls that is announced, in seconds. A poll that comes sooner gets `slow_down`.
    pub interval: u64,
    /// How many polls get `authorization_pending`.
    pub pending: u32,
    /// How many polls after these get `slow_down`, each of which adds five seconds to the pause.
    pub slow_downs: u32,
}

/// What goes wrong with a request for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 503; nothing happens.
    Unavailable,
    /// No answer for so long, and then the end of the connection; nothing happens.
    Hang(Duration),
    /// An answer that is no JSON; nothing happens.
    Malformed,
    /// A token response of more than 1 MiB; nothing happens.
    Huge,
    /// `invalid_grant`; nothing happens.
    InvalidGrant,
    /// The request is fulfilled, and the connection ends without the answer.
    LoseAnswer,
}
