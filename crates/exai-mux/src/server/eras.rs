//! Which eras of MCP a server speaks, and in which era it is spoken to.
//!
//! A server that both its clients and exai can speak to in their era gets a process for each era in use, so nothing is
//! lost between the two. Only where a server does not speak the era of a client are messages translated.

use std::time::{Duration, Instant};

use crate::limits::ERA_VERDICT_TTL;
use crate::types::era::{Era, PerEra};
use crate::types::era_verdict::EraVerdict;

/// What is known of the eras of one server.
#[derive(Debug, Default)]
pub(crate) struct Eras {
    /// The era that the configuration demands.
    pub(crate) pinned: Option<Era>,
    /// Each with the time from which on it is stale.
    verdicts: PerEra<Option<(EraVerdict, Instant)>>,
    /// Why the server is not asked which era it speaks when it starts the next time: it did not survive the question,
    /// or did not answer. `None` again when that has become a verdict, or the server has not accepted `initialize`
    /// either.
    pub(crate) failed_probe: Option<String>,
}

impl Eras {
    pub(crate) fn new(pinned: Option<Era>) -> Self {
        Eras { pinned, ..Eras::default() }
    }

    pub(crate) fn verdict(&self, era: Era) -> Option<&EraVerdict> {
        self.verdicts.get(era).as_ref().map(|(verdict, _)| verdict)
    }

    /// Keeps a verdict of an earlier daemon, reached `age` ago, as long as it is believed.
    pub(crate) fn recall(&mut self, era: Era, verdict: EraVerdict, age: Duration, time: Instant) {
        let left = ERA_VERDICT_TTL.saturating_sub(age);
        if verdict.speaks || !left.is_zero() {
            *self.verdicts.get_mut(era) = Some((verdict, time + left));
        }
    }

    /// Keeps a verdict that is reached now. Returns whether it differs from the one before.
    pub(crate) fn note(&mut self, era: Era, verdict: EraVerdict, time: Instant) -> bool {
        let slot = self.verdicts.get_mut(era);
        let is_news = slot.as_ref().is_none_or(|(before, _)| before.speaks != verdict.speaks);
        *slot = Some((verdict, time + ERA_VERDICT_TTL));
        is_news
    }

    /// Whether the server is known to speak an era, or not to. `None` while that is not known.
    pub(crate) fn speaks(&self, era: Era) -> Option<bool> {
        match self.pinned {
            Some(pinned) => Some(pinned == era),
            None => self.verdict(era).map(|verdict| verdict.speaks),
        }
    }

    /// The era in which the server serves clients of an era: their own if the server speaks it.
    pub(crate) fn serving(&self, client: Era) -> Era {
        match client {
            Era::Legacy
                if self.speaks(Era::Legacy) == Some(false) && self.speaks(Era::Modern) == Some(true) =>
            {
                Era::Modern
            }
            Era::Modern if self.speaks(Era::Modern) == Some(true) => Era::Modern,
            Era::Legacy | Era::Modern => Era::Legacy,
        }
    }

    /// Whether a server that is started now is to be asked which era it speaks. That it did not speak the modern era is
    /// believed for [`ERA_VERDICT_TTL`] only: programs are replaced by newer ones.
    pub(crate) fn must_probe(&self, time: Instant) -> bool {
        if self.pinned.is_some() || self.failed_probe.is_some() {
            return false;
        }
        match self.verdicts.get(Era::Modern) {
            None => true,
            Some((verdict, stale_from)) => !verdict.speaks && *stale_from <= time,
        }
    }
}
