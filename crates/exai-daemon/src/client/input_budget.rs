//! What clients have begun to say, or have said and the hub has not heard: one budget for all of it.
//!
//! Messages are long now and then, and each is kept whole until it is routed. Without a budget sixty clients that begin
//! with 30 MiB each would cost the daemon 1.8 GB, for as long as they like. Short messages claim nothing: what they take
//! is bounded by how many connections there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::{MAX_UNFINISHED_BYTES, UNFINISHED_TIMEOUT};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The budget is kept in KiB: permits are few.
const UNIT: usize = 1024;

/// The budget. All copies are one.
#[derive(Debug, Clone)]
pub struct InputBudget(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    room: Arc<Semaphore>,
    /// How many units are claimed. Who waits for room may have a part of it, and has claimed nothing.
    claimed: AtomicUsize,
}

/// A part of the budget, given back when this is dropped.
#[derive(Debug, Default)]
pub struct InputClaim {
    /// The budget it is of, and the part.
    of: Option<(InputBudget, OwnedSemaphorePermit)>,
}

/// Lets others have the thread while something long is moved.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    moved: usize,
}

impl Rest {
    /// So many bytes were moved.
    pub(crate) async fn after(&mut self, bytes: usize) {
        const MOST: usize = 1024 * 1024;
        self.moved += bytes;
        if self.moved >= MOST {
            self.moved = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// There was no room, for longer than one waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

fn units(bytes: usize) -> u32 {
    bytes.div_ceil(UNIT) as u32
}

impl Default for InputBudget {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(MAX_UNFINISHED_BYTES / UNIT));
        InputBudget(Arc::new(Budget { room, claimed: AtomicUsize::new(0) }))
    }
}

impl InputBudget {
    /// Claims room for so many bytes; waits for it, first come, first served. Cancel safe.
    pub async fn claim(&self, bytes: usize) -> Result<InputClaim, Full> {
        let permit = timeout(UNFINISHED_TIMEOUT, self.0.room.clone().acquire_many_owned(units(bytes))).await;
        Ok(self.claimed_with(permit.map_err(|_| Full)?.map_err(|_| Full)?))
    }

    /// How much is claimed.
    pub(crate) fn claimed(&self) -> usize {
        self.0.claimed.load(Ordering::Relaxed) * UNIT
    }

    /// Claims room if there is any now.
    pub(crate) fn try_claim(&self, bytes: usize) -> Result<InputClaim, Full> {
        let permit = self.0.room.clone().try_acquire_many_owned(units(bytes)).map_err(|_| Full)?;
        Ok(self.claimed_with(permit))
    }

    fn claimed_with(&self, permit: OwnedSemaphorePermit) -> InputClaim {
        self.0.claimed.fetch_add(permit.num_permits(), Ordering::Relaxed);
        InputClaim { of: Some((self.clone(), permit)) }
    }
}

impl InputClaim {
    /// Takes another part in: both are given back together.
    pub(crate) fn join(&mut self, mut other: InputClaim) {
        match (&mut self.of, other.of.take()) {
            (Some((_, permit)), Some((_, more))) => permit.merge(more),
            (none @ None, more) => *none = more,
            (Some(_), None) => {}
        }
    }

    /// Whether it is a part at all.
    pub(crate) fn is_some(&self) -> bool {
        self.of.is_some()
    }

    /// Claims more, if there is room now: who has a part already must not wait for others who do the same.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        if let Some((intake, permit)) = &mut self.of {
            let more = intake.0.room.clone().try_acquire_many_owned(units(bytes)).map_err(|_| Full)?;
            intake.0.claimed.fetch_add(more.num_permits(), Ordering::Relaxed);
            permit.merge(more);
        }
        Ok(())
    }
}

impl Drop for InputClaim {
    fn drop(&mut self) {
        if let Some((intake, permit)) = &self.of {
            intake.0.claimed.fetch_sub(permit.num_permits(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_unfinished_has_a_bound_and_is_given_back() {
        let intake = InputBudget::default();
        let mut claims = Vec::new();
        for _ in 0..8 {
            claims.push(intake.claim(30 * 1024 * 1024).await.expect("room"));
        }
        assert_eq!(intake.claimed(), 240 * 1024 * 1024);
        assert_eq!(intake.claim(30 * 1024 * 1024).await.err(), Some(Full), "one too many waits in vain");
        assert_eq!(claims[0].grow(30 * 1024 * 1024), Err(Full));
        claims[1].grow(16 * 1024 * 1024).expect("room");
        claims.pop();
        claims.push(intake.claim(30 * 1024 * 1024).await.expect("room again"));
        drop(claims);
        assert_eq!(intake.claimed(), 0);
    }
}
