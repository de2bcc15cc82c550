//! A newer build takes the place of an older daemon.
//!
//! Only somebody who has just come does that: a person who starts exai, or the shim of a new client. A shim that comes
//! back takes what is there, or builds of two versions would replace each other's daemons for ever. Only a strictly
//! newer build does, and the daemon itself decides: one with calls under way stays.

use std::time::Instant;

use exai_os::{account, build};
use exai_proto::link::{FromDaemon, Role, ToDaemon};
use exai_proto::version;

use crate::connect_error::ConnectError;
use crate::daemon_connector::DaemonConnector;
use crate::hello::hello;
use crate::link::{Daemon, Incoming, Link, LinkError};

/// What has become of an older daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takeover {
    /// There was none: the daemon is of this build or a newer one.
    Needless,
    /// It has made room.
    Done {
        /// Its build.
        from: String,
    },
    /// It stays, for so many calls are under way.
    Busy {
        /// How many.
        calls: usize,
    },
    /// It stays.
    Kept {
        /// Why.
        why: String,
    },
}

impl DaemonConnector {
    /// Joins the daemon, and starts it when none lives, for somebody who has just come: an older daemon is asked to
    /// make room for this build first.
    pub fn arrive(&self, deadline: Instant) -> Result<(Link, Takeover), ConnectError> {
        let link = self.connect_or_start(deadline)?;
        if !is_older(link.daemon()) {
            return Ok((link, Takeover::Needless));
        }
        // A daemon that makes room waits for all its shims; this one does not listen yet.
        drop(link);
        let takeover = self.take_over(deadline)?;
        Ok((self.connect_or_start(deadline)?, takeover))
    }

    fn take_over(&self, deadline: Instant) -> Result<Takeover, ConnectError> {
        if let Some(reason) = account::runs_for_another_account() {
            return Ok(Takeover::Kept { why: reason });
        }
        // Whoever has this lock and does not get done must not keep anybody from using the daemon that is there.
        let soon = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
        let starting = match self.spawn_lock(soon) {
            Ok(starting) => starting,
            Err(error @ ConnectError::StarterHangs { .. }) => {
                return Ok(Takeover::Kept { why: error.to_string() });
            }
            Err(error) => return Err(error),
        };
        let connector = DaemonConnector::new(self.home().clone(), hello(Role::Command));
        // While this one waited for the lock, another may have done it.
        let Some(mut link) = connector.start_and_join(&starting, deadline)? else {
            return Err(self.unreachable("it is starting or stopping".to_owned()));
        };
        let daemon = link.daemon().clone();
        if !is_older(&daemon) {
            return Ok(Takeover::Needless);
        }
        // A daemon that works must not be ended for one that could not start.
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
                // It has said goodbye, or it died of something else: its place is free either way.
                Err(LinkError::Closed | LinkError::Io(_)) => break,
                Err(error) => return Err(self.unreachable(format!("it makes room for this build: {error}"))),
            }
        }
        // It is never killed for this: what it still does is somebody's call.
        if !connector.wait_until_gone(&daemon, deadline)? {
            return Err(self.unreachable("it makes room for this build and has not ended yet".to_owned()));
        }
        match connector.start_and_join(&starting, deadline)? {
            Some(_) => Ok(Takeover::Done { from: daemon.build }),
            None => Err(self.unreachable("it is starting or stopping".to_owned())),
        }
    }
}

fn is_older(daemon: &Daemon) -> bool {
    version::is_newer(build::version(), &daemon.build)
}
