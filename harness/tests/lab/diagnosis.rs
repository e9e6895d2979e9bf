//! Setups that are really broken, each in one way, and what the diagnosis says of them.

mod plane;
mod setups;

use rstest::rstest;
use serde_json::Value;
use tokenlab_harness::diagnosis::{Answered, Source};
use tokenlab_harness::{Cause, Diagnosis, Unauthenticated};

use plane::plane;
use setups::Setup;

/// Each is broken in its own way, and that way is named, with a line that tells so.
#[rstest]
#[case::flag_not_set(
    Setup::NoFlag,
    Cause::FlagNotSet,
    Source::Flags,
    "no --authentication-token-webhook-config-file"
)]
#[case::file_not_visible(Setup::NoFile, Cause::FileNotVisible, Source::File, "No such file")]
#[case::authority_not_visible(
    Setup::NoAuthorityFile,
    Cause::FileNotVisible,
    Source::File,
    "its `certificate-authority` is"
)]
#[case::file_broken(Setup::BrokenFile, Cause::FileUnusable, Source::File, "it is not YAML")]
#[case::unknown_flag(
    Setup::UnknownFlag,
    Cause::Down,
    Source::Log,
    "unknown flag: --no-such-flag"
)]
#[case::nothing_listens(
    Setup::Stopped,
    Cause::NothingListens,
    Source::Log,
    "connection refused"
)]
#[case::no_address(Setup::NoAddress, Cause::NoAddress, Source::Log, "no such host")]
#[case::proxy(Setup::Proxy, Cause::Proxy, Source::Log, "proxyconnect")]
#[case::reset(Setup::Reset, Cause::Reset, Source::Log, "connection reset by peer")]
#[case::closed(Setup::Closed, Cause::Closed, Source::Log, "EOF")]
// Of kube-apiserver's two timers either may be first: `context deadline exceeded`, or `Client.Timeout
// exceeded while awaiting headers`.
#[case::timed_out(Setup::Hangs, Cause::TimedOut, Source::Log, " exceeded")]
#[case::unknown_authority(
    Setup::OtherAuthority,
    Cause::UnknownAuthority,
    Source::Probe,
    "another authority"
)]
#[case::common_name_only(
    Setup::CommonName,
    Cause::CommonNameOnly,
    Source::Certificate,
    "for no name (common name my-authn.kube-system.svc)"
)]
#[case::other_name(
    Setup::OtherName,
    Cause::OtherName,
    Source::Certificate,
    "for elsewhere.svc (common name"
)]
#[case::address_for_a_name(
    Setup::NoServerName,
    Cause::OtherName,
    Source::Log,
    "doesn't contain any IP SANs"
)]
#[case::expired(
    Setup::Expired,
    Cause::OtherTime,
    Source::Certificate,
    "valid 2020-01-01T00:00:00Z to 2021-01-01T00:00:00Z"
)]
#[case::not_yet_valid(
    Setup::NotYet,
    Cause::OtherTime,
    Source::Certificate,
    "valid 2120-01-01T00:00:00Z to 2121-01-01T00:00:00Z"
)]
#[case::client_certificate_wanted(
    Setup::WantsCertificate,
    Cause::ClientCertificate,
    Source::Probe,
    "wants one"
)]
#[case::client_certificate_of_others(
    Setup::OthersCertificate,
    Cause::ClientCertificate,
    Source::File,
    "with a client certificate"
)]
#[case::client_certificate_expired(
    Setup::ExpiredCertificate,
    Cause::ClientCertificate,
    Source::File,
    "with a client certificate"
)]
#[case::plain_http(
    Setup::PlainHttp,
    Cause::PlainHttp,
    Source::Probe,
    "does not speak TLS"
)]
#[case::path(Setup::Path, Cause::OtherPath, Source::Metrics, "answered 404")]
#[case::path_of_another_server(
    Setup::Status(404),
    Cause::OtherPath,
    Source::Log,
    "could not find the requested resource"
)]
#[case::method(
    Setup::Status(405),
    Cause::OtherMethod,
    Source::Metrics,
    "answered 405"
)]
#[case::refused_by_status(
    Setup::Status(401),
    Cause::RefusedByStatus,
    Source::Metrics,
    "answered 401"
)]
#[case::redirected(
    Setup::Status(302),
    Cause::Redirected,
    Source::Record,
    "asked once: answered 302"
)]
#[case::undecided_in_words_of_go(
    Setup::UndecidedInWordsOfGo,
    Cause::Undecided,
    Source::Record,
    "asked once: undecided: context deadline exceeded"
)]
#[case::undecided_over_lines(
    Setup::UndecidedOverLines,
    Cause::Undecided,
    Source::Log,
    "DOMAIN\\ann\nis \"away\""
)]
#[case::failed(Setup::Status(503), Cause::Failed, Source::Metrics, "answered 503")]
#[case::another_version(Setup::Version, Cause::OtherVersion, Source::Log, "unknown conversion")]
#[case::not_json(Setup::Html, Cause::NoReview, Source::Log, "json parse error")]
#[case::nothing_in_it(Setup::Empty, Cause::NoReview, Source::Log, "0-length response")]
#[case::undecided(
    Setup::Undecided,
    Cause::Undecided,
    Source::Record,
    "asked once: undecided: the directory is away"
)]
#[case::audiences_disjoint(
    Setup::Audiences,
    Cause::OtherAudiences,
    Source::Log,
    "invalid bearer token"
)]
#[case::refused(Setup::Refused, Cause::Refused, Source::Record, "asked once: refused")]
#[case::cached_refusal(
    Setup::RefusedBefore,
    Cause::CachedRefusal,
    Source::Record,
    "not asked about it; kube-apiserver may remember"
)]
#[case::certificate_won(
    Setup::BothShown,
    Cause::CertificateWon,
    Source::User,
    "known by a client certificate"
)]
#[case::no_token(
    Setup::NothingShown,
    Cause::NoToken,
    Source::Record,
    "not asked about it"
)]
#[case::never_asked(
    Setup::ServiceAccount,
    Cause::NeverAsked,
    Source::User,
    "known by a token that kube-apiserver issued"
)]
#[tokio::test]
async fn a_broken_setup(
    #[case] setup: Setup,
    #[case] cause: Cause,
    #[case] source: Source,
    #[case] says: &str,
) {
    let mut plane = plane().await;
    let shown = setup.break_it(&mut plane).await;

    let diagnosis = plane.diagnose(&shown).await;

    assert_eq!(diagnosis.cause, Some(cause), "{diagnosis}");
    assert!(!diagnosis.healthy, "{diagnosis}");
    assert!(diagnosis.remedy.is_some(), "{diagnosis}");
    let mut evidence = diagnosis.evidence.iter();
    let tells = evidence.any(|it| it.source == source && it.says.contains(says));
    assert!(tells, "{source} must say `{says}`: {diagnosis}");
    let says = |source, words: &str| {
        let mut evidence = diagnosis.evidence.iter();
        evidence.any(|it| it.source == source && it.says.contains(words))
    };
    let contradicts = says(Source::Metrics, " answered ") && says(Source::Record, "not asked");
    // At another path it is the routes that answer: nobody is asked about a token.
    assert!(!contradicts || setup == Setup::Path, "{diagnosis}");
    is_the_same_in_json(&diagnosis);
    if let Some(token) = shown.token() {
        assert!(
            !diagnosis.to_string().contains(token.expose()),
            "{diagnosis}"
        );
    }
}

#[rstest]
#[case::asked(Setup::Known, "the webhook was asked, and knows the token")]
#[case::remembered(
    Setup::KnownBefore,
    "kube-apiserver remembers what the webhook said of the token"
)]
#[case::rightly_refused(
    Setup::Fresh,
    "the webhook was asked, and refused a token that nobody has, as it should"
)]
#[tokio::test]
async fn a_sound_setup(#[case] setup: Setup, #[case] summary: &str) {
    let mut plane = plane().await;
    let shown = setup.break_it(&mut plane).await;

    let diagnosis = plane.diagnose(&shown).await;

    assert!(diagnosis.healthy, "{diagnosis}");
    assert_eq!(diagnosis.summary, summary, "{diagnosis}");
    assert_eq!(diagnosis.remedy, None, "{diagnosis}");
    assert!(diagnosis.unseen.is_empty(), "{diagnosis}");
    let is_ann = matches!(&diagnosis.answered, Answered::User { name, .. } if name == "ann");
    assert_eq!(is_ann, setup != Setup::Fresh, "{diagnosis}");
    is_the_same_in_json(&diagnosis);
}

/// The scenarios have reviewed what a real kube-apiserver logs of each failure: all of it has a name.
#[test]
fn each_line_of_the_log_that_was_reviewed_has_a_cause() {
    let reviewed = camino::Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../snapshots"));
    let mut lines = 0;
    for entry in reviewed.read_dir_utf8().expect("must be read") {
        let path = entry.expect("must be read").into_path();
        let text = std::fs::read_to_string(&path).expect("must be read");
        let errors = text.lines().filter_map(|line| {
            let error = line.strip_prefix("[invalid bearer token, ")?;
            error.strip_suffix(']')
        });
        for error in errors {
            let error = error.replace("\\\\", "\\");
            let quoted = error.replace('\\', "\\\\").replace('"', "\\\"");
            let log = format!(
                "Failed to make webhook authenticator request: {error}\n\"Unable to authenticate \
                 the request\" err=\"[invalid bearer token, {quoted}]\"\n"
            );
            let cause = Unauthenticated::in_log(&log)[0].cause;
            let cause = cause.unwrap_or_else(|| panic!("{path}: {error} has none"));
            assert_ne!(cause, Cause::Unreached, "{path}: {error}");
            let is_of_the_way = error.starts_with("Post \"");
            assert!(!is_of_the_way || cause != Cause::Failed, "{path}: {error}");
            lines += 1;
        }
    }
    assert!(lines > 20, "{reviewed} has {lines}");
}

/// What scripts read is what people read.
fn is_the_same_in_json(diagnosis: &Diagnosis) {
    let json = serde_json::to_value(diagnosis).expect("must be JSON");
    assert!(json["answer"].is_string(), "{json}");
    assert!(
        matches!(json["cause"], Value::String(_) | Value::Null),
        "{json}"
    );
    let read: Diagnosis = serde_json::from_value(json).expect("must be read");
    assert_eq!(read, *diagnosis);
}
