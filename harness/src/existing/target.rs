//! Which cluster is meant, and what deletes from it what a run made.

use std::collections::BTreeSet;
use std::fs::File;

use serde_json::Value;

use super::{ExistingCluster, ExistingError, kinds};
use crate::manifests::{Manifests, RUN};
use crate::tool::Tool;

impl ExistingCluster {
    /// Whether its kubeconfig is there. Of one that is not kubectl says that it has no context, and an
    /// empty path is the user's own to it.
    pub(super) fn can_be_read(&self) -> Result<(), ExistingError> {
        let path = &self.kubeconfig;
        let opened = File::open(path).map_err(|source| ExistingError::NoKubeconfig {
            path: path.clone(),
            source,
        });
        opened.map(drop)
    }
}

/// How kubectl is told which cluster.
pub(super) fn target(cluster: &ExistingCluster) -> Result<Vec<String>, ExistingError> {
    let ExistingCluster {
        kubeconfig,
        context,
    } = cluster;
    // The guardian and `port-forward` work elsewhere, where a relative path is another file.
    let path = camino::absolute_utf8(kubeconfig);
    let path = path.map_err(|source| ExistingError::NoKubeconfig {
        path: kubeconfig.clone(),
        source,
    })?;
    let mut target = vec![format!("--kubeconfig={path}")];
    target.extend((context.iter()).map(|context| format!("--context={context}")));
    Ok(target)
}

/// The command that deletes these objects' runs; none when some are no run's.
pub(super) fn deleted_by(
    items: &[Value],
    target: &[String],
    manifests: &Manifests,
) -> Option<String> {
    let (kinds, namespace) = (kinds(manifests), &*manifests.namespace);
    let run = |item: &Value| Some(item["metadata"]["labels"][RUN].as_str()?.to_owned());
    let runs: BTreeSet<String> = items.iter().map(run).collect::<Option<_>>()?;
    let runs: Vec<_> = runs.into_iter().collect();
    let selector = format!("{RUN} in ({})", runs.join(","));
    let args = ["delete", kinds, "--namespace", namespace, "--selector"];
    let words = std::iter::once("kubectl")
        .chain(target.iter().map(String::as_str))
        .chain(args)
        .chain(std::iter::once(&*selector));
    Some(crate::process::command_line([], words))
}

/// The command that deletes what was made, and nothing else: by the label of this one run.
pub(super) fn removal(
    kubectl: &Tool,
    target: &[String],
    manifests: &Manifests,
    run: &str,
) -> String {
    let (kinds, namespace) = (kinds(manifests), &*manifests.namespace);
    let selector = format!("{RUN}={run}");
    let args = ["delete", kinds, "--namespace", namespace, "--selector"];
    let rest = [
        "--ignore-not-found",
        "--cascade=foreground",
        "--timeout=30s",
    ];
    let words = std::iter::once(kubectl.program().as_str())
        .chain(target.iter().map(String::as_str))
        .chain(args)
        .chain(std::iter::once(&*selector))
        .chain(rest);
    crate::process::command_line([], words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster(kubeconfig: &str) -> ExistingCluster {
        ExistingCluster {
            kubeconfig: kubeconfig.into(),
            context: Some("theirs".to_owned()),
        }
    }

    #[test]
    fn a_relative_kubeconfig_is_the_same_file_everywhere() {
        let here = std::env::current_dir().expect("must be somewhere");
        let path = here.join("theirs.yaml");
        let told = target(&cluster("theirs.yaml")).expect("is a path");
        let path = format!("--kubeconfig={}", path.display());
        assert_eq!(told, [&*path, "--context=theirs"]);
        // To kubectl it would be the user's own.
        let error = target(&cluster("")).expect_err("is none");
        assert_eq!(error.to_string(), "the kubeconfig `` cannot be read");
    }

    #[test]
    fn what_a_run_left_is_deleted_there_and_nothing_else() {
        let target = target(&cluster("/theirs.yaml")).expect("is a path");
        let of = |run: &str| json!({"metadata": {"labels": {"tokenlab": "true", RUN: run}}});
        let command = |items: &[Value]| deleted_by(items, &target, &Manifests::default());
        let expected = "kubectl --kubeconfig=/theirs.yaml --context=theirs delete \
             serviceaccount,secret,configmap,service,deployment --namespace kube-system --selector \
             'tokenlab-run in (a,b)'";
        let items = [of("b"), of("a"), of("a")];
        assert_eq!(command(&items).as_deref(), Some(expected));
        let by_hand = json!({"metadata": {"labels": {"tokenlab": "true"}}});
        assert_eq!(command(&[of("a"), by_hand]), None);
        // It has no clients that it checks, and the user may have no right to look for ConfigMaps.
        let open = Manifests {
            clients: Vec::new(),
            ..Manifests::default()
        };
        let command = deleted_by(&items, &target, &open).expect("is a run's");
        assert!(!command.contains("configmap"), "{command}");
    }
}
