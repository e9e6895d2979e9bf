//! Secrets in running text: headers, command lines, environments, tokens of a known form.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{is_nothing, mark};

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("must compile")
}

/// RFC 7519: a JSON object in base64 begins with `eyJ`. The signature may be missing.
static WEB_TOKEN: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"));

/// `Authorization: Bearer …`, in a header, a log's JSON or a program's arguments.
static AUTHORIZATION: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r#"(?i)(authorization[^a-z0-9\n]{1,12}(bearer|basic|negotiate)\s+)([^\s"'\\,;]+)"#)
});

/// `Bearer …` alone. What the apiserver says *about* bearer tokens is written small.
static BEARER: LazyLock<Regex> =
    LazyLock::new(|| compiled(r#"(\b(?:Bearer|bearer)\s+)([^\s"'\\,;:()]+)"#));

/// `--token=…`, `--token …`, `"--token", "…"`.
static FLAG: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"(?i)((?:^|[\s"'`=(\[])--?(?:[a-z0-9]+-)*(token|password|passwd|certificate-key|client-secret|secret-key|access-key)(?:=|[ \t]+|["'],?\s*["']))('[^'\n]*'|"[^"\n]*"|[^\s"',]+)"#,
    )
});

/// `K3S_TOKEN=…`, `token="…"`.
static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"(?i)(\b((?:[a-z0-9]+_)*(?:token|password|passwd)|(?:[a-z0-9]+_)+(?:secret|secret_key))=)('[^'\n]*'|"[^"\n]*"|\\"[^"\n]*\\"|[^\s"',\\]+)"#,
    )
});

/// As Go prints a TokenReview: `{Token:… Audiences:[]}`.
static GO_FIELD: LazyLock<Regex> =
    LazyLock::new(|| compiled(r#"([{ ,]Token:)("[^"\n]*"|[^\s,}"]+)"#));

/// k3s' own: `K10<hash of the CA>::<user>:<password>`.
static K3S: LazyLock<Regex> = LazyLock::new(|| compiled(r#"(K10[0-9a-f]{16,}::)([^\s"',]+)"#));

/// kubeadm's: a public name and a secret (`k8s.io/cluster-bootstrap/token/api`, `BootstrapTokenPattern`).
static BOOTSTRAP: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(^|[^A-Za-z0-9._-])([a-z0-9]{6}\.)([a-z0-9]{16})\b"));

/// The user and password of a URL, such as a proxy's.
static URL: LazyLock<Regex> = LazyLock::new(|| compiled(r#"(://)([^\s/"'@:]*:[^\s/"'@]+)@"#));

pub(super) fn without_web_tokens(text: &str) -> Cow<'_, str> {
    WEB_TOKEN.replace_all(text, mark("JSON Web Token"))
}

pub(super) fn without_words(text: &str) -> Cow<'_, str> {
    let text = AUTHORIZATION.replace_all(text, |found: &Captures<'_>| {
        let scheme = found[2].to_ascii_lowercase();
        value(found, 3, &found[1], &format!("{scheme} token"))
    });
    let text = BEARER.replace_all(&text, |found: &Captures<'_>| {
        if is_prose(&found[2]) {
            return found[0].to_owned();
        }
        value(found, 2, &found[1], "bearer token")
    });
    let text = FLAG.replace_all(&text, |found: &Captures<'_>| {
        value(found, 3, &found[1], &found[2].to_ascii_lowercase())
    });
    let text = ASSIGNMENT.replace_all(&text, |found: &Captures<'_>| {
        value(found, 3, &found[1], &found[2].to_ascii_lowercase())
    });
    let text = GO_FIELD.replace_all(&text, |found: &Captures<'_>| {
        value(found, 2, &found[1], "token")
    });
    let text = K3S.replace_all(&text, |found: &Captures<'_>| {
        value(found, 2, &found[1], "k3s token")
    });
    let text = BOOTSTRAP.replace_all(&text, |found: &Captures<'_>| {
        let public = format!("{}{}", &found[1], &found[2]);
        value(found, 3, &public, "bootstrap token")
    });
    let text = URL.replace_all(&text, |found: &Captures<'_>| {
        format!("{}{}@", &found[1], mark("user and password"))
    });
    Cow::Owned(text.into_owned())
}

/// What stays, and the mark for the rest; all of it when there is nothing to hide.
fn value(found: &Captures<'_>, group: usize, stays: &str, what: &str) -> String {
    if is_nothing(&found[group]) {
        found[0].to_owned()
    } else {
        format!("{stays}{}", mark(what))
    }
}

/// What follows the word "bearer" where nothing is shown.
fn is_prose(word: &str) -> bool {
    const WORDS: [&str; 9] = [
        "token",
        "tokens",
        "auth",
        "authentication",
        "authenticator",
        "scheme",
        "for",
        "<masked>",
        "…",
    ];
    WORDS.contains(&word.trim_end_matches([']', '.']))
        || word.starts_with("realm=")
        || word.starts_with("[REDACTED")
}
