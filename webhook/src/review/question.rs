//! JSON to [`Review`].

use std::fmt;
use std::marker::PhantomData;

use memchr::memchr_iter;
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

use super::{KIND, Review};

/// How deep a body may be nested: a `TokenReview` with everything in it is 5 levels deep.
const DEPTH: usize = 128;

/// How many audiences may be asked for. An apiserver asks for its `--api-audiences`, one or a few;
/// a body full of empty ones would take ten times its size.
const AUDIENCES: usize = 64;

/// Why a body is no `TokenReview`. The texts go to the caller and into logs, and quote nothing from
/// where a token can stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Nothing was sent.
    #[error("the body is empty, expected a TokenReview")]
    Empty,
    /// JSON is UTF-8 (RFC 8259, section 8.1); Go puts U+FFFD in the place of what is not.
    #[error("the body is not UTF-8")]
    Utf8,
    /// Not JSON, cut short, or more than one value.
    #[error("the body is not one JSON value: line {line} column {column}")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// Which octet in the line, from 1.
        column: usize,
    },
    /// Objects and lists in one another, more than anything of Kubernetes has.
    #[error("the body is nested deeper than {DEPTH} levels")]
    Nesting,
    /// JSON, but a field of ours is of another type or there twice.
    #[error(
        "a field has another type than in a TokenReview, or is there twice: line {line} column {column}"
    )]
    Shape {
        /// Where it ends, from 1.
        line: usize,
        /// Which octet in the line, from 1.
        column: usize,
    },
    /// Another kind, or none.
    #[error("kind is {found}, expected `TokenReview`")]
    Kind {
        /// The kind, escaped and cut for printing.
        found: Quoted,
    },
    /// Another version, or none.
    #[error(
        "apiVersion is {found}, expected `authentication.k8s.io/v1` or `authentication.k8s.io/v1beta1`"
    )]
    ApiVersion {
        /// The version, escaped and cut for printing.
        found: Quoted,
    },
    /// Nothing to review: the API server's own endpoint answers 400 too
    /// (`pkg/registry/authentication/tokenreview/storage.go`, v1.37.2).
    #[error("spec.token is missing or empty")]
    NoToken,
    /// More than any apiserver asks for.
    #[error("spec.audiences has more than {AUDIENCES} entries")]
    Audiences,
}

/// A caller's text in an error: in backticks, control characters escaped, at most 64 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted(Option<String>);

impl Quoted {
    pub(crate) fn new(text: Option<&str>) -> Self {
        Self(text.map(|text| text.chars().take(64).collect()))
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(text) => write!(f, "`{}`", text.escape_debug()),
            None => f.write_str("missing"),
        }
    }
}

/// Reads a `TokenReview` of either version.
///
/// Field names are matched exactly, as the apiserver's decoder does. Unknown fields are ignored,
/// `metadata` and `status` with them; `null` counts as absent; a known field that stands twice is
/// an error, since two readers could take different ones.
pub fn decode(body: &[u8]) -> Result<Review, DecodeError> {
    let text = std::str::from_utf8(body).map_err(|_| DecodeError::Utf8)?;
    if text.trim_ascii().is_empty() {
        return Err(DecodeError::Empty);
    }
    if depth(text) > DEPTH {
        return Err(DecodeError::Nesting);
    }
    let Object(question) = serde_json::from_str::<Object<Question>>(text)?;
    if question.kind.as_deref() != Some(KIND) {
        let found = Quoted::new(question.kind.as_deref());
        return Err(DecodeError::Kind { found });
    }
    let api_version = question.api_version.as_deref();
    let Some(Ok(api_version)) = api_version.map(str::parse) else {
        let found = Quoted::new(api_version);
        return Err(DecodeError::ApiVersion { found });
    };
    let Object(spec) = question.spec.unwrap_or_default();
    let token = spec.token.filter(|token| !token.is_empty());
    let token = token.ok_or(DecodeError::NoToken)?;
    let Audiences(audiences) = spec.audiences.unwrap_or_default();
    if audiences.len() > AUDIENCES {
        return Err(DecodeError::Audiences);
    }
    Ok(Review::new(token)
        .with_audiences(audiences)
        .with_api_version(api_version))
}

/// How deep a text goes that may be JSON. What is in fields that nobody reads, serde skips however
/// deep it is.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    // Octets, since none of these stands within a character: it takes a tenth of the time.
    let mut rest = text.as_bytes();
    while let [octet, after @ ..] = rest {
        rest = after;
        match octet {
            b'"' => rest = after_string(rest),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// What follows the quotation mark that ends a string.
fn after_string(text: &[u8]) -> &[u8] {
    for at in memchr_iter(b'"', text) {
        let escapes = text[..at].iter().rev().take_while(|&&octet| octet == b'\\');
        if escapes.count() % 2 == 0 {
            return &text[at + 1..];
        }
    }
    &[]
}

impl From<serde_json::Error> for DecodeError {
    /// Keeps the place only: serde's text quotes the value it tripped over.
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Data => Self::Shape { line, column },
            Category::Syntax | Category::Eof | Category::Io => Self::Syntax { line, column },
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    kind: Option<String>,
    api_version: Option<String>,
    spec: Option<Object<Spec>>,
}

#[derive(Default, Deserialize)]
struct Spec {
    token: Option<String>,
    audiences: Option<Audiences>,
}

/// A struct that only an object becomes: serde's derive would take an array for its fields too.
#[derive(Default)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Object<T>, M::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// A list, of which no more is kept than shows that it is too long.
#[derive(Default)]
struct Audiences(Vec<String>);

impl<'de> Deserialize<'de> for Audiences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AudiencesVisitor;

        impl<'de> Visitor<'de> for AudiencesVisitor {
            type Value = Audiences;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Audiences, S::Error> {
                let mut audiences = Vec::new();
                while audiences.len() <= AUDIENCES {
                    let Some(audience) = list.next_element()? else {
                        return Ok(Audiences(audiences));
                    };
                    audiences.push(audience);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Audiences(audiences))
            }
        }

        deserializer.deserialize_seq(AudiencesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::ApiVersion;

    #[rstest]
    #[case::v1("authentication.k8s.io/v1", ApiVersion::V1)]
    #[case::v1beta1("authentication.k8s.io/v1beta1", ApiVersion::V1Beta1)]
    fn both_versions(#[case] text: &str, #[case] version: ApiVersion) {
        let body = format!(
            r#"{{"apiVersion":"{text}","kind":"TokenReview","spec":{{"token":"t","audiences":["a","b"]}}}}"#
        );
        let review = decode(body.as_bytes()).expect("a review");
        assert_eq!(review.token.expose(), "t");
        assert_eq!(review.audiences, ["a", "b"]);
        assert_eq!(review.api_version, version);
        assert_eq!(version.to_string(), text);
    }

    /// The second is what an apiserver before 1.34 sends, the third one since.
    #[rstest]
    #[case::nulls(r#""metadata":null,"spec":{"token":"t","audiences":null},"status":null"#)]
    #[case::old(
        r#""metadata":{"creationTimestamp":null},"spec":{"token":"t"},"status":{"user":{}}"#
    )]
    #[case::new(r#""metadata":{},"spec":{"token":"t"},"status":{"user":{}}"#)]
    #[case::unknown_field(r#""more":[1,[2]],"spec":{"token":"t","more":{}}"#)]
    #[case::other_case(r#""Kind":"x","spec":{"token":"t","Token":"u"}"#)]
    #[case::escapes(r#""spec":{"to\u006ben":"\u0074"}"#)]
    fn what_does_not_matter(#[case] fields: &str) {
        let body = format!(
            r#"{{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1",{fields}}}{}"#,
            "\n"
        );
        let review = decode(body.as_bytes()).expect("a review");
        assert_eq!(review.token.expose(), "t");
        assert_eq!(review.audiences, [""; 0]);
    }

    /// Each has the token `canary` somewhere, and no text shows it.
    #[rstest]
    #[case::spec_is_text(r#""spec":"canary""#)]
    #[case::spec_is_list(r#""spec":["canary",null]"#)]
    #[case::audiences_are_text(r#""spec":{"token":"t","audiences":"canary"}"#)]
    #[case::token_is_list(r#""spec":{"token":["canary"]}"#)]
    #[case::token_twice(r#""spec":{"token":"t","token":"canary"}"#)]
    #[case::spec_twice(r#""spec":{"token":"canary"},"spec":{"token":"t"}"#)]
    fn another_shape(#[case] fields: &str) {
        let body =
            format!(r#"{{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1",{fields}}}"#);
        let error = decode(body.as_bytes()).expect_err("no review");
        assert!(matches!(error, DecodeError::Shape { .. }), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
    }

    #[rstest]
    #[case::list(r#"["TokenReview","authentication.k8s.io/v1",{"token":"canary"}]"#)]
    #[case::text(r#""canary""#)]
    #[case::null("null")]
    fn no_object(#[case] body: &str) {
        let error = decode(body.as_bytes()).expect_err("no review");
        assert!(matches!(error, DecodeError::Shape { .. }), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
    }

    #[test]
    fn audiences_are_few() {
        let decoded = |count: usize| {
            let audiences = vec![""; count];
            let body = serde_json::json!({
                "kind": "TokenReview",
                "apiVersion": "authentication.k8s.io/v1",
                "spec": {"audiences": audiences, "token": "t"},
            });
            let review = decode(body.to_string().as_bytes());
            review.map(|review| review.audiences.len())
        };
        assert_eq!(decoded(AUDIENCES), Ok(AUDIENCES));
        assert_eq!(decoded(AUDIENCES + 1), Err(DecodeError::Audiences));
        assert_eq!(decoded(100_000), Err(DecodeError::Audiences));
    }

    #[test]
    fn quoted_text_is_escaped_and_cut() {
        let body = format!(r#"{{"kind":"\n{}"}}"#, "x".repeat(100));
        let error = decode(body.as_bytes()).expect_err("no review");
        let expected = format!(r"kind is `\n{}`, expected `TokenReview`", "x".repeat(63));
        assert_eq!(error.to_string(), expected);
    }

    #[rstest]
    #[case::unclosed("[", "")]
    #[case::closed("[", "]")]
    #[case::objects(r#"{"\\\"":"#, "}")]
    fn nesting(#[case] open: &str, #[case] close: &str) {
        let body = |levels| {
            let (open, close) = (open.repeat(levels), close.repeat(levels));
            format!(r#"{{"more":{open}{close}}}"#)
        };
        for levels in [DEPTH, 100_000] {
            let error = decode(body(levels).as_bytes()).expect_err("no review");
            assert_eq!(error, DecodeError::Nesting);
        }
        let error = decode(body(DEPTH - 1).as_bytes()).expect_err("no review");
        assert_ne!(error, DecodeError::Nesting);
    }

    #[rstest]
    #[case("", 0)]
    #[case(r#"{"a":[{}],"b":{}}"#, 3)]
    #[case(r#"["[[[",{"\\":"\"[\"{"}]"#, 2)]
    #[case("]]][", 1)]
    #[case(r#"["[[["#, 1)]
    #[case("é[é\"é", 1)]
    fn depths(#[case] text: &str, #[case] levels: usize) {
        assert_eq!(depth(text), levels);
    }
}
