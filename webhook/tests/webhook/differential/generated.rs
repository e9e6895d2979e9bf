use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::{Understood, Why, ask, ours};

/// How many bodies: enough for each pair of what is rare.
const COUNT: usize = 3000;

/// Control characters, too.
const TEXT: &str = "(?s:.*)";

/// Some JSON, and why it may be read differently. What does not may not.
#[derive(Clone, Debug)]
struct Piece {
    text: String,
    why: Vec<Why>,
}

/// Mostly the first, else one of the others.
fn mostly(
    usual: &'static str,
    others: &'static [(&'static str, &'static [Why])],
) -> impl Strategy<Value = Piece> + Clone {
    let piece = |(text, why): (&str, &[Why])| Piece {
        text: text.to_owned(),
        why: why.to_vec(),
    };
    prop_oneof![
        4 => Just(piece((usual, &[]))),
        1 => select(others).prop_map(piece),
    ]
}

fn kind() -> impl Strategy<Value = Piece> {
    mostly(
        r#""kind":"TokenReview""#,
        &[
            (r#""kind" : "Token\u0052eview""#, &[]),
            (r#""kind":null"#, &[Why::AnyKind]),
            (r#""kind":{}"#, &[]),
            (r#""kind":"Status""#, &[Why::AnyKind]),
            (r#""more":"TokenReview""#, &[Why::AnyKind]),
            (r#""Kind":"TokenReview""#, &[Why::Case]),
            (r#""kind":"TokenReview","kind":"Status""#, &[Why::Twice]),
        ],
    )
}

fn version() -> impl Strategy<Value = Piece> {
    mostly(
        r#""apiVersion":"authentication.k8s.io/v1beta1""#,
        &[
            (r#""apiVersion":"authentication.k8s.io\/v1""#, &[]),
            (r#""apiVersion":"v1""#, &[Why::AnyKind]),
            (r#""apiVersion":"a/b/c""#, &[]),
            (r#""apiVersion":"""#, &[Why::AnyKind]),
            (r#""apiVersion":1"#, &[]),
            (r#""APIversion":"authentication.k8s.io/v1""#, &[Why::Case]),
        ],
    )
}

fn ignored() -> impl Strategy<Value = Piece> {
    let known = mostly(
        r#""metadata":{}"#,
        &[
            (r#""metadata":{"name":"a","labels":{"b":"c"}}"#, &[]),
            (r#""metadata":[]"#, &[Why::Ignored]),
            (r#""status":{"user":{"groups":["a"]}}"#, &[]),
            (r#""status":{"user":{"groups":"a"}}"#, &[Why::Ignored]),
            (r#""status":null,"status":null"#, &[]),
            (r#""Spec":{"token":"u"}"#, &[]),
        ],
    );
    let unknown = any_json().prop_map(|text| Piece {
        text: format!(r#""more":{text}"#),
        why: Vec::new(),
    });
    prop_oneof![known, unknown]
}

/// Any value that Go takes, too.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(
            &[
                "null",
                "true",
                "false",
                "0",
                "-1.5e+300",
                "1e999",
                r#""""#,
                r#""\u0000\ud800""#
            ][..]
        )
        .prop_map(str::to_owned),
        TEXT.prop_map(|text| serde_json::to_string(&text).expect("JSON")),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        let field = (TEXT, inner.clone()).prop_map(|(name, value)| {
            format!("{}:{value}", serde_json::to_string(&name).expect("JSON"))
        });
        prop_oneof![
            vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            vec(field, 0..4).prop_map(|fields| format!("{{{}}}", fields.join(","))),
        ]
    })
}

fn token() -> impl Strategy<Value = Piece> {
    let any_text = TEXT.prop_map(|text| Piece {
        text: format!(r#""token":{}"#, serde_json::to_string(&text).expect("JSON")),
        why: Vec::new(),
    });
    let others = mostly(
        r#""token":"t""#,
        &[
            (r#""token":null"#, &[]),
            (r#""token":true"#, &[]),
            (r#""Token":"u""#, &[]),
            (r#""token":"\ud83dx""#, &[Why::Surrogate]),
            (r#""token":"t","token":"u""#, &[Why::Twice]),
        ],
    );
    prop_oneof![any_text, others]
}

fn audiences() -> impl Strategy<Value = Piece> {
    mostly(
        r#""audiences":["a"]"#,
        &[
            (r#""audiences":null"#, &[]),
            (r#""audiences":["a","a",""]"#, &[]),
            (r#""audiences":[["a"]]"#, &[]),
            (r#""audiences":["a",null]"#, &[Why::NullInList]),
            (r#""audiences":[],"audiences":["a"]"#, &[Why::Twice]),
            (r#""more":[]"#, &[]),
        ],
    )
}

/// One value of these pieces, in any order.
fn object(pieces: impl Strategy<Value = Vec<Piece>>) -> impl Strategy<Value = Piece> {
    let separated = (pieces.prop_shuffle(), select(&["", " ", "\n\t"][..]));
    separated.prop_map(|(pieces, blank)| {
        let texts: Vec<_> = pieces.iter().map(|piece| &*piece.text).collect();
        Piece {
            text: format!(
                "{{{blank}{}{blank}}}",
                texts.join(&format!("{blank},{blank}"))
            ),
            why: pieces.into_iter().flat_map(|piece| piece.why).collect(),
        }
    })
}

fn spec() -> impl Strategy<Value = Piece> {
    let spec = object((token(), audiences()).prop_map(|(token, audiences)| vec![token, audiences]));
    let spec = spec.prop_map(|piece| Piece {
        text: format!(r#""spec":{}"#, piece.text),
        ..piece
    });
    let others = mostly(
        r#""spec":null"#,
        &[(r#""spec":[]"#, &[]), (r#""spec":"t""#, &[])],
    );
    prop_oneof![9 => spec, 1 => others]
}

/// A body, whole or with one octet less, more, or the end cut off.
#[derive(Clone, Debug)]
enum Damage {
    None,
    Lost(Index),
    Inserted(Index, u8),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let octet = select(&b"{}[],:\"\\0x \n\x00\xff\x80"[..]);
    prop_oneof![
        4 => Just(Damage::None),
        1 => any::<Index>().prop_map(Damage::Lost),
        1 => (any::<Index>(), octet).prop_map(|(at, octet)| Damage::Inserted(at, octet)),
        1 => any::<Index>().prop_map(Damage::Cut),
    ]
}

fn body() -> impl Strategy<Value = (Vec<u8>, Vec<Why>)> {
    let pieces = (kind(), version(), spec(), ignored());
    let whole = object(pieces.prop_map(|(a, b, c, d)| vec![a, b, c, d]));
    (whole, damage()).prop_map(|(Piece { text, mut why }, damage)| {
        let mut body = text.into_bytes();
        match damage {
            Damage::None => return (body, why),
            Damage::Lost(at) => drop(body.remove(at.index(body.len()))),
            Damage::Inserted(at, octet) => body.insert(at.index(body.len()), octet),
            Damage::Cut(at) => body.truncate(at.index(body.len())),
        }
        // Names are others then.
        why.push(Why::AnyKind);
        if std::str::from_utf8(&body).is_err() {
            why.push(Why::Utf8);
        }
        if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
            why.push(Why::Yaml);
        }
        (body, why)
    })
}

/// Bodies that nobody thought of are read as Go reads them, unless something in them is on the
/// list; what both read, they read alike.
#[tokio::test]
async fn as_go_reads_what_nobody_thought_of() {
    let mut runner = TestRunner::deterministic();
    let body = body();
    let mut next = || body.new_tree(&mut runner).expect("a body").current();
    let bodies: Vec<_> = std::iter::repeat_with(&mut next).take(COUNT).collect();
    let test = "differential::generated::as_go_reads_what_nobody_thought_of";
    let Some(peers) = ask(test, bodies.iter().map(|(body, _)| &**body)).await else {
        return;
    };
    let (mut read, mut wrong) = (0, Vec::new());
    for ((body, why), peer) in bodies.iter().zip(peers) {
        let ours = ours(body);
        read += usize::from(ours.is_ok());
        let alike = |theirs: Option<Understood>, is_listed: fn(Why) -> bool| {
            let mut why = why.iter().filter(|why| is_listed(**why));
            theirs.as_ref() == ours.as_ref().ok()
                || why.any(|why| why.explains(&ours, theirs.as_ref()))
        };
        if !alike(peer.apimachinery.understood(), Why::is_kubernetes)
            || !alike(peer.controller_runtime.understood(), |_| true)
        {
            let body = String::from_utf8_lossy(body);
            wrong.push(format!("{body}\n  {why:?}\n  ours: {ours:?}\n  {peer:#?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of them:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // Of both kinds there must be enough to tell something.
    assert!(
        (COUNT / 10..COUNT * 9 / 10).contains(&read),
        "{read} were read"
    );
}
