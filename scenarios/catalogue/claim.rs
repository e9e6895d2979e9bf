//! What the scenarios' own text says: a claim is a test with its comment.

use std::path::Path;

/// What stands before a colon in the list below a claim.
const KEYS: [&str; 5] = [SOURCE, UPSTREAM_TEST, SEEN_BY, SINCE, CLASS];
pub(super) const SOURCE: &str = "Source";
pub(super) const UPSTREAM_TEST: &str = "Upstream test";
pub(super) const SEEN_BY: &str = "Seen by users";
pub(super) const SINCE: &str = "Since";
pub(super) const CLASS: &str = "Class";

/// A file of scenarios.
pub(super) struct Subject {
    /// As a module: `refusal`.
    pub(super) name: String,
    /// Its file, below the root.
    pub(super) file: String,
    /// What the file says of itself.
    pub(super) text: String,
    pub(super) claims: Vec<Claim>,
}

/// A scenario.
pub(super) struct Claim {
    /// As libtest has it, without its cases: `refusal::unauthorized`.
    pub(super) name: String,
    pub(super) text: String,
    /// What the list says, in its order.
    pub(super) facts: Vec<(String, String)>,
    /// From its signature to its end.
    body: String,
}

impl Claim {
    /// What the list says under a key.
    pub(super) fn facts(&self, key: &str) -> impl Iterator<Item = &str> {
        let facts = self.facts.iter().filter(move |(its, _)| its == key);
        facts.map(|(_, text)| text.as_str())
    }

    /// Whether a test is this one, or a case of it.
    pub(super) fn has(&self, test: &str) -> bool {
        let rest = test.strip_prefix(&self.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }

    /// Its own among all tests.
    pub(super) fn tests<'a>(&self, all: &'a [String]) -> Vec<&'a str> {
        let own = all.iter().filter(|test| self.has(test));
        own.map(String::as_str).collect()
    }

    /// Whether a test of Kubernetes' own has some of it.
    pub(super) fn is_tested_upstream(&self) -> bool {
        self.facts(UPSTREAM_TEST)
            .all(|test| !test.starts_with("none"))
    }

    pub(super) fn is_slow(&self) -> bool {
        self.facts(CLASS).any(|class| class == "slow")
    }

    pub(super) fn is_bare_only(&self) -> bool {
        !self.body.contains(": MockLab")
    }

    /// What is wrong with its comment, or does not go with its body.
    pub(super) fn complaints(&self) -> Vec<String> {
        let said = |key| self.facts(key).next().is_some();
        let calls = |name| self.body.contains(name);
        let unknown = (self.facts.iter()).filter(|(key, _)| !KEYS.contains(&key.as_str()));
        [
            (self.text.is_empty(), "has no comment that claims something"),
            (!said(SOURCE), "does not say `Source:`"),
            (
                !said(UPSTREAM_TEST),
                "does not say `Upstream test:` (or: none)",
            ),
            (
                self.is_slow() != calls("slow!("),
                "must have both `Class: slow` and `slow!`, or none",
            ),
            (
                calls("since!(") && !said(SINCE),
                "has `since!`, and does not say `Since:`",
            ),
            (
                self.is_bare_only() && !calls("bare_only!("),
                "has neither a `MockLab` nor `bare_only!`: what does it do on kind?",
            ),
        ]
        .into_iter()
        .filter(|(wrong, _)| *wrong)
        .map(|(_, what)| format!("{} {what}", self.name))
        .chain(unknown.map(|(key, _)| format!("{} says `{key}:`, which is no key", self.name)))
        .collect()
    }
}

/// The subjects in a folder, in the order of their names.
pub(super) fn read(folder: &Path) -> Vec<Subject> {
    let mut subjects = Vec::new();
    below(folder, &mut |path| {
        let inside = path.strip_prefix(folder).expect("must be inside");
        let inside = inside.to_str().expect("must be UTF-8");
        let name = inside.trim_end_matches(".rs").replace('/', "::");
        if name.starts_with("catalogue") || name.starts_with("support") {
            return;
        }
        let text = std::fs::read_to_string(path).expect("must be read");
        let claims = of_text(&name, &text);
        if !claims.is_empty() {
            let comment: Vec<&str> = text
                .lines()
                .map_while(|line| line.strip_prefix("//!"))
                .collect();
            subjects.push(Subject {
                file: format!("scenarios/{inside}"),
                text: paragraph(&comment),
                name,
                claims,
            });
        }
    });
    subjects.sort_by(|one, other| one.name.cmp(&other.name));
    subjects
}

fn below(folder: &Path, each: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).expect("must be read") {
        let path = entry.expect("must be read").path();
        if path.is_dir() {
            below(&path, each);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            each(&path);
        }
    }
}

/// The tests in a file that rustfmt has formatted.
fn of_text(module: &str, text: &str) -> Vec<Claim> {
    let lines: Vec<&str> = text.lines().collect();
    let mut claims = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let function = line
            .strip_prefix("async ")
            .unwrap_or(line)
            .strip_prefix("fn ");
        let Some((name, _)) = function.and_then(|rest| rest.split_once(['(', '<'])) else {
            continue;
        };
        let (before, body) = lines.split_at(at);
        let ends = |line: &&str| line.is_empty() || **line == *"}";
        let before = before.rsplit(ends).next().unwrap_or_default();
        if !before
            .iter()
            .any(|line| ["#[rstest]", "#[test]", "#[tokio::test]"].contains(line))
        {
            continue;
        }
        let end = body.iter().position(|line| *line == "}");
        let comment: Vec<&str> = before
            .iter()
            .filter_map(|line| line.strip_prefix("///"))
            .collect();
        let (text, facts) = told(&comment);
        claims.push(Claim {
            name: format!("{module}::{name}"),
            text,
            facts,
            body: body[..end.unwrap_or(body.len())].join("\n"),
        });
    }
    claims
}

/// A claim, and what its list says: `- Key: text`, which may go on in the next line.
fn told(lines: &[&str]) -> (String, Vec<(String, String)>) {
    let list = lines.iter().position(|line| line.trim().starts_with("- "));
    let (text, list) = lines.split_at(list.unwrap_or(lines.len()));
    let mut facts: Vec<(String, String)> = Vec::new();
    for line in list.iter().map(|line| line.trim()) {
        match (line.strip_prefix("- "), facts.last_mut()) {
            (Some(item), _) => {
                let (key, text) = item.split_once(": ").unwrap_or((item, ""));
                facts.push((key.to_owned(), text.to_owned()));
            }
            (None, Some((_, text))) if !line.is_empty() => {
                text.push(' ');
                text.push_str(line);
            }
            _ => {}
        }
    }
    (paragraph(text), facts)
}

fn paragraph(lines: &[&str]) -> String {
    let words: Vec<&str> = lines
        .iter()
        .flat_map(|line| line.split_whitespace())
        .collect();
    words.join(" ")
}
