//! The catalogue as a page of Markdown.

use std::fmt::Write as _;

use super::claim::{CLASS, Claim, SEEN_BY, SINCE, SOURCE, Subject, UPSTREAM_TEST};
use super::runs::Runs;
use super::upstream;

const INTRODUCTION: &str = "\
# What kube-apiserver does with a token webhook

Each claim is a test: a real kube-apiserver, a real etcd, a webhook that answers over TLS, and what a
user of the cluster sees. `cargo test --test scenarios` runs them; those of the class `slow` wait for
minutes, and run under `LAB_SLOW=1`. Sources are Kubernetes' own, in the version that is named; the
upstream test is the one of Kubernetes' own tests that comes nearest, and **none** says that there is
none. The last line of each says on which versions of Kubernetes it has passed, with all of its cases:
a run writes that down (`just record 1.37`). P1 to P17 are kinds of trouble that users report: the table
at the end says what each is, which claims are about it, and whether the doctor's tests on kind make it.

This page is written from the comments in `scenarios/` (`just scenarios`), and a test compares.
";

/// The setups of a cluster that the diagnosis is shown; some are a trouble, and say which.
const BROKEN_CLUSTERS: &str = include_str!("../../harness/tests/kind/diagnosis/setups.rs");

/// The kinds of trouble that users report; a claim names the ones that it is about.
const TROUBLES: [(&str, &str); 17] = [
    (
        "P1",
        "the webhook's file is not visible inside the apiserver's Pod",
    ),
    (
        "P2",
        "a backup in the manifests' folder is a second static Pod",
    ),
    (
        "P3",
        "the apiserver starts before the webhook's file is there",
    ),
    ("P4", "the webhook runs in the cluster that needs it"),
    (
        "P5",
        "the name of a Service is not known on the host's network",
    ),
    ("P6", "a certificate with a common name, and no SAN"),
    (
        "P7",
        "a self-signed certificate is not trusted, and nothing but 401 says so",
    ),
    (
        "P8",
        "v1beta1 is the default, and the answer must have the question's version",
    ),
    (
        "P9",
        "a refusal as HTTP 401, in place of 200 and `authenticated: false`",
    ),
    (
        "P10",
        "401 without a word: the flag is not set, or audiences do not meet",
    ),
    ("P11", "the cache keeps what was revoked"),
    ("P12", "rotation needs a restart of the apiserver"),
    ("P13", "connection refused"),
    (
        "P14",
        "a wrong path: the server could not find the requested resource",
    ),
    ("P15", "the timeout cannot be set"),
    ("P16", "no metric for a webhook"),
    (
        "P17",
        "distributions wrap the flags: the file must hold everything itself",
    ),
];

/// The whole page.
pub(super) fn of(subjects: &[Subject], tests: &[String], runs: &Runs) -> String {
    let mut page = INTRODUCTION.to_owned();
    summary(&mut page, subjects, tests);
    for subject in subjects {
        let _ = write!(page, "\n## {}\n\n{}\n\n", subject.name, subject.text);
        for claim in &subject.claims {
            entry(&mut page, subject, claim, tests, runs);
        }
    }
    troubles(&mut page, subjects);
    page
}

fn summary(page: &mut String, subjects: &[Subject], tests: &[String]) {
    page.push_str("\n| subject | claims | cases | without an upstream test |\n|---|--:|--:|--:|\n");
    let mut sum = [0; 3];
    for subject in subjects {
        let claims = &subject.claims;
        let cases = claims.iter().map(|claim| claim.tests(tests).len()).sum();
        let ours = claims
            .iter()
            .filter(|claim| !claim.is_tested_upstream())
            .count();
        let row = [claims.len(), cases, ours];
        let [claims, cases, ours] = row;
        let name = &subject.name;
        let anchor = name.replace("::", "");
        let _ = writeln!(
            page,
            "| [{name}](#{anchor}) | {claims} | {cases} | {ours} |"
        );
        sum.iter_mut().zip(row).for_each(|(sum, one)| *sum += one);
    }
    let [claims, cases, ours] = sum;
    let _ = writeln!(
        page,
        "| **all** | **{claims}** | **{cases}** | **{ours}** |"
    );
}

fn entry(page: &mut String, subject: &Subject, claim: &Claim, tests: &[String], runs: &Runs) {
    let tests = claim.tests(tests);
    let (first, rest) = first_sentence(&claim.text);
    let _ = writeln!(page, "- **{first}**{rest}");
    let _ = writeln!(
        page,
        "  - [`{}`]({}){}",
        claim.name,
        subject.file,
        cases(claim, &tests)
    );
    for (key, text) in &claim.facts {
        let text = match key.as_str() {
            SOURCE => upstream::linked(text),
            UPSTREAM_TEST => text.replacen("none", "**none**", 1),
            SEEN_BY => threads(text),
            SINCE | CLASS => text.clone(),
            _ => continue,
        };
        let _ = writeln!(page, "  - {key}: {text}");
    }
    let runs = runs.of(&tests);
    let runs = if runs.is_empty() {
        "nothing yet".to_owned()
    } else {
        runs.join(", ")
    };
    let _ = writeln!(page, "  - Passed on: {runs}");
}

fn first_sentence(text: &str) -> (&str, &str) {
    text.split_at(text.find(". ").map_or(text.len(), |end| end + 1))
}

fn cases(claim: &Claim, tests: &[&str]) -> String {
    if let [test] = tests
        && *test == claim.name
    {
        return String::new();
    }
    let names: Vec<String> = tests
        .iter()
        .map(|test| test[claim.name.len() + 2..].replace('_', " "))
        .collect();
    format!(" ({} cases: {})", names.len(), names.join(", "))
}

/// `owner/repository#1` as a link; the kinds of trouble stay words.
fn threads(text: &str) -> String {
    let thread = |word: &str| {
        let plain = word.trim_end_matches([',', ';', '.', ')']);
        let (repository, number) = plain.split_once('#')?;
        let rest = &word[plain.len()..];
        let is = repository.contains('/') && number.parse::<u32>().is_ok();
        is.then(|| format!("[{plain}](https://github.com/{repository}/issues/{number}){rest}"))
    };
    let words: Vec<String> = (text.split(' '))
        .map(|word| thread(word).unwrap_or_else(|| word.to_owned()))
        .collect();
    words.join(" ")
}

/// The kinds of trouble, and the claims that show them.
fn troubles(page: &mut String, subjects: &[Subject]) {
    page.push_str("\n## By trouble\n\n| what users report | shown by |\n|---|---|\n");
    for (key, what) in TROUBLES {
        let claims = subjects.iter().flat_map(|subject| {
            let shows = |claim: &&Claim| {
                let words = claim.facts(SEEN_BY).flat_map(|text| text.split([' ', ',']));
                words.into_iter().any(|word| word == key)
            };
            let claims = subject.claims.iter().filter(shows);
            claims.map(|claim| format!("[`{}`]({})", claim.name, subject.file))
        });
        let is_on_kind = BROKEN_CLUSTERS.contains(&format!("({key})"));
        let on_kind = is_on_kind.then(|| "[on kind](harness/tests/kind/diagnosis.rs)".to_owned());
        let shown: Vec<String> = claims.chain(on_kind).collect();
        let _ = writeln!(page, "| {key}: {what} | {} |", shown.join(", "));
    }
}
