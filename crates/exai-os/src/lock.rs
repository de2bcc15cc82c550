//! The locks that decide which process is the daemon and which may start one.
//!
//! The kernel frees such a lock when its holder dies, however it dies; the file itself says nothing and
//! is never deleted, for a lock on a deleted file guards nothing.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::sys;

/// An exclusive lock, held until this value is dropped or the process ends. Children do not inherit it.
#[derive(Debug)]
pub struct HeldLock {
    file: File,
    path: PathBuf,
}

impl HeldLock {
    /// The file this lock is on.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to the file we hold the lock on. `false` means that the file was deleted or
    /// replaced, and that another process could now take "the same" lock.
    pub fn still_named(&self) -> io::Result<bool> {
        sys::lock::same_file(&self.file, &self.path)
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        // Closing alone would leave the lock with a child that was forked but has not yet executed.
        let _ = self.file.unlock();
    }
}

/// Takes the lock if it is free; `None` when another process holds it. The file is created (mode 0600) where it is
/// missing, never truncated and never opened through a link.
pub fn try_lock(path: &Path) -> io::Result<Option<HeldLock>> {
    let file = sys::lock::open_or_create(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(HeldLock { file, path: path.to_owned() })),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Takes the lock, waiting for it until `deadline`; `None` when it was still held then.
///
/// No operating system offers a file lock with a deadline, so this asks again in growing, jittered
/// steps (2 to 50 ms).
pub fn lock_until(path: &Path, deadline: Instant) -> io::Result<Option<HeldLock>> {
    let jitter = RandomState::new();
    let mut step_us: u64 = 2_000;
    for attempt in 0_u64.. {
        if let Some(held) = try_lock(path)? {
            return Ok(Some(held));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let pause = step_us / 2 + jitter.hash_one(attempt) % step_us;
        std::thread::sleep(Duration::from_micros(pause).min(left));
        step_us = (step_us * 3 / 2).min(33_000);
    }
    Ok(None)
}

/// Whether some process holds the lock. A missing file is a free lock, and stays missing.
///
/// This takes the lock as a reader for an instant. Readers do not see each other, but a process that takes the lock
/// at that very moment has to try again.
pub fn is_held(path: &Path) -> io::Result<bool> {
    let file = match sys::lock::open_existing(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => {
            // Where this fails (Wine), closing releases the lock: only Unix has forked children that would keep it.
            let _ = file.unlock();
            Ok(false)
        }
        Err(std::fs::TryLockError::WouldBlock) => Ok(true),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// The process that holds the lock, as the kernel tells; `None` when the lock is free or the system does not tell
/// (anything but Linux; a process in another pid namespace).
///
/// Lists all locks of the machine: use it for reports, not for every check.
pub fn holder(path: &Path) -> io::Result<Option<u32>> {
    sys::lock::holder(path)
}

/// The outcome of [`claim_name`].
#[derive(Debug)]
pub enum Claim {
    /// The name is ours until this value is dropped.
    Ours(NameClaim),
    /// Another process of this user has claimed this home: a daemon lives although the lock file was free, so its
    /// directory was deleted.
    TakenByThisUser,
    /// This system has no such name (macOS), or others keep all of them occupied.
    Unsupported,
}

/// A claim on a home that does not live in the file system; see [`claim_name`].
#[derive(Debug)]
pub struct NameClaim(pub(crate) sys::lock::Claimed);

/// Claims `home` in a namespace of the kernel, as a second authority that survives the deletion of the
/// directory: an abstract socket on Linux (per network namespace), a named mutex on Windows.
///
/// `home` must exist, since its canonical path is what is claimed.
pub fn claim_name(home: &Path) -> io::Result<Claim> {
    sys::lock::claim_name(home)
}

impl NameClaim {
    /// Empties the queue of processes that have checked the claim: on Linux each check waits in the queue of the
    /// socket, and a full queue could not be told from that of a stranger. Call it now and then.
    pub fn forget_questions(&self) {
        sys::lock::forget_questions(&self.0);
    }
}

/// Whether a process of this user has claimed `home`, which need not exist any more. Claims nothing itself.
/// `false` where the system has no such names.
pub fn is_claimed(home: &Path) -> io::Result<bool> {
    sys::lock::is_claimed(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excludes_and_releases() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("instance.lock");
        assert!(!is_held(&path).unwrap());
        assert!(!path.exists(), "asking creates nothing");
        let held = try_lock(&path).unwrap().expect("a free lock");
        assert!(is_held(&path).unwrap());
        assert!(try_lock(&path).unwrap().is_none());
        assert!(lock_until(&path, Instant::now() + Duration::from_millis(20)).unwrap().is_none());
        assert!(held.still_named().unwrap());
        drop(held);
        assert!(!is_held(&path).unwrap());
    }

    #[test]
    fn the_holder_is_named_where_the_system_tells() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("instance.lock");
        assert_eq!(holder(&path).unwrap(), None, "a missing file");
        let held = try_lock(&path).unwrap().expect("a free lock");
        let expected = cfg!(target_os = "linux").then(std::process::id);
        assert_eq!(holder(&path).unwrap(), expected);
        drop(held);
        assert_eq!(holder(&path).unwrap(), None, "a free lock");
    }

    #[test]
    fn waits_for_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spawn.lock");
        let held = try_lock(&path).unwrap().expect("a free lock");
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| lock_until(&path, Instant::now() + Duration::from_secs(10)));
            drop(held);
            assert!(waiter.join().unwrap().unwrap().is_some());
        });
    }

    #[test]
    fn a_deleted_lock_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("instance.lock");
        let held = try_lock(&path).unwrap().expect("a free lock");
        // Windows does not allow an open lock file to be deleted in the first place.
        if std::fs::remove_file(&path).is_ok() {
            assert!(!held.still_named().unwrap());
        }
    }

    #[test]
    fn a_home_is_claimed_once() {
        let dir = tempfile::tempdir().unwrap();
        let Claim::Ours(first) = claim_name(dir.path()).unwrap() else { return };
        assert!(matches!(claim_name(dir.path()).unwrap(), Claim::TakenByThisUser));
        assert!(is_claimed(dir.path()).unwrap());
        first.forget_questions();
        assert!(is_claimed(dir.path()).unwrap());
        let place = dir.path().to_owned();
        drop(dir);
        // Windows does not allow the directory of an open lock file to be removed, so no process claims a directory
        // that is gone.
        assert_eq!(is_claimed(&place).unwrap(), !cfg!(windows), "also when it is gone");
        drop(first);
        assert!(!is_claimed(&place).unwrap());
    }
}
