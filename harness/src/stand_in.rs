//! A script in a program's place. The tests in `tests` have this file too.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

/// Writes a shell script that can be run, and gives its path.
///
/// A child writes it: what this process has open for writing, a child that another thread starts
/// has open as well until it runs its own program, and so long nobody can run it ("Text file busy").
pub(crate) fn stand_in(path: &Utf8Path, script: &str) -> Utf8PathBuf {
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" >"$0" && chmod 755 "$0""#;
    let mut shell = Command::new("/bin/sh");
    let written = shell.args(["-c", write, path.as_str(), script]).status();
    assert!(
        written.expect("must run").success(),
        "{path} must be written"
    );
    path.to_owned()
}
