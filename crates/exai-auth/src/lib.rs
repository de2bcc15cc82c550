//! Sign-ins at servers elsewhere: OAuth 2.1 as revision 2026-07-28 of MCP has it, for revision 2025-11-25 too.
//!
//! # Theory of operation
//!
//! A server that wants a sign-in answers 401 with a [`Challenge`]. From there:
//!
//! 1. [`discover`] asks the server which authorization server it trusts (RFC 9728), and that one for its endpoints
//!    (RFC 8414, OpenID Connect). What the network says is checked: the resource must be the server, the issuer must be
//!    who was asked, PKCE must be spoken, and an Internet server cannot name addresses of a private network.
//! 2. [`identify`] finds who we are there: what the configuration says, what an earlier sign-in has registered, or a
//!    registration (RFC 7591).
//! 3. A [`PendingSignIn`] gives the address that a browser is to open, and takes the browser's return to the callback; or a
//!    [`PendingDevice`] gives a code to type on another machine (RFC 8628).
//! 4. The outcome is a [`Record`], kept by [`Records`]: one for each (issuer, resource, server, account). Its file is sealed
//!    where the system's keyring keeps the key. A keyring that cannot be read now signs nobody out: see [`NoKey`].
//! 5. A [`SignIn`] gives its access token to whoever sends a request to the server, and [`renew`] replaces a token in a
//!    process of its own, so that no death of the daemon loses one.
//!
//! What another program has kept of a sign-in ([`McpRemoteSignIn`]) can be taken over instead: it becomes a record of its own.
//!
//! What all this would need is known before anybody signs in: [`probe`] asks a server whether it wants a sign-in, and
//! [`Plan`] says what follows from the metadata. Nothing is registered for that.
//!
//! The library `oauth2` builds and reads the requests for tokens. Nothing here starts a browser or a program, and no text of
//! the network decides where a token goes: it goes to the server of its record.

mod adoption;
mod answer;
mod challenge;
mod clock;
mod device;
mod discovery;
mod error;
mod http;
mod identity;
mod keys;
mod mcp_remote;
mod metadata;
mod pending;
mod plan;
mod record;
mod records;
mod renewal;
mod scopes;
mod seal;
mod secret_text;
mod sign_in;
mod tokens;

pub use challenge::Challenge;
pub use device::PendingDevice;
pub use discovery::{Discovered, discover};
pub use error::SignInError;
pub use http::AuthHttp;
pub use identity::{Identity, Registered, identify};
pub use keys::{KeyVault, NoKey};
pub use mcp_remote::{CONFIG_DIR, McpRemoteSignIn, USUAL_DIR};
pub use pending::{PendingSignIn, Returned};
pub use plan::{Plan, PlannedIdentity, probe};
pub use record::{Place, Record, Tokens, fingerprint};
pub use records::{Keeping, Kept, Records, Survey};
pub use renewal::{RENEWAL_TIMEOUT, Renewal, renew, renew_alone};
pub use scopes::Scopes;
pub use seal::SealingKey;
pub use sign_in::{Refusal, Renew, SignIn, Standing};
