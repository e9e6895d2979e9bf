//! Files that are read again when their content changes.
//!
//! They are looked at in an interval and compared by what is in them. That sees every way in which
//! a file is replaced: written in place, renamed over, a symbolic link on its path exchanged, as
//! the kubelet does with `..data` for a mounted Secret (`kubernetes/pkg/volume/util/atomic_writer.go`,
//! v1.37.2), and on every file system. Notifications by the kernel are tied to the file or folder
//! that was there when one asked for them, and miss some of these. The kubelet itself takes a
//! minute to bring a changed Secret to its Pods: a second more is not felt.

use std::error::Error;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often files are looked at: each second.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`", path.display())]
pub struct ReadError {
    /// Where it should be.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// What became of a change.
#[derive(Debug)]
pub struct ReloadEvent {
    /// What was to be reloaded, in a word or two: `certificate`, `token file`.
    pub what: &'static str,
    /// Nothing, if the new content is in use; otherwise why the old is kept.
    pub outcome: Result<(), Box<dyn Error + Send + Sync>>,
}

/// Files that belong together, and which content of theirs was taken last.
#[derive(Debug)]
pub struct Watched {
    paths: Vec<PathBuf>,
    interval: Duration,
    // Keyed by this value's own keys, so that nothing is kept of what may be a key or a token.
    hasher: RandomState,
    taken: u64,
}

/// The content of each file, in the order of the paths.
type Contents = Vec<Vec<u8>>;

impl Watched {
    /// Reads the files, and remembers what was in them.
    pub fn open(paths: Vec<PathBuf>) -> Result<(Self, Vec<Vec<u8>>), ReadError> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| ReadError {
                path: path.clone(),
                source,
            })
        };
        let contents = paths.iter().map(read).collect::<Result<_, _>>()?;
        let mut watched = Self {
            paths,
            interval: INTERVAL,
            hasher: RandomState::new(),
            taken: 0,
        };
        let contents = Ok(contents);
        watched.taken = watched.fingerprint(&contents);
        contents.map(|contents| (watched, contents))
    }

    /// How often to look. Default [`INTERVAL`].
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Waits until the files are not what they were when this, or [`open`](Self::open), last gave
    /// them, and gives what they are now; or the first that cannot be read.
    ///
    /// A change is given when two looks in a row see the same: files that are written one after
    /// the other, or slowly, are not taken half.
    pub async fn changed(&mut self) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut clock = interval_at(Instant::now() + self.interval, self.interval);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = self.taken;
        loop {
            clock.tick().await;
            let contents = self.look().await;
            let seen = self.fingerprint(&contents);
            if seen != self.taken && seen == last {
                self.taken = seen;
                return contents;
            }
            last = seen;
        }
    }

    /// Gives each change to `take` and tells `report` what became of it. Never ends: spawn it, or
    /// drop it.
    ///
    /// `take` keeps what it has when it returns an error.
    pub async fn reload<E: Into<Box<dyn Error + Send + Sync>>>(
        mut self,
        what: &'static str,
        mut take: impl FnMut(Vec<Vec<u8>>) -> Result<(), E>,
        report: impl Fn(ReloadEvent),
    ) {
        loop {
            let outcome = match self.changed().await {
                Ok(contents) => take(contents).map_err(Into::into),
                Err(error) => Err(error.into()),
            };
            report(ReloadEvent { what, outcome });
        }
    }

    async fn look(&self) -> Result<Contents, ReadError> {
        let mut contents = Vec::with_capacity(self.paths.len());
        for path in &self.paths {
            let read = tokio::fs::read(path).await;
            contents.push(read.map_err(|source| ReadError {
                path: path.clone(),
                source,
            })?);
        }
        Ok(contents)
    }

    fn fingerprint(&self, contents: &Result<Contents, ReadError>) -> u64 {
        let identity = contents
            .as_ref()
            .map_err(|error| (&error.path, error.source.kind()));
        self.hasher.hash_one(identity)
    }
}
