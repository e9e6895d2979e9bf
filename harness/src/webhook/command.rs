//! A webhook that a lab starts: a program of somebody else's, told a port and a certificate.

use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use tokenlab_webhook::ApiVersion;
use tokenlab_webhook::pki::{CertificateAuthority, PkiError};

use super::contract::{CERTIFICATE, Contract, KEY, PORT_VARIABLE, Words};
use super::post::{self, PostError};
use super::{SERVICE_NAME, config};
use crate::control_plane::part;
use crate::kubeconfig::Kubeconfig;
use crate::named::Part;
use crate::ports::Port;
use crate::process::{Plan, Process, StartError, is_executable, on_path};
use crate::run_folder::{self, COMMAND_LINES, RunFolder, RunFolderError};
use crate::wait::{Poll, Probe};

/// A webhook that a lab starts before its apiserver and ends with it.
///
/// It is told a port and a certificate by its command line ([`Words`]) and by its environment, which
/// is otherwise that of the lab's owner: `TOKENLAB_WEBHOOK_PORT`, `TOKENLAB_WEBHOOK_ADDRESS`
/// (`127.0.0.1:` and the port), `TOKENLAB_WEBHOOK_TLS_CERT_FILE`, `TOKENLAB_WEBHOOK_TLS_KEY_FILE`,
/// `TOKENLAB_WEBHOOK_DIR` (the folder of both). It has 30 s to answer a TokenReview there over TLS.
/// What it prints goes to `logs/webhook.log` in the run folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookCommand {
    words: Words,
    path: WebhookPath,
    folder: Utf8PathBuf,
    patience: Duration,
}

/// The path of the URL that reviews are posted to, with its first slash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookPath(String);

/// It is no path of a URL.
#[derive(Debug, thiserror::Error)]
#[error("a path begins with `/`, and has no blank, `?` or `#` in it")]
pub struct WebhookPathError;

impl std::str::FromStr for WebhookPath {
    type Err = WebhookPathError;

    fn from_str(text: &str) -> Result<Self, WebhookPathError> {
        let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\' | '"');
        if text.starts_with('/') && text.chars().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(WebhookPathError)
        }
    }
}

impl Default for WebhookPath {
    fn default() -> Self {
        Self(tokenlab_webhook::PATH.to_owned())
    }
}

impl WebhookPath {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a webhook that a lab starts does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such program.
    #[error("the webhook's command cannot be run: there is no program `{program}`")]
    NotFound {
        /// The first word.
        program: String,
    },
    /// Its certificate could not be made.
    #[error("the webhook's certificates could not be made")]
    Pki(#[from] PkiError),
    /// The run folder could not be written.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// There is no port for it.
    #[error("there is no port for the webhook")]
    Port(#[source] io::Error),
    /// It did not start, ended, or did not listen.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What listens there is not the webhook that the lab told its port.
    #[error("the webhook's command is not reached as the apiserver reaches it\n{tail}\n  log: {}\n  command: {}", plan.log, plan.told())]
    Unfit {
        /// What is wrong.
        source: PostError,
        /// The command line.
        plan: Box<Plan>,
        /// The log's last lines, indented.
        tail: String,
    },
    /// It answers, and not as a webhook does.
    #[error("the webhook's command answers a TokenReview posted to `{path}` with {status}, and no TokenReview\n{tail}\n  log: {}\n  command: {}", plan.log, plan.told())]
    NoReview {
        /// Where it was posted to.
        path: String,
        /// The HTTP status.
        status: http::StatusCode,
        /// The command line.
        plan: Box<Plan>,
        /// The log's last lines, indented.
        tail: String,
    },
}

impl CommandError {
    /// Whether it names a log in the run folder.
    pub(super) fn has_a_log(&self) -> bool {
        match self {
            Self::Start(error) => !matches!(error, StartError::ProgramMissing { .. }),
            Self::Unfit { .. } | Self::NoReview { .. } => true,
            Self::NotFound { .. } | Self::Pki(_) | Self::Folder(_) | Self::Port(_) => false,
        }
    }

    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotFound { .. } => {
                "no shell runs it: the first word is a program on PATH or its path; for more, `sh -c '…'`"
            }
            Self::Folder(error) => return error.hint(),
            Self::Unfit {
                source: PostError::NotTls(_),
                ..
            } => "it must serve TLS with the files `{cert}` and `{key}`",
            Self::Unfit { .. } => {
                "it must serve the certificate in `{cert}`, with the key in `{key}`"
            }
            Self::NoReview { .. } => "`--webhook-path` says where it takes reviews",
            Self::Start(StartError::TimedOut { .. }) => {
                "it must listen on `{address}`: `{port}` of 127.0.0.1"
            }
            Self::Start(StartError::Exited { plan, tail, .. }) if in_use(tail) => {
                let port = plan.env.get(PORT_VARIABLE);
                if port.is_some_and(|port| tail.contains(&format!(":{port}"))) {
                    "the lab holds the port: it must set SO_REUSEADDR before it binds, as most \
                     servers do"
                } else {
                    "it must listen on `{address}`: `{port}` of 127.0.0.1. The lab holds that port, \
                     so it must set SO_REUSEADDR too, as most servers do"
                }
            }
            Self::Start(_) | Self::Pki(_) | Self::Port(_) => return None,
        };
        Some(hint.to_owned())
    }
}

fn in_use(log: &str) -> bool {
    log.to_lowercase().contains("address already in use") || log.contains("EADDRINUSE")
}

/// Generous: a webhook may be compiled by its command (`go run`).
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take to end by itself, once asked to.
const GRACE: Duration = Duration::from_secs(2);

impl WebhookCommand {
    /// The webhook that this command line starts, where this process works now: there a relative
    /// path means what its author types.
    pub fn new(words: Words) -> Self {
        let here = std::env::current_dir().ok();
        let here = here.and_then(|here| Utf8PathBuf::from_path_buf(here).ok());
        Self {
            words,
            path: WebhookPath::default(),
            folder: here.unwrap_or_else(|| "/".into()),
            patience: PATIENCE,
        }
    }

    /// Where it takes reviews; `/authenticate` by default.
    #[must_use]
    pub fn path(mut self, path: WebhookPath) -> Self {
        self.path = path;
        self
    }

    /// How long it may take to answer; 30 s by default.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts it, and returns when it answers a review of this version.
    pub(super) async fn start(
        &self,
        folder: &RunFolder,
        version: ApiVersion,
    ) -> Result<(Running, Kubeconfig), CommandError> {
        let authority = CertificateAuthority::new("tokenlab-webhook")?;
        let certificate = authority.serving(&[SERVICE_NAME, "localhost", "127.0.0.1"])?;
        let port = Port::reserve_for_another().map_err(CommandError::Port)?;
        let contract = Contract {
            host: "127.0.0.1",
            port: port.number(),
            folder: folder.folder("webhook")?,
        };
        run_folder::write(&contract.folder, CERTIFICATE, certificate.certificate_pem())?;
        run_folder::write(&contract.folder, KEY, certificate.key_pem())?;
        let config = config(
            format!("https://127.0.0.1:{}{}", port.number(), self.path.as_str()),
            authority.certificate_pem(),
        );
        let plan = self.plan(&contract, &folder.folder("logs")?)?;
        run_folder::record(&folder.file(COMMAND_LINES), &plan.to_string())?;
        let process = plan.spawn()?;
        let poll = Poll {
            every: Duration::from_millis(20),
            within: self.patience,
        };
        let fit = process.ready(poll, async || look(&config, version).await);
        match fit.await? {
            Ok(()) => Ok((
                Running {
                    process,
                    _port: port,
                },
                config,
            )),
            Err(unfit) => Err(self.unfit(unfit, process).await),
        }
    }

    fn plan(&self, contract: &Contract, logs: &Utf8Path) -> Result<Plan, CommandError> {
        let mut words = self.words.told(contract).into_iter();
        let word = words.next().unwrap_or_default();
        let program = if word.contains('/') {
            Some(self.folder.join(&word))
        } else {
            on_path(&word)
        };
        let program = program.filter(|path| is_executable(path));
        let program = program.ok_or(CommandError::NotFound { program: word })?;
        Ok(Plan {
            name: "the webhook's command",
            program,
            args: words.collect(),
            env: contract.variables().collect(),
            inherit: true,
            folder: self.folder.clone(),
            log: logs.join("webhook.log"),
        })
    }

    async fn unfit(&self, unfit: Unfit, process: Process) -> CommandError {
        let plan = Box::new(process.plan().clone());
        let tail = process.log_tail();
        process.kill().await;
        match unfit {
            Unfit::Reached(source) => CommandError::Unfit { source, plan, tail },
            Unfit::Answer(status) => CommandError::NoReview {
                path: self.path.as_str().to_owned(),
                status,
                plan,
                tail,
            },
        }
    }
}

/// What will not change by waiting.
enum Unfit {
    Reached(PostError),
    Answer(http::StatusCode),
}

async fn look(
    config: &Kubeconfig,
    version: ApiVersion,
) -> Probe<Result<(), Unfit>, std::convert::Infallible> {
    match post::post(config, post::question(version)).await {
        Ok(answer) if answer.is_review() => Probe::Ready(Ok(())),
        // It may be about to be ready.
        Ok(answer) if answer.status.is_server_error() => {
            Probe::NotYet(format!("it answered {}", answer.status).into())
        }
        Ok(answer) => Probe::Ready(Err(Unfit::Answer(answer.status))),
        Err(error) if error.may_pass() => Probe::NotYet(crate::assets::chain(&error).into()),
        Err(error) => Probe::Ready(Err(Unfit::Reached(error))),
    }
}

/// The program, which answers. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Running {
    process: Process,
    _port: Port,
}

impl Running {
    /// Resolves when it has ended by itself.
    pub(super) async fn failed(&mut self) -> CommandError {
        let status = self.process.exit().await;
        self.process.ended_early(status).into()
    }

    pub(super) fn line(&self) -> String {
        self.process.plan().to_string()
    }

    pub(super) fn log(&self) -> Utf8PathBuf {
        self.process.plan().log.clone()
    }

    pub(super) fn part(&self) -> Part {
        part("webhook", Some(&self.process))
    }

    pub(super) async fn stop(self) {
        self.process.stop(GRACE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::the_labs(
        "listen tcp 127.0.0.1:8443: bind: address already in use",
        "the lab holds"
    )]
    #[case::another(
        "listen tcp 127.0.0.1:443: bind: address already in use",
        "it must listen on"
    )]
    #[case::not_told("OSError: [Errno 98] Address already in use", "it must listen on")]
    fn which_port_is_in_use(#[case] tail: &str, #[case] advice: &str) {
        let plan = Plan {
            name: "the webhook's command",
            program: "/bin/webhook".into(),
            args: Vec::new(),
            env: [(PORT_VARIABLE.to_owned(), "8443".to_owned())].into(),
            inherit: true,
            folder: "/".into(),
            log: "/log".into(),
        };
        let error = CommandError::Start(StartError::Exited {
            name: plan.name,
            status: std::process::ExitStatus::from_raw(1 << 8),
            plan: Box::new(plan),
            tail: tail.to_owned(),
        });
        let hint = error.hint().expect("must be told");
        assert!(hint.starts_with(advice), "{hint}");
    }
}
