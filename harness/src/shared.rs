//! One control plane for many tests.
//!
//! A control plane takes two seconds to start, so a hundred tests cannot each have one. They
//! share it, and stay apart by their tokens: the webhook is [scripted](Scripted) by token.
//! Tests that need other flags share another plane. Each is started once in a process, by
//! whichever test asks first, and ends with the process, by the guardian: libtest has no hook
//! at its exit. Under a runner with a process for each test, each gets a plane of its own.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{LazyLock, Mutex, PoisonError};

use tokenlab_webhook::ApiVersion;
use tokio::sync::{OnceCell, Semaphore};

use crate::assets::{Wanted, chain};
use crate::lab::{Lab, LabError};
use crate::progress::Progress;
use crate::scripted::Scripted;

/// What tells one shared lab from another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SharedConfig {
    /// The version of Kubernetes.
    pub kubernetes: Wanted,
    /// The version of TokenReview that the apiserver is told to speak.
    pub webhook_version: Option<ApiVersion>,
    /// Flags of kube-apiserver that replace the lab's own.
    pub flags: Vec<(&'static str, String)>,
}

/// A test's hold on a shared lab. Dropped by a panic, it has the run folder kept; a test that
/// fails by returning an error runs in [`run`](Self::run).
#[derive(Debug)]
pub struct SharedLab {
    lab: &'static Started,
}

#[derive(Debug)]
struct Started {
    lab: Lab,
    scripted: Scripted,
}

type Slot = &'static OnceCell<Result<Started, String>>;
static LABS: LazyLock<Mutex<HashMap<SharedConfig, Slot>>> = LazyLock::new(Mutex::default);

/// Two cores start two planes in the time of one; a third would slow all of them.
static STARTS: Semaphore = Semaphore::const_new(2);

impl SharedLab {
    /// The shared lab with this configuration, started when nobody has asked for it before.
    ///
    /// # Panics
    /// When it cannot be started: with the whole error, for every test that asks.
    pub async fn get(config: SharedConfig) -> Self {
        let slot: Slot = {
            let mut labs = LABS.lock().unwrap_or_else(PoisonError::into_inner);
            labs.entry(config.clone())
                .or_insert_with(|| Box::leak(Box::default()))
        };
        let started = slot.get_or_init(|| async {
            let _turn = STARTS.acquire().await;
            Started::start(config).await.map_err(|error| report(&error))
        });
        match started.await {
            Ok(lab) => Self { lab },
            Err(report) => panic!("the shared lab must start: {report}"),
        }
    }

    /// Runs a test that may return an error: then, as after a panic, the run folder is kept.
    pub async fn run<T, E>(self, test: impl AsyncFnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        let outcome = test(&self).await;
        if outcome.is_err() {
            self.keep();
        }
        outcome
    }

    /// The webhook's script and record.
    pub fn scripted(&self) -> &Scripted {
        &self.lab.scripted
    }
}

impl Deref for SharedLab {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab.lab
    }
}

impl Drop for SharedLab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.lab.lab.keep();
        }
    }
}

impl Started {
    async fn start(config: SharedConfig) -> Result<Self, LabError> {
        let scripted = Scripted::new();
        let mut builder = Lab::builder()
            .kubernetes(config.kubernetes)
            .webhook(scripted.clone())
            .progress(Progress::stderr());
        if let Some(version) = config.webhook_version {
            builder = builder.webhook_version(version);
        }
        for (name, value) in config.flags {
            builder = builder.flag(name, value);
        }
        let lab = builder.start().await?;
        Ok(Self { lab, scripted })
    }
}

/// An error with its causes and the advice.
fn report(error: &LabError) -> String {
    let text = chain(error);
    match error.hint() {
        Some(hint) => format!("{text}\n\nhint: {hint}"),
        None => text,
    }
}
