//! All that there is to see of one request.

use std::convert::Infallible;
use std::time::Duration;

use camino::Utf8PathBuf;
use jiff::Timestamp;
use tokenlab_webhook::{ApiVersion, Token};

use super::config_file::{ConfigFile, ConfigFileError};
use super::judge::{judge, undecided};
use super::metrics::Calls;
use super::probe::Probed;
use super::sight::{Eyes, Sight, values};
use super::{Answered, Cause, Diagnosis, Shown, Unauthenticated};
use crate::diagnostics::Redaction;
use crate::journal::{self, Journal, Outcome, TokenHash};
use crate::kubectl::{Kubectl, Passing};
use crate::lab::VERSION_FLAG;
use crate::wait::{Poll, Probe, until};
use crate::webhook::Fault;

/// What was found; what could not be seen says why.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a finding of its own"
)]
pub(super) struct Findings {
    pub(super) fresh: bool,
    pub(super) has_token: bool,
    pub(super) has_certificate: bool,
    pub(super) answered: Answered,
    pub(super) flags: Sight<Vec<String>>,
    /// Whether the webhook's flag is where the apiserver is started from, and what runs has none.
    pub(super) only_told: bool,
    /// Where the webhook's file is.
    pub(super) path: Sight<Utf8PathBuf>,
    pub(super) file: Sight<Result<ConfigFile, ConfigFileError>>,
    /// What the log says of the request; `None` when it says nothing.
    pub(super) log: Sight<Option<Unauthenticated>>,
    /// Whether the webhook's file is read where the apiserver reads it.
    pub(super) sees_the_file: bool,
    /// The log's last words, of an apiserver that does not answer.
    pub(super) end_of_log: Option<String>,
    pub(super) calls: Sight<Calls>,
    /// The same for a token that nobody has, where the webhook was not asked about this one, and the
    /// flags do not tell whether it ever is.
    pub(super) calls_for_nobody: Option<Calls>,
    pub(super) record: Sight<Record>,
    pub(super) probe: Sight<Probed>,
    /// How the probe went there, where it is not the apiserver's way.
    pub(super) way: &'static str,
}

/// What the webhook's record says of the token.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// What it was asked while the request ran, and said.
    pub(super) asked: Vec<Outcome>,
    /// The fault that the last answer was given.
    pub(super) fault: Option<Fault>,
    /// What the apiserver remembered before that, and for how long.
    pub(super) remembered: Option<(Outcome, Duration)>,
}

/// How long the log may take to say what the user knows already.
const SOON: Duration = Duration::from_secs(20);

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(20);

/// How long the webhook may take: it is asked twice, over HTTP/2 and HTTP/1.1, for half a minute each,
/// and its name is looked up before that.
const PROBE: Duration = Duration::from_secs(75);

/// What is seen within that time.
async fn within<T>(time: Duration, look: impl Future<Output = Sight<T>>) -> Sight<T> {
    let seen = tokio::time::timeout(time, look).await;
    seen.unwrap_or_else(|_elapsed| Err(format!("no answer within {time:?}")))
}

/// Makes one request, looks at everything, and judges.
pub(crate) async fn diagnose(eyes: Eyes<'_>, shown: &Shown) -> Diagnosis {
    let findings = Box::pin(find(eyes, shown)).await;
    let judged = judge(&findings);
    let mut redaction = Redaction::default();
    let file = match &findings.file {
        Ok(Ok(file)) => file.secrets(),
        _ => Vec::new(),
    };
    for secret in shown.secrets().into_iter().chain(file) {
        redaction.know(secret);
    }
    findings.told(judged, &redaction)
}

async fn find(eyes: Eyes<'_>, shown: &Shown) -> Findings {
    let flags = within(LOOK, eyes.flags()).await;
    let only_told = within(LOOK, async { Ok(eyes.is_only_told(&flags).await) });
    let only_told = only_told.await.unwrap_or_default();
    let path = within(LOOK, eyes.config_path(&flags)).await;
    let file = match &path {
        Ok(path) => within(LOOK, async { Ok(ConfigFile::read(&eyes, path).await) }).await,
        Err(why) => Err(why.clone()),
    };
    let host = match &file {
        Ok(Ok(file)) => Some(file.host.clone()),
        _ => None,
    };
    let admin = eyes.admin().map(Kubectl::passing);
    let before = metrics(&admin, host.as_deref()).await;
    let mark = within(LOOK, eyes.mark()).await;
    let token = shown.token();
    let hash = |journal: &Journal| token.as_ref().map(|token| journal.hash(token));
    let remembered = match eyes.journal() {
        Ok(journal) => hash(journal).and_then(|hash| journal.remembered(&hash)),
        Err(_) => None,
    };
    let began = Timestamp::now();
    // The webhook may keep both waiting: side by side that takes half the time.
    let (answered, probe) = tokio::join!(ask(&eyes, shown), async {
        match (&file, &token) {
            (Ok(Ok(file)), Some(token)) => within(PROBE, asked(&eyes, file, &flags, token)).await,
            (_, None) if shown.has_a_token() => Err(MADE.to_owned()),
            (_, None) => Err("there is no token to ask about".to_owned()),
            (Ok(Err(_)) | Err(_), _) => Err("it is not known where the webhook is".to_owned()),
        }
    });
    let lines = match mark {
        Ok(mark) if answered == Answered::Unauthorized && shown.has_a_token() => {
            let look = async || match eyes.since(&mark).await {
                Ok(found) if !found.is_empty() => Probe::<_, Infallible>::Ready(found),
                Ok(_) => Probe::NotYet("it says nothing of the request".into()),
                Err(why) => Probe::NotYet(why.into()),
            };
            let soon = Poll {
                every: mark.every(),
                within: SOON,
            };
            let told = until("the log tells why", soon, look);
            within(LOOK * 2, async { Ok(told.await.unwrap_or_default()) }).await
        }
        Ok(_) => Ok(Vec::new()),
        Err(why) => Err(why),
    };
    let end_of_log = match &answered {
        Answered::Nothing { .. } => within(LOOK, eyes.log()).await.ok().map(|log| tail(&log)),
        _ => None,
    };
    let calls = match before {
        Ok(before) => {
            let after = metrics(&admin, host.as_deref()).await;
            after.map(|after| after.since(&before))
        }
        Err(why) => Err(why),
    };
    let is_old = token.is_some() && !shown.is_fresh();
    let may_be_remembered = is_old && flags.is_err() && answered == Answered::Unauthorized;
    let calls_for_nobody = match &calls {
        Ok(calls) if calls.is_empty() && may_be_remembered => {
            for_nobody(&eyes, &admin, host.as_deref()).await.ok()
        }
        _ => None,
    };
    drop(admin);
    let record = match eyes.journal() {
        Ok(_) if token.is_none() && shown.has_a_token() => Err(MADE.to_owned()),
        Ok(journal) => Ok(Record {
            remembered,
            ..hash(journal).map_or_else(Record::default, |hash| since(journal, &hash, began))
        }),
        Err(why) => Err(why),
    };
    let log = lines.and_then(|lines| own(lines, |line| is_likely(line, &record, &probe)));
    Findings {
        fresh: shown.is_fresh(),
        has_token: shown.has_a_token(),
        has_certificate: shown.has_a_certificate(),
        answered,
        flags,
        only_told,
        path,
        file,
        log,
        sees_the_file: eyes.see_the_file_itself(),
        end_of_log,
        calls,
        calls_for_nobody,
        record,
        probe,
        way: eyes.way(),
    }
}

/// Of a token that is not known here there is no more to see.
const MADE: &str = "a plugin makes the token";

/// The line of this request, among those of all that failed meanwhile: the only one, or else the only
/// one that is likely.
fn own(
    lines: Vec<Unauthenticated>,
    is_likely: impl Fn(&Unauthenticated) -> bool,
) -> Sight<Option<Unauthenticated>> {
    let is_same = |one: &Unauthenticated, other: &Unauthenticated| {
        one.error == other.error || one.cause.is_some() && one.cause == other.cause
    };
    let mut distinct: Vec<Unauthenticated> = Vec::new();
    for line in lines {
        if !distinct.iter().any(|other| is_same(&line, other)) {
            distinct.push(line);
        }
    }
    if distinct.len() > 1 {
        distinct.retain(is_likely);
        if distinct.len() != 1 {
            return Err("other requests failed too, and which line is whose is not known".into());
        }
    }
    Ok(distinct.pop())
}

/// Whether the webhook's own record, or what it answers now, tells the same.
fn is_likely(line: &Unauthenticated, record: &Sight<Record>, probe: &Sight<Probed>) -> bool {
    let Some(cause) = line.cause else {
        return undecided(record, probe, &line.error);
    };
    let probed = probe.as_ref().ok().and_then(Probed::cause);
    let said = record.as_ref().ok().and_then(|record| record.asked.last());
    probed == Some(cause) || cause == Cause::Refused && said == Some(&Outcome::Refused)
}

async fn ask(eyes: &Eyes<'_>, shown: &Shown) -> Answered {
    match eyes.user(shown).map(Kubectl::passing) {
        Ok(kubectl) => Answered::to(&kubectl).await,
        Err(said) => Answered::Nothing { said },
    }
}

/// The webhook asked past the apiserver, as the apiserver asks it.
async fn asked(
    eyes: &Eyes<'_>,
    file: &ConfigFile,
    flags: &Sight<Vec<String>>,
    token: &Token,
) -> Sight<Probed> {
    if let Some(why) = file.unlike {
        return Err(why.to_owned());
    }
    let given = flags.as_deref().unwrap_or_default();
    let version = match values(given, VERSION_FLAG).last() {
        Some(&"v1") => ApiVersion::V1,
        _ => ApiVersion::V1Beta1,
    };
    let ask = |version| Probed::ask(eyes, &file.config, version, token, audiences(given));
    let probed = ask(version).await;
    // Where the flag is not seen, either version may be the right one.
    if flags.is_err() && probed.cause() == Some(Cause::OtherVersion) {
        let mut other = ask(ApiVersion::V1).await;
        if other.cause() != Some(Cause::OtherVersion) {
            other.insists = true;
            return Ok(other);
        }
    }
    Ok(probed)
}

/// The audiences that the apiserver asks for: `--api-audiences`, or else the issuers of service
/// accounts (`pkg/kubeapiserver/options/authentication.go`, `ToAuthenticationConfig`, v1.37.2).
fn audiences(flags: &[String]) -> Vec<String> {
    let given = values(flags, "api-audiences");
    let given = given.iter().flat_map(|list| list.split(','));
    let given: Vec<_> = given.map(str::to_owned).collect();
    if !given.is_empty() {
        return given;
    }
    let issuers = values(flags, "service-account-issuer");
    issuers.into_iter().map(str::to_owned).collect()
}

async fn metrics(admin: &Sight<Passing>, host: Option<&str>) -> Sight<Calls> {
    const UNKNOWN: &str = "it is not known where the webhook is";
    let host = host.ok_or_else(|| UNKNOWN.to_owned())?;
    let output = admin.as_ref().map_err(Clone::clone)?;
    let output = within(LOOK, async {
        let output = output.run(["get", "--raw", "/metrics"]).await;
        output.map_err(|error| error.to_string())
    });
    let output = output.await?;
    if !output.status.success() {
        return Err(output.stderr.trim().to_owned());
    }
    Ok(Calls::read(&output.stdout, host))
}

/// What the apiserver asks about a token that it cannot have heard of.
async fn for_nobody(eyes: &Eyes<'_>, admin: &Sight<Passing>, host: Option<&str>) -> Sight<Calls> {
    let before = metrics(admin, host).await?;
    ask(eyes, &Shown::fresh()).await;
    Ok(metrics(admin, host).await?.since(&before))
}

/// What the apiserver asked about a token since then.
fn since(journal: &Journal, token: &TokenHash, began: Timestamp) -> Record {
    let of_it = |event: &journal::ReviewEvent| {
        event.source == journal::Source::Asked
            && event.when >= began
            && event.token.as_ref() == Some(token)
    };
    let mut record = Record::default();
    for event in journal.events().into_iter().filter(of_it) {
        record.asked.push(event.outcome);
        record.fault = event.fault;
    }
    record
}

/// The last lines.
fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn line(error: &str, cause: Option<Cause>) -> Unauthenticated {
        Unauthenticated {
            error: error.to_owned(),
            cause,
        }
    }

    #[tokio::test]
    async fn no_look_lasts_for_ever() {
        let look = within::<()>(Duration::from_millis(1), std::future::pending());
        assert_eq!(look.await, Err("no answer within 1ms".to_owned()));
    }

    /// The second line came last, and is another client's.
    #[rstest]
    #[case::as_the_webhook_says(Some(Cause::Closed), Some("ours"))]
    #[case::as_it_says_of_others(Some(Cause::Refused), Some("theirs"))]
    #[case::not_to_be_told(None, None)]
    fn the_line_of_another_request_is_not_taken(
        #[case] likely: Option<Cause>,
        #[case] expected: Option<&str>,
    ) {
        let lines = vec![
            line("ours", Some(Cause::Closed)),
            line("theirs", Some(Cause::Refused)),
            line("ours, from another port", Some(Cause::Closed)),
        ];
        let own = own(lines, |line| likely.is_some() && line.cause == likely);
        assert_eq!(
            own.clone().ok().flatten().map(|it| it.error).as_deref(),
            expected
        );
        assert_eq!(own.is_err(), expected.is_none());
    }

    #[test]
    fn the_only_line_is_taken_whatever_it_is() {
        let lines = vec![line("a", None), line("a", None)];
        assert_eq!(own(lines, |_| false), Ok(Some(line("a", None))));
        assert_eq!(own(Vec::new(), |_| false), Ok(None));
    }
}
