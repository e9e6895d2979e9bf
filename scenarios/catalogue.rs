//! `SCENARIOS.md` is written from the scenarios' own comments, and so are the lists of those that
//! a run skips. `just scenarios` writes them; these tests compare.

mod claim;
mod page;
mod runs;
mod upstream;

use std::path::{Path, PathBuf};
use std::process::Command;

use claim::Subject;
use runs::Runs;

use crate::support::skipped;

/// The variable that has files written which are not current.
const WRITE: &str = "LAB_WRITE";

/// Each claim says where it comes from, and the page says each claim.
#[test]
fn is_current() {
    let subjects = subjects();
    let tests = tests();
    let runs = Runs::read(&root().join("scenarios/runs"));
    let of_no_claim = tests
        .iter()
        .filter(|test| !claims(&subjects).any(|claim| claim.has(test)));
    let complaints: Vec<String> = (claims(&subjects).flat_map(claim::Claim::complaints))
        .chain(of_no_claim.map(|test| format!("{test} is of no claim")))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));

    let names = |matches: fn(&claim::Claim) -> bool| {
        let mut names: Vec<&str> = (claims(&subjects).filter(|claim| matches(claim)))
            .map(|claim| claim.name.as_str())
            .collect();
        names.sort_unstable();
        names
            .iter()
            .fold(String::new(), |list, name| list + name + "\n")
    };
    let files = [
        ("SCENARIOS.md", page::of(&subjects, &tests, &runs)),
        (".ci/skipped/slow", names(claim::Claim::is_slow)),
        (".ci/skipped/scenarios", names(claim::Claim::is_bare_only)),
    ];
    let files = files.map(|(file, is)| (file.to_owned(), is)).into_iter();
    for (file, is) in files.chain(runs.files(&tests)) {
        let path = root().join(&file);
        let was = std::fs::read_to_string(&path).unwrap_or_default();
        if was != is && std::env::var_os(WRITE).is_some() {
            std::fs::write(path, is).expect("must be written");
        } else {
            assert!(
                was == is,
                "{file} is not current: `just scenarios` writes it"
            );
        }
    }
}

/// The sources and tests that the claims name are in Kubernetes' modules, in that version. What
/// Go has not got here cannot be looked at.
#[test]
fn names_what_is_there() {
    let Some(modules) = upstream::modules() else {
        let name = "catalogue::names_what_is_there";
        return skipped::skip(name, "Go has no modules of Kubernetes here");
    };
    let subjects = subjects();
    let claims: Vec<&claim::Claim> = claims(&subjects).collect();
    let complaints = upstream::complaints(&claims, &modules);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn subjects() -> Vec<Subject> {
    claim::read(&root().join("scenarios"))
}

/// The scenarios as libtest has them, cases included, but for the cases' numbers: another case before
/// them would change those.
fn tests() -> Vec<String> {
    let this = std::env::current_exe().expect("must be known");
    let list = Command::new(this)
        .args(["--list", "--format", "terse"])
        .output();
    let list = String::from_utf8(list.expect("must run").stdout).expect("must be UTF-8");
    let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
    let names = names.filter(|name| !name.starts_with("catalogue::"));
    let names = names.map(|name| {
        let parts = name.split("::").map(|part| {
            let case = part
                .strip_prefix("case_")
                .and_then(|case| case.split_once('_'));
            case.map_or(part, |(_number, case)| case)
        });
        parts.collect::<Vec<_>>().join("::")
    });
    names.collect()
}

fn claims(subjects: &[Subject]) -> impl Iterator<Item = &claim::Claim> {
    subjects.iter().flat_map(|subject| &subject.claims)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
