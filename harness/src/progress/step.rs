//! One line about one thing.

use std::io;
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;

use super::unit::elapsed;
use super::{Output, Progress};

/// How something ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    Done,
    Failed,
    Dropped,
}

/// Something under way: ends with one line, or with none where a success is told elsewhere.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) progress: Progress,
    pub(super) bar: ProgressBar,
    pub(super) title: String,
    pub(super) begun: Instant,
    ended: bool,
}

impl Step {
    pub(super) fn new(progress: &Progress, bar: ProgressBar, title: &str) -> Self {
        Self {
            progress: progress.clone(),
            bar,
            title: title.to_owned(),
            begun: Instant::now(),
            ended: false,
        }
    }

    pub(super) fn end(mut self, mark: Mark) {
        self.mark(mark);
    }

    pub(super) fn vanish(mut self) {
        self.ended = true;
        self.bar.finish_and_clear();
        if let Output::Terminal(terminal) = &self.progress.output {
            terminal.remove(&self.bar);
        }
    }

    fn mark(&mut self, mark: Mark) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.bar.finish_and_clear();
        let (sign, color, note) = match mark {
            Mark::Done => ("✓", AnsiColor::Green, ""),
            Mark::Failed => ("✗", AnsiColor::Red, ""),
            Mark::Dropped => ("✗", AnsiColor::Red, ", not finished"),
        };
        let text = format!("{} ({}{note})", self.title, elapsed(self.begun.elapsed()));
        match &self.progress.output {
            Output::Hidden => {}
            Output::Plain(_) => self.progress.plain(&format!("{sign} {text}")),
            Output::Terminal(terminal) => {
                terminal.remove(&self.bar);
                let colors =
                    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
                let style = if colors {
                    color.on_default()
                } else {
                    Style::new()
                };
                let _ = terminal.println(format!("{style}{sign}{style:#} {text}"));
            }
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.mark(Mark::Dropped);
    }
}
