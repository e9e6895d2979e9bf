//! Which packages a build has yet to compile.

use std::collections::HashMap;

/// A template for `go list -deps -f` whose lines [`Packages::read`] understands.
pub(super) const TEMPLATE: &str = r#"{{.ImportPath}} {{.Stale}} {{join .Imports " "}}{{range $from, $to := .ImportMap}} {{$to}}{{end}}"#;

/// The packages that Go's build cache does not have, each with what it imports.
///
/// `go list` calls a package stale when one below it is. A build may still find it in the cache,
/// namely when what was below it compiled to the same as before; it then does not name it. So when
/// a package is named, all below it are done too, named or not.
#[derive(Debug, Default)]
pub(super) struct Packages {
    left: HashMap<String, Vec<String>>,
    total: u64,
}

impl Packages {
    /// Reads the output of `go list`.
    pub(super) fn read(list: &str) -> Self {
        let mut left = HashMap::new();
        for line in list.lines() {
            let mut words = line.split(' ').map(str::to_owned);
            if let (Some(package), Some("true")) = (words.next(), words.next().as_deref()) {
                left.insert(package, words.collect());
            }
        }
        Self {
            total: left.len() as u64,
            left,
        }
    }

    /// How many there were in the beginning.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// How many are done.
    pub(super) fn done(&self) -> u64 {
        self.total - self.left.len() as u64
    }

    /// Takes a line of `go build -v`, which names a package when it begins to compile it, and none
    /// that its cache has. Whether it was such a line.
    pub(super) fn begin(&mut self, line: &str) -> bool {
        let Some(imports) = self.left.get_mut(line).map(std::mem::take) else {
            return false;
        };
        let mut below = imports;
        while let Some(package) = below.pop() {
            // What is not there is done, and all below it.
            below.extend(self.left.remove(&package).into_iter().flatten());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
unsafe false
a true unsafe
b true a
c true a unsafe
d true c b
e false unsafe
f true e d";

    #[test]
    fn a_package_that_begins_takes_those_below_it_along() {
        let mut packages = Packages::read(LIST);
        assert_eq!((packages.total(), packages.done()), (5, 0));
        assert!(packages.begin("a"));
        assert!(packages.begin("c"));
        assert_eq!(packages.done(), 1, "c has only begun");
        assert!(packages.begin("f"), "b was in the cache after all, and d");
        assert_eq!(packages.done(), 4);
    }

    #[test]
    fn other_lines_count_nothing() {
        let mut packages = Packages::read(LIST);
        for line in ["", "# a", "go: downloading a v1.0.0", "e"] {
            assert!(!packages.begin(line), "{line}");
        }
        assert_eq!(packages.done(), 0);
    }
}
