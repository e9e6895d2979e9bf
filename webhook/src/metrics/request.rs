//! By what requests are counted.

use prometheus_client::encoding::EncodeLabelSet;

use crate::{ApiVersion, Ended, Outcome};

/// The versions in which a request is counted: those of reviews, and none of what was none.
const ANY: &[&str] = &["v1", "v1beta1", ""];
const READ: &[&str] = ANY.split_at(2).0;
const UNREAD: &[&str] = ANY.split_at(2).1;

/// The codes of what was no review.
const MALFORMED: &[Option<u16>] = &[
    Some(400),
    Some(404),
    Some(405),
    Some(408),
    Some(413),
    Some(415),
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Request {
    version: &'static str,
    outcome: &'static str,
    code: Option<u16>,
}

impl Request {
    /// All that may be counted.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Outcome::ALL.into_iter().flat_map(|outcome| {
            let (versions, codes): (&[_], &[_]) = match outcome {
                Outcome::Authenticated | Outcome::Refused | Outcome::Undecided => {
                    (READ, &[Some(200)])
                }
                Outcome::Unavailable | Outcome::TimedOut => (READ, &[Some(503)]),
                Outcome::Overloaded => (ANY, &[Some(429)]),
                Outcome::Panicked => (READ, &[Some(500)]),
                Outcome::Malformed => (UNREAD, MALFORMED),
                Outcome::Abandoned => (ANY, &[None]),
            };
            let outcome = outcome.as_str();
            versions.iter().flat_map(move |&version| {
                codes.iter().map(move |&code| Self {
                    version,
                    outcome,
                    code,
                })
            })
        })
    }
}

impl From<&Ended<'_>> for Request {
    fn from(ended: &Ended<'_>) -> Self {
        let version = ended.review.map(|review| match review.api_version {
            ApiVersion::V1 => "v1",
            ApiVersion::V1Beta1 => "v1beta1",
        });
        Self {
            version: version.unwrap_or_default(),
            outcome: ended.outcome.as_str(),
            code: ended.code.map(|code| code.as_u16()),
        }
    }
}
