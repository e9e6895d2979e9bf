//! kube-apiserver's audit log: the requests that a user or nobody was found for.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::Journal;
use super::rejections::Rejections;
use super::tail::Tail;
use crate::flags::Flags;
use crate::run_folder::{RunFolder, RunFolderError};
use crate::runtime;

/// The file's name in the run folder, and the log's in its `logs`.
const POLICY_FILE: &str = "audit-policy.yaml";
const LOG_FILE: &str = "audit.log";

pub(crate) const LOG_FLAG: &str = "audit-log-path";
const TTL_FLAG: &str = "authentication-token-webhook-cache-ttl";

/// Every request by its head alone, in no stage before it is answered (`audit.k8s.io/v1`,
/// `apiserver/pkg/apis/audit/v1/types.go`, v0.37.2). At this level no body and no header is
/// written. A request that could not be authenticated has the stage `ResponseStarted` alone
/// (`apiserver/pkg/endpoints/filters/authn_audit.go`, v0.37.2). The apiserver's requests to itself
/// are most of all, and nobody's business.
const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages:
- RequestReceived
rules:
- level: None
  users:
  - system:apiserver
- level: Metadata
";

/// What tells a client certificate and a service account's token from a webhook's
/// (`apiserver/pkg/authentication/user/user.go`, v0.37.2).
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// How often the log is looked at. Nothing but the file tells that it has grown.
const LOOK: Duration = Duration::from_millis(50);

/// A request that may have had a token of the webhook's.
#[derive(Debug)]
pub(crate) struct Request {
    pub(super) arrived: Timestamp,
    pub(super) answered: Timestamp,
    pub(super) verdict: Verdict,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The request was this user's; what became of it then is RBAC's matter.
    User { name: String, uid: String },
    /// It was nobody's: 401. Whether a token of its was refused is not written here, and which one
    /// nowhere.
    Unauthorized { by_token: bool },
}

/// The fields of `audit.k8s.io/v1` `Event` that matter here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "auditID")]
    audit_id: String,
    stage: String,
    #[serde(default)]
    user: User,
    response_status: Option<Status>,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

/// Makes requests of the log's lines.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The watches that run: they are told of when they begin and when they end.
    begun: HashSet<String>,
}

impl Reader {
    /// Reads a line. None for what no token of a webhook can have been in.
    pub(super) fn request(&mut self, line: &[u8]) -> Option<Request> {
        let event: Event = serde_json::from_slice(line).ok()?;
        let status = event.response_status?;
        let User {
            username: name,
            uid,
            extra,
        } = event.user;
        let begins = event.stage == "ResponseStarted";
        let verdict = if name.is_empty() {
            (status.code == 401).then_some(Verdict::Unauthorized { by_token: false })
        } else {
            let told = !begins && self.begun.remove(&event.audit_id);
            if begins {
                self.begun.insert(event.audit_id);
            }
            let by_token = !extra.contains_key(CREDENTIAL_ID);
            (by_token && !told).then_some(Verdict::User { name, uid })
        };
        Some(Request {
            arrived: event.request_received_timestamp,
            answered: event.stage_timestamp,
            verdict: verdict?,
        })
    }
}

/// Has the apiserver write an audit log into the folder's `logs`: no more than two files of
/// 10 MiB, whole lines at once.
pub(crate) fn configure(flags: &mut Flags, folder: &RunFolder) -> Result<(), RunFolderError> {
    let policy = folder.write(POLICY_FILE, POLICY)?;
    let log = folder.folder("logs")?.join(LOG_FILE);
    flags
        .set("audit-policy-file", policy)
        .set(LOG_FLAG, log)
        .set("audit-log-maxsize", "10")
        .set("audit-log-maxbackup", "1");
    Ok(())
}

/// The file that an apiserver with these flags, which works in this folder, writes its audit log to;
/// none when they name none.
pub(crate) fn log(flags: &Flags, folder: &Utf8Path) -> Option<Utf8PathBuf> {
    let log = flags.get(LOG_FLAG).last();
    Some(folder.join(log.filter(|log| !matches!(&***log, "" | "-"))?))
}

/// The task that reads an audit log. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Following {
    log: Utf8PathBuf,
    task: JoinHandle<()>,
}

impl Following {
    /// Reads what is written to the audit log from now on, with the apiserver's own log beside it, and
    /// tells the journal.
    pub(crate) fn start(log: Utf8PathBuf, apiserver: Utf8PathBuf, journal: Journal) -> Self {
        // Before the task runs: by then the apiserver may have written.
        let mut tail = Tail::at_end(log.clone());
        let mut rejections = Rejections::new(apiserver);
        let task = runtime::handle().spawn(async move {
            let mut reader = Reader::default();
            let mut look = interval(LOOK);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                look.tick().await;
                // What cannot be read now may be at the next look.
                let lines = tail.lines().unwrap_or_default();
                // After it: what a request was rejected for is logged before it is audited.
                rejections.look(Instant::now());
                let requests = lines.iter().filter_map(|line| reader.request(line));
                for mut request in requests {
                    if let Verdict::Unauthorized { by_token } = &mut request.verdict {
                        *by_token = rejections.are_of_tokens(request.arrived, request.answered);
                    }
                    journal.observe(&request);
                }
            }
        });
        Self { log, task }
    }

    pub(crate) fn log(&self) -> &Utf8Path {
        &self.log
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How long an apiserver remembers an answer at the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// That a token is somebody's.
    pub(crate) authenticated: Duration,
    /// That it is nobody's.
    pub(crate) refused: Duration,
}

/// The memory of an apiserver with these flags: as the flag says, by default 2 minutes; around that
/// are 10 s for which there is no flag, of good tokens alone
/// (`pkg/kubeapiserver/options/authentication.go`, `TokenSuccessCacheTTL` and `TokenFailureCacheTTL`,
/// v1.37.2).
pub(crate) fn memory(flags: &Flags) -> Memory {
    let ttl = flags.get(TTL_FLAG).last();
    let ttl = ttl.and_then(|ttl| ttl.parse::<SignedDuration>().ok()?.try_into().ok());
    let refused = ttl.unwrap_or(Duration::from_secs(120));
    Memory {
        authenticated: refused + Duration::from_secs(10),
        refused,
    }
}

#[cfg(test)]
mod tests;
