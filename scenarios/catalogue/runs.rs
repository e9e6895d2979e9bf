//! What passed on which version of Kubernetes: a file for each, which `just record` writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The names of the tests that passed, cases included, by series: `1.37`.
pub(super) struct Runs(BTreeMap<String, BTreeSet<String>>);

impl Runs {
    pub(super) fn read(folder: &Path) -> Self {
        let mut runs = BTreeMap::new();
        for entry in std::fs::read_dir(folder).expect("must be read") {
            let path = entry.expect("must be read").path();
            let series = path.file_name().and_then(|name| name.to_str());
            let text = std::fs::read_to_string(&path).expect("must be read");
            runs.insert(
                series.expect("must be a series").to_owned(),
                text.lines().map(str::to_owned).collect(),
            );
        }
        Self(runs)
    }

    /// The series on which each of these tests passed.
    pub(super) fn of(&self, tests: &[&str]) -> Vec<&str> {
        let passed =
            (self.0.iter()).filter(|(_, passed)| tests.iter().all(|test| passed.contains(*test)));
        passed.map(|(series, _)| series.as_str()).collect()
    }

    /// The files' names and texts, without what is the name of no test: it has another one now, or
    /// is gone.
    pub(super) fn files(&self, tests: &[String]) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|(series, passed)| {
            let known = passed.iter().filter(|test| tests.contains(test));
            let lines = known.fold(String::new(), |lines, test| lines + test + "\n");
            (format!("scenarios/runs/{series}"), lines)
        })
    }
}
