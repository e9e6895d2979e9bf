//! What is under way, how far it is and how long it takes, on the standard error output.
//!
//! On a terminal: a spinner or a bar, replaced at its end by a line with a mark. In a pipe or a file:
//! plain lines, few enough for a log. Colour only on a terminal, and not with `NO_COLOR`.
//! Everything goes to the raw error output, so that it shows under libtest's capture too.

mod step;
mod unit;

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

use self::step::{Mark, Step};
pub use self::unit::Unit;
use self::unit::{elapsed, style};

/// In a pipe, a step that lasts longer than this says that it has begun, and a bar speaks no more
/// often than this.
const PATIENCE: Duration = Duration::from_secs(2);
/// In a pipe, a bar says where it is at most this often…
const EVERY: Duration = Duration::from_secs(10);
/// …unless it has moved by this part of the whole (one in …).
const PART: u64 = 10;

const TICK: Duration = Duration::from_millis(100);

/// A place to show progress. Clones share it.
#[derive(Clone, Debug)]
pub struct Progress {
    output: Output,
    patience: Duration,
    brief: bool,
}

#[derive(Clone)]
enum Output {
    Hidden,
    Plain(Arc<Mutex<dyn io::Write + Send>>),
    Terminal(MultiProgress),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => "Hidden",
            Self::Plain(_) => "Plain",
            Self::Terminal(_) => "Terminal",
        })
    }
}

impl Progress {
    /// Shows it on the standard error output.
    pub fn stderr() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let output = if io::stderr().is_terminal() && !dumb {
            Output::Terminal(MultiProgress::with_draw_target(ProgressDrawTarget::stderr()))
        } else {
            Output::Plain(Arc::new(Mutex::new(io::stderr())))
        };
        Self {
            output,
            patience: PATIENCE,
            brief: false,
        }
    }

    /// Shows nothing.
    pub const fn hidden() -> Self {
        Self {
            output: Output::Hidden,
            patience: PATIENCE,
            brief: false,
        }
    }

    /// Has a step that succeeded leave no line: for a caller that tells of it by itself.
    #[must_use]
    pub fn brief(mut self) -> Self {
        self.brief = true;
        self
    }

    /// Shows that `work` is under way, and marks the line by its result: `✓ title (1.2 s)`.
    /// When the future is dropped, the line says so.
    pub async fn step<T, E>(
        &self,
        title: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let step = Step::new(self, self.spinner(title), title);
        let mut work = std::pin::pin!(work);
        let result = if let Ok(result) = tokio::time::timeout(self.patience, &mut work).await {
            result
        } else {
            self.plain(&format!("… {title}"));
            work.await
        };
        match &result {
            Ok(_) if self.brief => step.vanish(),
            Ok(_) => step.end(Mark::Done),
            Err(_) => step.end(Mark::Failed),
        }
        result
    }

    /// A bar over `total` units; with 0 the total is not known yet.
    pub fn bar(&self, title: &str, total: u64, unit: Unit) -> Bar {
        let bar = if let Output::Terminal(terminal) = &self.output {
            let bar = terminal.add(ProgressBar::new(total));
            bar.set_style(unit.style(total));
            bar.set_prefix(title.to_owned());
            bar.enable_steady_tick(TICK);
            bar
        } else {
            ProgressBar::hidden()
        };
        self.plain(&format!("… {title}"));
        let told = Mutex::new(Told {
            total,
            position: 0,
            at: Instant::now(),
        });
        Bar {
            step: Step::new(self, bar, title),
            unit,
            told,
        }
    }

    /// A line between the others.
    pub fn note(&self, text: &str) {
        self.plain(text);
        if let Output::Terminal(terminal) = &self.output {
            // As with all lines here: an error output that is gone is no reason to stop working.
            let _ = terminal.println(text);
        }
    }

    fn spinner(&self, title: &str) -> ProgressBar {
        let Output::Terminal(terminal) = &self.output else {
            return ProgressBar::hidden();
        };
        let bar = terminal.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner} {prefix} {elapsed} {wide_msg}"));
        bar.set_prefix(title.to_owned());
        bar.enable_steady_tick(TICK);
        bar
    }

    fn plain(&self, line: &str) {
        if let Output::Plain(writer) = &self.output {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(writer, "{line}");
        }
    }
}

/// How far something is. Dropping it without [`finish`](Self::finish) marks it as failed.
#[derive(Debug)]
pub struct Bar {
    step: Step,
    unit: Unit,
    told: Mutex<Told>,
}

/// What a pipe was last told.
#[derive(Debug)]
struct Told {
    total: u64,
    position: u64,
    at: Instant,
}

impl Bar {
    /// Sets the whole, once it is known.
    pub fn set_total(&self, total: u64) {
        self.step.bar.set_length(total);
        self.step.bar.set_style(self.unit.style(total));
        self.told().total = total;
    }

    /// Sets how many units are done.
    pub fn set(&self, position: u64) {
        self.step.bar.set_position(position);
        let mut told = self.told();
        let part = told.total / PART;
        let moved =
            part > 0 && position >= told.position.saturating_add(part) && position < told.total;
        let moved = moved && told.at.elapsed() >= self.step.progress.patience;
        if moved || told.at.elapsed() >= EVERY {
            (told.position, told.at) = (position, Instant::now());
            let count = self.unit.count(position, told.total);
            let Step {
                title,
                begun,
                progress,
                ..
            } = &self.step;
            progress.plain(&format!("… {title}: {count}, {}", elapsed(begun.elapsed())));
        }
    }

    /// Says what it is at, for example a package; on a terminal only.
    pub fn at(&self, text: &str) {
        self.step.bar.set_message(text.to_owned());
    }

    /// Marks it as done.
    pub fn finish(self) {
        self.step.end(Mark::Done);
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a pipe sees.
    #[derive(Clone, Default)]
    struct Pipe(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("must not be poisoned").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Pipe {
        fn progress(&self) -> Progress {
            Progress {
                output: Output::Plain(Arc::new(Mutex::new(self.clone()))),
                patience: PATIENCE,
                brief: false,
            }
        }

        /// Its lines, without the times.
        fn lines(&self) -> Vec<String> {
            let bytes = self.0.lock().expect("must not be poisoned");
            let text = String::from_utf8(bytes.clone()).expect("must be UTF-8");
            text.lines()
                .map(|line| line.replace("0.0 s", "[time]"))
                .collect()
        }
    }

    #[tokio::test]
    async fn a_step_is_marked_by_its_result() {
        let pipe = Pipe::default();
        let progress = pipe.progress();
        assert_eq!(progress.step("good", async { Ok::<_, ()>(3) }).await, Ok(3));
        assert_eq!(
            progress.step("bad", async { Err::<(), _>(4) }).await,
            Err(4)
        );
        assert_eq!(pipe.lines(), ["✓ good ([time])", "✗ bad ([time])"]);
    }

    #[tokio::test]
    async fn a_brief_one_tells_of_failures_alone() {
        let pipe = Pipe::default();
        let progress = pipe.progress().brief();
        assert_eq!(progress.step("good", async { Ok::<_, ()>(3) }).await, Ok(3));
        let bad = progress.step("bad", async { Err::<(), _>(4) }).await;
        assert_eq!(bad, Err(4));
        assert_eq!(pipe.lines(), ["✗ bad ([time])"]);
    }

    #[tokio::test]
    async fn a_long_step_says_that_it_has_begun_and_a_dropped_one_that_it_is_not_finished() {
        let pipe = Pipe::default();
        let progress = Progress {
            patience: Duration::ZERO,
            ..pipe.progress()
        };
        let mut work = Box::pin(progress.step("slow", std::future::pending::<Result<(), ()>>()));
        while pipe.lines().is_empty() {
            assert!(futures::poll!(&mut work).is_pending());
            tokio::task::yield_now().await;
        }
        drop(work);
        assert_eq!(pipe.lines(), ["… slow", "✗ slow ([time], not finished)"]);
    }

    #[test]
    fn a_bar_tells_a_pipe_each_tenth() {
        let pipe = Pipe::default();
        let progress = Progress {
            patience: Duration::ZERO,
            ..pipe.progress()
        };
        let bar = progress.bar("build", 0, Unit::Packages);
        bar.set_total(1000);
        (1..=1000).for_each(|position| bar.set(position));
        bar.finish();
        let lines = pipe.lines();
        assert_eq!(lines.len(), 11, "{lines:#?}");
        assert_eq!(lines[0], "… build");
        assert_eq!(lines[1], "… build: 10 %, 100 of 1000 packages, [time]");
        assert_eq!(lines[9], "… build: 90 %, 900 of 1000 packages, [time]");
        assert_eq!(lines[10], "✓ build ([time])");
    }

    #[test]
    fn a_fast_bar_tells_a_pipe_its_beginning_and_its_end() {
        let pipe = Pipe::default();
        let bar = pipe.progress().bar("download", 100, Unit::Bytes);
        (1..=100).for_each(|position| bar.set(position));
        bar.finish();
        assert_eq!(pipe.lines(), ["… download", "✓ download ([time])"]);
    }

    #[test]
    fn a_dropped_bar_is_marked_as_failed() {
        let pipe = Pipe::default();
        drop(pipe.progress().bar("download", 10, Unit::Bytes));
        assert_eq!(
            pipe.lines(),
            ["… download", "✗ download ([time], not finished)"]
        );
    }
}
