//! The steps of the tour, and what is shown of one.

use std::str::FromStr;

/// The steps, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Apiserver,
    PlainHttp,
    Certificates,
    Tls,
    Deploy,
    Wire,
    Kubeconfig,
    Forbidden,
    Allowed,
    Revoked,
    Stopped,
    WrongCa,
    WrongVersion,
}

/// There is no such step.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no step: `tokenlab tour --list` tells which there are")]
pub(super) struct UnknownStep {
    text: String,
}

/// What a step is about, before it runs.
#[derive(Debug, Default)]
pub(super) struct Scene {
    /// What happens, and why: a paragraph.
    pub(super) why: String,
    /// What a person would type, for a shell in the lab's folder; a line may go on in the next.
    pub(super) commands: Vec<String>,
}

/// What came of a step.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) lines: Vec<Line>,
    /// What to look at: a sentence.
    pub(super) look: String,
}

/// A line of output.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    /// It is the one to look at.
    pub(super) marked: bool,
}

impl Step {
    pub(super) const ALL: [Self; 13] = [
        Self::Apiserver,
        Self::PlainHttp,
        Self::Certificates,
        Self::Tls,
        Self::Deploy,
        Self::Wire,
        Self::Kubeconfig,
        Self::Forbidden,
        Self::Allowed,
        Self::Revoked,
        Self::Stopped,
        Self::WrongCa,
        Self::WrongVersion,
    ];

    pub(super) fn number(self) -> usize {
        self as usize + 1
    }

    pub(super) fn before(self) -> Option<Self> {
        Self::ALL.get((self as usize).checked_sub(1)?).copied()
    }

    pub(super) fn next(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }

    /// What `--from` calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Apiserver => "apiserver",
            Self::PlainHttp => "plain-http",
            Self::Certificates => "certificates",
            Self::Tls => "tls",
            Self::Deploy => "deploy",
            Self::Wire => "wire",
            Self::Kubeconfig => "kubeconfig",
            Self::Forbidden => "forbidden",
            Self::Allowed => "allowed",
            Self::Revoked => "revoked",
            Self::Stopped => "stopped",
            Self::WrongCa => "wrong-ca",
            Self::WrongVersion => "wrong-version",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Apiserver => "Start the apiserver, which knows of no webhook",
            Self::PlainHttp => "The webhook over plain HTTP, and a TokenReview posted to it",
            Self::Certificates => "Certificates, and what is in them",
            Self::Tls => "The webhook over TLS",
            Self::Deploy => "Deploy the webhook",
            Self::Wire => "Wire the webhook's flag into the apiserver",
            Self::Kubeconfig => "A kubeconfig with the token",
            Self::Forbidden => "Forbidden for \"mock\"",
            Self::Allowed => "A ClusterRole for \"group-mock\": allowed",
            Self::Revoked => "Revoked, and the cache watched",
            Self::Stopped => "Broken: the webhook is stopped",
            Self::WrongCa => "Broken: the wrong CA",
            Self::WrongVersion => "Broken: the wrong version",
        }
    }
}

impl FromStr for Step {
    type Err = UnknownStep;

    /// A name or a number.
    fn from_str(text: &str) -> Result<Self, UnknownStep> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|step| step.name() == text || step.number().to_string() == text);
        found.ok_or_else(|| UnknownStep {
            text: text.to_owned(),
        })
    }
}

impl Outcome {
    pub(super) fn new(look: impl Into<String>) -> Self {
        Self {
            lines: Vec::new(),
            look: look.into(),
        }
    }

    /// Adds lines.
    pub(super) fn plain(self, text: &str) -> Self {
        self.marked_where(text, |_| false)
    }

    /// Adds lines to look at.
    pub(super) fn marked(self, text: &str) -> Self {
        self.marked_where(text, |_| true)
    }

    /// Adds lines, those to look at among them.
    pub(super) fn marked_where(mut self, text: &str, marked: impl Fn(&str) -> bool) -> Self {
        let lines = text.trim_end().lines().map(|line| Line {
            text: line.to_owned(),
            marked: marked(line),
        });
        self.lines.extend(lines);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_by_name_and_number_and_follow_one_another() {
        for (index, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step.number(), index + 1);
            assert_eq!(step.name().parse::<Step>().ok(), Some(step));
            assert_eq!(step.number().to_string().parse::<Step>().ok(), Some(step));
            assert_eq!(step.next().and_then(Step::before).unwrap_or(step), step);
        }
        assert_eq!(Step::Apiserver.before(), None);
        assert_eq!(Step::WrongVersion.next(), None);
        for text in ["", "0", "14", "Forbidden"] {
            let error = text.parse::<Step>().expect_err("must be unknown");
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("`{text}` is no step"))
            );
        }
    }
}
