use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rstest::rstest;
use tokenlab_webhook::Token;
use tokenlab_webhook::manifests::Serving;
use tokenlab_webhook::pki::CertificateAuthority;

use super::*;
use crate::kubeconfig::{Identity, Kubeconfig};
use crate::manifests::Manifests;

fn redacted(text: &str) -> String {
    Redaction::default().text(text)
}

/// What stands behind the colon must be gone, and what stands around it must stay.
#[rstest]
#[case::a_header("> Authorization: Bearer ", "c2VjcmV0", "")]
#[case::a_header_in_small("authorization: bearer ", "x", "\r\nAccept: */*")]
#[case::a_password_in_a_header("Authorization: Basic ", "bW9jazptb2Nr", "")]
#[case::a_header_of_curl("curl -H 'Authorization: Bearer ", "ZGVtbw==", "' https://a")]
#[case::a_header_in_a_log(r#"{"Authorization":["Bearer "#, "a.b-c", r#""],"Accept":["*/*"]}"#)]
#[case::a_review_as_go_prints_it("spec={Token:", "abcdef", " Audiences:[]}")]
#[case::a_review_as_go_writes_it("&TokenReviewSpec{Token:", "\"abcdef\"", ",Audiences:[],}")]
#[case::a_bearer_alone("sent Bearer ", "t0p", ", got 401")]
#[case::a_flag("k3s agent --token=", "K10:x", " --server https://a:6443")]
#[case::a_flag_and_a_word("kubeadm join a:6443 --token ", "abcdef.0123456789abcdef", " --v=5")]
#[case::a_quoted_flag("kubectl --token='", "two words", "' get ns")]
#[case::a_flag_in_json(r#""Args": ["--token", ""#, "abc", r#"", "-v=4"]"#)]
#[case::a_longer_flag("k3s server --agent-token ", "abc", "")]
#[case::a_password_flag("curl --proxy-password ", "abc", "")]
#[case::a_certificate_key("kubeadm join --certificate-key ", "f00d", " --control-plane")]
#[case::an_environment(r#""Env": ["K3S_TOKEN="#, "abc", r#"", "PATH=/bin"]"#)]
#[case::a_field_of_a_log(r#"I1124 "review" token=""#, "a b", r#"" user="mock""#)]
#[case::a_review(
    r#"{"kind":"TokenReview","spec":{"token":""#,
    r#"a\"b\\"#,
    r#"","audiences":["a"]}}"#
)]
#[case::a_review_in_a_log(
    r#"body="{\"kind\":\"TokenReview\",\"spec\":{\"token\":\""#,
    r#"a\\\"b\\\\"#,
    r#"\",\"audiences\":[\"a\"]}}""#
)]
#[case::a_review_twice_in_json(r#"{\\\"token\\\":\\\""#, "abc", r#"\\\",\\\"a\\\":1}"#)]
#[case::a_review_that_is_cut_off(r#"{"spec": {"token" : ""#, "abc", "")]
#[case::an_oauth_answer(r#"{"access_token":""#, "abc", r#"","expires_in":3600}"#)]
#[case::a_web_token(
    "got ",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtb2NrIn0.c2lnbmF0dXJl_-",
    "; it has expired"
)]
#[case::a_web_token_without_signature("got ", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtb2NrIn0.", " ")]
#[case::a_bootstrap_token("[bootstrap-token] Using token: ", "z9y8x7.abcdefghijklmnop", "\n[")]
#[case::a_k3s_token(
    "wrote ",
    "K10f00dfeedf00dfeedf00dfeedf00dfeedf00dfeedf00dfeedf00dfeedf00dfeed::server:5e4d",
    "\n"
)]
#[case::a_kubeconfigs_token("  user:\n    token: ", "abc", "\n- name: b")]
#[case::a_quoted_token("    token: \"", "a b", "\"\ncurrent-context: lab")]
#[case::a_token_of_many_lines("    token: >-\n", "      abc\n      def", "\ncurrent-context: lab")]
#[case::a_token_in_a_list("bootstrapTokens:\n- token: ", "abc", "\n  ttl: 24h0m0s")]
#[case::a_proxy("HTTP Proxy: http://", "me:pass", "@proxy:3128/")]
fn what_is_secret_goes_and_the_rest_stays(
    #[case] before: &str,
    #[case] secret: &str,
    #[case] after: &str,
) {
    let text = redacted(&format!("{before}{secret}{after}"));
    for line in secret.lines().filter(|line| line.len() > 1) {
        assert!(!text.contains(line.trim()), "{text}");
    }
    // What a bootstrap token begins with is its public name.
    let words = before.trim_end_matches(['"', '\'']).trim_end();
    let words = words.strip_suffix(">-").unwrap_or(words).trim_end();
    assert!(text.starts_with(words), "{text}");
    assert!(
        text.ends_with(after.trim_start_matches(['"', '\''])),
        "{text}"
    );
    assert!(text.contains("[REDACTED: "), "{text}");
}

#[rstest]
#[case(
    r#"E1124 "Unable to authenticate the request" err="[invalid bearer token, [invalid bearer token, token lookup failed]]""#
)]
#[case("--authentication-token-webhook-config-file=/etc/kubernetes/pki/webhook-config.yml")]
#[case("--authentication-token-webhook-cache-ttl=2m0s --enable-bootstrap-token-auth=true")]
#[case("--token-auth-file=/etc/tokens.csv --discovery-token-ca-cert-hash sha256:1234")]
#[case("    TokenExpirationSeconds:  3607\n    ConfigMapName: kube-root-ca.crt")]
#[case("automountServiceAccountToken: false\n- serviceAccountToken:\n    path: token")]
#[case(r#"MountVolume.SetUp failed for volume "tls" : secret "my-authn" not found"#)]
#[case("kube-system  3s  Normal  Pulled  pod/coredns-7d8f9c6b5-x2x4q  already present")]
#[case(r#"WWW-Authenticate: Bearer realm="kubernetes""#)]
#[case("kubectl get events -n kube-system my-authn-5d9c-x2x4q.184f2a3b4c5d6e7f")]
#[case(r#"{"kind":"ConfigMap","data":{"a":"b"}}"#)]
#[case("kind: ConfigMap\ndata:\n  a: b\n")]
#[case("token: \"\"\npassword: null")]
#[case("containerd://4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945")]
fn what_is_about_tokens_stays(#[case] text: &str) {
    assert_eq!(redacted(text), text);
}

fn certificates() -> (CertificateAuthority, tokenlab_webhook::pki::Certificate) {
    let authority = CertificateAuthority::new("tokenlab").expect("must be made");
    let certificate = authority.serving(&["localhost"]).expect("must be made");
    (authority, certificate)
}

#[test]
fn keys_go_and_certificates_stay() {
    let (_, pair) = certificates();
    let (certificate, key) = (pair.certificate_pem(), pair.key_pem());
    let middle = key.lines().nth(1).expect("must have a body");
    let shown = |text: &str| {
        let text = redacted(text);
        assert!(!text.contains(middle), "{text}");
        assert!(!text.contains("PRIVATE KEY"), "{text}");
        assert!(!text.contains(&STANDARD.encode(key)[40..60]), "{text}");
        text
    };
    assert_eq!(redacted(certificate), certificate);
    let both = shown(&format!("{certificate}{key}end\n"));
    assert_eq!(both, format!("{certificate}[REDACTED: private key]\nend\n"));
    // Of an older kind, in YAML, in JSON; without its end, without its beginning.
    shown(&key.replace(" PRIVATE", " RSA PRIVATE"));
    shown(&format!("tls.key: |\n  {}", key.replace('\n', "\n  ")));
    let json = shown(&serde_json::json!({ "a": key, "b": 1 }).to_string());
    assert!(json.ends_with(r#","b":1}"#), "{json}");
    let half = key.len() / 2;
    shown(&key[..key.len() - 30]);
    let rest = redacted(&key[half..]);
    assert!(!rest.contains(&key[half..half + 20]), "{rest}");
    // In base64: alone, behind a certificate, wrapped, in a file's path.
    shown(&STANDARD.encode(key));
    shown(&STANDARD.encode(format!("{certificate}{key}")));
    shown(&format!("/etc/{}", URL_SAFE_NO_PAD.encode(key)));
    let wrapped = STANDARD.encode(key).into_bytes();
    let wrapped: Vec<_> = wrapped.chunks(76).map(String::from_utf8_lossy).collect();
    shown(&wrapped.join("\n    "));
    let encoded = STANDARD.encode(certificate);
    assert_eq!(redacted(&encoded), encoded);
}

/// The lines that were not there before. No other line is lost but a value's second one.
fn new_lines<'a>(before: &str, after: &'a str) -> Vec<&'a str> {
    assert_eq!(before.lines().count(), after.lines().count() + 1, "{after}");
    let new = after
        .lines()
        .filter(|line| !before.lines().any(|old| old == *line));
    new.map(str::trim).collect()
}

#[test]
fn a_kubeconfig_keeps_all_but_its_credentials() {
    let (authority, pair) = certificates();
    let kubeconfig = |identity| Kubeconfig {
        cluster: "lab".to_owned(),
        user: "admin".to_owned(),
        server: "https://127.0.0.1:6443".to_owned(),
        certificate_authority: authority.certificate_pem().to_owned(),
        tls_server_name: None,
        identity,
    };
    let admin = kubeconfig(Identity::from(&pair)).yaml();
    let shown = redacted(&admin);
    assert_eq!(
        new_lines(&admin, &shown),
        ["client-key-data: [REDACTED: client-key-data]"]
    );

    // However a token is written: with blanks, long, like a number.
    for token in [
        "two words: #1",
        &"x".repeat(8 << 10),
        "1e3",
        "a'b\"c",
        "yes",
    ] {
        let token = Token::from(token);
        let user = kubeconfig(Identity::Token(token.clone())).yaml();
        let shown = redacted(&user);
        assert!(shown.contains("token: [REDACTED: token]\n"), "{shown}");
        assert!(!shown.contains(token.expose()), "{shown}");
        assert!(shown.len() < user.len() + 30, "{shown}");
        assert!(shown.contains("current-context: lab"), "{shown}");
    }
    // A kubeconfig in a Secret: base64 in base64.
    let inner = redacted(&format!("value: {}", STANDARD.encode(&admin)));
    assert_eq!(inner, "value: [REDACTED: secret, base64]");
}

#[test]
fn a_secret_keeps_its_names_and_its_certificate() {
    let (authority, _) = certificates();
    let manifests = Manifests::default();
    let credentials = manifests.credentials(&authority).expect("must be made");
    let yaml = manifests.yaml(&credentials);
    let shown = redacted(&yaml);
    assert_eq!(new_lines(&yaml, &shown), ["tls.key: [REDACTED: Secret]"]);

    let secret = manifests.secret(&credentials);
    let json = serde_json::to_string(&secret).expect("must be JSON");
    let shown = redacted(&json);
    let read: serde_json::Value = serde_json::from_str(&shown).expect("must still be JSON");
    assert_eq!(read["data"]["tls.key"], "[REDACTED: Secret]");
    let Serving::Certificate(pair) = &credentials.serving else {
        panic!("must be made here");
    };
    let certificate = STANDARD.encode(pair.certificate_pem());
    assert_eq!(read["data"]["tls.crt"], certificate.as_str());
    // As `kubectl apply` notes it in an annotation.
    let noted = format!(
        "    kubectl.kubernetes.io/last-applied: {}",
        serde_json::json!(json)
    );
    let shown = redacted(&noted);
    assert!(
        shown.contains(r#"\"tls.key\":\"[REDACTED: Secret]\""#),
        "{shown}"
    );
}

#[rstest]
#[case("kind: Secret\nstringData:\n  a: {x}\n  b: |\n    {x}\n    more {x}\ntype: Opaque\n")]
#[case("apiVersion: v1\nitems:\n- data:\n    a: {x}\n  kind: Secret\n- kind: Pod\n")]
#[case("a: 1\n--- # next\nstringData: {a: {x}}\nkind: \"Secret\"\n---\nb: 2\n")]
#[case(r#"{"stringData":{"a":"{x} { } \" {x}", "b": "{x}"},"kind":"Secret"}"#)]
#[case(
    "{\n  \"kind\": \"Secret\",\n  \"data\": {\n    \"a\": \"{x}\",\n    \"b\": \"{x}\"\n  }\n}"
)]
fn what_a_secret_holds_goes(#[case] text: &str) {
    let shown = redacted(&text.replace("{x}", "hidden"));
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("[REDACTED: Secret]"), "{shown}");
    for stays in ["type: Opaque", "--- # next", "b: 2", "- kind: Pod"] {
        assert_eq!(text.contains(stays), shown.contains(stays), "{shown}");
    }
}

#[test]
fn what_the_lab_handed_out_goes_in_every_form() {
    const TOKEN: &str = "correct horse/battery \"staple\"+'1'";
    let mut redaction = Redaction::default();
    redaction.know(TOKEN);
    let json = serde_json::json!(TOKEN).to_string();
    let forms = [
        TOKEN.to_owned(),
        json.clone(),
        serde_json::json!(json).to_string(),
        STANDARD.encode(TOKEN),
        URL_SAFE_NO_PAD.encode(TOKEN),
        // Within other base64, at any offset.
        STANDARD.encode(format!("user:{TOKEN}")),
        STANDARD.encode(format!("users:{TOKEN}!")),
        TOKEN.replace('\'', "''"),
        url::form_urlencoded::byte_serialize(TOKEN.as_bytes()).collect(),
    ];
    for form in forms {
        let shown = redaction.text(&format!("it said <{form}> twice: <{form}>"));
        assert!(!shown.contains(form.trim_matches('"')), "{form}: {shown}");
        assert!(!shown.contains("horse"), "{shown}");
        assert_eq!(shown.matches("[REDACTED: ").count(), 2, "{shown}");
    }
    assert_eq!(redaction.text("a horse"), "a horse");
    assert!(!format!("{redaction:?}").contains("horse"));
}

#[test]
fn kubeconfigs_tell_what_was_handed_out() {
    let folder = tempfile::tempdir().expect("must be made");
    let path = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
    let (authority, pair) = certificates();
    let mut kubeconfig = Kubeconfig {
        cluster: "lab".to_owned(),
        user: "webhook-test".to_owned(),
        server: "https://127.0.0.1:6443".to_owned(),
        certificate_authority: authority.certificate_pem().to_owned(),
        tls_server_name: None,
        identity: Identity::Token(Token::from("canary-1")),
    };
    let write = |name, kubeconfig: &Kubeconfig| {
        std::fs::write(path.join(name), kubeconfig.yaml()).expect("must be written");
    };
    write("token.kubeconfig", &kubeconfig);
    kubeconfig.identity = Identity::from(&pair);
    write("admin.kubeconfig", &kubeconfig);
    let (_, of_webhook) = certificates();
    kubeconfig.identity = Identity::from(&of_webhook);
    write(crate::lab::CONFIG_FILE, &kubeconfig);
    std::fs::write(path.join("odd.kubeconfig"), "{").expect("must be written");
    let redaction = Redaction::of_folder(path);
    let line = |pem: &str| pem.lines().nth(1).expect("must have a body").to_owned();
    let (line, of_webhook) = (line(pair.key_pem()), line(of_webhook.key_pem()));
    let shown = redaction.text(&format!("it knew canary-1, {line} and {of_webhook}."));
    let mark = "[REDACTED: credential of this lab]";
    assert_eq!(shown, format!("it knew {mark}, {mark} and {mark}."));
}

/// What is redacted is left alone by another round, as files are collected from a folder that
/// may hold earlier ones.
#[test]
fn marks_stay_as_they_are() {
    let (_, pair) = certificates();
    let text = format!(
        "Authorization: Bearer abc\ntoken: abc\nsent Bearer abc\n--token=abc --token abc K3S_TOKEN=abc\n{{\"token\":\"abc\"}}\nabcdef.0123456789abcdef\nhttp://a:b@c/\n{}{}\nkind: Secret\ndata:\n  a: abc\n",
        pair.key_pem(),
        STANDARD.encode(pair.key_pem()),
    );
    let once = redacted(&text);
    assert_eq!(redacted(&once), once);
    assert!(!once.contains("abc\n"), "{once}");
}
