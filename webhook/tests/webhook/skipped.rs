//! Tests that cannot run on this machine. libtest has no way to say so at run time.

use std::io::Write as _;
use std::path::Path;

/// Says past libtest's capture that a test is skipped, and why, and notes its name in
/// `target/tokenlab/skipped`, which a CI compares with what it expects.
pub(crate) fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("must lie in the target folder");
    let folder = target.join("tokenlab");
    std::fs::create_dir_all(&folder).expect("must be made");
    std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("skipped"))
        // In one piece: tests run side by side.
        .and_then(|mut list| list.write_all(format!("{test}\n").as_bytes()))
        .expect("must be noted");
}

/// Whether a program of the system is there.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
