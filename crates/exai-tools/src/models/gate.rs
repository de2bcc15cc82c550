//! How many requests to one provider are under way: as many as `max_concurrency` says, also after it has changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The gate of one provider.
#[derive(Debug)]
pub(crate) struct Gate {
    semaphore: Arc<Semaphore>,
    size: Mutex<Size>,
}

#[derive(Debug)]
struct Size {
    /// How many permits there are, free or taken.
    permits: usize,
    /// How many there should be.
    wanted: usize,
}

/// A place behind the gate. It becomes free when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    gate: Arc<Gate>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// A gate for so many at once.
    pub(crate) fn new(wanted: usize) -> Arc<Gate> {
        let size = Mutex::new(Size { permits: wanted, wanted });
        Arc::new(Gate { semaphore: Arc::new(Semaphore::new(wanted)), size })
    }

    /// From now on so many may pass at once. Those that are behind the gate already stay there.
    pub(crate) fn resize(&self, wanted: usize) {
        let mut size = self.size();
        size.wanted = wanted;
        if wanted > size.permits {
            self.semaphore.add_permits(wanted - size.permits);
            size.permits = wanted;
        } else {
            size.permits -= self.semaphore.forget_permits(size.permits - wanted);
        }
    }

    /// Waits for a place, first come, first served. The error is how long it has waited in vain.
    pub(crate) async fn enter(self: &Arc<Gate>, timeout: Duration) -> Result<Place, Duration> {
        let start = Instant::now();
        match tokio::time::timeout(timeout, Arc::clone(&self.semaphore).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place { gate: Arc::clone(self), permit: Some(permit) }),
            Ok(Err(_)) | Err(_) => Err(start.elapsed()),
        }
    }

    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut size = self.gate.size();
        if size.permits > size.wanted {
            // The gate has become narrower meanwhile: this place goes.
            self.permit.take().into_iter().for_each(OwnedSemaphorePermit::forget);
            size.permits -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn enter(gate: &Arc<Gate>) -> Option<Place> {
        gate.enter(Duration::from_secs(1)).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_follows_its_size() {
        let gate = Gate::new(2);
        let first = enter(&gate).await.unwrap();
        let second = enter(&gate).await.unwrap();
        assert!(enter(&gate).await.is_none());
        gate.resize(3);
        let third = enter(&gate).await.unwrap();
        gate.resize(1);
        drop((first, second));
        assert!(enter(&gate).await.is_none(), "the third is still there");
        drop(third);
        let only = enter(&gate).await.unwrap();
        assert!(enter(&gate).await.is_none());
        drop(only);
        gate.resize(2);
        let places = [enter(&gate).await.unwrap(), enter(&gate).await.unwrap()];
        assert!(enter(&gate).await.is_none());
        drop(places);
        assert!(enter(&gate).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_takes_no_place() {
        let gate = Gate::new(1);
        let place = enter(&gate).await.unwrap();
        let waiting = gate.enter(Duration::from_mins(1));
        assert!(tokio::time::timeout(Duration::from_secs(1), waiting).await.is_err());
        drop(place);
        assert!(enter(&gate).await.is_some());
    }
}
