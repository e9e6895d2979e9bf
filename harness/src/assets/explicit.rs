//! Programs that the environment names.

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use super::place::{Place, State};
use super::program::{self, Fault, Program, VersionError};
use super::{Assets, Source, Sources, Wanted};

/// Why what the environment names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExplicitError {
    /// A `TEST_ASSET_…` variable names something that is no program.
    #[error("{variable}: `{path}` {fault}")]
    Program {
        /// The variable.
        variable: &'static str,
        /// What it names.
        path: Utf8PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// `KUBEBUILDER_ASSETS` names no folder.
    #[error("KUBEBUILDER_ASSETS: `{folder}` is not a folder")]
    NoFolder {
        /// What it names.
        folder: Utf8PathBuf,
    },
    /// The folder that `KUBEBUILDER_ASSETS` names lacks programs.
    #[error("KUBEBUILDER_ASSETS: in `{folder}` {}", list(faults))]
    Incomplete {
        /// The folder.
        folder: Utf8PathBuf,
        /// The programs, each with what is wrong with it.
        faults: Vec<(Program, Fault)>,
    },
    /// The version of a kube-apiserver cannot be told.
    #[error("{variable}: the version of kube-apiserver is unknown")]
    Version {
        /// The variable that named it.
        variable: &'static str,
        /// Why it cannot be told.
        source: VersionError,
    },
}

/// `kubectl is not there, etcd is not executable`.
pub(super) fn list(faults: &[(Program, Fault)]) -> String {
    let faults: Vec<String> = faults
        .iter()
        .map(|(program, fault)| format!("{program} {fault}"))
        .collect();
    faults.join(", ")
}

impl ExplicitError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Program { variable, .. } => {
                format!(
                    "set {variable} to an executable file, or unset it to have the program found or fetched"
                )
            }
            Self::NoFolder { .. } | Self::Incomplete { .. } => {
                "set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl, \
                 or unset it to have them found or fetched"
                    .to_owned()
            }
            Self::Version { variable, .. } => format!(
                "set {variable} to programs that run on this machine, or unset it to have them found or fetched"
            ),
        })
    }
}

const FOLDER: &str = "KUBEBUILDER_ASSETS";

/// Single programs that the environment names: they replace those of another source.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    etcd: Option<Utf8PathBuf>,
    kube_apiserver: Option<(Utf8PathBuf, Version)>,
    kubectl: Option<Utf8PathBuf>,
}

impl Overrides {
    /// All three, if all three are named.
    pub(super) fn complete(&self) -> Option<Assets> {
        let (kube_apiserver, version) = self.kube_apiserver.clone()?;
        Some(Assets {
            version,
            source: Source::Environment,
            etcd: self.etcd.clone()?,
            kube_apiserver,
            kubectl: self.kubectl.clone()?,
        })
    }

    /// These programs in place of those.
    pub(super) fn over(&self, mut assets: Assets) -> Assets {
        if let Some(etcd) = &self.etcd {
            assets.etcd.clone_from(etcd);
        }
        if let Some(kubectl) = &self.kubectl {
            assets.kubectl.clone_from(kubectl);
        }
        if let Some((path, version)) = &self.kube_apiserver {
            assets.kube_apiserver.clone_from(path);
            assets.version.clone_from(version);
            assets.source = Source::Environment;
        }
        assets
    }

    /// The programs that another source must have.
    fn rest(&self) -> Vec<Program> {
        let named = |program: &Program| match program {
            Program::Etcd => self.etcd.is_some(),
            Program::KubeApiserver => self.kube_apiserver.is_some(),
            Program::Kubectl => self.kubectl.is_some(),
        };
        Program::ALL
            .into_iter()
            .filter(|program| !named(program))
            .collect()
    }
}

/// Looks at `TEST_ASSET_…`. When their kube-apiserver is not of the version asked for, all of them
/// are passed over.
pub(super) async fn environment(
    sources: &Sources,
    wanted: &Wanted,
) -> Result<(Overrides, Place), ExplicitError> {
    let named: Vec<_> = Program::ALL
        .into_iter()
        .filter_map(|program| Some((program, sources.named(program)?)))
        .collect();
    if named.is_empty() {
        return Ok((
            Overrides::default(),
            Place::new(Source::Environment, "", State::Unset).hint(ENVIRONMENT_HINT),
        ));
    }
    for (program, path) in &named {
        program::check(path).map_err(|fault| ExplicitError::Program {
            variable: program.variable(),
            path: (*path).clone(),
            fault,
        })?;
    }
    let kube_apiserver = match &sources.kube_apiserver {
        None => None,
        Some(path) => Some((
            path.clone(),
            ask(Program::KubeApiserver.variable(), path, sources).await?,
        )),
    };
    let overrides = Overrides {
        etcd: sources.etcd.clone(),
        kube_apiserver,
        kubectl: sources.kubectl.clone(),
    };

    let list: Vec<_> = named
        .iter()
        .map(|(program, path)| format!("{}={path}", program.variable()))
        .collect();
    let place = Place::new(Source::Environment, list.join(" "), State::Usable).versions(
        overrides
            .kube_apiserver
            .as_ref()
            .map(|(_, version)| version.clone()),
    );
    if let Some((_, version)) = &overrides.kube_apiserver
        && !wanted.accepts_named(version)
    {
        return Ok((
            Overrides::default(),
            passed_over(place, version, wanted).hint(ENVIRONMENT_HINT),
        ));
    }
    let rest = overrides.rest();
    let place = match rest.as_slice() {
        [] => place,
        rest => {
            let list: Vec<_> = rest.iter().map(|program| program.name()).collect();
            place.reason(format!("names no {}", list.join(", no ")))
        }
    };
    Ok((overrides, place))
}

const ENVIRONMENT_HINT: &str =
    "set TEST_ASSET_ETCD, TEST_ASSET_KUBE_APISERVER and TEST_ASSET_KUBECTL to the programs";
const FOLDER_HINT: &str =
    "set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl";

/// Looks at `KUBEBUILDER_ASSETS`.
pub(super) async fn folder(
    sources: &Sources,
    wanted: &Wanted,
    overrides: &Overrides,
) -> Result<(Option<Assets>, Place), ExplicitError> {
    let Some(folder) = &sources.folder else {
        return Ok((
            None,
            Place::new(Source::KubebuilderAssets, "", State::Unset).hint(FOLDER_HINT),
        ));
    };
    if !folder.is_dir() {
        return Err(ExplicitError::NoFolder {
            folder: folder.clone(),
        });
    }
    let faults = program::lacking(folder, &overrides.rest());
    if !faults.is_empty() {
        return Err(ExplicitError::Incomplete {
            folder: folder.clone(),
            faults,
        });
    }
    let place = Place::new(Source::KubebuilderAssets, folder.as_str(), State::Usable);
    let version = match &overrides.kube_apiserver {
        Some((_, version)) => version.clone(),
        None => ask(FOLDER, &folder.join(Program::KubeApiserver.name()), sources).await?,
    };
    let place = place.versions([version.clone()]);
    if !wanted.accepts_named(&version) {
        return Ok((None, passed_over(place, &version, wanted).hint(FOLDER_HINT)));
    }
    let assets = Assets {
        version,
        source: Source::KubebuilderAssets,
        etcd: folder.join(Program::Etcd.name()),
        kube_apiserver: folder.join(Program::KubeApiserver.name()),
        kubectl: folder.join(Program::Kubectl.name()),
    };
    Ok((Some(overrides.over(assets)), place))
}

fn passed_over(mut place: Place, version: &Version, wanted: &Wanted) -> Place {
    place.state = State::Lacks;
    place.reason(format!(
        "has {version}, passed over because {wanted} was asked for"
    ))
}

async fn ask(
    variable: &'static str,
    path: &Utf8Path,
    sources: &Sources,
) -> Result<Version, ExplicitError> {
    program::version(path, sources.patience.version)
        .await
        .map_err(|source| ExplicitError::Version { variable, source })
}
