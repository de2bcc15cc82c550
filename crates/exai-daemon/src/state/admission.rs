//! Who is let in over TCP, and under which names of this machine.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use exai_config::{AllowedHosts, Home};

use crate::state::holder::Holder;
use crate::state::named_tokens::NamedTokens;
use crate::state::token::Token;

/// The tokens and hosts in force. All clones change together.
#[derive(Clone)]
pub(crate) struct Admission {
    /// The account's own token.
    pub(crate) own: Token,
    pub(crate) named: NamedTokens,
    hosts: Arc<RwLock<Arc<AllowedHosts>>>,
}

impl Admission {
    /// Reads the tokens, or makes the account's own one.
    pub(crate) fn open(home: &Home, hosts: &AllowedHosts) -> io::Result<Self> {
        let (own, named) = (Token::load_or_create(home)?, NamedTokens::open(home));
        Ok(Admission { own, named, hosts: Arc::new(RwLock::new(Arc::new(hosts.clone()))) })
    }

    /// Who has shown this; `None` if it is no token.
    pub(crate) fn find_holder(&self, shown: &str) -> Option<Holder> {
        if self.own.matches(shown) { Some(Holder::Account) } else { self.named.find_holder(shown) }
    }

    /// The hosts under which a proxy passes requests on.
    pub(crate) fn hosts(&self) -> Arc<AllowedHosts> {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_hosts(&self, hosts: &AllowedHosts) {
        *self.hosts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(hosts.clone());
    }
}

/// Shows no token.
impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("named", &self.named).finish_non_exhaustive()
    }
}
