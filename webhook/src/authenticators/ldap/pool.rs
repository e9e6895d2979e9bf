//! Connections that are kept open.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::session::Session;

/// How long a connection may be unused: directories and what lies before them close it after
/// minutes, and not all of them say so.
const IDLE: Duration = Duration::from_secs(60);

/// So many connections at once, and those of them that nobody uses.
pub(super) struct Pool {
    permits: Semaphore,
    idle: Mutex<Vec<(Instant, Session)>>,
}

impl Pool {
    pub(super) fn new(connections: NonZeroUsize) -> Self {
        Self {
            permits: Semaphore::new(connections.get().min(Semaphore::MAX_PERMITS)),
            idle: Mutex::default(),
        }
    }

    /// Waits until one more connection may be used.
    pub(super) async fn permit(&self) -> SemaphorePermit<'_> {
        let permit = self.permits.acquire().await;
        permit.expect("the semaphore must never be closed")
    }

    /// The connection that was used last, if there is one that is still good. It comes back only
    /// when it is put back: one that was left in the middle of something does not.
    pub(super) fn take(&self) -> Option<Session> {
        let mut idle = self.lock();
        idle.retain_mut(|(since, session)| since.elapsed() < IDLE && !session.is_closed());
        idle.pop().map(|(_, session)| session)
    }

    pub(super) fn put(&self, session: Session) {
        self.lock().push((Instant::now(), session));
    }

    /// Closes those that nobody uses.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, Session)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
