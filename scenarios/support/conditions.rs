//! On what a scenario runs. Where it does not it is skipped, by its name.

use semver::Version;
use tokenlab_harness::assets::Assets;
use tokenlab_harness::{Backend, ClusterError, K3sError, Lab};
use tokio::sync::OnceCell;

use super::{MockLab, config, skipped};

/// The variable that has the class `slow` run.
const SLOW: &str = "LAB_SLOW";

/// Whether a scenario may run that scripts what the webhook answers, or that needs the control
/// plane to itself: only the bare backend has such a webhook.
pub(crate) fn runs_bare_only(scenario: &str) -> bool {
    let backend = Backend::from_env().expect("LAB_BACKEND must be a backend");
    let runs = backend.scripts_its_webhook();
    if !runs {
        skipped::skip(
            scenario,
            "it needs the bare backend, whose webhook can be scripted",
        );
    }
    runs
}

/// Whether there is what a lab of this backend is made of: k3s needs an image, which not every
/// machine can have.
pub(crate) async fn can_be_made(scenario: &str) -> bool {
    static LACKS: OnceCell<Option<String>> = OnceCell::const_new();
    let lacks = LACKS.get_or_init(|| async {
        let backend = Backend::from_env().expect("LAB_BACKEND must be a backend");
        match backend.has_its_image(&config().kubernetes).await {
            Ok(()) => None,
            Err(ClusterError::K3s(error @ K3sError::NoImage { .. })) => Some(error.to_string()),
            Err(error) => panic!("must be known: {error}"),
        }
    });
    match lacks.await {
        None => true,
        Some(why) => {
            skipped::skip(scenario, why);
            false
        }
    }
}

/// Whether what waits for minutes is wanted.
pub(crate) fn slow_ones_run(scenario: &str) -> bool {
    let run = std::env::var_os(SLOW).is_some_and(|value| value == "1");
    if !run {
        skipped::skip(scenario, "it takes minutes: LAB_SLOW=1 runs it");
    }
    run
}

/// Whether this is `since`, a series such as `1.36`, or a newer one.
pub(crate) fn is_since(kubernetes: &Version, scenario: &str, since: &str) -> bool {
    let first = Version::parse(&format!("{since}.0")).expect("must be a series");
    let is = *kubernetes >= first;
    if !is {
        skipped::skip(scenario, &format!("it came with Kubernetes {since}"));
    }
    is
}

/// What runs some version of Kubernetes.
pub(crate) trait Kubernetes {
    fn kubernetes(&self) -> &Version;
}

impl Kubernetes for Assets {
    fn kubernetes(&self) -> &Version {
        &self.version
    }
}

impl Kubernetes for Lab {
    fn kubernetes(&self) -> &Version {
        self.assets().kubernetes()
    }
}

impl Kubernetes for MockLab {
    fn kubernetes(&self) -> &Version {
        match self {
            Self::Bare(lab) => lab.kubernetes(),
            Self::Cluster(lab) => lab.plan().version(),
        }
    }
}

/// A scenario's name as libtest has it, without its case: `refusal::unauthorized`.
macro_rules! name {
    ($context:expr) => {{
        let module = module_path!();
        let subject = module
            .split_once("::")
            .map_or(module, |(_, subject)| subject);
        format!("{subject}::{}", $context.name)
    }};
}

/// The lab of whatever backend; where it cannot be made the scenario ends here.
macro_rules! if_made {
    ($lab:expr, $context:expr) => {
        if $crate::support::can_be_made(&$crate::support::name!($context)).await {
            $lab.await
        } else {
            return;
        }
    };
}

/// The shared lab; on a backend that cannot script its webhook the scenario ends here.
macro_rules! bare_only {
    ($lab:expr, $context:expr) => {
        if $crate::support::runs_bare_only(&$crate::support::name!($context)) {
            $lab.await
        } else {
            return;
        }
    };
}

/// The class `slow`: without `LAB_SLOW=1` the scenario ends here. It comes before the lab, so
/// that none is started for nothing.
macro_rules! slow {
    ($context:expr) => {
        if !$crate::support::slow_ones_run(&$crate::support::name!($context)) {
            return;
        }
    };
}

/// `since!(lab, context, 1.36)`: before that version of Kubernetes the scenario ends here.
macro_rules! since {
    ($lab:expr, $context:expr, $since:literal) => {
        use $crate::support::Kubernetes as _;
        let name = $crate::support::name!($context);
        if !$crate::support::is_since($lab.kubernetes(), &name, stringify!($since)) {
            return;
        }
    };
}

pub(crate) use {bare_only, if_made, name, since, slow};
