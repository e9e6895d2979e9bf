//! What is to become of something, by who owns it.

use serde::Serialize;

use crate::owner::Life;

/// What is to become of a stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its owner is gone: it goes.
    Lost,
    /// It was kept on purpose: it goes when that is asked for.
    Kept,
    /// Somebody may own it: it stays.
    Unclear,
}

/// Of what names an owner of this number; `None` when it lives.
pub(super) fn of_owner(life: Life, pid: u32) -> Option<(Verdict, String)> {
    match life {
        Life::Lives => None,
        Life::Elsewhere => Some((
            Verdict::Unclear,
            "its owner is of another container, whose processes are not seen from here".to_owned(),
        )),
        Life::OtherMachine => Some((
            Verdict::Unclear,
            "its owner may be of another machine".to_owned(),
        )),
        Life::Ended => Some((Verdict::Lost, format!("its owner, pid {pid}, has ended"))),
        Life::BeforeBoot => Some((
            Verdict::Lost,
            "its owner ended before the last boot".to_owned(),
        )),
    }
}

/// Of what lies in the container engine and names no owner; `guardian` may be its owner's.
pub(super) fn of_nobody(guardian: Option<u32>) -> (Verdict, String) {
    match guardian {
        Some(pid) => (
            Verdict::Unclear,
            format!("it names no owner, and the guardian {pid} may be of its owner"),
        ),
        None => (
            Verdict::Lost,
            "it names no owner, and nobody guards anything".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_can_own_is_lost() {
        let verdict = |life| of_owner(life, 7).map(|(verdict, _)| verdict);
        for (life, expected) in [
            (Life::Lives, None),
            (Life::Elsewhere, Some(Verdict::Unclear)),
            (Life::OtherMachine, Some(Verdict::Unclear)),
            (Life::Ended, Some(Verdict::Lost)),
            (Life::BeforeBoot, Some(Verdict::Lost)),
        ] {
            assert_eq!(verdict(life), expected, "{life:?}");
        }
        assert_eq!(of_nobody(Some(7)).0, Verdict::Unclear);
        assert_eq!(of_nobody(None).0, Verdict::Lost);
    }
}
