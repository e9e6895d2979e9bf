//! What in a text varies from run to run, from machine to machine, or with Kubernetes' patches.

/// Each is replaced in this order.
pub(crate) const FILTERS: [(&str, &str); 13] = [
    // A run folder's name is random, and it lies in the test's own folder.
    (r#"[^\s`'"=@]*/tokenlab-[0-9a-f]{12}"#, "[run folder]"),
    // So is the name of the test's own folder.
    (r#"/[^\s`'"=@]*/\.tmp\w{6}"#, "[test folder]"),
    // Kubernetes' programs lie where the search found them.
    (
        r#"(?m)(^|[ `=])/[^\s`'"=@]*/(etcd|kube-apiserver|kubectl)\b"#,
        "$1[programs]/$2",
    ),
    // Ports are whichever are free.
    (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
    (r"--secure-port=\d+", "--secure-port=[port]"),
    (r"\.svc:\d+", ".svc:[port]"),
    // So that two users of one name have two files.
    (r"\btoken-[0-9a-f]{12}", "token-[random]"),
    // The digest of a certificate, by which the apiserver tells one from another.
    (r"X509SHA256=[0-9a-f]{64}", "X509SHA256=[digest]"),
    // That a step has begun is said of one that takes long.
    (r"(?m)^… .*\n", ""),
    // Times.
    (r"\b\d+\.\d+ ?m?s\b", "[time]"),
    // The newest patch of a series is another each month, and the series is the caller's.
    (r"\b1\.\d\d\.\d+\b", "[version]"),
    // What kube-apiserver logs on its way is another in each version; of its errors, the date,
    // the process number and the line in its source are.
    (r"(?m)^    [IW]\d{4} .*\n", ""),
    (
        r"(?m)^    E\d{4} [\d:.]+ +\d+ (\w+\.go):\d+\]",
        "    [E $1]",
    ),
];

/// Compares a text with an inline snapshot.
macro_rules! assert_text {
    ($text:expr, @$snapshot:literal) => {{
        // Before the settings are bound: they hold for this thread, and not across an `await`.
        let text = $text.to_string();
        insta::with_settings!({ filters => $crate::filters::FILTERS }, {
            insta::assert_snapshot!(text, @$snapshot);
        });
    }};
}

pub(crate) use assert_text;
