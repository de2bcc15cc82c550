//! The tokens that have names, under the running daemon: which of them are in force, and which were revoked.
//!
//! `tokens.json` is read when `exai token` says that it has changed it, and when the look once a second finds another file:
//! as with `config.toml`. But a file that is wrong lets nobody in, since nobody knows who was to be let in.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use exai_config::Home;
use exai_config::named_token::{NamedToken, TokenHash, load_named_tokens};
use exai_os::private::Stamp;
use exai_proto::documents::Finding;

use crate::state::holder::{HeldToken, Holder};

/// The named tokens. All clones change together.
#[derive(Debug, Clone)]
pub(crate) struct NamedTokens(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    home: Home,
    in_force: RwLock<InForce>,
    /// Held during a reading: what is read last must be in force last.
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct InForce {
    tokens: Vec<Arc<HeldToken>>,
    /// Why the file could not be used, as a sentence.
    trouble: Option<String>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The file whose tokens are in force; `None` if it must be read again.
    read: Option<Stamp>,
    /// The file at the last look.
    looked_at: Option<Stamp>,
}

impl NamedTokens {
    pub(crate) fn open(home: &Home) -> Self {
        let (in_force, seen) = (RwLock::default(), Mutex::default());
        let tokens = NamedTokens(Arc::new(Shared { home: home.clone(), in_force, seen }));
        // What is wrong is a finding.
        let _ = tokens.read_again();
        tokens
    }

    /// Who has shown this; `None` if it is no token in force. Takes the same time whichever token it is.
    pub(crate) fn find_holder(&self, shown: &str) -> Option<Holder> {
        let hash = TokenHash::of_shown(shown)?;
        let in_force = self.0.in_force.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for token in &in_force.tokens {
            if token.hash.matches(&hash) {
                found = Some(token);
            }
        }
        found.map(|token| Holder::Named(Arc::clone(token)))
    }

    /// Reads the file. Tokens that are not in it any more are revoked. The error is a sentence. Blocks.
    pub(crate) fn read_again(&self) -> Result<(), String> {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the reading: a change in between is found by the next look.
        let stamp = Stamp::of(&self.0.home.named_tokens());
        let outcome = match load_named_tokens(&self.0.home) {
            Ok(listed) => {
                self.put_into_force(listed);
                Ok(())
            }
            // That says nothing of the tokens.
            Err(error) if error.is_of_the_system() => {
                seen.read = None;
                return self.note_trouble(Err(format!("{error}; the tokens that were known stay in force")));
            }
            Err(error) => {
                self.put_into_force(Vec::new());
                Err(format!("{error}; no token that has a name is good until that is mended"))
            }
        };
        seen.read = Some(stamp);
        self.note_trouble(outcome)
    }

    /// Reads the file if it is another one than was read, and has stayed the same since the last look. Returns whether it
    /// was read.
    pub(crate) fn look_again(&self) -> bool {
        let now = Some(Stamp::of(&self.0.home.named_tokens()));
        let is_due = {
            let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let has_settled = std::mem::replace(&mut seen.looked_at, now.clone()) == now;
            has_settled && now != seen.read
        };
        if is_due {
            // What is wrong is a finding.
            let _ = self.read_again();
        }
        is_due
    }

    fn put_into_force(&self, listed: Vec<NamedToken>) {
        let mut in_force = self.0.in_force.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut in_force.tokens);
        for token in listed {
            let same = before.iter().position(|one| one.name == token.name && one.hash == token.hash);
            in_force.tokens.push(match same {
                Some(at) => before.swap_remove(at),
                None => Arc::new(HeldToken::new(token)),
            });
        }
        for gone in &before {
            gone.revoke();
            tracing::info!(token = gone.name, "a token is good no more, and what it has opened is closed");
        }
    }

    fn note_trouble(&self, outcome: Result<(), String>) -> Result<(), String> {
        let mut in_force = self.0.in_force.write().unwrap_or_else(PoisonError::into_inner);
        let trouble = outcome.as_ref().err();
        if in_force.trouble.as_ref() != trouble {
            if let Some(trouble) = trouble {
                tracing::warn!(trouble, "the tokens that have names cannot be used");
            }
            in_force.trouble = trouble.cloned();
        }
        outcome
    }

    /// What `exai status` says about the file.
    pub(crate) fn finding(&self) -> Option<Finding> {
        let in_force = self.0.in_force.read().unwrap_or_else(PoisonError::into_inner);
        in_force.trouble.as_ref().map(|trouble| Finding {
            id: "tokens-invalid".to_owned(),
            severity: "error".to_owned(),
            detail: trouble.clone(),
            fix: Some("move the file away, and make the tokens anew with `exai token add`".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use exai_config::named_token_edit::{add_named_token, remove_named_token};

    use super::*;

    fn opened() -> (tempfile::TempDir, Home, NamedTokens) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.prepare().unwrap();
        let tokens = NamedTokens::open(&home);
        (dir, home, tokens)
    }

    #[test]
    fn a_token_is_revoked_by_itself_and_stays_so_when_its_name_comes_back() {
        let (_dir, home, tokens) = opened();
        let (laptop, phone) =
            (add_named_token(&home, "laptop").unwrap(), add_named_token(&home, "phone").unwrap());
        assert!(tokens.find_holder(laptop.expose()).is_none(), "nobody has said that there is another file");
        tokens.read_again().unwrap();
        let holders = [&laptop, &phone].map(|token| tokens.find_holder(token.expose()).unwrap());
        assert_eq!(holders.each_ref().map(Holder::token_name), [Some("laptop"), Some("phone")]);
        assert!(holders[0] != holders[1] && holders[0] != Holder::Account);

        remove_named_token(&home, "laptop").unwrap();
        let again = add_named_token(&home, "laptop").unwrap();
        tokens.read_again().unwrap();
        assert!(tokens.find_holder(laptop.expose()).is_none());
        let other = tokens.find_holder(again.expose()).unwrap();
        assert!(holders[0].is_revoked() && !other.is_revoked() && holders[0] != other);
        assert_eq!(
            tokens.find_holder(phone.expose()).as_ref(),
            Some(&holders[1]),
            "it is the same as before"
        );
        assert!(!holders[1].is_revoked());
    }

    #[test]
    fn a_file_that_is_wrong_lets_nobody_in_until_it_is_mended() {
        let (_dir, home, tokens) = opened();
        let laptop = add_named_token(&home, "laptop").unwrap();
        tokens.read_again().unwrap();
        let good = std::fs::read(home.named_tokens()).unwrap();
        let holder = tokens.find_holder(laptop.expose()).unwrap();
        exai_os::private::write_atomic(&home.named_tokens(), b"garbage").unwrap();
        assert!(!tokens.look_again() && !holder.is_revoked(), "somebody may be writing it");
        assert!(tokens.look_again() && holder.is_revoked());
        assert!(tokens.find_holder(laptop.expose()).is_none());
        let finding = tokens.finding().unwrap();
        assert!(finding.detail.contains("no list of tokens (line 1"), "{}", finding.detail);
        assert!(!tokens.look_again(), "it was read");

        exai_os::private::write_atomic(&home.named_tokens(), &good).unwrap();
        assert!(!tokens.look_again() && tokens.look_again());
        assert!(tokens.finding().is_none() && !tokens.find_holder(laptop.expose()).unwrap().is_revoked());
        std::fs::remove_file(home.named_tokens()).unwrap();
        assert!(!tokens.look_again() && tokens.look_again());
        assert!(tokens.finding().is_none() && tokens.find_holder(laptop.expose()).is_none());
    }
}
