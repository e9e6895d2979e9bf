//! Kubernetes' own sources: where on the web they are, and whether they are what a claim says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::claim::{Claim, SOURCE, UPSTREAM_TEST};

/// The repository that all of the modules come from.
const REPOSITORY: &str = "https://github.com/kubernetes/kubernetes";

/// A file of a module of `k8s.io`: `apiserver/pkg/…/webhook.go`, and the module's version.
struct Source<'a> {
    module: &'a str,
    path: &'a str,
    version: &'a str,
}

impl<'a> Source<'a> {
    /// The first file that a text names, `` `apiserver/…/webhook.go`, v0.37.2 ``.
    fn of(text: &'a str) -> Option<Self> {
        let file = quoted(text).next()?;
        let (module, path) = file.split_once('/')?;
        let version = text.split([' ', ',', ';', ')']).find(|word| {
            word.strip_prefix('v')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })?;
        Some(Self {
            module,
            path,
            version,
        })
    }

    /// The module's folder.
    fn folder(&self) -> String {
        format!("{}@{}", self.module, self.version)
    }

    /// What a text names beside the file, and the file has not; or the file, if it is not there.
    fn lacks(&self, text: &str, modules: &Path) -> Vec<String> {
        let Self {
            module,
            path,
            version,
        } = self;
        let file = modules.join(self.folder()).join(path);
        let Ok(go) = std::fs::read_to_string(&file) else {
            return vec![format!("there is no {module}/{path}, {version}")];
        };
        let missing = quoted(text).skip(1).filter(|symbol| !go.contains(symbol));
        missing
            .map(|symbol| format!("no `{symbol}` in {module}/{path}, {version}"))
            .collect()
    }

    fn url(&self) -> String {
        let Self {
            module,
            path,
            version,
        } = self;
        // The staged modules' v0.x is v1.x of the whole.
        let tag = version.replacen("v0.", "v1.", 1);
        match *module {
            "kubernetes" => format!("{REPOSITORY}/blob/{tag}/{path}"),
            _ => format!("{REPOSITORY}/blob/{tag}/staging/src/k8s.io/{module}/{path}"),
        }
    }
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A source, as a link.
pub(super) fn linked(text: &str) -> String {
    let Some(source) = Source::of(text) else {
        return text.to_owned();
    };
    let file = format!("`{}/{}`", source.module, source.path);
    text.replacen(&file, &format!("[{file}]({})", source.url()), 1)
}

/// Where Go keeps the modules of `k8s.io`, if it has them.
pub(super) fn modules() -> Option<PathBuf> {
    let cache = std::env::var_os("GOMODCACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join("go/pkg/mod")));
    let modules = cache?.join("k8s.io");
    modules
        .join("apiserver@v0.37.2")
        .is_dir()
        .then_some(modules)
}

/// The files, the symbols in them and the tests that claims name and that are not there.
pub(super) fn complaints(claims: &[&Claim], modules: &Path) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut named = BTreeSet::new();
    for claim in claims {
        for text in claim.facts(SOURCE) {
            match Source::of(text) {
                Some(source) => {
                    named.insert(modules.join(source.folder()));
                    complaints.extend(source.lacks(text, modules));
                }
                None => complaints.push(format!("`{text}` names no file and version")),
            }
        }
    }
    let mut tests = BTreeSet::new();
    for module in named {
        tests_in(&module, &mut tests);
    }
    for claim in claims {
        let names = claim.facts(UPSTREAM_TEST).flat_map(quoted);
        let names = names.filter(|name| name.starts_with("Test") && !tests.contains(*name));
        complaints.extend(names.map(|name| format!("{}: no test {name}", claim.name)));
    }
    complaints
}

/// The tests in a folder of Go's.
fn tests_in(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("must be read") {
        let path = entry.expect("must be read").path();
        if path.is_dir() {
            tests_in(&path, tests);
        } else if path.to_str().is_some_and(|path| path.ends_with("_test.go")) {
            let text = std::fs::read_to_string(&path).expect("must be read");
            let functions = text.lines().filter_map(|line| line.strip_prefix("func "));
            let names = functions.filter_map(|function| Some(function.split_once('(')?.0));
            tests.extend(names.map(str::to_owned));
        }
    }
}
