use std::time::Duration;

use tokenlab_webhook::User;

use super::audit::{Memory, Request, Verdict};
use super::*;

const MEMORY: Memory = Memory {
    authenticated: Duration::from_secs(130),
    refused: Duration::from_secs(120),
};
const REFUSED: Verdict = Verdict::Unauthorized { by_token: true };

/// With an apiserver that remembers.
fn started() -> Journal {
    let journal = Journal::new();
    journal.apiserver_starts(MEMORY);
    journal
}

fn ann() -> Decision {
    Decision::authenticated(User::new("ann"))
}

/// One of the apiserver's: it says when it gives up.
fn question(token: &str) -> Review {
    let deadline = Instant::now() + Duration::from_secs(30);
    Review::new(token).with_deadline(deadline.into())
}

/// One review from its beginning to its end.
fn ask(journal: &Journal, token: &str, decision: &Decision) -> TokenHash {
    let review = question(token).with_audiences(["a"]);
    journal.begin(&review).end(decision, None);
    journal.hash(&review.token)
}

/// A request that arrives and is answered after all that was.
fn observe(journal: &Journal, verdict: Verdict) -> Option<ReviewEvent> {
    observe_after(journal, verdict, Duration::ZERO)
}

fn observe_after(journal: &Journal, verdict: Verdict, later: Duration) -> Option<ReviewEvent> {
    let before = journal.events().len();
    // Beyond the last event's end by more than a clock tells.
    let now = Timestamp::now() + later + Duration::from_millis(1);
    let request = Request {
        arrived: now,
        answered: now,
        verdict,
    };
    journal.observe(&request);
    journal.events().get(before).cloned()
}

/// A request that arrived before all that was.
fn observe_during(journal: &Journal, verdict: Verdict) -> Option<ReviewEvent> {
    let before = journal.events().len();
    let request = Request {
        arrived: Timestamp::now() - Duration::from_secs(1),
        answered: Timestamp::now(),
        verdict,
    };
    journal.observe(&request);
    journal.events().get(before).cloned()
}

fn user(name: &str) -> Verdict {
    Verdict::User {
        name: name.to_owned(),
        uid: String::new(),
    }
}

#[tokio::test]
async fn a_reader_gets_what_comes_after_it() {
    let journal = started();
    ask(&journal, "early", &ann());
    let mut events = journal.follow();
    let token = ask(&journal, "late", &Decision::Refused);
    let Some(Next::Event(event)) = events.next().await else {
        panic!("an event must come");
    };
    assert_eq!(event.token, Some(token));
    assert_eq!(event.outcome, Outcome::Refused);
    assert_eq!(event.audiences, ["a"]);
    assert_eq!(event.source, Source::Asked);
    assert_eq!(journal.events().len(), 2);
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed() {
    let journal = started();
    let mut events = journal.follow();
    for _ in 0..CAPACITY + 100 {
        ask(&journal, "t", &ann());
    }
    assert_eq!(journal.events().len(), CAPACITY);
    let Some(Next::Missed(missed)) = events.next().await else {
        panic!("some must be missed");
    };
    assert!(missed >= 76, "{missed}");
    assert!(matches!(events.next().await, Some(Next::Event(_))));
}

#[test]
fn a_review_that_is_dropped_was_not_answered() {
    let journal = started();
    let running = journal.begin(&question("t"));
    assert_eq!(journal.running(), 1);
    drop(running);
    assert_eq!(journal.running(), 0);
    assert_eq!(journal.events()[0].outcome, Outcome::Unanswered);
}

#[test]
fn a_user_is_remembered_only_if_the_webhook_named_it_and_was_not_asked() {
    let journal = started();
    let token = ask(&journal, "t", &ann());
    assert_eq!(observe_during(&journal, user("ann")), None);
    assert_eq!(observe(&journal, user("lab-admin")), None);
    let event = observe(&journal, user("ann")).expect("must be told of");
    assert_eq!(event.source, Source::Cached);
    assert_eq!(event.token, Some(token));
    assert_eq!(event.latency, None);
    assert!(matches!(event.outcome, Outcome::Authenticated { user, .. } if user == "ann"));
}

#[test]
fn of_two_tokens_none_is_named() {
    let journal = started();
    ask(&journal, "one", &ann());
    ask(&journal, "two", &ann());
    let event = observe(&journal, user("ann")).expect("must be told of");
    assert_eq!((event.source, event.token), (Source::Cached, None));
    ask(&journal, "three", &Decision::Refused);
    ask(&journal, "four", &Decision::Refused);
    let event = observe(&journal, REFUSED).expect("must be told of");
    assert_eq!((event.source, event.token), (Source::Cached, None));
}

#[test]
fn a_refusal_is_remembered_for_a_time() {
    let journal = started();
    let token = ask(&journal, "t", &Decision::Refused);
    assert_eq!(observe_during(&journal, REFUSED), None);
    let event = observe(&journal, REFUSED).expect("must be told of");
    assert_eq!((event.source, event.token), (Source::Cached, Some(token)));
    let event = observe_after(&journal, REFUSED, MEMORY.refused).expect("must be told of");
    assert_eq!((event.source, event.token), (Source::NoCall, None));
}

#[test]
fn a_401_that_was_of_no_token_is_no_refusal_remembered() {
    let journal = started();
    ask(&journal, "t", &Decision::Refused);
    let other = Verdict::Unauthorized { by_token: false };
    let event = observe(&journal, other).expect("must be told of");
    assert_eq!((event.source, event.token), (Source::NoCall, None));
}

#[test]
fn who_remembers_no_refusal_remembers_good_tokens_still() {
    let journal = Journal::new();
    journal.apiserver_starts(Memory {
        authenticated: Duration::from_secs(10),
        refused: Duration::ZERO,
    });
    let good = ask(&journal, "good", &ann());
    let bad = ask(&journal, "bad", &Decision::Refused);
    assert!(journal.remembered(&good).is_some());
    assert_eq!(journal.remembered(&bad), None);
    let event = observe(&journal, REFUSED).expect("must be told of");
    assert_eq!((event.source, event.token), (Source::NoCall, None));
}

#[test]
fn nothing_is_remembered_of_what_was_no_refusal() {
    let journal = started();
    let undecided = Decision::Undecided {
        reason: "busy".to_owned(),
    };
    ask(&journal, "t", &undecided);
    assert_eq!(observe_during(&journal, REFUSED), None);
    let event = observe(&journal, REFUSED).expect("must be told of");
    assert_eq!(event.source, Source::NoCall);
}

#[test]
fn with_the_webhook_down_a_refusal_may_be_either() {
    let journal = started();
    ask(&journal, "t", &Decision::Refused);
    journal.reachable(false);
    let event = observe(&journal, REFUSED).expect("must be told of");
    assert_eq!((event.source, event.token), (Source::NoCall, None));
    journal.reachable(true);
    let event = observe_after(&journal, REFUSED, Duration::from_secs(1));
    assert_eq!(event.expect("must be told of").source, Source::Cached);
}

#[test]
fn a_review_that_still_runs_is_the_one_that_was_given_up() {
    let journal = started();
    let running = journal.begin(&question("t"));
    assert_eq!(observe_during(&journal, REFUSED), None);
    drop(running);
}

#[test]
fn as_json_it_is_flat_and_has_no_token() {
    let journal = started();
    ask(&journal, "canary", &ann());
    let event = journal.events().remove(0);
    let json = serde_json::to_value(&event).expect("must become JSON");
    assert_eq!(json["decision"], "authenticated");
    assert_eq!(json["user"], "ann");
    assert_eq!(json["source"], "asked");
    assert_eq!(json["api_version"], "authentication.k8s.io/v1");
    assert!(json["latency_us"].is_u64(), "{json}");
    assert!(!json.to_string().contains("canary"), "{json}");
    assert!(!format!("{event:?} {journal:?}").contains("canary"));
    let back: ReviewEvent = serde_json::from_value(json).expect("must be read back");
    assert_eq!(back.token, event.token);
    observe(&journal, user("ann"));
    let cached = journal.events().remove(1);
    let json = serde_json::to_value(&cached).expect("must become JSON");
    assert_eq!(json.get("latency_us"), None);
    let back: ReviewEvent = serde_json::from_value(json).expect("must be read back");
    assert_eq!(back, cached);
}

#[test]
fn a_new_apiserver_remembers_nothing() {
    let journal = started();
    let token = ask(&journal, "t", &Decision::Refused);
    let (outcome, left) = journal.remembered(&token).expect("must be remembered");
    assert_eq!(outcome, Outcome::Refused);
    assert!(
        left + Duration::from_secs(60) > MEMORY.refused && left <= MEMORY.refused,
        "{left:?}"
    );
    journal.apiserver_starts(MEMORY);
    assert_eq!(journal.remembered(&token), None);
    let event = observe(&journal, REFUSED).expect("must be told of");
    assert_eq!((event.source, event.token), (Source::NoCall, None));
}

#[test]
fn no_question_is_kept_whole_however_large() {
    let long = "é".repeat(1000);
    let clipped = clipped(&vec![long; 1000]);
    assert_eq!(clipped, vec![format!("{}…", "é".repeat(256)); 16]);
    assert_eq!(super::clipped(&["a".to_owned()]), ["a"]);
}

#[test]
fn of_what_others_ask_the_apiserver_knows_nothing() {
    let journal = started();
    let review = Review::new("t");
    let running = journal.begin(&review);
    let event = observe_during(&journal, REFUSED).expect("must be told of");
    assert_eq!(event.source, Source::NoCall);
    running.end(&Decision::Refused, None);
    assert_eq!(journal.events()[1].source, Source::Direct);
    assert_eq!(journal.remembered(&journal.hash(&review.token)), None);
    let event = observe(&journal, REFUSED).expect("must be told of");
    assert_eq!((event.source, event.token), (Source::NoCall, None));
}
