//! A newer build takes the place of an older daemon.
//!
//! Only a new arrival asks for this: a person who starts exai, or the shim of a new client. A shim that comes back
//! joins the daemon that is there; otherwise builds of two versions would replace each other's daemons for ever. Only
//! a strictly newer build asks, and the daemon itself decides: a daemon with calls under way stays.

use std::time::Instant;

use exai_os::{account, build};
use exai_proto::link::{FromDaemon, Role, ToDaemon};
use exai_proto::version;

use crate::connect_error::ConnectError;
use crate::daemon_connector::DaemonConnector;
use crate::hello::hello;
use crate::link::{DaemonInfo, Incoming, Link, LinkError};

/// What has become of an older daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takeover {
    /// No takeover was needed: the daemon is of this build or a newer one.
    Needless,
    /// The older daemon has made room.
    Done {
        /// Its build.
        from: String,
    },
    /// The older daemon stays, since calls are under way.
    Busy {
        /// How many.
        calls: usize,
    },
    /// The older daemon stays.
    Kept {
        /// Why.
        why: String,
    },
}

impl DaemonConnector {
    /// Joins the daemon, or starts it when none lives, for a new arrival: an older daemon is first asked to make room
    /// for this build.
    pub fn arrive(&self, deadline: Instant) -> Result<(Link, Takeover), ConnectError> {
        match self.connect_or_start(deadline) {
            Ok(link) if !is_older(link.daemon()) => return Ok((link, Takeover::Needless)),
            // A daemon that makes room waits for all its shims, and this shim does not answer yet.
            Ok(link) => drop(link),
            // An older daemon refuses what it does not know, and may make room all the same.
            Err(ConnectError::Refused(_)) if self.wants_newer() => {}
            Err(error) => return Err(error),
        }
        let takeover = self.take_over(deadline)?;
        Ok((self.connect_or_start(deadline)?, takeover))
    }

    fn take_over(&self, deadline: Instant) -> Result<Takeover, ConnectError> {
        if let Some(reason) = account::runs_for_another_account() {
            return Ok(Takeover::Kept { why: reason });
        }
        // A process that holds this lock for too long must not keep this one from using the daemon that is there.
        let soon = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
        let starting = match self.spawn_lock(soon) {
            Ok(starting) => starting,
            Err(error @ ConnectError::StarterHangs { .. }) => {
                return Ok(Takeover::Kept { why: error.to_string() });
            }
            Err(error) => return Err(error),
        };
        let connector = DaemonConnector::new(self.home().clone(), hello(Role::Command));
        // Another process may have done this while this one waited for the lock.
        let Some(mut link) = connector.start_and_join(&starting, deadline)? else {
            return Err(self.unreachable("it is starting or stopping".to_owned()));
        };
        let daemon = link.daemon().clone();
        if !is_older(&daemon) {
            return Ok(Takeover::Needless);
        }
        // A working daemon must not be ended for a new one that could not start.
        if let Err(error) = exai_config::load(self.home()) {
            return Ok(Takeover::Kept { why: error.to_string() });
        }
        link.send(&ToDaemon::Replace { build: build::version().to_owned() })
            .map_err(|error| self.unreachable(error.to_string()))?;
        loop {
            match link.next_before(Some(deadline)) {
                Ok(Incoming::Control(FromDaemon::Busy { calls })) => return Ok(Takeover::Busy { calls }),
                Ok(Incoming::Control(FromDaemon::Error { reason })) => {
                    return Ok(Takeover::Kept { why: reason });
                }
                Ok(Incoming::Control(_) | Incoming::Message(_)) => {}
                // The daemon has said goodbye, or it died: its place is free either way.
                Err(LinkError::Closed | LinkError::Io(_)) => break,
                Err(error) => return Err(self.unreachable(format!("it makes room for this build: {error}"))),
            }
        }
        // The old daemon is never killed for this: it may still carry out a call.
        if !connector.wait_until_gone(&daemon, deadline)? {
            return Err(self.unreachable("it makes room for this build and has not ended yet".to_owned()));
        }
        match connector.start_and_join(&starting, deadline)? {
            Some(_) => Ok(Takeover::Done { from: daemon.build }),
            None => Err(self.unreachable("it is starting or stopping".to_owned())),
        }
    }
}

fn is_older(daemon: &DaemonInfo) -> bool {
    version::is_newer(build::version(), &daemon.build)
}
