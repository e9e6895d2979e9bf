//! What to write into a `go.mod` so that programs of other modules build.

use std::fmt::Write as _;

use camino::Utf8PathBuf;
use semver::Version;
use serde::Deserialize;

use super::go::{Go, GoError};

/// The module of Kubernetes' programs.
pub(super) const KUBERNETES: &str = "k8s.io/kubernetes";
/// The module of etcd's server, a program itself.
pub(super) const ETCD: &str = "go.etcd.io/etcd/server/v3";

/// A `go.mod` that says nothing, so that one in a folder above is not taken.
pub(super) const EMPTY: &str = "module tokenlab.invalid/programs\n";

/// The answer of `go mod edit -json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    go: Option<String>,
    #[serde(rename = "GoDebug")]
    godebug: Option<Vec<Setting>>,
    require: Option<Vec<Reference>>,
    replace: Option<Vec<Replace>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Setting {
    key: String,
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Replace {
    old: Reference,
    new: Reference,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reference {
    path: String,
}

/// The part of `go mod download -json` that says where the module's own `go.mod` is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Download {
    go_mod: String,
}

/// The part of `go mod download -json` that says where the module's files are.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unpacked {
    dir: Utf8PathBuf,
}

/// The part of `go list -m -versions -json` that has the versions.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listing {
    versions: Option<Vec<String>>,
}

/// The versions of Kubernetes that the module proxy has.
pub(super) async fn versions(go: &mut Go) -> Result<Vec<Version>, GoError> {
    let args = ["list", "-m", "-versions", "-json", KUBERNETES];
    let listing: Listing = read(&args, &go.run(&args, |_| {}).await?)?;
    let mut versions: Vec<_> = listing
        .versions
        .unwrap_or_default()
        .iter()
        .filter_map(|text| Version::parse(text.strip_prefix('v')?).ok())
        .collect();
    versions.sort();
    Ok(versions)
}

/// The folder with the files of a module, read-only and in Go's module cache; downloaded when it
/// is not there.
pub(super) async fn folder(
    go: &mut Go,
    module: &str,
    version: &str,
) -> Result<Utf8PathBuf, GoError> {
    let reference = format!("{module}@{version}");
    let args = ["mod", "download", "-json", &reference];
    let unpacked: Unpacked = read(&args, &go.run(&args, |_| {}).await?)?;
    Ok(unpacked.dir)
}

/// Writes the `go.mod` for programs of `module` at `version` (`v1.37.2`).
///
/// `k8s.io/kubernetes` replaces its staging modules by folders that its module does not carry. Each
/// is published on its own, 1.37.2 as v0.37.2: `staging` is that version.
pub(super) async fn manifest(
    go: &mut Go,
    module: &str,
    version: &str,
    staging: Option<&str>,
    mut tell: impl FnMut(&str),
) -> Result<String, GoError> {
    let reference = format!("{module}@{version}");
    let args = ["mod", "download", "-json", &reference];
    let download: Download = read(&args, &go.run(&args, &mut tell).await?)?;
    let args = ["mod", "edit", "-json", &download.go_mod];
    let upstream: Manifest = read(&args, &go.run(&args, tell).await?)?;
    Ok(render(&upstream, module, version, staging))
}

fn render(upstream: &Manifest, module: &str, version: &str, staging: Option<&str>) -> String {
    let mut text = EMPTY.to_owned();
    let mut line =
        |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string must take text");
    if let Some(go) = &upstream.go {
        line(format_args!("go {go}"));
    }
    for Setting { key, value } in upstream.godebug.iter().flatten() {
        line(format_args!("godebug {key}={value}"));
    }
    line(format_args!("require {module} {version}"));
    let Some(staging) = staging else { return text };
    for Replace { old, new } in upstream.replace.iter().flatten() {
        if !new.path.starts_with("./staging/") {
            continue;
        }
        // The modules name each other by v0.0.0, which `replace` answers for. A module that is
        // required too shows its version in stack traces; not every module of them is published.
        line(format_args!("replace {0} => {0} {staging}", old.path));
        if upstream
            .require
            .iter()
            .flatten()
            .any(|required| required.path == old.path)
        {
            line(format_args!("require {} {staging}", old.path));
        }
    }
    text
}

fn read<T: serde::de::DeserializeOwned>(args: &[&str], answer: &str) -> Result<T, GoError> {
    serde_json::from_str(answer).map_err(|source| GoError::Unreadable {
        command: format!("go {}", args.join(" ")),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staging_modules_are_named_by_their_published_versions() {
        let upstream = serde_json::from_str(
            r#"{"Module": {"Path": "k8s.io/kubernetes"}, "Go": "1.26.0",
                "GoDebug": [{"Key": "default", "Value": "go1.26"}],
                "Require": [{"Path": "k8s.io/api", "Version": "v0.0.0"}],
                "Replace": [
                    {"Old": {"Path": "k8s.io/api"}, "New": {"Path": "./staging/src/k8s.io/api"}},
                    {"Old": {"Path": "k8s.io/sample"}, "New": {"Path": "./staging/src/k8s.io/sample"}},
                    {"Old": {"Path": "example.org/a"}, "New": {"Path": "example.org/b", "Version": "v1.0.0"}}]}"#,
        )
        .expect("must parse");
        let text = render(&upstream, KUBERNETES, "v1.37.2", Some("v0.37.2"));
        insta::assert_snapshot!(text, @r"
        module tokenlab.invalid/programs
        go 1.26.0
        godebug default=go1.26
        require k8s.io/kubernetes v1.37.2
        replace k8s.io/api => k8s.io/api v0.37.2
        require k8s.io/api v0.37.2
        replace k8s.io/sample => k8s.io/sample v0.37.2
        ");
    }

    #[test]
    fn a_manifest_without_lists_is_read() {
        let upstream =
            serde_json::from_str(r#"{"Module": {"Path": "x"}, "GoDebug": null, "Replace": null}"#)
                .expect("must parse");
        assert_eq!(
            render(&upstream, ETCD, "v3.7.3", None),
            "module tokenlab.invalid/programs\nrequire go.etcd.io/etcd/server/v3 v3.7.3\n"
        );
    }
}
