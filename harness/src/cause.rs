//! Why kube-apiserver did not get an answer of its webhook that it could use, by its own log.
//!
//! To the user every failure is the same `401 Unauthorized`. The apiserver's log tells them apart,
//! in the words of whatever failed: the kernel, Go's TLS, Kubernetes' decoder. Here is what these
//! words mean.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use camino::{Utf8Path, Utf8PathBuf};

/// What kube-apiserver logs for each request that it could not authenticate; behind it stands the
/// error (`apiserver/pkg/endpoints/filters/authentication.go`, v0.37.2).
pub(crate) const UNAUTHENTICATED: &str = "\"Unable to authenticate the request\" err=\"";

/// What the error of a token begins with that no authenticator knew
/// (`apiserver/pkg/authentication/request/bearertoken/bearertoken.go`, v0.37.2).
pub(crate) const INVALID_TOKEN: &str = "invalid bearer token";

/// Why a request was not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Nothing listens where the apiserver looks for the webhook.
    NothingListens,
    /// The webhook's name has no address.
    NoAddress,
    /// The webhook's certificate is of an authority that the apiserver was not told of.
    UnknownAuthority,
    /// The webhook's certificate has no names, only a common name.
    CommonNameOnly,
    /// The webhook's certificate has other names.
    OtherName,
    /// The webhook's certificate is valid at another time.
    OtherTime,
    /// The webhook speaks HTTP without TLS.
    PlainHttp,
    /// The webhook answered in another version of TokenReview than it was asked in.
    OtherVersion,
    /// The webhook did not answer in time.
    TimedOut,
    /// The webhook answered, and not with success.
    Failed,
    /// Nobody knows the token: the webhook was asked, if there is one, and refused it.
    Refused,
}

/// What went wrong on the way to the webhook, and what it means. The first that fits counts.
///
/// Texts of Go's standard library are those of Go 1.26.
const TRANSPORT: [(&str, Cause); 11] = [
    // The kernel's ECONNREFUSED, in the words of Go's `syscall/zerrors_linux_amd64.go`.
    ("connect: connection refused", Cause::NothingListens),
    // Go's `net/net.go`, `errNoSuchHost`.
    ("no such host", Cause::NoAddress),
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
    // The same file, `CertificateInvalidError` with the reason `Expired`.
    (
        "x509: certificate has expired or is not yet valid",
        Cause::OtherTime,
    ),
    // Go's `net/http/client.go`, `errors.New` in `send`.
    (
        "http: server gave HTTP response to HTTPS client",
        Cause::PlainHttp,
    ),
    ("context deadline exceeded", Cause::TimedOut),
    // Go's `net/http/client.go`, `timeoutError`.
    ("Client.Timeout", Cause::TimedOut),
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
        let error = behind.map_or(error, |rest| rest.strip_suffix(']').unwrap_or(rest));
        if let Some(failed) = transport(error) {
            let known = TRANSPORT.iter().find(|(text, _)| failed.contains(text));
            return known.map(|(_, cause)| *cause);
        }
        // The request's own time was over before the webhook's.
        if error == "context deadline exceeded" {
            return Some(Self::TimedOut);
        }
        // `apimachinery/pkg/runtime/error.go` and `converter.go`, v0.37.2: the answer is decoded by
        // its own version, and then there is no way from there to the one that was asked for.
        if error.starts_with("converting (") && error.contains("unknown conversion") {
            return Some(Self::OtherVersion);
        }
        // `apimachinery/pkg/api/errors/errors.go`, `NewGenericServerResponse`, v0.37.2.
        let generic = [
            "an error on the server",
            "the server could not find the requested resource",
        ];
        let failed = generic.iter().any(|text| error.starts_with(text));
        failed.then_some(Self::Failed)
    }

    /// The remedy, as a sentence without its end.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NothingListens => {
                "start the webhook, and look whether it listens at that address and port"
            }
            Self::NoAddress => {
                "give the webhook's file an address and `tls-server-name`, or make the name \
                 resolvable where kube-apiserver runs: it does not ask the cluster's DNS"
            }
            Self::UnknownAuthority => {
                "put the authority of the webhook's certificate into `certificate-authority-data` \
                 of the webhook's file, and start kube-apiserver again: it reads the file once"
            }
            Self::CommonNameOnly => {
                "make a certificate with subject alternative names: Go has not looked at the \
                 common name since 1.15"
            }
            Self::OtherName => {
                "set `tls-server-name` in the webhook's file to a name of the certificate, or make \
                 a certificate for the host in the URL"
            }
            Self::OtherTime => "make a new certificate, or set the clock",
            Self::PlainHttp => "have the webhook serve TLS; plain HTTP shows everybody the tokens",
            Self::OtherVersion => {
                "have the webhook answer in the `apiVersion` of the question; kube-apiserver asks \
                 in v1beta1 unless `--authentication-token-webhook-version=v1` is set"
            }
            Self::TimedOut => "find out what the webhook waits for: it has 30 s for all attempts",
            Self::Failed => {
                "look at the URL's path in the webhook's file, and at the webhook's log"
            }
            Self::Refused => "use a token that the webhook knows",
        }
    }
}

/// What failed when the apiserver posted to the webhook: Go's `net/url.Error`, with the `timeout` that
/// client-go adds to the URL.
fn transport(error: &str) -> Option<&str> {
    let (url, failed) = error.strip_prefix("Post \"")?.split_once("\": ")?;
    url.contains("?timeout=").then_some(failed)
}

impl fmt::Display for Cause {
    /// A fragment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingListens => "nothing listens at the webhook's address",
            Self::NoAddress => "the webhook's name has no address where kube-apiserver runs",
            Self::UnknownAuthority => {
                "the webhook's certificate is of an authority that kube-apiserver was not told of"
            }
            Self::CommonNameOnly => "the webhook's certificate has a common name and no other",
            Self::OtherName => "the webhook's certificate is for other names",
            Self::OtherTime => "the webhook's certificate is not valid now",
            Self::PlainHttp => "the webhook speaks HTTP without TLS",
            Self::OtherVersion => {
                "the webhook answered in another version of TokenReview than it was asked in"
            }
            Self::TimedOut => "the webhook did not answer in time",
            Self::Failed => "the webhook answered with an error",
            Self::Refused => "the token is nobody's: it was refused",
        })
    }
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
        let errors = (log.lines()).filter_map(|line| line.split_once(UNAUTHENTICATED));
        errors
            .map(|(_, error)| {
                // As klog quotes it (`strconv.Quote`).
                let error = error.trim_end().trim_end_matches('"').replace("\\\"", "\"");
                Self {
                    cause: Cause::of(&error),
                    error,
                }
            })
            .collect()
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
