#![expect(clippy::unnecessary_wraps, reason = "what is found is seen, or not")]

use std::time::Duration;

use http::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};
use tokenlab_webhook::{ApiVersion, Token};

use super::super::metrics::Calls;
use super::super::{Evidence, Source, Unauthenticated};
use super::*;
use crate::diagnostics::Redaction;
use crate::reviewed::Reviewed;
use crate::webhook::Answer;

mod outside;

const UNSEEN: &str = "it is somebody else's";

/// 401 for a token, of which nothing else was seen.
fn unseen() -> Findings {
    fn no<T>() -> Sight<T> {
        Err(UNSEEN.to_owned())
    }
    Findings {
        fresh: false,
        has_token: true,
        has_certificate: false,
        answered: Answered::Unauthorized,
        flags: no(),
        only_told: false,
        path: no(),
        file: no(),
        log: no(),
        sees_the_file: false,
        end_of_log: None,
        calls: no(),
        calls_for_nobody: None,
        record: no(),
        probe: no(),
        way: "",
    }
}

fn ann() -> Answered {
    Answered::User {
        name: "ann".to_owned(),
        uid: String::new(),
        groups: Vec::new(),
        credential: None,
    }
}

fn wired() -> Sight<Vec<String>> {
    Ok(vec![format!("--{CONFIG_FILE_FLAG}=/webhook.yml")])
}

fn probed(http: u16, status: &Value) -> Sight<Probed> {
    let token = Token::from("canary-of-a-token");
    let body = json!({"kind": "TokenReview", "status": status}).to_string();
    let status = StatusCode::from_u16(http).expect("must be one");
    let answer = Answer { status, body };
    let reviewed = Reviewed::new(ApiVersion::V1, &token, &[], &answer, Duration::ZERO);
    Ok(Probed::of(Ok(reviewed)))
}

fn knows() -> Sight<Probed> {
    probed(
        200,
        &json!({"authenticated": true, "user": {"username": "ann"}}),
    )
}

fn refuses_it() -> Sight<Probed> {
    probed(200, &json!({"authenticated": false}))
}

fn logged(error: &str, cause: Option<Cause>) -> Sight<Option<Unauthenticated>> {
    let error = format!("[invalid bearer token, {error}]");
    Ok(Some(Unauthenticated { error, cause }))
}

fn called(code: &str) -> Sight<Calls> {
    let line = format!("rest_client_requests_total{{code=\"{code}\",host=\"a\"}} 1\n");
    Ok(Calls::read(&line, "a"))
}

fn silent() -> Answered {
    Answered::Nothing {
        said: "The connection to the server 127.0.0.1:1 was refused".to_owned(),
    }
}

/// Who is known, and by whom.
#[rstest]
#[case::nothing_is_seen(unseen(), None, false)]
#[case::it_refuses_and_was_not_asked(
    Findings { calls: Ok(Calls::default()), probe: refuses_it(), ..unseen() },
    Some(Cause::NeverAsked), false
)]
#[case::it_was_not_asked_and_is_away(
    Findings { calls: Ok(Calls::default()), ..unseen() }, None, false
)]
#[case::it_refuses_now(Findings { probe: refuses_it(), ..unseen() }, None, false)]
#[case::no_flag(Findings { flags: Ok(Vec::new()), ..unseen() }, Some(Cause::NeverAsked), false)]
#[case::it_knows(Findings { probe: knows(), ..unseen() }, None, true)]
fn somebody_before_the_webhook_is_named_only_where_that_was_seen(
    #[case] findings: Findings,
    #[case] cause: Option<Cause>,
    #[case] healthy: bool,
) {
    let judged = judge(&Findings {
        answered: ann(),
        ..findings
    });
    assert_eq!(
        (judged.cause, judged.healthy),
        (cause, healthy),
        "{judged:?}"
    );
}

/// 401 without a call, and without a log.
#[rstest]
#[case::flags_unseen(Err(UNSEEN.to_owned()), knows(), false, Cause::NotAsked)]
#[case::flags_unseen_and_refused(Err(UNSEEN.to_owned()), refuses_it(), false, Cause::NotAsked)]
#[case::wired_in(wired(), knows(), false, Cause::CachedRefusal)]
#[case::never_shown_before(wired(), refuses_it(), true, Cause::NotAsked)]
fn a_refusal_is_remembered_only_where_the_webhook_is_wired_in(
    #[case] flags: Sight<Vec<String>>,
    #[case] probe: Sight<Probed>,
    #[case] fresh: bool,
    #[case] cause: Cause,
) {
    let calls = Ok(Calls::default());
    let judged = judge(&Findings {
        fresh,
        flags,
        calls,
        probe,
        ..unseen()
    });
    assert_eq!(judged.cause, Some(cause));
    assert!(!judged.healthy);
}

#[test]
fn that_a_token_of_nobodys_is_refused_is_sound_only_where_the_webhook_is_asked() {
    let fresh = |findings| {
        judge(&Findings {
            fresh: true,
            probe: refuses_it(),
            ..findings
        })
    };
    assert!(!fresh(unseen()).healthy);
    assert!(
        fresh(Findings {
            calls: called("200"),
            ..unseen()
        })
        .healthy
    );
    assert!(
        fresh(Findings {
            flags: wired(),
            ..unseen()
        })
        .healthy
    );
}

/// Whatever the words are, they are the webhook's own where it says so.
#[rstest]
#[case("context deadline exceeded", Some(Cause::TimedOut))]
#[case("the server could not find the requested resource", None)]
fn what_the_webhook_says_of_itself_is_not_the_apiservers(
    #[case] words: &str,
    #[case] cause: Option<Cause>,
) {
    let reason = words.to_owned();
    let asked = vec![Outcome::Undecided { reason }];
    let recorded = Findings {
        log: logged(words, cause),
        record: Ok(Record {
            asked,
            ..Record::default()
        }),
        ..unseen()
    };
    assert_eq!(judge(&recorded).cause, Some(Cause::Undecided));
    let probed = Findings {
        log: logged(words, cause),
        probe: probed(200, &json!({"error": words})),
        ..unseen()
    };
    assert_eq!(judge(&probed).cause, Some(Cause::Undecided));
    let neither = Findings {
        log: logged(words, cause),
        ..unseen()
    };
    assert_eq!(judge(&neither).cause, cause);
}

/// TLS has one word for many faults, and from here it may be seen which it is.
#[rstest]
#[case(Cause::Unreached, Some(Cause::OtherUse), Cause::OtherUse)]
#[case(Cause::Unreached, None, Cause::Unreached)]
#[case(
    Cause::Closed,
    Some(Cause::ClientCertificate),
    Cause::ClientCertificate
)]
#[case(Cause::Closed, Some(Cause::TimedOut), Cause::Closed)]
fn what_the_log_does_not_tell_the_probe_may(
    #[case] logged_as: Cause,
    #[case] seen: Option<Cause>,
    #[case] cause: Cause,
) {
    let mut unanswered = super::super::probe::Unanswered::from("TLS failed".to_owned());
    unanswered.cause = seen;
    let judged = judge(&Findings {
        log: logged("Post \"https://a\": remote error: tls: x", Some(logged_as)),
        probe: Ok(Probed::of(Err(unanswered))),
        ..unseen()
    });
    assert_eq!(judged.cause, Some(cause));
}

#[test]
fn a_redirect_is_told_by_its_status() {
    let seen = Findings {
        probe: probed(302, &Value::Null),
        ..unseen()
    };
    assert_eq!(judge(&seen).cause, Some(Cause::Redirected));
    let log = logged("out of order", Some(Cause::Failed));
    assert_eq!(
        judge(&Findings { log, ..seen }).cause,
        Some(Cause::Redirected)
    );
}

/// kubectl gave no answer of the apiserver's.
#[rstest]
#[case::a_plugin_is_missing("fork/exec /nonexistent: no such file or directory", None)]
#[case::it_trusts_another(
    "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority",
    None
)]
#[case::it_asks_for_a_name("error: EOF", None)]
#[case::it_is_older("error: unknown command \"auth whoami\"", None)]
#[case::nobody_listens("The connection to the server a was refused", Some(Cause::Down))]
#[case::nobody_answers("no answer within 90s", Some(Cause::Down))]
fn what_kubectl_says_of_itself_is_no_fault_of_the_apiservers(
    #[case] said: &str,
    #[case] cause: Option<Cause>,
) {
    let said = said.to_owned();
    let answered = Answered::Nothing { said };
    let judged = judge(&Findings {
        answered,
        ..unseen()
    });
    assert_eq!(judged.cause, cause);
}

fn missing() -> ConfigFileError {
    use super::super::sight::Unread;
    ConfigFileError::Unread(Unread::Missing("No such file".to_owned()))
}

fn not_seen() -> ConfigFileError {
    use super::super::sight::Unread;
    ConfigFileError::Unread(Unread::Unseen("the node does not run".to_owned()))
}

/// The apiserver does not run: the log's last words count, and then what is seen of the file.
#[rstest]
#[case::it_is_not_there(true, missing(), None, Cause::FileNotVisible)]
#[case::that_cannot_be_seen(true, not_seen(), None, Cause::Down)]
#[case::a_copy_is_not_there(false, missing(), None, Cause::Down)]
#[case::it_is_broken(true, ConfigFileError::Url, None, Cause::FileUnusable)]
#[case::a_copy_is_broken(false, ConfigFileError::Url, None, Cause::Down)]
#[case::it_ended_for_another_reason(
    true,
    ConfigFileError::Url,
    Some("Error: unknown flag: --x"),
    Cause::Down
)]
#[case::it_says_that_it_is_not_there(
    true,
    missing(),
    Some("Error: open /x: no such file or directory"),
    Cause::FileNotVisible
)]
fn a_file_is_to_blame_only_where_that_was_seen(
    #[case] sees_the_file: bool,
    #[case] error: ConfigFileError,
    #[case] end: Option<&str>,
    #[case] cause: Cause,
) {
    let judged = judge(&Findings {
        answered: silent(),
        sees_the_file,
        file: Ok(Err(error)),
        end_of_log: end.map(str::to_owned),
        ..unseen()
    });
    assert_eq!(judged.cause, Some(cause));
}

#[test]
fn what_is_told_has_no_secret() {
    let mut redaction = Redaction::default();
    redaction.know("canary-of-a-token");
    let said = "plugin: canary-of-a-token".to_owned();
    let findings = Findings {
        answered: Answered::Nothing { said },
        log: logged("canary-of-a-token", None),
        ..unseen()
    };
    let judged = judge(&findings);
    let diagnosis = findings.told(judged, &redaction);
    let told = serde_json::to_string(&diagnosis).expect("must be JSON");
    assert!(!told.contains("canary"), "{told}");
    let of_log = |it: &Evidence| it.source == Source::Log;
    assert!(diagnosis.evidence.iter().any(of_log), "{told}");
}
