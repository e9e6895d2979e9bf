use super::{Understood, Why, ask, ours};

/// A body, and why each of the two peers reads it differently; none: it must not.
struct Case {
    body: Vec<u8>,
    kubernetes: Option<Why>,
    runtime: Option<Why>,
}

/// All read it alike.
fn same(body: impl Into<Vec<u8>>) -> Case {
    Case {
        body: body.into(),
        kubernetes: None,
        runtime: None,
    }
}

/// Both of them read it differently.
fn both(why: Why, body: impl Into<Vec<u8>>) -> Case {
    Case {
        kubernetes: Some(why),
        ..runtime(why, body)
    }
}

/// Kubernetes' decoder alone does.
fn kubernetes(why: Why, body: impl Into<Vec<u8>>) -> Case {
    Case {
        kubernetes: Some(why),
        ..same(body)
    }
}

/// controller-runtime alone does.
fn runtime(why: Why, body: impl Into<Vec<u8>>) -> Case {
    Case {
        runtime: Some(why),
        ..same(body)
    }
}

/// A review of version 1 with these fields.
fn v1(fields: impl AsRef<[u8]>) -> Vec<u8> {
    let head = br#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","#;
    [head, fields.as_ref(), b"}"].concat()
}

/// A review with a field that is this deep.
fn nested(levels: usize) -> Vec<u8> {
    let (open, close) = ("[".repeat(levels), "]".repeat(levels));
    v1(format!(r#""more":{open}{close},"spec":{{"token":"t"}}"#))
}

/// A review for so many audiences.
fn asked_for(audiences: usize) -> Vec<u8> {
    let audiences = vec![r#""a""#; audiences].join(",");
    v1(format!(
        r#""spec":{{"token":"t","audiences":[{audiences}]}}"#
    ))
}

#[rustfmt::skip]
fn table() -> Vec<Case> {
    vec![
        // What an apiserver sends: before 1.34, then since.
        same(v1(r#""metadata":{"creationTimestamp":null},"spec":{"token":"t","audiences":["a","b"]},"status":{"user":{}}"#)),
        same("{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1beta1\",\"metadata\":{},\"spec\":{\"token\":\"t\"},\"status\":{\"user\":{}}}\n"),
        // Escapes, blanks, unknown fields, nulls.
        same(v1(r#""sp\u0065c":{"to\u006ben":"\u0074\ud83d\ude00\/\""}"#)),
        same(v1("\t\r\n \"spec\" : { \"token\" : \"t\" } ")),
        same(v1(r#""more":[1e999,-0,"[[",{"spec":{"token":"u"}}],"spec":{"token":"t","more":[]}"#)),
        same(v1(r#""metadata":null,"spec":{"token":"t","audiences":null},"status":null"#)),
        same(v1(r#""spec":{"token":"t","Token":"u","TOKEN":"v"},"Spec":{"token":"w"}"#)),
        same(v1(r#""spec":{"token":"\u0000","audiences":[]}"#)),
        same(nested(127)),
        same(asked_for(64)),
        // No token.
        same(v1(r#""metadata":{}"#)),
        same(v1(r#""spec":null"#)),
        same(v1(r#""spec":{}"#)),
        same(v1(r#""spec":{"token":null}"#)),
        same(v1(r#""spec":{"token":""}"#)),
        same(v1(r#""spec":{"Token":"t"}"#)),
        // Other types.
        same(v1(r#""spec":{"token":1}"#)),
        same(v1(r#""spec":{"token":["t"]}"#)),
        same(v1(r#""spec":["t",null]"#)),
        same(v1(r#""spec":"t""#)),
        same(v1(r#""spec":{"token":"t","audiences":"a"}"#)),
        same(v1(r#""spec":{"token":"t","audiences":[1]}"#)),
        same(v1(r#""spec":{"token":"t","audiences":{}}"#)),
        same(r#"{"kind":1,"apiVersion":"authentication.k8s.io/v1","spec":{"token":"t"}}"#),
        same(r#"{"kind":"TokenReview","apiVersion":["authentication.k8s.io/v1"],"spec":{"token":"t"}}"#),
        // No JSON.
        same(""),
        same(" \n"),
        same("null"),
        same("[]"),
        same("\"t\""),
        same("token=t"),
        same(v1(r#""spec":{"token":"t"}} {"#)),
        same(v1(r#""spec":{"token":"t"},"#)),
        same(v1(r#""spec":{"token":"t"#)),
        same(v1("\"spec\":{\"token\":\"\n\"}")),
        same(v1(r#""spec":{"token":"\x"}"#)),
        same(v1(r#""more":01,"spec":{"token":"t"}"#)),
        // What Go reads, and is refused here.
        both(Why::Twice, v1(r#""spec":{"token":"t","token":"t"}"#)),
        both(Why::Twice, v1(r#""spec":{"token":"t"},"spec":{"audiences":["a"]}"#)),
        both(Why::Twice, v1(r#""kind":"TokenReview","spec":{"token":"t"}"#)),
        both(Why::Surrogate, v1(r#""spec":{"token":"\ud800"}"#)),
        both(Why::Surrogate, v1(r#""spec":{"token":"t","audiences":["\udc00x"]}"#)),
        both(Why::NullInList, v1(r#""spec":{"token":"t","audiences":[null]}"#)),
        both(Why::Nesting, nested(128)),
        both(Why::Audiences, asked_for(65)),
        both(Why::Utf8, v1(b"\"spec\":{\"token\":\"\xff\"}")),
        both(Why::Utf8, v1(b"\"more\":\"\xed\xa0\x80\",\"spec\":{\"token\":\"t\"}")),
        both(Why::Case, r#"{"Kind":"TokenReview","APIVERSION":"authentication.k8s.io/v1","spec":{"token":"t"}}"#),
        // What is read here, and Go refuses.
        kubernetes(Why::Case, v1(r#""Kind":"SubjectAccessReview","spec":{"token":"t"}"#)),
        both(Why::Ignored, v1(r#""metadata":5,"spec":{"token":"t"}"#)),
        both(Why::Ignored, v1(r#""spec":{"token":"t"},"status":{"authenticated":"yes"}"#)),
        // What controller-runtime alone reads.
        runtime(Why::AnyKind, r#"{"spec":{"token":"t"}}"#),
        runtime(Why::AnyKind, r#"{"kind":"TokenReview","spec":{"token":"t"}}"#),
        runtime(Why::AnyKind, r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v2","spec":{"token":"t"}}"#),
        runtime(Why::AnyKind, r#"{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","spec":{"token":"t"}}"#),
        runtime(Why::Yaml, "kind: TokenReview\napiVersion: authentication.k8s.io/v1\nspec: {token: t}"),
        runtime(Why::Yaml, [b"\xef\xbb\xbf", &v1(r#""spec":{"token":"t"}"#)[..]].concat()),
    ]
}

/// A difference that is listed must be one, and for that reason; one that is not listed must not be.
#[tokio::test]
async fn as_go_reads_it() {
    let table = table();
    let bodies = table.iter().map(|case| &*case.body);
    let Some(peers) = ask("differential::table::as_go_reads_it", bodies).await else {
        return;
    };
    let mut wrong = Vec::new();
    for (case, peer) in table.iter().zip(peers) {
        let ours = ours(&case.body);
        let as_listed = |why: Option<Why>, theirs: Option<Understood>| match why {
            Some(why) => why.explains(&ours, theirs.as_ref()),
            None => theirs.as_ref() == ours.as_ref().ok(),
        };
        if !as_listed(case.kubernetes, peer.apimachinery.understood())
            || !as_listed(case.runtime, peer.controller_runtime.understood())
        {
            let body = String::from_utf8_lossy(&case.body);
            wrong.push(format!("{body}\n  ours: {ours:?}\n  {peer:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
