//! Kubernetes' own sources: where on the web they are, and whether they say what a claim says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::claim::{Claim, SOURCE, UPSTREAM_TEST};

/// Where Go's own modules are, beside its library.
const GO: &str = "golang.org/x/";

/// A file of a module of `k8s.io` (`apiserver/pkg/…/webhook.go`, v0.37.2), of one of Go's
/// (`golang.org/x/net/http2/transport.go`, v0.57.0) or of its library (`net/http/client.go`, Go 1.26).
struct Source<'a> {
    file: &'a str,
    /// `v0.37.2`, or `1.26` of Go.
    version: &'a str,
    /// What of it.
    symbols: Vec<&'a str>,
}

/// The files that a text names. Behind a file stand its symbols and, sooner or later, the version.
fn sources(text: &str) -> Vec<Source<'_>> {
    let pieces: Vec<&str> = text.split('`').collect();
    let mut sources: Vec<Source<'_>> = Vec::new();
    for (at, piece) in pieces.iter().enumerate().skip(1).step_by(2) {
        if piece.contains('/') && Path::new(piece).extension().is_some_and(|its| its == "go") {
            let behind = pieces[at + 1..].iter().step_by(2);
            sources.push(Source {
                file: piece,
                version: behind.copied().find_map(version).unwrap_or_default(),
                symbols: Vec::new(),
            });
        } else if let Some(source) = sources.last_mut() {
            source.symbols.push(piece);
        }
    }
    sources
}

fn version(text: &str) -> Option<&str> {
    let words: Vec<&str> = text
        .split([' ', ',', ';', '(', ')'])
        .filter(|word| !word.is_empty())
        .collect();
    let module = words.iter().find(|word| {
        let numbers = word.strip_prefix('v').unwrap_or_default();
        numbers.split('.').count() == 3 && numbers.split('.').all(|n| n.parse::<u32>().is_ok())
    });
    let go = words.windows(2).find(|words| words[0] == "Go");
    module.copied().or_else(|| go.map(|words| words[1]))
}

impl Source<'_> {
    /// The folder of its module, and where the file is; Go's library is no module.
    fn places(&self, modules: &Path) -> Option<(PathBuf, PathBuf)> {
        let (root, file) = match self.file.strip_prefix(GO) {
            Some(file) => (GO, file),
            None => ("k8s.io", self.file),
        };
        let (module, path) = file.split_once('/')?;
        let module = format!("{module}@{}", self.version);
        let folder = modules.join(root).join(module);
        let file = folder.join(path);
        self.version.starts_with('v').then_some((folder, file))
    }

    /// What it names, and the file has not.
    fn lacks(&self, file: &Path) -> Vec<String> {
        let Ok(go) = std::fs::read_to_string(file) else {
            return vec![format!("there is no {}", file.display())];
        };
        let missing = self.symbols.iter().filter(|symbol| {
            // Of `Result.Into` the file says `Into`.
            let last = symbol.rsplit('.').next();
            !go.contains(last.unwrap_or_default())
        });
        missing
            .map(|symbol| format!("no `{symbol}` in {}", file.display()))
            .collect()
    }

    fn url(&self) -> String {
        let Self { file, version, .. } = self;
        // The staged modules' v0.x is v1.x of the whole.
        let tag = version.replacen("v0.", "v1.", 1);
        let kubernetes = format!("https://github.com/kubernetes/kubernetes/blob/{tag}");
        if !version.starts_with('v') {
            let branch = format!("release-branch.go{version}");
            format!("https://github.com/golang/go/blob/{branch}/src/{file}")
        } else if let Some((module, path)) =
            (file.strip_prefix(GO)).and_then(|file| file.split_once('/'))
        {
            format!("https://github.com/golang/{module}/blob/{version}/{path}")
        } else if let Some(path) = file.strip_prefix("kubernetes/") {
            format!("{kubernetes}/{path}")
        } else {
            format!("{kubernetes}/staging/src/k8s.io/{file}")
        }
    }
}

/// Sources, as links.
pub(super) fn linked(text: &str) -> String {
    let mut linked = text.to_owned();
    for source in sources(text) {
        let file = format!("`{}`", source.file);
        linked = linked.replacen(&file, &format!("[{file}]({})", source.url()), 1);
    }
    linked
}

/// Where Go keeps modules, if it has Kubernetes'.
pub(super) fn modules() -> Option<PathBuf> {
    let cache = std::env::var_os("GOMODCACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join("go/pkg/mod")));
    let modules = cache?;
    let both = ["k8s.io/apiserver@v0.37.2", "k8s.io/kubernetes@v1.37.2"];
    let has = both.iter().all(|module| modules.join(module).is_dir());
    has.then_some(modules)
}

/// What claims name, and is not there: files, symbols in them, tests.
pub(super) fn complaints(claims: &[&Claim], modules: &Path) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut folders = BTreeSet::new();
    for claim in claims {
        for text in claim.facts(SOURCE) {
            let sources = sources(text);
            if sources.is_empty() || sources.iter().any(|source| source.version.is_empty()) {
                complaints.push(format!("{}: no file and version in {text}", claim.name));
            }
            for source in sources {
                if let Some((folder, file)) = source.places(modules) {
                    let lacks = source.lacks(&file).into_iter();
                    complaints.extend(lacks.map(|what| format!("{}: {what}", claim.name)));
                    folders.insert(folder);
                }
            }
        }
    }
    let mut tests = BTreeSet::new();
    for folder in folders {
        tests_in(&folder, &mut tests);
    }
    for claim in claims {
        let names = claim
            .facts(UPSTREAM_TEST)
            .flat_map(|text| text.split('`').skip(1).step_by(2));
        let names = names.filter(|name| name.starts_with("Test") && !tests.contains(*name));
        complaints.extend(names.map(|name| format!("{}: no test {name}", claim.name)));
    }
    complaints
}

/// The functions in the tests of a folder of Go's.
fn tests_in(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
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
