//! What can be wrong between a request with a token and the webhook that knows it: in words, each
//! with its remedy.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a request was not authenticated, or not by the webhook.
///
/// To the user nearly all of them are the same `401 Unauthorized`. As JSON a name in kebab case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// The running kube-apiserver has no webhook: its flag is not set.
    FlagNotSet,
    /// kube-apiserver does not run: the webhook's file, or one that it names, is not where it looks.
    FileNotVisible,
    /// kube-apiserver does not run: it cannot use the webhook's file.
    FileUnusable,
    /// kube-apiserver does not answer, for a reason that is not the webhook's.
    Down,
    /// Nothing listens where the apiserver looks for the webhook.
    NothingListens,
    /// The webhook's name has no address.
    NoAddress,
    /// No route leads to the webhook's address.
    NoRoute,
    /// The proxy in between cannot be used.
    Proxy,
    /// The connection was reset.
    Reset,
    /// The connection ended before an answer came.
    Closed,
    /// The webhook did not answer in time.
    TimedOut,
    /// The webhook's certificate is of an authority that the apiserver was not told of.
    UnknownAuthority,
    /// The webhook's certificate has no names, only a common name.
    CommonNameOnly,
    /// The webhook's certificate has other names.
    OtherName,
    /// The webhook's certificate is valid at another time.
    OtherTime,
    /// The webhook's certificate is not one for servers.
    OtherUse,
    /// The webhook's certificate is signed by SHA-1 or MD5.
    WeakSignature,
    /// The webhook speaks no TLS that Go does.
    OldTls,
    /// The webhook does not take the apiserver's client certificate, or wants one.
    ClientCertificate,
    /// The webhook speaks HTTP without TLS.
    PlainHttp,
    /// The webhook has nothing at the URL's path: 404.
    OtherPath,
    /// What is at the URL's path takes no POST: 405.
    OtherMethod,
    /// The webhook refused by an HTTP status: 401 or 403.
    RefusedByStatus,
    /// The webhook sends whoever asks elsewhere.
    Redirected,
    /// The webhook could not be asked, for a reason that has no name here.
    Unreached,
    /// The webhook answered, and not with success.
    Failed,
    /// The webhook answered in another version of TokenReview than it was asked in.
    OtherVersion,
    /// What came is no TokenReview: not JSON, or another kind.
    NoReview,
    /// The webhook could not tell whose the token is, and said so (`status.error`).
    Undecided,
    /// The webhook named audiences that are none of the apiserver's.
    OtherAudiences,
    /// Nobody knows the token: the webhook was asked, if there is one, and refused it.
    Refused,
    /// The same, and the webhook was not asked now: the apiserver remembered.
    CachedRefusal,
    /// The webhook was not asked, and it cannot be seen whether it is wired in.
    NotAsked,
    /// A client certificate was shown beside the token, and counted alone.
    CertificateWon,
    /// The request had no token.
    NoToken,
    /// Somebody before the webhook knew the token, and the webhook was never asked.
    NeverAsked,
}

impl Cause {
    /// Whether the webhook itself did its part, and its answer counted.
    pub fn is_of_the_token(self) -> bool {
        matches!(
            self,
            Self::Refused
                | Self::CachedRefusal
                | Self::CertificateWon
                | Self::NoToken
                | Self::NeverAsked
        )
    }

    /// The remedy, as a sentence without its end.
    #[expect(clippy::too_many_lines, reason = "it is a table")]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::FlagNotSet => {
                "set `--authentication-token-webhook-config-file` where kube-apiserver is really \
                 started from: a copy of its manifest, or a generated configuration, may win"
            }
            Self::FileNotVisible => {
                "put the file where kube-apiserver sees it: a static Pod sees only what its \
                 manifest mounts, with kubeadm `/etc/kubernetes/pki` and `/etc/ssl/certs`"
            }
            Self::FileUnusable => {
                "correct the webhook's file: it is a kubeconfig, with a current context, a cluster \
                 with `server`, and certificates that are there"
            }
            Self::Down => "look at kube-apiserver's log: it says why it does not run",
            Self::NothingListens => {
                "start the webhook, and look whether it listens at that address and port"
            }
            Self::NoAddress => {
                "give the webhook's file an address and `tls-server-name`, or make the name \
                 resolvable where kube-apiserver runs: it does not ask the cluster's DNS"
            }
            Self::NoRoute => {
                "give the webhook's file an address that kube-apiserver's machine can reach"
            }
            Self::Proxy => {
                "correct `proxy-url` in the webhook's file, or HTTPS_PROXY and NO_PROXY of \
                 kube-apiserver's process: it goes by them"
            }
            Self::Reset => "look at what stands before the webhook, and at its log",
            Self::Closed => {
                "look at the webhook's log: it may have crashed, or speak another protocol"
            }
            Self::TimedOut => "find out what the webhook waits for: it has 30 s for all attempts",
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
            Self::OtherUse => "make a certificate with the extended key usage `serverAuth`",
            Self::WeakSignature => "make a certificate that is signed by SHA-256",
            Self::OldTls => "have the webhook speak TLS 1.2 or 1.3",
            Self::ClientCertificate => {
                "give the user in the webhook's file a client certificate, and its key, of an \
                 authority that the webhook trusts, and within its time"
            }
            Self::PlainHttp => "have the webhook serve TLS; plain HTTP shows everybody the tokens",
            Self::OtherPath => {
                "correct the path of `server` in the webhook's file; where it is right, it is \
                 something before the webhook that answers"
            }
            Self::OtherMethod => {
                "correct the path of `server` in the webhook's file, or have the webhook take POST \
                 there: kube-apiserver sends nothing else"
            }
            Self::RefusedByStatus => {
                "have the webhook refuse by 200 and `authenticated: false`; or, if it is \
                 kube-apiserver that it does not let in, give the user in the webhook's file what \
                 it wants"
            }
            Self::Redirected => {
                "give the webhook's file the URL that the webhook itself answers at: a redirect \
                 makes another request of the question"
            }
            Self::Unreached => {
                "look at the log's words, and ask the webhook from kube-apiserver's machine by the \
                 webhook's file"
            }
            Self::Failed => {
                "look at the log of the webhook, and of whatever stands before it: an HTTP status \
                 that is no success is all that kube-apiserver was told"
            }
            Self::OtherVersion => {
                "have the webhook answer in the `apiVersion` of the question; kube-apiserver asks \
                 in v1beta1 unless `--authentication-token-webhook-version=v1` is set"
            }
            Self::NoReview => {
                "have the webhook answer with a TokenReview as JSON; what came may be a page of a \
                 proxy before it"
            }
            Self::Undecided => {
                "look at the webhook's log: what it asks may be away. For a plain refusal it must \
                 leave `status.error` empty"
            }
            Self::OtherAudiences => {
                "have the webhook answer with one of the audiences that it was asked for, or with \
                 none: those of `--api-audiences`, or of `--service-account-issuer` where that is \
                 not set"
            }
            Self::Refused => "use a token that the webhook knows",
            Self::CachedRefusal => {
                "wait: kube-apiserver remembers a refusal for two minutes, or as long as \
                 `--authentication-token-webhook-cache-ttl` says; started again, it has forgotten"
            }
            Self::NotAsked => {
                "look whether `--authentication-token-webhook-config-file` of the running \
                 kube-apiserver names this file; if it does, an earlier refusal is remembered, for \
                 two minutes: wait"
            }
            Self::CertificateWon => {
                "take the client certificate out of the kubeconfig's user: it is looked at first"
            }
            Self::NoToken => {
                "send a token: `Authorization: Bearer …`, or `token` of the kubeconfig's user"
            }
            Self::NeverAsked => "use a token that only the webhook knows: it is asked last",
        }
    }
}

impl fmt::Display for Cause {
    /// A fragment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FlagNotSet => "the running kube-apiserver has no webhook: its flag is not set",
            Self::FileNotVisible => {
                "kube-apiserver does not run: a file that it needs for the webhook is not where it \
                 looks"
            }
            Self::FileUnusable => "kube-apiserver does not run: it cannot use the webhook's file",
            Self::Down => "kube-apiserver does not answer",
            Self::NothingListens => "nothing listens at the webhook's address",
            Self::NoAddress => "the webhook's name has no address where kube-apiserver runs",
            Self::NoRoute => "no route leads to the webhook's address",
            Self::Proxy => "the proxy before the webhook cannot be used",
            Self::Reset => "the connection to the webhook was reset",
            Self::Closed => "the connection to the webhook ended before it answered",
            Self::TimedOut => "the webhook did not answer in time",
            Self::UnknownAuthority => {
                "the webhook's certificate is of an authority that kube-apiserver was not told of"
            }
            Self::CommonNameOnly => "the webhook's certificate has a common name and no other",
            Self::OtherName => "the webhook's certificate is for other names",
            Self::OtherTime => "the webhook's certificate is not valid now",
            Self::OtherUse => "the webhook's certificate is not one for servers",
            Self::WeakSignature => "the webhook's certificate has a signature that is too weak",
            Self::OldTls => "the webhook speaks a TLS that is too old",
            Self::ClientCertificate => {
                "the webhook does not take kube-apiserver's client certificate, or wants one"
            }
            Self::PlainHttp => "the webhook speaks HTTP without TLS",
            Self::OtherPath => "the webhook has nothing at the URL's path",
            Self::OtherMethod => "what is at the URL's path takes no POST",
            Self::RefusedByStatus => "the webhook answered 401 or 403, which is no refusal",
            Self::Redirected => "the webhook's URL leads elsewhere",
            Self::Unreached => "the webhook could not be asked",
            Self::Failed => "the webhook answered with an error",
            Self::OtherVersion => {
                "the webhook answered in another version of TokenReview than it was asked in"
            }
            Self::NoReview => "the webhook's answer is no TokenReview",
            Self::Undecided => "the webhook could not tell whose the token is",
            Self::OtherAudiences => "the webhook named audiences that are none of kube-apiserver's",
            Self::Refused => "the token is nobody's: it was refused",
            Self::CachedRefusal => {
                "the token was refused before, and kube-apiserver remembers: the webhook was not \
                 asked"
            }
            Self::NotAsked => "kube-apiserver did not ask the webhook",
            Self::CertificateWon => "the token was not looked at: a client certificate won",
            Self::NoToken => "no token was sent",
            Self::NeverAsked => "the webhook was never asked: somebody before it knew the token",
        })
    }
}
