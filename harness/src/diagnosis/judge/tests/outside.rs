//! Without flags and log: what a cluster that is somebody else's shows.

use super::super::super::probe::Unanswered;
use super::super::super::sight::FROM_HERE;
use super::*;

fn unreached() -> Sight<Probed> {
    let mut unanswered = Unanswered::from("TLS failed".to_owned());
    unanswered.cause = Some(Cause::UnknownAuthority);
    Ok(Probed::of(Err(unanswered)))
}

#[test]
fn audiences_are_what_is_left() {
    let judged = judge(&Findings {
        calls: called("200"),
        probe: knows(),
        ..unseen()
    });
    assert_eq!(judged.cause, Some(Cause::OtherAudiences));
    assert!(judged.summary.contains("likely"), "{judged:?}");
}

/// It may be another machine that is reached from here: what the apiserver counts goes before that.
#[rstest]
#[case::it_had_an_answer(called("200"), unreached(), None)]
#[case::it_had_that_answer(called("404"), unreached(), Some(Cause::OtherPath))]
#[case::it_had_none_either(called("<error>"), unreached(), Some(Cause::UnknownAuthority))]
#[case::it_alone_had_none(called("<error>"), knows(), Some(Cause::Unreached))]
#[case::it_alone_had_no_refusal(called("<error>"), refuses_it(), Some(Cause::Unreached))]
#[case::it_did_not_ask(Ok(Calls::default()), unreached(), Some(Cause::NotAsked))]
#[case::that_is_not_seen(Err(UNSEEN.to_owned()), unreached(), Some(Cause::UnknownAuthority))]
fn what_is_found_from_here_is_no_fault_where_the_apiserver_found_otherwise(
    #[case] calls: Sight<Calls>,
    #[case] probe: Sight<Probed>,
    #[case] cause: Option<Cause>,
) {
    let judged = judge(&Findings {
        calls,
        probe,
        way: FROM_HERE,
        ..unseen()
    });
    assert_eq!(judged.cause, cause, "{judged:?}");
    let hedged = judged.remedy.is_some_and(|it| it.contains("from here"));
    assert_eq!(hedged, cause == Some(Cause::UnknownAuthority));
}

/// The apiserver asks about others.
#[test]
fn a_refusal_is_remembered_where_another_token_is_asked_about() {
    let asked = |calls: Sight<Calls>| Findings {
        calls: Ok(Calls::default()),
        calls_for_nobody: calls.ok(),
        probe: refuses_it(),
        ..unseen()
    };
    let remembered = judge(&asked(called("200")));
    assert_eq!(remembered.cause, Some(Cause::CachedRefusal));
    let not_asked = judge(&asked(Ok(Calls::default())));
    assert_eq!(not_asked.cause, Some(Cause::NotAsked));
}

#[test]
fn the_version_goes_before_audiences() {
    let mut probe = knows();
    if let Ok(probe) = &mut probe {
        probe.insists = true;
    }
    let judged = judge(&Findings {
        calls: called("200"),
        probe,
        ..unseen()
    });
    assert_eq!(judged.cause, Some(Cause::OtherVersion));
}
