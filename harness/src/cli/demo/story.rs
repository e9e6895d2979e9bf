//! The story that the demo tells: for people as it happens, for scripts at its end.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use serde::Serialize;

const UNWRITABLE: &str = "cannot write to the standard output";
const MARK: Style = AnsiColor::Green.on_default().bold();
const FAILED: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// Steps as they end, each with the time since the one before it.
pub(super) struct Story {
    json: bool,
    verbose: bool,
    began: Instant,
    step: (&'static str, Instant),
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    name: &'static str,
    said: String,
    commands: Vec<String>,
    seconds: f64,
}

#[derive(Serialize)]
struct Whole<'a, R> {
    #[serde(flatten)]
    report: &'a R,
    steps: &'a [Step],
    seconds: f64,
}

impl Story {
    pub(super) fn new(json: bool, verbose: bool) -> Self {
        let now = Instant::now();
        Self {
            json,
            verbose,
            began: now,
            step: ("", now),
            steps: Vec::new(),
        }
    }

    /// A step begins; its name is for scripts.
    pub(super) fn begin(&mut self, name: &'static str) {
        self.step = (name, Instant::now());
    }

    /// The step has ended: what it did, and what a person would have typed.
    pub(super) fn step(&mut self, said: &str, commands: &[String]) -> anyhow::Result<()> {
        self.end_of_step(&format!("{MARK}✓{MARK:#}"), said, commands)
    }

    /// The step has ended, and has not come to what it was for.
    pub(super) fn failed(&mut self, said: &str, commands: &[String]) -> anyhow::Result<()> {
        self.end_of_step(&format!("{FAILED}✗{FAILED:#}"), said, commands)
    }

    fn end_of_step(&mut self, mark: &str, said: &str, commands: &[String]) -> anyhow::Result<()> {
        let (name, began) = self.step;
        let took = began.elapsed();
        let seconds = seconds(took);
        self.steps.push(Step {
            name,
            said: said.to_owned(),
            commands: commands.to_vec(),
            seconds,
        });
        let number = self.steps.len();
        self.say(&format!(
            "{mark} {number} {said} {DIM}({seconds:.2} s){DIM:#}"
        ))?;
        if self.verbose {
            for command in commands {
                self.say(&format!("    {DIM}$ {command}{DIM:#}"))?;
            }
        }
        Ok(())
    }

    /// What a step printed, for people.
    pub(super) fn show(&self, text: &str) -> anyhow::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
        self.say(&lines.join("\n"))
    }

    /// A text for people.
    pub(super) fn say(&self, text: &str) -> anyhow::Result<()> {
        if !self.json {
            let mut stdout = anstream::stdout().lock();
            (writeln!(stdout, "{text}").and_then(|()| stdout.flush())).context(UNWRITABLE)?;
        }
        Ok(())
    }

    /// The moral of the story, for people.
    pub(super) fn conclude(&self) -> anyhow::Result<()> {
        self.moral(&format!(
            "{BOLD}The token was recognised, and mock may do nothing.{BOLD:#} A token that the webhook \
             refuses is\nUnauthorized (401); this one is Forbidden (403): no role is bound to \"mock\" or \
             \"group-mock\"."
        ))
    }

    /// Another one.
    pub(super) fn moral(&self, text: &str) -> anyhow::Result<()> {
        self.say(&format!(
            "\n{text}\n{DIM}{:.2} s in all{DIM:#}",
            seconds(self.began.elapsed())
        ))
    }

    /// The whole, for scripts.
    pub(super) fn end(&self, report: &impl Serialize) -> anyhow::Result<()> {
        if self.json {
            let whole = Whole {
                report,
                steps: &self.steps,
                seconds: seconds(self.began.elapsed()),
            };
            let text = serde_json::to_string_pretty(&whole)?;
            writeln!(std::io::stdout().lock(), "{text}").context(UNWRITABLE)?;
        }
        Ok(())
    }
}

/// In milliseconds' resolution, as scripts would round it.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
