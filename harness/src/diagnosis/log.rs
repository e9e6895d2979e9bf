//! What the words of kube-apiserver's log mean: in the terms of whatever failed, which is the kernel,
//! Go's TLS, Kubernetes' decoder.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use camino::{Utf8Path, Utf8PathBuf};

use super::Cause;

/// What kube-apiserver logs for each request that it could not authenticate; behind it stands the
/// error (`apiserver/pkg/endpoints/filters/authentication.go`, v0.37.2).
pub(crate) const UNAUTHENTICATED: &str = "\"Unable to authenticate the request\" err=\"";

/// What the error of a token begins with that no authenticator knew
/// (`apiserver/pkg/authentication/request/bearertoken/bearertoken.go`, v0.37.2).
pub(crate) const INVALID_TOKEN: &str = "invalid bearer token";

/// What it logs before that when the webhook gave no answer that it could use; what the webhook says
/// itself (`status.error`) is not told so (`apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`,
/// v0.37.2).
const FAILED: &str = "Failed to make webhook authenticator request: ";

/// What went wrong on the way to the webhook, and what it means. The first that fits counts.
///
/// Texts of Go's standard library are those of Go 1.26.
const TRANSPORT: [(&str, Cause); 40] = [
    // Go's `net/http/transport.go`, `dialConn`. It goes before what went wrong with the proxy.
    ("proxyconnect ", Cause::Proxy),
    // The same: what a proxy answers to CONNECT, by the status' own words alone.
    ("Proxy Authentication Required", Cause::Proxy),
    ("Bad Gateway", Cause::Proxy),
    ("Gateway Timeout", Cause::Proxy),
    ("Service Unavailable", Cause::Proxy),
    ("Forbidden", Cause::Proxy),
    // The kernel's ECONNREFUSED and others, in the words of Go's `syscall/zerrors_linux_amd64.go`.
    ("connect: connection refused", Cause::NothingListens),
    ("connection reset by peer", Cause::Reset),
    ("no route to host", Cause::NoRoute),
    ("network is unreachable", Cause::NoRoute),
    // Go's `net/net.go`, `errNoSuchHost` and `errServerMisbehaving`.
    ("no such host", Cause::NoAddress),
    ("server misbehaving", Cause::NoAddress),
    // Go's `crypto/x509/x509.go`, `InsecureAlgorithmError`: `UnknownAuthorityError` may hold it.
    ("insecure algorithm", Cause::WeakSignature),
    // Go's `crypto/x509/verify.go`, `UnknownAuthorityError`.
    (
        "x509: certificate signed by unknown authority",
        Cause::UnknownAuthority,
    ),
    // The same file, `HostnameError`: three texts.
    (
        "x509: certificate relies on legacy Common Name field",
        Cause::CommonNameOnly,
    ),
    ("x509: certificate is valid for ", Cause::OtherName),
    (
        "x509: certificate is not valid for any names",
        Cause::OtherName,
    ),
    ("x509: cannot validate certificate for ", Cause::OtherName),
    // The same file, `CertificateInvalidError` with the reasons `IncompatibleUsage` and `Expired`.
    (
        "x509: certificate specifies an incompatible key usage",
        Cause::OtherUse,
    ),
    (
        "x509: certificate has expired or is not yet valid",
        Cause::OtherTime,
    ),
    // Go's `crypto/tls/alert.go`: what the webhook says of the certificate that it was shown.
    ("tls: certificate required", Cause::ClientCertificate),
    ("tls: bad certificate", Cause::ClientCertificate),
    ("tls: unsupported certificate", Cause::ClientCertificate),
    ("tls: revoked certificate", Cause::ClientCertificate),
    ("tls: expired certificate", Cause::ClientCertificate),
    ("tls: unknown certificate", Cause::ClientCertificate),
    ("tls: access denied", Cause::ClientCertificate),
    ("tls: protocol version not supported", Cause::OldTls),
    // Go's `crypto/tls/handshake_client.go`, `pickTLSVersion`.
    (
        "tls: server selected unsupported protocol version",
        Cause::OldTls,
    ),
    // Go's `crypto/tls/conn.go`, `readRecordOrCCS`: something else than TLS came.
    (
        "tls: first record does not look like a TLS handshake",
        Cause::PlainHttp,
    ),
    // Go's `net/http/client.go`, `errors.New` in `send`.
    (
        "http: server gave HTTP response to HTTPS client",
        Cause::PlainHttp,
    ),
    ("context deadline exceeded", Cause::TimedOut),
    // Go's `net/http/client.go`, `timeoutError`.
    ("Client.Timeout", Cause::TimedOut),
    ("i/o timeout", Cause::TimedOut),
    ("TLS handshake timeout", Cause::TimedOut),
    // Go's `net/http/h2_bundle.go`. The first hides what the webhook said when it closed: that it
    // wants a client certificate, for example.
    ("http2: client conn could not be established", Cause::Closed),
    ("http2: client connection lost", Cause::Closed),
    ("http2: server sent GOAWAY", Cause::Closed),
    // Go's `net/http/transport.go`: what speaks there speaks no HTTP.
    ("malformed HTTP response", Cause::Closed),
    // Go's `io/io.go`, also as `unexpected EOF`.
    ("EOF", Cause::Closed),
];

/// What was wrong with an answer: how the error begins, and what it means. The first that fits counts.
///
/// `apimachinery/pkg/api/errors/errors.go`, `NewGenericServerResponse`;
/// `apimachinery/pkg/runtime/error.go` and `pkg/runtime/serializer/json`; `client-go/rest/request.go`,
/// `Result.Into`; all v0.37.2.
const ANSWER: [(&str, Cause); 15] = [
    (
        "the server could not find the requested resource",
        Cause::OtherPath,
    ),
    (
        "the server does not allow this method on the requested resource",
        Cause::OtherMethod,
    ),
    (
        "the server has asked for the client to provide credentials",
        Cause::RefusedByStatus,
    ),
    ("the server ", Cause::Failed),
    ("an error on the server", Cause::Failed),
    ("stream error when reading response body", Cause::Closed),
    ("unexpected error when reading response body", Cause::Closed),
    (
        "couldn't get version/kind; json parse error",
        Cause::NoReview,
    ),
    ("0-length response with status code", Cause::NoReview),
    ("Object 'Kind' is missing in ", Cause::NoReview),
    ("Object 'apiVersion' is missing in ", Cause::NoReview),
    ("no kind \"TokenReview\"", Cause::OtherVersion),
    ("no kind \"", Cause::NoReview),
    ("json: cannot unmarshal", Cause::NoReview),
    ("converting (", Cause::NoReview),
];

impl Cause {
    /// What an error of the log means; `None` when that is not known.
    ///
    /// What a webhook says itself (`status.error`) stands at the same place, and may tell of the
    /// webhook's own troubles in the same words: only what the apiserver puts around its own counts.
    fn of(error: &str) -> Option<Self> {
        if error == INVALID_TOKEN {
            return Some(Self::Refused);
        }
        // A certificate of the caller's that failed stands before it, and is not the webhook's.
        let behind = error.split_once(INVALID_TOKEN);
        let behind = behind.and_then(|(_, rest)| rest.strip_prefix(", "));
        Self::of_failure(behind.map_or(error, |rest| rest.strip_suffix(']').unwrap_or(rest)))
    }

    /// What it means that the webhook gave no answer that could be used.
    fn of_failure(error: &str) -> Option<Self> {
        if let Some(failed) = transport(error) {
            let known = TRANSPORT.iter().find(|(text, _)| failed.contains(text));
            return known.map(|(_, cause)| *cause);
        }
        // The request's own time was over before the webhook's.
        if error == "context deadline exceeded" {
            return Some(Self::TimedOut);
        }
        // The answer is decoded by its own version, and then there is no way from there to the one
        // that was asked for (`apimachinery/pkg/runtime/converter.go`, v0.37.2).
        if error.starts_with("converting (") && error.matches(".TokenReview)").count() == 2 {
            return Some(Self::OtherVersion);
        }
        let known = ANSWER.iter().find(|(text, _)| error.starts_with(text));
        known.map(|(_, cause)| *cause)
    }
}

/// What failed when the apiserver posted to the webhook: Go's `net/url.Error`, with the `timeout` that
/// client-go adds to the URL.
fn transport(error: &str) -> Option<&str> {
    let (url, failed) = error.strip_prefix("Post \"")?.split_once("\": ")?;
    url.contains("?timeout=").then_some(failed)
}

/// A request that kube-apiserver could not authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unauthenticated {
    /// The error, as it stands in the log.
    pub error: String,
    /// What it means; `None` when that is not known.
    pub cause: Option<Cause>,
}

impl Unauthenticated {
    /// All that a log of kube-apiserver tells of, in order. Lines of anything else are skipped.
    pub fn in_log(log: &str) -> Vec<Self> {
        let mut failures = Vec::new();
        let mut found = Vec::new();
        for line in log.lines() {
            if let Some((_, failure)) = line.split_once(FAILED) {
                failures.push(failure);
            } else if let Some((_, error)) = line.split_once(UNAUTHENTICATED) {
                // As klog quotes it (`strconv.Quote`).
                let error = error.trim_end().trim_end_matches('"').replace("\\\"", "\"");
                let failed = failures.iter().any(|failure| error.contains(failure));
                found.push(Self {
                    cause: Cause::of(&error).or(failed.then_some(Cause::Failed)),
                    error,
                });
            }
        }
        found
    }
}

/// A place in a log that grows.
#[derive(Clone, Debug)]
pub struct LogMark {
    path: Utf8PathBuf,
    offset: u64,
}

impl LogMark {
    /// The end that the log has now.
    pub fn end_of(path: &Utf8Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            offset: path.metadata()?.len(),
        })
    }

    /// What was logged since. What is no UTF-8 is replaced.
    pub fn since(&self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Lines of kube-apiserver 1.37.2's log.
    const LOG: &str = concat!(
        r#"E1126 11:18:04.000001   21711 webhook.go:184] Failed to make webhook authenticator request: Post "https://127.0.0.1:53011/authenticate?timeout=30s": dial tcp 127.0.0.1:53011: connect: connection refused"#,
        "\n",
        r#"E1126 11:18:04.000002   21711 authentication.go:76] "Unable to authenticate the request" err="[invalid bearer token, Post \"https://127.0.0.1:53011/authenticate?timeout=30s\": dial tcp 127.0.0.1:53011: connect: connection refused]""#,
        "\n",
        r#"E1126 11:18:05.000003   21711 authentication.go:76] "Unable to authenticate the request" err="[invalid bearer token, converting (v1.TokenReview) to (v1beta1.TokenReview): unknown conversion]""#,
        "\n",
        r#"E1126 11:18:06.000004   21711 authentication.go:76] "Unable to authenticate the request" err="invalid bearer token""#,
        "\n",
        r#"E1126 11:18:07.000005   21711 authentication.go:76] "Unable to authenticate the request" err="[invalid bearer token, the reason of a webhook]""#,
        "\n",
        r#"E1126 11:18:08.000006   21711 authentication.go:76] "Unable to authenticate the request" err="[invalid bearer token, context deadline exceeded]""#,
        "\n",
    );

    #[test]
    fn what_the_log_says_is_told_in_order() {
        let found = Unauthenticated::in_log(LOG);
        let causes: Vec<_> = found.iter().map(|found| found.cause).collect();
        let (listens, version) = (Cause::NothingListens, Cause::OtherVersion);
        assert_eq!(
            causes,
            [
                Some(listens),
                Some(version),
                Some(Cause::Refused),
                None,
                Some(Cause::TimedOut)
            ]
        );
        assert_eq!(
            found[0].error,
            "[invalid bearer token, Post \"https://127.0.0.1:53011/authenticate?timeout=30s\": \
             dial tcp 127.0.0.1:53011: connect: connection refused]"
        );
    }

    /// Lines of the same log: what a webhook said of itself, and a certificate of the caller's.
    #[rstest]
    #[case::said_by_the_webhook(
        "[invalid bearer token, ldap: dial tcp 10.0.0.1:389: connect: connection refused]"
    )]
    #[case::of_the_webhooks_own_webhook(
        r#"[invalid bearer token, Post \"https://idp/introspect\": dial tcp: lookup idp: no such host]"#
    )]
    #[case::of_the_caller(
        "verifying certificate SN=6958, SKID=FE:CE, AKID=FE:CE failed: x509: certificate signed by unknown authority"
    )]
    fn what_is_no_fault_on_the_way_to_the_webhook_is_not_told_as_one(#[case] error: &str) {
        let line = format!(
            "E1126 12:26:14.465872    7698 authentication.go:76] {UNAUTHENTICATED}{error}\""
        );
        let found = Unauthenticated::in_log(&line);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].cause, None, "{}", found[0].error);
    }

    /// What no setup of the table in `tests/lab/diagnosis.rs` brings about.
    #[rstest]
    #[case::tls_1_1("remote error: tls: protocol version not supported", Cause::OldTls)]
    #[case::tls_1_1_chosen("tls: server selected unsupported protocol version 302", Cause::OldTls)]
    #[case::sha_1(
        "tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because of \\\"x509: cannot verify signature: insecure algorithm SHA1-RSA\\\" while trying to verify candidate authority certificate \\\"ca\\\")",
        Cause::WeakSignature
    )]
    #[case::no_route("dial tcp 10.96.0.9:443: connect: no route to host", Cause::NoRoute)]
    #[case::behind_a_proxy(
        "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused",
        Cause::Proxy
    )]
    #[case::slow_to_connect("dial tcp 10.96.0.9:443: i/o timeout", Cause::TimedOut)]
    #[case::cut("unexpected EOF", Cause::Closed)]
    fn what_is_rare_is_known(#[case] failed: &str, #[case] cause: Cause) {
        let line = format!(
            r#"E1126 11:18:04.0 1 authentication.go:76] {UNAUTHENTICATED}[invalid bearer token, Post \"https://a/b?timeout=30s\": {failed}]""#
        );
        let found = Unauthenticated::in_log(&line);
        assert_eq!(found[0].cause, Some(cause), "{}", found[0].error);
    }

    /// The webhook's own words for an error, told apart from `status.error` by another line.
    #[test]
    fn what_the_webhook_answered_with_an_error_is_known_as_that() {
        let line = format!(
            "E1126 11:18:04.0 1 authentication.go:76] {UNAUTHENTICATED}[invalid bearer token, no such path]\""
        );
        assert_eq!(Unauthenticated::in_log(&line)[0].cause, None);
        let log = format!("E1126 11:18:04.0 1 webhook.go:184] {FAILED}no such path\n{line}\n");
        assert_eq!(Unauthenticated::in_log(&log)[0].cause, Some(Cause::Failed));
    }

    #[test]
    fn only_what_came_since_counts() {
        let file = tempfile::NamedTempFile::new().expect("must be made");
        let path = Utf8Path::from_path(file.path()).expect("must be UTF-8");
        std::fs::write(path, "before\n").expect("must be written");
        let mark = LogMark::end_of(path).expect("must be there");
        assert_eq!(mark.since().expect("must be read"), "");
        std::fs::write(path, "before\nafter\n").expect("must be written");
        assert_eq!(mark.since().expect("must be read"), "after\n");
        assert!(LogMark::end_of("/nowhere/log".into()).is_err());
    }
}
