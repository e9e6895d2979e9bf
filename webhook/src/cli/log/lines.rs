//! Lines that wait for the thread that writes them.

use std::io::Write;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How many octets may wait. Lines that find no room are lost: whoever reads the log and stops,
/// or is too slow, must neither hold up a review nor take memory without bound.
const ROOM: usize = 1024 * 1024;

/// So many are written at once, whenever the last were written; a pipe of Linux holds as much.
const BATCH: usize = 64 * 1024;

/// As long as nothing has been written, a line is written at once; those that come sooner than
/// this wait for each other. One system call and two changes of thread for each line would cost as
/// much as the review that it tells of.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the end of the program waits for a reader that has stopped.
const PATIENCE: Duration = Duration::from_secs(5);

type Out = Box<dyn Write + Send>;

/// Takes whole lines, and never waits for who reads them. Cloning shares them.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Inner>);

#[derive(Default)]
struct Inner {
    waiting: Mutex<Waiting>,
    /// For the writer: there are lines, or there will be no more.
    work: Condvar,
    /// For [`Lines::finish`]: all is written.
    finished: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    lost: u64,
    finishing: bool,
    /// Given back by the writer at its end; lines that come yet are written here directly.
    out: Option<Out>,
}

impl Lines {
    /// Starts the writer. `lost` is told, by its thread, how many lines found no room, as soon as
    /// there is room again; what it logs stands where they are missing.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        lost: impl Fn(u64) + Send + 'static,
    ) -> Self {
        let lines = Self::default();
        let inner = Arc::clone(&lines.0);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || inner.write(Box::new(out), lost))
            .expect("the system must have a thread");
        lines
    }

    /// Adds a whole line.
    pub(super) fn write(&self, line: &[u8]) {
        self.0.add(line);
    }

    /// Writes what waits, unless nobody reads it.
    pub(super) fn finish(&self) {
        let mut waiting = self.0.lock();
        waiting.finishing = true;
        self.0.work.notify_one();
        let finished = &self.0.finished;
        drop(finished.wait_timeout_while(waiting, PATIENCE, |waiting| waiting.out.is_none()));
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Whole in any case: nothing that holds it can panic half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if let Some(out) = &mut waiting.out {
            out.write_all(line).ok();
            return;
        }
        let before = waiting.lines.len();
        let after = before + line.len();
        if after > ROOM {
            waiting.lost += 1;
            return;
        }
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        // A system call, so only when the writer waits for it.
        if before == 0 || (before < BATCH && after >= BATCH) {
            self.work.notify_one();
        }
    }

    fn write(&self, mut out: Out, lost: impl Fn(u64)) {
        let mut batch = Vec::new();
        let mut next = Instant::now();
        while let Some(missing) = self.take(&mut batch, next) {
            if missing > 0 {
                lost(missing);
            }
            // Where stderr is closed nobody reads it; that is no reason not to serve.
            out.write_all(&batch).ok();
            batch.clear();
            next = Instant::now() + PAUSE;
        }
        self.lock().out = Some(out);
        self.finished.notify_all();
    }

    /// Waits for lines, but not only until `next` for more of them. Gives how many were lost after
    /// these, and nothing at the end.
    fn take(&self, batch: &mut Vec<u8>, next: Instant) -> Option<u64> {
        let few = |least: usize| {
            move |waiting: &mut Waiting| waiting.lines.len() < least && !waiting.finishing
        };
        let waiting = self.work.wait_while(self.lock(), few(1));
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let pause = next.saturating_duration_since(Instant::now());
        let waited = self.work.wait_timeout_while(waiting, pause, few(BATCH));
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.is_empty() {
            return None;
        }
        mem::swap(batch, &mut waiting.lines);
        Some(mem::take(&mut waiting.lost))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
    use std::thread::JoinHandle;

    use super::*;

    /// As long as the test waits for what must come.
    const SOON: Duration = Duration::from_secs(20);

    /// A pipe that holds nothing: each write waits for its reader.
    struct Pipe(SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let sent = self.0.send(octets.to_owned());
            sent.map_err(io::Error::other)?;
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn started() -> (Lines, Receiver<Vec<u8>>, Receiver<u64>) {
        let (pipe, reader) = sync_channel(0);
        let (losses, lost): (Sender<u64>, _) = channel();
        let tell = move |missing| losses.send(missing).expect("a test that listens");
        (Lines::start(Pipe(pipe), tell), reader, lost)
    }

    fn reading(reader: Receiver<Vec<u8>>) -> JoinHandle<Vec<u8>> {
        thread::spawn(move || reader.iter().flatten().collect())
    }

    #[test]
    fn all_is_written_in_order() {
        let (lines, reader, lost) = started();
        let read = reading(reader);
        for number in 0..2000 {
            // The last are those of tasks that end later than the server.
            if number == 1990 {
                lines.finish();
            }
            let line = format!("{number}\n");
            lines.write(line.as_bytes());
        }
        drop(lines);
        let read = String::from_utf8(read.join().expect("a reader")).expect("text");
        let numbers = read
            .lines()
            .map(|line| line.parse::<i32>().expect("a number"));
        assert!(numbers.eq(0..2000), "{read}");
        assert_eq!(lost.iter().count(), 0);
    }

    #[test]
    fn lines_come_while_the_program_runs() {
        let (lines, reader, _lost) = started();
        for _ in 0..2 {
            lines.write(b"line\n");
            assert_eq!(reader.recv_timeout(SOON).expect("a line"), b"line\n");
        }
    }

    #[test]
    fn a_reader_that_stops_holds_up_nobody() {
        let (lines, reader, lost) = started();
        let line = [b'x'; 1024];
        // As many as may be in a write, as many as may wait, and as many again.
        let sent = 3 * ROOM / line.len();
        for _ in 0..sent {
            lines.write(&line);
        }
        let read = reading(reader);
        lines.finish();
        drop(lines);
        let read = read.join().expect("a reader").len() / line.len();
        let missing: u64 = lost.iter().sum();
        let missing = usize::try_from(missing).expect("few");
        assert_eq!(read + missing, sent);
        assert!(missing >= sent / 3, "{missing}");
    }
}
