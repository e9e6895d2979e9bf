//! What a lab is made of, for each command that starts one.

use super::webhook::Foreign;
use anyhow::Context as _;
use camino::Utf8PathBuf;
use clap::CommandFactory as _;
use tokenlab_harness::assets::Wanted;
use tokenlab_harness::{Backend, ExistingCluster, Reach, ServiceAddress, Wire};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Choice {
    /// What the control plane runs on
    #[arg(long, value_enum, default_value_t, env = "LAB_BACKEND")]
    pub(super) backend: Backend,

    /// When the webhook is wired into the apiserver of a real cluster [default: patch]
    #[arg(long, value_enum)]
    pub(super) wire: Option<Wire>,

    /// How the apiserver of a real cluster finds the webhook [default: cluster-ip]
    #[arg(long, value_enum)]
    pub(super) reach: Option<Reach>,

    /// The address of the webhook's Service in a real cluster; `auto`: the one that the cluster
    /// chooses [default: one that is known beforehand]
    #[arg(long, value_name = "IP|auto")]
    pub(super) service_address: Option<ServiceAddress>,

    /// k3s without its agent: a control plane alone, the webhook in a container beside it
    #[arg(long)]
    pub(super) no_agent: bool,

    /// The kubeconfig of a cluster that exists
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<Utf8PathBuf>,

    /// The context in it [default: its current one]
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub(super) context: Option<String>,

    #[command(flatten)]
    pub(super) webhook: Foreign,

    /// The version of Kubernetes: 1.37 (its newest patch) or v1.37.2
    #[arg(long, value_name = "VERSION", env = "LAB_KUBERNETES", value_parser = super::version)]
    pub(super) kubernetes: Option<Wanted>,
}

impl Choice {
    /// Ends the program, as a misspelt flag does, when a flag says nothing on the backend.
    pub(super) fn check(&self) {
        if self.backend == Backend::Bare
            && let Some(flag) = self.for_clusters()
        {
            conflict(&format!(
                "`{flag}` is for a real cluster: add `--backend kind`"
            ));
        }
        if self.no_agent && self.backend != Backend::K3s {
            conflict("`--no-agent` is for k3s: add `--backend k3s`");
        }
        if self.backend == Backend::Existing {
            self.check_existing();
        } else if self.kubeconfig.is_some() {
            conflict("`--kubeconfig` is for a cluster that exists: add `--backend existing`");
        }
        if let Some(said) = self.webhook.unfit(self.backend) {
            conflict(&said);
        }
        if self.webhook.is_elsewhere() && (self.reach.is_some() || self.service_address.is_some()) {
            conflict("`--reach` and `--service-address` are for a webhook that is deployed");
        }
    }

    /// Nothing of a cluster that exists is chosen here. Which one it is must be said: the current
    /// context of the user's own kubeconfig may be a cluster that others work with.
    fn check_existing(&self) {
        let version = self.kubernetes.as_ref().map(|_| "--kubernetes");
        if let Some(flag) = self.for_clusters().or(version) {
            conflict(&format!("`{flag}` is for a cluster that is made here"));
        }
        if self.kubeconfig.is_none() {
            conflict(
                "`--backend existing` needs `--kubeconfig FILE`: which cluster it is must be said",
            );
        }
    }

    /// The cluster that exists, wherever it is looked at from.
    pub(super) fn existing(&self) -> anyhow::Result<Option<ExistingCluster>> {
        let Some(kubeconfig) = &self.kubeconfig else {
            return Ok(None);
        };
        let absolute = camino::absolute_utf8(kubeconfig);
        let kubeconfig =
            absolute.with_context(|| format!("`--kubeconfig {kubeconfig}` cannot be found"))?;
        Ok(Some(ExistingCluster {
            kubeconfig,
            context: self.context.clone(),
        }))
    }

    /// A flag that says nothing on the bare backend.
    fn for_clusters(&self) -> Option<&'static str> {
        let wire = self.wire.map(|_| "--wire");
        let reach = self.reach.map(|_| "--reach");
        let address = self.service_address.map(|_| "--service-address");
        wire.or(reach).or(address)
    }
}

/// Ends as a misspelt flag does: with the usage of the verb, which is the first word.
pub(super) fn conflict(said: &str) -> ! {
    let mut program = super::Args::command();
    // With the program's name before those of the verbs.
    program.build();
    let verb = std::env::args_os().nth(1).unwrap_or_default();
    let verb = program.find_subcommand(verb).cloned();
    verb.unwrap_or(program)
        .error(clap::error::ErrorKind::ArgumentConflict, said)
        .exit()
}
