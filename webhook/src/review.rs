//! A `TokenReview` as it is asked and answered on the wire.
//!
//! The types are this crate's own: a kube-apiserver speaks `v1beta1` to its webhook unless told
//! otherwise (`pkg/kubeapiserver/options/authentication.go`, v1.37.2, `Version: "v1beta1"`), and
//! insists on an answer in the version that it asked in.

mod answer;
mod question;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use tokio::time::Instant;

pub use answer::encode;
pub use question::{DecodeError, Quoted, decode};

use crate::Token;

/// The kind of a question and of its answer.
const KIND: &str = "TokenReview";

/// The versions of a `TokenReview`. Their fields are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiVersion {
    /// `authentication.k8s.io/v1`: what `--authentication-token-webhook-version=v1` asks for.
    V1,
    /// `authentication.k8s.io/v1beta1`: the apiserver's default.
    V1Beta1,
}

impl ApiVersion {
    /// The version with its group, as `apiVersion` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "authentication.k8s.io/v1",
            Self::V1Beta1 => "authentication.k8s.io/v1beta1",
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No version of a `TokenReview`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither `authentication.k8s.io/v1` nor `authentication.k8s.io/v1beta1`")]
#[non_exhaustive]
pub struct UnknownApiVersion;

impl FromStr for ApiVersion {
    type Err = UnknownApiVersion;

    fn from_str(text: &str) -> Result<Self, UnknownApiVersion> {
        [Self::V1, Self::V1Beta1]
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or(UnknownApiVersion)
    }
}

/// One question: whose is this token?
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Review {
    /// What the user presented; never empty when it came over the wire.
    pub token: Token,
    /// Whom the token shall be meant for; one in common is enough. The apiserver sends its
    /// `--api-audiences`, by default the service account issuer. Empty: not asked for. No more than
    /// 64 when they came over the wire.
    pub audiences: Vec<String>,
    /// The version that the question came in and the answer goes out in.
    pub api_version: ApiVersion,
    /// When the router gives the review up and answers 503: its own limit after the request's
    /// head was read, or shortly before the caller stops waiting by the request's `?timeout=` (the
    /// apiserver's says `30s`). None when it did not come over the wire.
    pub deadline: Option<Instant>,
    /// Who asks. None when the router was not served by [`Server`](crate::Server).
    pub caller: Option<Caller>,
}

impl Review {
    /// A review of `token` in `v1` with nothing else said, for testing an authenticator.
    #[must_use]
    pub fn new(token: impl Into<Token>) -> Self {
        Self {
            token: token.into(),
            audiences: Vec::new(),
            api_version: ApiVersion::V1,
            deadline: None,
            caller: None,
        }
    }

    /// The same review for these audiences.
    #[must_use]
    pub fn with_audiences<A: Into<String>>(
        mut self,
        audiences: impl IntoIterator<Item = A>,
    ) -> Self {
        self.audiences = audiences.into_iter().map(Into::into).collect();
        self
    }

    /// The same review in this version.
    #[must_use]
    pub fn with_api_version(mut self, api_version: ApiVersion) -> Self {
        self.api_version = api_version;
        self
    }

    /// The same review with this deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The same review from this caller.
    #[must_use]
    pub fn with_caller(mut self, caller: Caller) -> Self {
        self.caller = Some(caller);
        self
    }
}

/// The other end of the connection that a review came by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// Its address, that of the last proxy if there is one.
    pub peer: SocketAddr,
    /// The common name in its client certificate, which the handshake has checked. None without a
    /// certificate, or when that has only alternative names.
    pub common_name: Option<String>,
}

impl Caller {
    /// A caller without a client certificate.
    #[must_use]
    pub fn new(peer: SocketAddr) -> Self {
        Self {
            peer,
            common_name: None,
        }
    }

    /// The same caller, whose client certificate has this common name.
    #[must_use]
    pub fn with_common_name(mut self, common_name: Option<String>) -> Self {
        self.common_name = common_name;
        self
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("authentication.k8s.io/v2")]
    #[case("authentication.k8s.io/V1")]
    #[case("v1")]
    #[case("")]
    fn other_versions_are_unknown(#[case] text: &str) {
        assert_eq!(text.parse::<ApiVersion>(), Err(UnknownApiVersion));
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let printed = format!("{:?}", Review::new("canary"));
        assert!(printed.contains("Token(redacted)"), "{printed}");
        assert!(!printed.contains("canary"), "{printed}");
    }
}
