//! All that there is to see of one request.

use std::convert::Infallible;
use std::time::Duration;

use camino::Utf8PathBuf;
use jiff::Timestamp;
use tokenlab_webhook::{ApiVersion, Token};

use super::config_file::{ConfigFile, ConfigFileError};
use super::judge::judge;
use super::metrics::Calls;
use super::probe::Probed;
use super::sight::{Eyes, Sight, values};
use super::{Answered, Diagnosis, Shown, Unauthenticated};
use crate::diagnostics::Redaction;
use crate::journal::{self, Journal, Outcome, TokenHash};
use crate::kubectl::Kubectl;
use crate::lab::VERSION_FLAG;
use crate::wait::{Poll, Probe, until};

/// What was found; what could not be seen says why.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) fresh: bool,
    pub(super) has_token: bool,
    pub(super) has_certificate: bool,
    pub(super) answered: Answered,
    pub(super) flags: Sight<Vec<String>>,
    /// Where the webhook's file is.
    pub(super) path: Sight<Utf8PathBuf>,
    pub(super) file: Sight<Result<ConfigFile, ConfigFileError>>,
    /// What the log says of the request; `None` when it says nothing.
    pub(super) log: Sight<Option<Unauthenticated>>,
    /// The log's last words, of an apiserver that does not answer.
    pub(super) end_of_log: Option<String>,
    pub(super) calls: Sight<Calls>,
    pub(super) record: Sight<Record>,
    pub(super) probe: Sight<Probed>,
}

/// What the webhook's record says of the token.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// What it was asked while the request ran, and said.
    pub(super) asked: Vec<Outcome>,
    /// What the apiserver remembered before that, and for how long.
    pub(super) remembered: Option<(Outcome, Duration)>,
}

/// How long the log may take to say what the user knows already.
const SOON: Poll = Poll {
    every: Duration::from_millis(50),
    within: Duration::from_secs(20),
};

/// Makes one request, looks at everything, and judges.
pub(crate) async fn diagnose(eyes: Eyes<'_>, shown: &Shown) -> Diagnosis {
    let findings = Box::pin(find(eyes, shown)).await;
    let judged = judge(&findings);
    let mut redaction = Redaction::default();
    if let Some(token) = shown.token() {
        redaction.know(token.expose());
    }
    findings.told(judged, &redaction)
}

async fn find(eyes: Eyes<'_>, shown: &Shown) -> Findings {
    let flags = eyes.flags().await;
    let path = eyes.config_path(&flags);
    let file = match &path {
        Ok(path) => Ok(ConfigFile::read(&eyes, path).await),
        Err(why) => Err(why.clone()),
    };
    let host = match &file {
        Ok(Ok(file)) => file.host(),
        _ => None,
    };
    let admin = eyes.admin();
    let before = metrics(&admin, host.as_deref()).await;
    let mark = eyes.mark().await;
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
            (Ok(Ok(file)), Some(token)) => asked(&eyes, file, &flags, token).await,
            (_, None) => Err("there is no token to ask about".to_owned()),
            (Ok(Err(_)) | Err(_), _) => Err("it is not known where the webhook is".to_owned()),
        }
    });
    let log = match mark {
        Ok(mark) if answered == Answered::Unauthorized && shown.has_a_token() => {
            let look = async || match eyes.since(&mark).await {
                Ok(mut found) => match found.pop() {
                    Some(found) => Probe::<_, Infallible>::Ready(found),
                    None => Probe::NotYet("it says nothing of the request".into()),
                },
                Err(why) => Probe::NotYet(why.into()),
            };
            Ok(until("the log tells why", SOON, look).await.ok())
        }
        Ok(_) => Ok(None),
        Err(why) => Err(why),
    };
    let end_of_log = match &answered {
        Answered::Nothing { .. } => eyes.log().await.ok().map(|log| tail(&log)),
        _ => None,
    };
    let after = metrics(&admin, host.as_deref()).await;
    if let Ok(admin) = admin {
        admin.forget();
    }
    let record = eyes.journal().map(|journal| Record {
        asked: hash(journal).map_or_else(Vec::new, |hash| since(journal, &hash, began)),
        remembered,
    });
    Findings {
        fresh: shown.is_fresh(),
        has_token: shown.has_a_token(),
        has_certificate: shown.has_a_certificate(),
        answered,
        flags,
        path,
        file,
        log,
        end_of_log,
        calls: after.and_then(|after| Ok(after.since(&before?))),
        record,
        probe,
    }
}

async fn ask(eyes: &Eyes<'_>, shown: &Shown) -> Answered {
    match eyes.user(shown) {
        Ok(kubectl) => {
            let answered = Answered::to(&kubectl).await;
            kubectl.forget();
            answered
        }
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
    let flags = flags.as_deref().unwrap_or_default();
    let version = match values(flags, VERSION_FLAG).last() {
        Some(&"v1") => ApiVersion::V1,
        _ => ApiVersion::V1Beta1,
    };
    let audiences = audiences(flags);
    Ok(Probed::ask(eyes, &file.config, version, token, audiences).await)
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

async fn metrics(admin: &Sight<Kubectl>, host: Option<&str>) -> Sight<Calls> {
    const UNKNOWN: &str = "it is not known where the webhook is";
    let host = host.ok_or_else(|| UNKNOWN.to_owned())?;
    let output = admin.as_ref().map_err(Clone::clone)?;
    let output = output.run(["get", "--raw", "/metrics"]).await;
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(output.stderr.trim().to_owned());
    }
    Ok(Calls::read(&output.stdout, host))
}

/// What the apiserver asked about a token since then.
fn since(journal: &Journal, token: &TokenHash, began: Timestamp) -> Vec<Outcome> {
    let of_it = |event: &journal::ReviewEvent| {
        event.source == journal::Source::Asked
            && event.when >= began
            && event.token.as_ref() == Some(token)
    };
    let events = journal.events().into_iter().filter(of_it);
    events.map(|event| event.outcome).collect()
}

/// The last lines.
fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
