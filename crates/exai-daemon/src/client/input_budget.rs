//! One budget for all input that is unfinished, or that the hub has not heard yet.
//!
//! Some messages are long, and each is kept whole until it is routed. Without a budget sixty clients that begin messages
//! of 30 MiB each would cost the daemon 1.8 GB, for as long as they like. Short messages claim nothing: the number of
//! connections bounds the memory that they need.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::{MAX_UNFINISHED_BYTES, UNFINISHED_TIMEOUT};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Bytes of one permit: a semaphore has too few permits for one per byte.
const PERMIT_BYTES: usize = 1024;

/// The budget. All clones share it.
#[derive(Debug, Clone)]
pub struct InputBudget(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    room: Arc<Semaphore>,
    /// Permits that are claimed. A claim that still waits for room may hold permits already, and does not count here.
    claimed: AtomicUsize,
}

/// A part of the budget, given back on drop.
#[derive(Debug, Default)]
pub struct InputClaim {
    /// The budget, and the permits that are held; `None` for a claim of nothing.
    held: Option<(InputBudget, OwnedSemaphorePermit)>,
}

/// Yields the thread to other tasks from time to time while a long message is read or written.
#[derive(Debug, Default)]
pub(crate) struct Yielder {
    moved: usize,
}

impl Yielder {
    /// Counts `bytes` as moved, and yields after each MiB.
    pub(crate) async fn yield_after(&mut self, bytes: usize) {
        const YIELD_BYTES: usize = 1024 * 1024;
        self.moved += bytes;
        if self.moved >= YIELD_BYTES {
            self.moved = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// There is no room in the budget, or was none for 30 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

fn permits(bytes: usize) -> u32 {
    bytes.div_ceil(PERMIT_BYTES) as u32
}

impl Default for InputBudget {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(MAX_UNFINISHED_BYTES / PERMIT_BYTES));
        InputBudget(Arc::new(Budget { room, claimed: AtomicUsize::new(0) }))
    }
}

impl InputBudget {
    /// Claims room for `bytes`. Waits up to 30 s for it, first come, first served. Cancel safe.
    pub async fn claim(&self, bytes: usize) -> Result<InputClaim, Full> {
        let permit =
            timeout(UNFINISHED_TIMEOUT, self.0.room.clone().acquire_many_owned(permits(bytes))).await;
        Ok(self.new_claim(permit.map_err(|_| Full)?.map_err(|_| Full)?))
    }

    /// Bytes that are claimed, in steps of one KiB.
    pub(crate) fn claimed_bytes(&self) -> usize {
        self.0.claimed.load(Ordering::Relaxed) * PERMIT_BYTES
    }

    /// Claims room for `bytes` without waiting.
    pub(crate) fn try_claim(&self, bytes: usize) -> Result<InputClaim, Full> {
        let permit = self.0.room.clone().try_acquire_many_owned(permits(bytes)).map_err(|_| Full)?;
        Ok(self.new_claim(permit))
    }

    fn new_claim(&self, permit: OwnedSemaphorePermit) -> InputClaim {
        self.0.claimed.fetch_add(permit.num_permits(), Ordering::Relaxed);
        InputClaim { held: Some((self.clone(), permit)) }
    }
}

impl InputClaim {
    /// Merges another claim into this one: both are given back together.
    pub(crate) fn merge(&mut self, mut other: InputClaim) {
        match (&mut self.held, other.held.take()) {
            (Some((_, permit)), Some((_, more))) => permit.merge(more),
            (none @ None, more) => *none = more,
            (Some(_), None) => {}
        }
    }

    /// Whether the claim holds a part of the budget.
    pub(crate) fn holds_room(&self) -> bool {
        self.held.is_some()
    }

    /// Adds room for `bytes` without waiting: claims that wait for each other's parts would never end.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        if let Some((budget, permit)) = &mut self.held {
            let more = budget.0.room.clone().try_acquire_many_owned(permits(bytes)).map_err(|_| Full)?;
            budget.0.claimed.fetch_add(more.num_permits(), Ordering::Relaxed);
            permit.merge(more);
        }
        Ok(())
    }
}

impl Drop for InputClaim {
    fn drop(&mut self) {
        if let Some((budget, permit)) = &self.held {
            budget.0.claimed.fetch_sub(permit.num_permits(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_unfinished_has_a_bound_and_is_given_back() {
        let budget = InputBudget::default();
        let mut claims = Vec::new();
        for _ in 0..8 {
            claims.push(budget.claim(30 * 1024 * 1024).await.expect("room"));
        }
        assert_eq!(budget.claimed_bytes(), 240 * 1024 * 1024);
        assert_eq!(budget.claim(30 * 1024 * 1024).await.err(), Some(Full), "one too many waits in vain");
        assert_eq!(claims[0].grow(30 * 1024 * 1024), Err(Full));
        claims[1].grow(16 * 1024 * 1024).expect("room");
        claims.pop();
        claims.push(budget.claim(30 * 1024 * 1024).await.expect("room again"));
        drop(claims);
        assert_eq!(budget.claimed_bytes(), 0);
    }
}
