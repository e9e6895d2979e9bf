//! The end of a lab, from outside.

use std::convert::Infallible;
use std::fs::File;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Found, LOCK, Registry, RegistryError, Standing, is_at, is_held};
use crate::named::client::Client;
use crate::named::name::LabName;
use crate::named::protocol::Request;
use crate::owner::Life;
use crate::wait::{Poll, Probe, WaitError, until};

/// A supervisor that is well answers at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// A supervisor lets etcd and kube-apiserver end by themselves, ten seconds each, or removes a
/// cluster. One that takes longer than this is killed, and its guardian does the rest.
const GRACE: Poll = Poll {
    every: Duration::from_millis(20),
    within: Duration::from_secs(60),
};

/// A guardian ends all there is, three times in four seconds what the container engine keeps, and
/// gives an engine that hangs a minute.
pub(super) const LAST: Poll = Poll {
    within: Duration::from_secs(90),
    ..GRACE
};

impl Registry {
    /// Ends a lab, however it stands, and returns when nothing of it is left.
    ///
    /// Its supervisor is asked, by a signal where it does not answer: it may be of another version,
    /// or be starting the lab. What does not end in a minute is killed.
    pub async fn end(&self, found: &Found) -> Result<(), RegistryError> {
        if !found.standing.is_held() {
            return self.tidy(found).await;
        }
        let Some(lock) = self.open(&found.name)? else {
            return Ok(());
        };
        let asked = match Client::to(found.clone()) {
            Ok(client) => {
                let order = client.order(&Request::Stop);
                matches!(tokio::time::timeout(PATIENCE, order).await, Ok(Ok(())))
            }
            Err(_not_ready) => false,
        };
        if !asked {
            if found.remains.owner.is_none() {
                let why = "this version cannot read who its supervisor is".to_owned();
                return Err(self.owned(&found.name, why));
            }
            signal(found, Signal::SIGTERM);
        }
        if released(&lock, GRACE).await.is_err() {
            signal(found, Signal::SIGKILL);
            released(&lock, LAST)
                .await
                .map_err(|_| not_gone(&found.name))?;
        }
        // One that was killed together with its guardian left all of it.
        if is_at(&lock, &self.of(&found.name).join(LOCK)) {
            drop(lock);
            return self.tidy(found).await;
        }
        Ok(())
    }

    /// Waits until the guardian, too, of a lab has ended.
    pub(super) async fn gone(&self, found: &Found) -> Result<(), RegistryError> {
        let look = async || match self.find(&found.name) {
            Ok(Some(now)) if now.standing == Standing::Ending => Probe::NotYet("it ends".into()),
            // Its name is free, or another's.
            Ok(_) => Probe::Ready(()),
            Err(error) => Probe::Fatal(error),
        };
        let gone = until("the lab has ended", LAST, look).await;
        gone.map_err(|error| match error {
            WaitError::Fatal(error) => error,
            WaitError::TimedOut { .. } => not_gone(&found.name),
        })
    }

    pub(super) fn owned(&self, name: &LabName, why: String) -> RegistryError {
        RegistryError::Owned {
            name: name.clone(),
            why,
            entry: self.of(name),
        }
    }
}

pub(super) fn not_gone(name: &LabName) -> RegistryError {
    RegistryError::NotGone {
        name: name.clone(),
        waited: LAST.within,
    }
}

/// Waits until nobody holds the lock: whoever does, the guardian included, ends something yet.
async fn released(lock: &File, poll: Poll) -> Result<(), WaitError<Infallible>> {
    let free = async || match is_held(lock) {
        Ok(true) => Probe::NotYet("its lock is held".into()),
        Ok(false) | Err(_) => Probe::Ready(()),
    };
    until("the lab has ended", poll, free).await
}

/// Signals the supervisor, if it is the one that is written down.
fn signal(found: &Found, signal: Signal) {
    if let Some(owner) = &found.remains.owner
        && owner.life() == Life::Lives
        && let Ok(pid) = i32::try_from(owner.pid)
    {
        // It may have ended by now.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}
