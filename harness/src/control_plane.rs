//! A real control plane on loopback: etcd and kube-apiserver as child processes.

mod apiserver;
mod etcd;
mod peer;

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tokenlab_webhook::pki::{CertificateAuthority, PkiError, public_key_pem, signing_key_pem};

use crate::assets::Assets;
use crate::flags::Flags;
use crate::journal::{
    Journal,
    audit::{self, Following},
};
use crate::kubeconfig::{self, Identity, Kubeconfig};
use crate::named::Part;
use crate::ports::Port;
use crate::process::{Plan, Process, StartError};
use crate::run_folder::{self, COMMAND_LINES, RunFolder, RunFolderError};
use crate::wait::{Poll, Probe};
pub(crate) use apiserver::answers;
pub use peer::Peer;

/// Variables by their names.
type Environment = BTreeMap<String, String>;

/// Both programs are Go, start with a burst of garbage and live for seconds: collecting less
/// often is worth 0.15 s of the start on two cores, for some 100 MiB of memory.
fn fast_go() -> Environment {
    BTreeMap::from([("GOGC".to_owned(), "400".to_owned())])
}

/// How long a graceful stop may take before it is ended by force.
const GRACE: Duration = Duration::from_secs(10);

/// Everything about a control plane that does not run yet. `Display` is its command lines.
#[derive(Debug)]
pub struct ControlPlanePlan {
    etcd: Plan,
    apiserver: Utf8PathBuf,
    flags: Flags,
    env: Environment,
    port: Port,
    authority: CertificateAuthority,
    admin: Kubeconfig,
    journal: Option<Journal>,
    /// Whether the audit log is read for the journal.
    follows: bool,
    folder: Utf8PathBuf,
    logs: Utf8PathBuf,
}

/// Why there is no control plane.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// A file of it could not be written.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// Its certificates could not be made.
    #[error("the control plane's certificates could not be made")]
    Pki(#[from] PkiError),
    /// No port was to be had.
    #[error("no port on 127.0.0.1 could be taken")]
    Port(#[source] std::io::Error),
    /// A client for it could not be made.
    #[error("the admin's client could not be made")]
    Client(#[source] Box<kube::Error>),
    /// A process did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl ControlPlaneError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Folder(error) => error.hint(),
            Self::Start(error) => error.hint(),
            Self::Pki(_) | Self::Port(_) | Self::Client(_) => None,
        }
    }
}

impl ControlPlanePlan {
    /// Decides everything and writes the files; starts nothing.
    pub fn new(assets: &Assets, folder: &RunFolder) -> Result<Self, ControlPlaneError> {
        let port = Port::reserve().map_err(ControlPlaneError::Port)?;
        let authority = CertificateAuthority::new("tokenlab-control-plane")?;
        let serving = authority.serving(&[
            "localhost",
            "127.0.0.1",
            "kubernetes.default.svc",
            apiserver::FIRST_SERVICE_ADDRESS,
        ])?;
        folder.write(apiserver::CA, authority.certificate_pem())?;
        folder.write(apiserver::SERVING_CERTIFICATE, serving.certificate_pem())?;
        folder.write(apiserver::SERVING_KEY, serving.key_pem())?;
        let signing_key = signing_key_pem()?;
        folder.write(apiserver::SIGNING_KEY, &signing_key)?;
        folder.write(apiserver::VERIFYING_KEY, &public_key_pem(&signing_key)?)?;
        let admin = Identity::from(&authority.client("lab-admin", &["system:masters"])?);
        let admin = kubeconfig(port.number(), &authority, "lab-admin", admin);
        folder.write("admin.kubeconfig", &admin.yaml())?;
        let logs = folder.folder("logs")?;
        let path = folder.path();
        Ok(Self {
            etcd: etcd::plan(&assets.etcd, path, &logs),
            apiserver: assets.kube_apiserver.clone(),
            flags: apiserver::flags(path, port.number()),
            env: fast_go(),
            port,
            authority,
            admin,
            journal: None,
            follows: false,
            folder: path.to_owned(),
            logs,
        })
    }

    /// kube-apiserver's flags, to look at and to change.
    pub fn flags(&mut self) -> &mut Flags {
        &mut self.flags
    }

    /// kube-apiserver's environment, to look at and to change. `PATH` is its owner's; there is nothing
    /// else but what stands here.
    pub fn env(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.env
    }

    /// Has the journal of the apiserver's webhook told whenever the apiserver starts, and so
    /// remembers nothing; and, when it `follows` the audit log, of the requests that were answered
    /// without a review.
    pub(crate) fn tell(&mut self, journal: Journal, follows: bool) {
        self.journal = Some(journal);
        self.follows = follows;
    }

    /// Starts it, and returns when it is ready.
    pub async fn start(self) -> Result<ControlPlane, ControlPlaneError> {
        self.record(&self)?;
        let etcd = self.etcd.clone().spawn()?;
        // The apiserver takes longer to look for etcd than etcd to listen, but were it ever
        // the first, its gRPC client would wait a second before it looks again.
        etcd::ready(&etcd).await?;
        let mut plane = ControlPlane {
            apiserver: None,
            etcd,
            plan: self,
            following: None,
        };
        plane.start_apiserver().await?;
        Ok(plane)
    }

    /// Writes down what is about to run: a kept folder tells what ran, not what was planned.
    fn record(&self, what: &dyn fmt::Display) -> Result<(), RunFolderError> {
        run_folder::record(&self.folder.join(COMMAND_LINES), &what.to_string())
    }

    /// kube-apiserver alone, with its flags as they are now: what it makes of them at its start needs no
    /// etcd.
    pub(crate) fn apiserver(&self) -> Plan {
        let (program, folder) = (&self.apiserver, &self.folder);
        apiserver::plan(program, folder, &self.logs, &self.flags, &self.env)
    }
}

impl fmt::Display for ControlPlanePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.etcd, self.apiserver())
    }
}

/// A running control plane. Dropped, it is killed; [`stop`](Self::stop) is the orderly way.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: the apiserver goes before etcd.
    apiserver: Option<Process>,
    etcd: Process,
    plan: ControlPlanePlan,
    following: Option<Following>,
}

impl ControlPlane {
    /// What it was started from.
    pub fn plan(&self) -> &ControlPlanePlan {
        &self.plan
    }

    /// The user in `system:masters`, known by a client certificate.
    pub fn admin(&self) -> &Kubeconfig {
        &self.plan.admin
    }

    /// A user known by a client certificate: `name` is its user name, `groups` its groups.
    pub fn certificate_user(&self, name: &str, groups: &[&str]) -> Result<Kubeconfig, PkiError> {
        let certificate = self.plan.authority.client(name, groups)?;
        Ok(self.user(name, Identity::from(&certificate)))
    }

    /// Someone who shows this identity; `name` only names the entry in the file.
    pub fn user(&self, name: &str, identity: Identity) -> Kubeconfig {
        kubeconfig(
            self.plan.port.number(),
            &self.plan.authority,
            name,
            identity,
        )
    }

    /// The flags that kube-apiserver was last started with.
    pub fn flags(&self) -> &Flags {
        &self.plan.flags
    }

    /// The arguments of the running kube-apiserver, as the system tells them; none when none runs.
    pub fn running_args(&self) -> std::io::Result<Vec<String>> {
        self.apiserver
            .as_ref()
            .map_or(Ok(Vec::new()), Process::args)
    }

    /// Ends the apiserver, changes its flags, and starts it again on the same etcd and port.
    ///
    /// When it does not come back, the control plane is without an apiserver: another restart
    /// may mend that.
    pub async fn restart(
        &mut self,
        change: impl FnOnce(&mut Flags),
    ) -> Result<(), ControlPlaneError> {
        if let Some(apiserver) = self.apiserver.take() {
            apiserver.kill().await;
        }
        change(&mut self.plan.flags);
        self.plan.record(&self.plan.apiserver())?;
        self.start_apiserver().await
    }

    async fn start_apiserver(&mut self) -> Result<(), ControlPlaneError> {
        let client = kubeconfig::client(&self.plan.admin)
            .await
            .map_err(|error| ControlPlaneError::Client(Box::new(error)))?;
        if let Some(journal) = &self.plan.journal {
            journal.apiserver_starts(audit::memory(&self.plan.flags));
        }
        self.follow();
        let process = self.plan.apiserver().spawn()?;
        let ready = tokio::select! {
            biased;
            status = self.etcd.exit() => Err(self.etcd.ended_early(status)),
            ready = apiserver::ready(&process, &client) => ready,
        };
        ready?;
        self.apiserver = Some(process);
        Ok(())
    }

    /// Reads the audit log that the flags name now. To be called while no apiserver writes to it.
    fn follow(&mut self) {
        let log = audit::log(&self.plan.flags, &self.plan.folder);
        if self.following.as_ref().map(Following::log) == log.as_deref() {
            return;
        }
        let journal = self.plan.journal.as_ref().filter(|_| self.plan.follows);
        let followed = log.zip(journal);
        let apiserver = self.plan.apiserver().log;
        self.following =
            followed.map(|(log, journal)| Following::start(log, apiserver, journal.clone()));
    }

    /// Resolves when etcd or kube-apiserver has ended by itself: which of them, and how.
    pub async fn ended(&self) -> (&'static str, ExitStatus) {
        let apiserver = async {
            match &self.apiserver {
                Some(process) => process.exit().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            status = self.etcd.exit() => ("etcd", status),
            status = apiserver => ("kube-apiserver", status),
        }
    }

    /// The same, with the command line and the end of the log.
    pub async fn failed(&self) -> ControlPlaneError {
        let (name, status) = self.ended().await;
        let process = match &self.apiserver {
            Some(apiserver) if name != self.etcd.plan().name => apiserver,
            _ => &self.etcd,
        };
        process.ended_early(status).into()
    }

    /// Kills both at once: for a control plane whose data nobody wants.
    pub async fn kill(mut self) {
        if let Some(apiserver) = self.apiserver.take() {
            apiserver.kill().await;
        }
        self.etcd.kill().await;
    }

    /// Lets both end by themselves, the apiserver first; by force after ten seconds each.
    pub async fn stop(mut self) {
        if let Some(apiserver) = self.apiserver.take() {
            apiserver.stop(GRACE).await;
        }
        self.etcd.stop(GRACE).await;
    }

    /// The process numbers of etcd and kube-apiserver.
    pub fn process_ids(&self) -> Vec<u32> {
        let apiserver = self.apiserver.as_ref().map(Process::id);
        std::iter::once(self.etcd.id()).chain(apiserver).collect()
    }

    /// etcd and kube-apiserver, and how each is.
    pub fn parts(&self) -> [Part; 2] {
        [
            part("etcd", Some(&self.etcd)),
            part("kube-apiserver", self.apiserver.as_ref()),
        ]
    }

    /// The folder of its logs.
    pub fn logs(&self) -> &Utf8Path {
        &self.plan.logs
    }
}

/// A process of a lab, and how it is.
pub(crate) fn part(name: &str, process: Option<&Process>) -> Part {
    let ended = process.map(|process| (process.id(), process.exited()));
    let (pid, state) = match ended {
        Some((pid, None)) => (Some(pid), "running".to_owned()),
        Some((_, Some(status))) => (None, format!("ended: {status}")),
        None => (
            None,
            "not started: it did not come back with its flags".to_owned(),
        ),
    };
    Part {
        name: name.to_owned(),
        pid,
        healthy: pid.is_some(),
        state,
    }
}

fn kubeconfig(
    port: u16,
    authority: &CertificateAuthority,
    user: &str,
    identity: Identity,
) -> Kubeconfig {
    Kubeconfig {
        cluster: "tokenlab".to_owned(),
        user: user.to_owned(),
        server: server(port),
        certificate_authority: authority.certificate_pem().to_owned(),
        tls_server_name: None,
        identity,
    }
}

fn server(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}
