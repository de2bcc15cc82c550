//! Who has been let in: the account itself, or whoever holds a token with a name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use exai_config::named_token::{NamedToken, TokenHash};

/// Who a client belongs to. What one holder has opened is of no use to another one.
#[derive(Debug, Clone)]
pub(crate) enum Holder {
    /// The account, by the local socket or by the token in its file, which may change meanwhile.
    Account,
    /// Whoever holds this token.
    Named(Arc<HeldToken>),
}

/// A token with a name, from the moment in which it is known until nobody remembers who had it.
#[derive(Debug)]
pub(crate) struct HeldToken {
    pub(crate) name: String,
    pub(crate) hash: TokenHash,
    revoked: AtomicBool,
}

impl HeldToken {
    pub(crate) fn new(token: NamedToken) -> Self {
        HeldToken { name: token.name, hash: token.hash, revoked: AtomicBool::new(false) }
    }

    pub(crate) fn revoke(&self) {
        self.revoked.store(true, Ordering::SeqCst);
    }
}

impl Holder {
    /// Whether the token is gone that has let this one in.
    pub(crate) fn is_revoked(&self) -> bool {
        match self {
            Holder::Account => false,
            Holder::Named(token) => token.revoked.load(Ordering::SeqCst),
        }
    }

    /// The name of the token, if it has one.
    pub(crate) fn token_name(&self) -> Option<&str> {
        match self {
            Holder::Account => None,
            Holder::Named(token) => Some(&token.name),
        }
    }
}

impl PartialEq for Holder {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Holder::Account, Holder::Account) => true,
            // A token that was removed and made again under the same name is another one.
            (Holder::Named(one), Holder::Named(other)) => Arc::ptr_eq(one, other),
            (Holder::Account, Holder::Named(_)) | (Holder::Named(_), Holder::Account) => false,
        }
    }
}

impl Eq for Holder {}
