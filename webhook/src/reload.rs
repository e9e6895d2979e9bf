//! Files that are read again when their content changes.
//!
//! They are looked at in an interval and compared by what is in them. That sees every way in which
//! a file is replaced: written in place, renamed over, a symbolic link on its path exchanged, as
//! the kubelet does with `..data` for a mounted Secret (`kubernetes/pkg/volume/util/atomic_writer.go`,
//! v1.37.2), and on every file system. Notifications by the kernel are tied to the file or folder
//! that was there when one asked for them, and miss some of these. The kubelet itself takes a
//! minute to bring a changed Secret to its Pods: a second more is not felt.

use std::error::Error;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
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
    /// What was to be reloaded, in a word or two: `certificate`, `client CA`, `token_file`.
    pub what: &'static str,
    /// Nothing, if the new content is in use; otherwise why the old is kept.
    pub outcome: Result<(), Box<dyn Error + Send + Sync>>,
}

/// Files that belong together, and which content of theirs was taken last.
#[derive(Debug)]
pub struct Watched {
    paths: Arc<[PathBuf]>,
    interval: Duration,
    // Keyed by this value's own keys, so that nothing is kept of what may be a key or a token.
    hasher: RandomState,
    taken: u64,
    last: u64,
}

/// The content of each file, in the order of the paths.
pub type Contents = Vec<Vec<u8>>;

impl Watched {
    /// Reads the files, and remembers what was in them. Only regular files are read: others cannot
    /// be read twice.
    pub fn open(paths: Vec<PathBuf>) -> Result<(Self, Contents), ReadError> {
        let mut watched = Self {
            paths: paths.into(),
            interval: INTERVAL,
            hasher: RandomState::new(),
            taken: 0,
            last: 0,
        };
        let contents = read(&watched.paths);
        watched.taken = watched.fingerprint(&contents);
        contents.map(|contents| (watched, contents))
    }

    /// How often to look. Default [`INTERVAL`], at least a millisecond.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Waits until the files are not what they were when this, or [`open`](Self::open), last gave
    /// them, and gives what they are now; or the first that cannot be read.
    ///
    /// A change is given when two looks in a row see the same: files that are written one after
    /// the other, or slowly, are not taken half.
    pub async fn changed(&mut self) -> Result<Contents, ReadError> {
        let mut clock = interval_at(Instant::now() + self.interval, self.interval);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let contents = self.look().await;
            if self.is_news(self.fingerprint(&contents)) {
                return contents;
            }
        }
    }

    /// Gives each change to `take` and tells `report` what became of it. Never ends: spawn it, or
    /// drop it.
    ///
    /// `take` keeps what it has when it returns an error.
    pub async fn reload<E: Into<Box<dyn Error + Send + Sync>>>(
        mut self,
        what: &'static str,
        mut take: impl FnMut(Contents) -> Result<(), E>,
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
        let paths = Arc::clone(&self.paths);
        match tokio::task::spawn_blocking(move || read(&paths)).await {
            Ok(contents) => contents,
            // The runtime ends, and this with it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether what was seen is to be taken: it is not what was taken last, and has settled.
    fn is_news(&mut self, seen: u64) -> bool {
        let settled = std::mem::replace(&mut self.last, seen) == seen;
        settled && std::mem::replace(&mut self.taken, seen) != seen
    }

    fn fingerprint(&self, contents: &Result<Contents, ReadError>) -> u64 {
        let identity = contents
            .as_ref()
            .map_err(|error| (&error.path, error.source.kind()));
        self.hasher.hash_one(identity)
    }
}

fn read(paths: &[PathBuf]) -> Result<Contents, ReadError> {
    let read = |path: &PathBuf| {
        // A pipe is empty the second time, or blocks for ever.
        let readable = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => fs::read(path),
            Ok(_) => Err(io::Error::other("it is not a regular file")),
            Err(error) => Err(error),
        };
        readable.map_err(|source| ReadError {
            path: path.clone(),
            source,
        })
    };
    paths.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tempfile::TempDir;
    use tokio::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[rstest]
    #[case::the_same(&[0, 0, 0], &[])]
    #[case::another(&[0, 1, 1, 1], &[2])]
    #[case::half_written(&[1, 2, 3, 3], &[3])]
    #[case::there_and_back(&[1, 0, 1, 0, 0], &[])]
    #[case::two_changes(&[1, 1, 2, 2, 1, 1], &[1, 3, 5])]
    fn a_change_is_taken_once_when_it_has_settled(#[case] looks: &[u64], #[case] taken: &[usize]) {
        let (mut watched, _) = Watched::open(Vec::new()).expect("nothing to read");
        (watched.taken, watched.last) = (0, 0);
        let news = |(at, seen): (usize, &u64)| watched.is_news(*seen).then_some(at);
        let news: Vec<_> = looks.iter().enumerate().filter_map(news).collect();
        assert_eq!(news, taken);
    }

    /// A folder with the files `a` and `b`, and a watch on them.
    fn watched() -> (TempDir, Watched) {
        let dir = TempDir::new().expect("a folder");
        let paths = ["a", "b"].map(|name| dir.path().join(name));
        for path in &paths {
            fs::write(path, "old").expect("written");
        }
        let (watched, contents) = Watched::open(paths.to_vec()).expect("readable");
        assert_eq!(contents, [b"old", b"old"]);
        (dir, watched.with_interval(Duration::from_millis(1)))
    }

    async fn next(watched: &mut Watched) -> Result<Vec<Vec<u8>>, ReadError> {
        let changed = tokio::time::timeout(PATIENCE, watched.changed());
        changed.await.expect("a change")
    }

    #[tokio::test]
    async fn all_are_given_when_one_changes() {
        let (dir, mut watched) = watched();
        fs::write(dir.path().join("b"), "new").expect("written");
        let contents = next(&mut watched).await.expect("readable");
        assert_eq!(contents, [b"old", b"new"]);
        // Renamed over, with the same length.
        fs::write(dir.path().join("c"), "two").expect("written");
        fs::rename(dir.path().join("c"), dir.path().join("a")).expect("renamed");
        let contents = next(&mut watched).await.expect("readable");
        assert_eq!(contents, [b"two", b"new"]);
    }

    #[tokio::test]
    async fn a_file_that_goes_is_told_and_so_is_its_return() {
        let (dir, mut watched) = watched();
        let path = dir.path().join("a");
        fs::remove_file(&path).expect("removed");
        let error = next(&mut watched).await.expect_err("not there");
        assert_eq!(error.path, path);
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
        fs::write(&path, "old").expect("written");
        let contents = next(&mut watched).await.expect("readable");
        assert_eq!(contents, [b"old", b"old"]);
    }

    #[test]
    fn only_regular_files_are_read() {
        let error = Watched::open(vec!["/dev/zero".into()]).expect_err("endless");
        assert_eq!(error.source.to_string(), "it is not a regular file");
    }

    #[tokio::test]
    async fn what_is_not_taken_is_told() {
        let (dir, watched) = watched();
        let (sender, mut events) = mpsc::unbounded_channel();
        let take = |contents: Vec<Vec<u8>>| match &*contents[0] {
            b"good" => Ok(()),
            _ => Err("it is not good"),
        };
        let report = move |event| sender.send(event).expect("a test");
        let reloading = tokio::spawn(watched.reload("thing", take, report));
        for (content, outcome) in [("bad", Err("it is not good")), ("good", Ok(()))] {
            fs::write(dir.path().join("a"), content).expect("written");
            let event = tokio::time::timeout(PATIENCE, events.recv());
            let event = event.await.expect("an event").expect("it must be running");
            assert_eq!(event.what, "thing");
            assert_eq!(
                event.outcome.map_err(|error| error.to_string()),
                outcome.map_err(str::to_owned)
            );
        }
        reloading.abort();
    }
}
