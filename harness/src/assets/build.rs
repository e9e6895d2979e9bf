//! A build from Go modules, for where no archive can be had.

use std::fs;

use camino::Utf8Path;
use semver::Version;

use super::claim::{Claim, Workspace};
use super::go::{Go, GoError};
use super::modules::{self, ETCD, KUBERNETES};
use super::packages::{self, Packages};
use super::program::{self, Program, VersionError};
use super::store::{StoreError, unwritable};
use super::{Platform, Sources, Wanted};
use crate::progress::{Bar, Progress, Unit};

/// The version of etcd that is built: the newest in November 2026, measured to build with Go 1.26.
const ETCD_VERSION: &str = "v3.7.3";

/// Flags of every build; a `go list` with the same ones knows what such a build will compile.
const FLAGS: [&str; 3] = ["-mod=mod", "-trimpath", "-buildvcs=false"];

/// Why nothing was built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A `go` command gave no result.
    #[error(transparent)]
    Go(#[from] GoError),
    /// The module proxy has no such version.
    #[error("the module proxy has no {wanted}, but {}", list(has))]
    NoVersion {
        /// What was asked for.
        wanted: Wanted,
        /// What there is.
        has: Vec<Version>,
    },
    /// The built kube-apiserver is not usable.
    #[error("the new kube-apiserver is not usable")]
    Unusable(#[source] VersionError),
    /// The built kube-apiserver says that it is another version.
    #[error("the new kube-apiserver says that it is {says} instead of {version}")]
    OtherVersion {
        /// What was built.
        version: Version,
        /// What it says.
        says: Version,
    },
    /// The store cannot be filled.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// `nothing`, or the versions.
pub(super) fn list(versions: &[Version]) -> String {
    match versions {
        [] => "nothing".to_owned(),
        versions => versions
            .iter()
            .map(Version::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

impl BuildError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Go(error) => error.hint(),
            Self::NoVersion { .. } => {
                Some("ask for one of those, or set GOPROXY to a proxy that has it".to_owned())
            }
            Self::Unusable(_) | Self::OtherVersion { .. } => None,
            Self::Store(error) => error.hint(),
        }
    }
}

/// The versions that the module proxy has.
pub(super) async fn versions(sources: &Sources) -> Result<Vec<Version>, BuildError> {
    // Outside of any module, and nothing worth a log.
    let folder = tempfile::tempdir().map_err(|source| GoError::Run {
        command: "go list".to_owned(),
        source,
    })?;
    let path = Utf8Path::from_path(folder.path()).unwrap_or(Utf8Path::new("/"));
    let mut go = Go::new(&sources.go, &sources.platform, path, path.join("log"))?;
    Ok(modules::versions(&mut go).await?)
}

/// The newest version that is wanted and that the module proxy has.
pub(super) async fn resolve(sources: &Sources, wanted: &Wanted) -> Result<Version, BuildError> {
    let has = versions(sources).await?;
    wanted
        .newest(&has)
        .cloned()
        .ok_or_else(|| BuildError::NoVersion {
            wanted: wanted.clone(),
            has,
        })
}

/// Builds the three programs of a version into the store.
pub(super) async fn build(
    sources: &Sources,
    version: &Version,
    claim: &Claim,
    progress: &Progress,
) -> Result<(), BuildError> {
    let workspace = claim.workspace()?;
    let mut go = Go::new(&sources.go, &sources.platform, &workspace.path, claim.log())?;

    let etcd = Target {
        title: format!("etcd {}", ETCD_VERSION.trim_start_matches('v')),
        module: ETCD,
        version: ETCD_VERSION.to_owned(),
        staging: None,
        packages: vec![ETCD.to_owned()],
        output: workspace.programs.join(Program::Etcd.name()).into_string(),
        stamps: String::new(),
    };
    etcd.build(&mut go, &workspace, progress).await?;

    let kubernetes = Target {
        title: format!("kube-apiserver and kubectl {version}"),
        module: KUBERNETES,
        version: format!("v{version}"),
        staging: Some(staging(version)),
        packages: [Program::KubeApiserver, Program::Kubectl]
            .map(|program| format!("{KUBERNETES}/cmd/{program}"))
            .to_vec(),
        output: format!("{}/", workspace.programs),
        stamps: stamps(version),
    };
    kubernetes.build(&mut go, &workspace, progress).await?;

    if sources.platform == Platform::this() {
        let new = workspace.programs.join(Program::KubeApiserver.name());
        let says = program::version(&new, sources.patience.version)
            .await
            .map_err(BuildError::Unusable)?;
        if says != *version {
            return Err(BuildError::OtherVersion {
                version: version.clone(),
                says,
            });
        }
    }
    Ok(claim.install(&workspace)?)
}

/// The version of the staging modules: 1.37.2 has v0.37.2.
pub(super) fn staging(version: &Version) -> String {
    format!(
        "v{}",
        Version {
            major: 0,
            ..version.clone()
        }
    )
}

/// What the linker writes into the programs, so that they know their version
/// (kubernetes, `hack/lib/version.sh`).
pub(super) fn stamps(version: &Version) -> String {
    let stamp = |library: &str| {
        let Version { major, minor, .. } = version;
        let library = format!("-X k8s.io/{library}");
        format!(
            " {library}.gitVersion=v{version} {library}.gitMajor={major} {library}.gitMinor={minor}"
        )
    };
    stamp("component-base/version") + &stamp("client-go/pkg/version")
}

/// Programs that are built by one command.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) title: String,
    pub(super) module: &'static str,
    pub(super) version: String,
    pub(super) staging: Option<String>,
    pub(super) packages: Vec<String>,
    pub(super) output: String,
    pub(super) stamps: String,
}

impl Target {
    pub(super) async fn build(
        &self,
        go: &mut Go,
        workspace: &Workspace,
        progress: &Progress,
    ) -> Result<(), BuildError> {
        let ldflags = format!("-ldflags=-s -w{}", self.stamps);
        let packages = self.packages.iter().map(String::as_str);
        let flags = || FLAGS.into_iter().chain([ldflags.as_str()]);

        let bar = progress.bar(
            &format!("getting the Go modules of {}", self.title),
            0,
            Unit::Modules,
        );
        let mut left = self.prepare(go, workspace, flags(), &bar).await?;
        bar.finish();

        let bar = progress.bar(
            &format!("building {}", self.title),
            left.total(),
            Unit::Packages,
        );
        let args = ["build", "-v"]
            .into_iter()
            .chain(flags())
            .chain(["-o", &self.output]);
        let args: Vec<_> = args.chain(packages).collect();
        let count = |line: &str| {
            if left.begin(line) {
                bar.at(line);
                bar.set(left.done());
            }
        };
        go.run(&args, count).await?;
        bar.finish();
        Ok(())
    }

    /// Downloads the modules, and finds the packages that are to be compiled.
    async fn prepare<'a>(
        &'a self,
        go: &mut Go,
        workspace: &Workspace,
        flags: impl Iterator<Item = &'a str>,
        bar: &Bar,
    ) -> Result<Packages, BuildError> {
        let mut done = 0;
        let mut count = |line: &str| {
            if let Some(module) = line.strip_prefix("go: downloading ") {
                done += 1;
                bar.set(done);
                bar.at(module);
            }
        };
        let path = workspace.path.join("go.mod");
        fs::write(&path, modules::EMPTY).map_err(unwritable(&path))?;
        let text = modules::manifest(
            go,
            self.module,
            &self.version,
            self.staging.as_deref(),
            &mut count,
        )
        .await?;
        fs::write(&path, text).map_err(unwritable(&path))?;
        let args: Vec<_> = ["list", "-deps", "-f", packages::TEMPLATE]
            .into_iter()
            .chain(flags)
            .chain(self.packages.iter().map(String::as_str))
            .collect();
        Ok(Packages::read(&go.run(&args, count).await?))
    }
}
