//! kube-apiserver's audit log: the requests that a user or nobody was found for.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use camino::Utf8PathBuf;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::Journal;
use super::tail::Tail;
use crate::flags::Flags;
use crate::run_folder::{RunFolder, RunFolderError};
use crate::runtime;

/// The file's name in the run folder, and the log's in its `logs`.
const POLICY_FILE: &str = "audit-policy.yaml";
const LOG_FILE: &str = "audit.log";

const LOG_FLAG: &str = "audit-log-path";
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
    /// It was nobody's: 401. Whether it had a token, and which, is not written.
    Unauthorized,
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
            (status.code == 401).then_some(Verdict::Unauthorized)
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

/// Where an audit log will be, and whom to tell of it.
#[derive(Debug)]
pub(crate) struct Follower {
    log: Utf8PathBuf,
    journal: Journal,
}

/// The task that reads an audit log. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Following(JoinHandle<()>);

impl Follower {
    /// None when these flags of the apiserver name no file as the audit log.
    pub(crate) fn new(flags: &Flags, journal: Journal) -> Option<Self> {
        let log = flags.get(LOG_FLAG).last().filter(|log| *log != "-")?;
        Some(Self {
            log: log.into(),
            journal,
        })
    }

    /// Reads the log as it grows, and tells the journal.
    pub(crate) fn start(self) -> Following {
        Following(runtime::handle().spawn(async move {
            let Self { log, journal } = self;
            let mut log = Tail::new(log);
            let mut reader = Reader::default();
            let mut look = interval(LOOK);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                look.tick().await;
                // What cannot be read now may be at the next look.
                let lines = log.lines().unwrap_or_default();
                for request in lines.iter().filter_map(|line| reader.request(line)) {
                    journal.observe(&request);
                }
            }
        }))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long an apiserver with these flags remembers a decision at the most: as the flag says, by
/// default 2 minutes, and 10 s around that for which there is no flag
/// (`pkg/kubeapiserver/options/authentication.go`, v1.37.2).
pub(crate) fn memory(flags: &Flags) -> Duration {
    let ttl = flags.get(TTL_FLAG).last();
    let ttl = ttl.and_then(|ttl| ttl.parse::<SignedDuration>().ok()?.try_into().ok());
    ttl.unwrap_or(Duration::from_secs(120)) + Duration::from_secs(10)
}

#[cfg(test)]
mod tests;
