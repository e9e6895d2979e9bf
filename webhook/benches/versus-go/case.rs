//! What is asked, and how.

use std::path::{Path, PathBuf};

/// Headers as client-go has them (`rest/request.go`, v0.37.2) and Go's transport adds them.
pub(crate) const HEADERS: [&str; 4] = [
    "Content-Type: application/json",
    "Accept: application/json, */*",
    "Accept-Encoding: gzip",
    "User-Agent: Go-http-client/2.0",
];

/// Where an apiserver posts its reviews.
pub(crate) const TARGET: &str = "/authenticate?timeout=30s";

/// A kind of load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) http2: bool,
    pub(crate) connections: u32,
    /// How many requests run at once on a connection.
    pub(crate) streams: u32,
    pub(crate) body: Body,
}

/// One apiserver has one HTTP/2 connection; with HTTP/2 off, client-go keeps 25 open.
pub(crate) const CASES: [Case; 5] = [
    Case {
        name: "HTTP/2, 1 connection × 100 streams, 300 B",
        http2: true,
        connections: 1,
        streams: 100,
        body: Body::Small,
    },
    Case {
        name: "HTTP/2, 1 connection × 100 streams, 8 KiB",
        http2: true,
        connections: 1,
        streams: 100,
        body: Body::Large,
    },
    Case {
        name: "HTTP/1.1, 25 connections, 300 B",
        http2: false,
        connections: 25,
        streams: 1,
        body: Body::Small,
    },
    Case {
        name: "HTTP/1.1, 25 connections, 8 KiB",
        http2: false,
        connections: 25,
        streams: 1,
        body: Body::Large,
    },
    Case {
        name: "HTTP/2, one request at a time, 300 B",
        http2: true,
        connections: 1,
        streams: 1,
        body: Body::Small,
    },
];

/// A question's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// 300 octets in all: an opaque token.
    Small,
    /// A token of 8 KiB: a JWT with many claims.
    Large,
}

impl Body {
    /// The octets that kube-apiserver 1.37 sends.
    pub(crate) fn text(self) -> String {
        let question = |token: &str| {
            format!(
                r#"{{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1beta1","metadata":{{}},"spec":{{"token":"{token}","audiences":["https://kubernetes.default.svc.cluster.local"]}},"status":{{"user":{{}}}}}}"#
            ) + "\n"
        };
        let length = match self {
            Self::Small => 300 - question("").len(),
            Self::Large => 8 * 1024,
        };
        // What base64url is made of, in no order that anything could gain by.
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let token: String = (0..length)
            .map(|index| char::from(alphabet[(index * index + 7 * index) % 61]))
            .collect();
        question(&token)
    }

    /// Its file in `folder`, as the load generators want it.
    pub(crate) fn file(self, folder: &Path) -> PathBuf {
        folder.join(match self {
            Self::Small => "small.json",
            Self::Large => "large.json",
        })
    }
}
