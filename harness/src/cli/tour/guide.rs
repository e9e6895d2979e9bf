//! The guide: goes from step to step as the audience wants. What a step does is the stage's, what
//! is pressed and printed the audience's.

use std::time::Instant;

use super::page;
use super::step::{Outcome, Scene, Step};

/// What the steps happen on.
pub(super) trait Stage {
    /// Makes everything so that this step can be shown: whatever the last one left.
    async fn arrange(&mut self, step: Step) -> anyhow::Result<()>;
    /// What the step is about; [`arrange`](Self::arrange) has been.
    fn scene(&self, step: Step) -> Scene;
    /// Why there is nothing to run of this step here.
    fn skipped(&self, step: Step) -> Option<&'static str>;
    /// Runs it.
    async fn act(&mut self, step: Step) -> anyhow::Result<Outcome>;
}

/// Whom it is shown to.
pub(super) trait Audience {
    /// The columns to wrap at, now.
    fn width(&self) -> usize;
    fn say(&mut self, text: &str) -> anyhow::Result<()>;
    /// Waits for a key; `prompt` says which there are.
    async fn key(&mut self, prompt: &str) -> anyhow::Result<Key>;
    /// Opens a shell beside, and returns when it is left.
    async fn shell(&mut self) -> anyhow::Result<()>;
}

/// What was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Enter,
    Again,
    Back,
    Shell,
    Help,
    Quit,
}

/// How the tour ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Seen,
    Quit,
}

const BEFORE: &str = "[Enter] run it  [b] back  [s] shell  [?] help  [q] quit";
const AFTER: &str = "[Enter] go on  [r] again  [b] back  [s] shell  [?] help  [q] quit";
const SKIPPED: &str = "[Enter] go on  [b] back  [s] shell  [?] help  [q] quit";
const HELP: &str = "\
Enter runs the step, then goes on to the next one. r runs it again. b goes back to the step \
before. s opens a shell in the lab's folder, with KUBECONFIG set to the admin's; leave it with \
exit. q or Ctrl-C ends the tour, and with it everything that it started: processes, containers, \
files. The commands are for any other terminal too, as long as the tour runs. … stands where output \
is shortened.";

/// Shows the steps, from this one on.
pub(super) async fn guide(
    stage: &mut impl Stage,
    audience: &mut impl Audience,
    from: Step,
) -> anyhow::Result<End> {
    let mut step = from;
    if let Some(first) = before(from) {
        audience.say(&page::prose(&format!("\n{first}"), audience.width()))?;
    }
    loop {
        stage.arrange(step).await?;
        audience.say(&page::scene(step, &stage.scene(step), audience.width()))?;
        let next = match stage.skipped(step) {
            Some(why) => {
                audience.say(&page::prose(&format!("Skipped: {why}."), audience.width()))?;
                ask(audience, SKIPPED, step).await?
            }
            None => match ask(audience, BEFORE, step).await? {
                Key::Enter => act(stage, audience, step).await?,
                other => other,
            },
        };
        step = match next {
            Key::Quit => return Ok(End::Quit),
            Key::Back => step.before().unwrap_or(step),
            _ => match step.next() {
                Some(next) => next,
                None => return Ok(End::Seen),
            },
        };
    }
}

/// What is done, without being shown, when the tour begins with this step.
fn before(from: Step) -> Option<String> {
    let with = match from {
        Step::Apiserver => return None,
        _ if from > Step::Wire => " that asks its webhook",
        _ => "",
    };
    let (name, number) = (from.name(), from.number());
    Some(format!(
        "Step {number}, {name}, needs a control plane{with}: that is started first."
    ))
}

/// Runs a step as often as it is asked for.
async fn act(
    stage: &mut impl Stage,
    audience: &mut impl Audience,
    step: Step,
) -> anyhow::Result<Key> {
    loop {
        let began = Instant::now();
        let outcome = stage.act(step).await?;
        let seconds = began.elapsed().as_secs_f64();
        let width = audience.width();
        audience.say(&page::outcome(&outcome, seconds, width))?;
        match ask(audience, AFTER, step).await? {
            Key::Again => stage.arrange(step).await?,
            key => return Ok(key),
        }
    }
}

/// Asks until a key leads on: [`Key::Enter`], [`Key::Back`], [`Key::Quit`], and [`Key::Again`] where
/// the prompt has it.
async fn ask(audience: &mut impl Audience, prompt: &str, step: Step) -> anyhow::Result<Key> {
    loop {
        match audience.key(prompt).await? {
            Key::Help => {
                let width = audience.width();
                audience.say(&page::prose(HELP, width))?;
            }
            Key::Shell => audience.shell().await?,
            Key::Back if step.before().is_none() => {
                audience.say("This is the first step.\n")?;
            }
            Key::Again if prompt != AFTER => {}
            key => return Ok(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Writes down what happens.
    #[derive(Default)]
    struct Record {
        happened: Vec<String>,
        skips: Option<Step>,
    }

    impl Stage for Record {
        async fn arrange(&mut self, step: Step) -> anyhow::Result<()> {
            self.happened.push(format!("arrange {}", step.name()));
            Ok(())
        }
        fn scene(&self, step: Step) -> Scene {
            Scene {
                why: format!("why {}", step.name()),
                commands: Vec::new(),
            }
        }
        fn skipped(&self, step: Step) -> Option<&'static str> {
            (self.skips == Some(step)).then_some("no reason")
        }
        async fn act(&mut self, step: Step) -> anyhow::Result<Outcome> {
            self.happened.push(format!("act {}", step.name()));
            Ok(Outcome::new("seen"))
        }
    }

    /// Presses these keys, and then Enter for ever.
    #[derive(Default)]
    struct Keys {
        pressed: VecDeque<Key>,
        said: String,
        shells: usize,
    }

    impl Audience for Keys {
        fn width(&self) -> usize {
            80
        }
        fn say(&mut self, text: &str) -> anyhow::Result<()> {
            let plain = anstream::adapter::strip_str(text).to_string();
            self.said.push_str(&plain);
            Ok(())
        }
        async fn key(&mut self, prompt: &str) -> anyhow::Result<Key> {
            self.said.push_str(prompt);
            self.said.push('\n');
            Ok(self.pressed.pop_front().unwrap_or(Key::Enter))
        }
        async fn shell(&mut self) -> anyhow::Result<()> {
            self.shells += 1;
            Ok(())
        }
    }

    async fn go(keys: &[Key], from: Step, skips: Option<Step>) -> (End, Record, Keys) {
        let mut stage = Record {
            skips,
            ..Record::default()
        };
        let mut audience = Keys {
            pressed: keys.iter().copied().collect(),
            ..Keys::default()
        };
        let end = guide(&mut stage, &mut audience, from).await;
        (end.expect("must not fail"), stage, audience)
    }

    #[tokio::test]
    async fn enter_leads_through_all_of_it() {
        let (end, stage, _) = go(&[], Step::Apiserver, None).await;
        assert_eq!(end, End::Seen);
        let both = |step: Step| ["arrange", "act"].map(|what| format!("{what} {}", step.name()));
        let all: Vec<_> = Step::ALL.into_iter().flat_map(both).collect();
        assert_eq!(stage.happened, all);
    }

    #[tokio::test]
    async fn back_again_and_quit() {
        use Key::{Again, Back, Enter, Quit};
        // Back at the first is nothing; again before anything ran is nothing.
        let keys = [
            Back, Again, Enter, Again, Enter, Back, Enter, Enter, Enter, Back, Quit,
        ];
        let (end, stage, audience) = go(&keys, Step::Apiserver, None).await;
        assert_eq!(end, End::Quit);
        assert_eq!(
            stage.happened,
            [
                "arrange apiserver",
                "act apiserver",
                "arrange apiserver",
                "act apiserver",
                "arrange plain-http",
                "arrange apiserver",
                "act apiserver",
                "arrange plain-http",
                "act plain-http",
                "arrange apiserver",
            ]
        );
        assert_eq!(audience.said.matches("This is the first step.").count(), 1);
    }

    #[tokio::test]
    async fn begun_later_it_says_what_is_done_first() {
        for (from, said) in [
            (
                Step::Tls,
                "Step 4, tls, needs a control plane: that is started first.",
            ),
            (
                Step::Allowed,
                "Step 9, allowed, needs a control plane that asks its webhook: that is",
            ),
        ] {
            let (_, _, audience) = go(&[Key::Quit], from, None).await;
            assert!(
                audience.said.starts_with(&format!("\n{said}")),
                "{}",
                audience.said
            );
        }
        let (_, _, audience) = go(&[Key::Quit], Step::Apiserver, None).await;
        assert!(audience.said.starts_with("\n━━ 1/13"), "{}", audience.said);
    }

    #[tokio::test]
    async fn a_shell_and_help_lead_nowhere() {
        use Key::{Help, Quit, Shell};
        let keys = [Shell, Help, Shell, Quit];
        let (_, stage, audience) = go(&keys, Step::Forbidden, None).await;
        assert_eq!(stage.happened, ["arrange forbidden"]);
        assert_eq!(audience.shells, 2);
        assert!(
            audience.said.contains("Ctrl-C ends the tour"),
            "{}",
            audience.said
        );
    }

    #[tokio::test]
    async fn a_skipped_step_says_why_and_does_not_run() {
        let (end, stage, audience) = go(&[], Step::WrongCa, Some(Step::WrongVersion)).await;
        assert_eq!(end, End::Seen);
        assert_eq!(
            stage.happened,
            ["arrange wrong-ca", "act wrong-ca", "arrange wrong-version"]
        );
        assert!(
            audience.said.contains("Skipped: no reason."),
            "{}",
            audience.said
        );
    }
}
