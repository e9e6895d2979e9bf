//! What the words of kube-apiserver's log mean: in the terms of whatever failed, which is the kernel,
//! Go's TLS, Kubernetes' decoder.

mod value;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use camino::{Utf8Path, Utf8PathBuf};

use super::Cause;

/// What kube-apiserver logs for each request that it could not authenticate; behind it stands the
/// error as klog writes values (`apiserver/pkg/endpoints/filters/authentication.go`, v0.37.2).
pub(crate) const UNAUTHENTICATED: &str = "\"Unable to authenticate the request\" err=";

/// What the error of a token begins with that no authenticator knew
/// (`apiserver/pkg/authentication/request/bearertoken/bearertoken.go`, v0.37.2).
pub(crate) const INVALID_TOKEN: &str = "invalid bearer token";

/// The same where another error follows it.
const INVALID_TOKEN_AND: &str = "[invalid bearer token, ";

/// What it logs before that, with the same error, when the webhook gave no answer that it could use.
/// What the webhook says itself (`status.error`) is not told so, whatever its words are: they may be
/// those of Go for the webhook's own troubles
/// (`apiserver/plugin/pkg/authenticator/token/webhook/webhook.go`, v0.37.2).
const FAILED: &str = "Failed to make webhook authenticator request: ";

/// Among how many failed calls that of a request is looked for: it stands right before the request's
/// line, but for those of other requests at the same time.
const AT_ONCE: usize = 1000;

/// What a proxy answers to CONNECT: the status' own words, and nothing else (Go's
/// `net/http/transport.go`, `dialConn`).
const PROXY: [&str; 5] = [
    "Proxy Authentication Required",
    "Bad Gateway",
    "Gateway Timeout",
    "Service Unavailable",
    "Forbidden",
];

/// What went wrong on the way to the webhook, and what it means. The first that fits counts.
///
/// Texts of Go's standard library are those of Go 1.26.
const TRANSPORT: [(&str, Cause); 39] = [
    // Go's `net/http/transport.go`, `dialConn`. It goes before what went wrong with the proxy.
    ("proxyconnect ", Cause::Proxy),
    // Go's `net/http/client.go`, `defaultCheckRedirect`.
    ("stopped after 10 redirects", Cause::Redirected),
    // Go's `net/net.go`, `DNSError`. It goes before what went wrong with the server of names.
    (": lookup ", Cause::NoAddress),
    // The kernel's ECONNREFUSED and others, in the words of Go's `syscall/zerrors_linux_amd64.go`.
    ("connect: connection refused", Cause::NothingListens),
    ("connection reset by peer", Cause::Reset),
    ("no route to host", Cause::NoRoute),
    ("network is unreachable", Cause::NoRoute),
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
    ("connection timed out", Cause::TimedOut),
    ("TLS handshake timeout", Cause::TimedOut),
    // Go's `net/http/h2_bundle.go`. The first hides what the webhook said when it closed: that it
    // wants a client certificate, for example.
    ("http2: client conn could not be established", Cause::Closed),
    ("http2: client connection lost", Cause::Closed),
    ("http2: server sent GOAWAY", Cause::Closed),
    // Go's `net/http/transport.go`: what speaks there speaks no HTTP.
    ("malformed HTTP response", Cause::Closed),
    ("http2: frame too large", Cause::Closed),
    ("stream error: ", Cause::Closed),
    ("broken pipe", Cause::Closed),
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
    /// What an error of the log means, by the failed calls that were logged before it, the last one
    /// first; `None` when that is not known.
    fn of(error: &str, failures: &[&str]) -> Option<Self> {
        if error == INVALID_TOKEN {
            return Some(Self::Refused);
        }
        // Of several authenticators, or with a certificate that failed too, it is one among others.
        let holds = |failure: &&&str| !failure.is_empty() && error.contains(**failure);
        if let Some(failure) = failures.iter().find(holds) {
            return Some(Self::of_failure(failure));
        }
        // The request's own time was over before the webhook's, whose call goes on.
        let alone = error.strip_prefix(INVALID_TOKEN_AND).unwrap_or(error);
        let alone = alone.strip_suffix(']').unwrap_or(alone);
        (alone == "context deadline exceeded").then_some(Self::TimedOut)
    }

    /// What it means that the webhook gave no answer that could be used.
    fn of_failure(failure: &str) -> Self {
        if let Some(failed) = transport(failure) {
            if PROXY.contains(&failed) {
                return Self::Proxy;
            }
            let known = TRANSPORT.iter().find(|(text, _)| failed.contains(text));
            return known.map_or(Self::Unreached, |(_, cause)| *cause);
        }
        // The answer is decoded by its own version, and then there is no way from there to the one
        // that was asked for (`apimachinery/pkg/runtime/converter.go`, v0.37.2).
        if failure.starts_with("converting (") && failure.matches(".TokenReview)").count() == 2 {
            return Self::OtherVersion;
        }
        if failure == "context deadline exceeded" {
            return Self::TimedOut;
        }
        let known = ANSWER.iter().find(|(text, _)| failure.starts_with(text));
        known.map_or(Self::Failed, |(_, cause)| *cause)
    }
}

/// What failed when the apiserver posted to the webhook: Go's `net/url.Error`.
fn transport(failure: &str) -> Option<&str> {
    let (_, failed) = failure.strip_prefix("Post \"")?.split_once("\": ")?;
    Some(failed)
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
        let mut failures = VecDeque::new();
        let mut found = Vec::new();
        let mut lines = log.lines();
        while let Some(line) = lines.next() {
            // This one first: the webhook's own words stand in it, whatever they are.
            if let Some((_, value)) = line.split_once(UNAUTHENTICATED) {
                if let Some(error) = value::read(value, &mut lines) {
                    let cause = Cause::of(&error, failures.make_contiguous());
                    found.push(Self { error, cause });
                }
            } else if let Some((_, failure)) = line.split_once(FAILED) {
                failures.truncate(AT_ONCE - 1);
                failures.push_front(failure.trim_end());
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
mod tests;
