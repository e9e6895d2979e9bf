use rstest::rstest;

use super::*;

/// Lines of kube-apiserver 1.37.2's log.
const LOG: &str = concat!(
    r#"E1126 11:18:04.000001   21711 webhook.go:184] Failed to make webhook authenticator request: Post "https://127.0.0.1:53011/authenticate?timeout=30s": dial tcp 127.0.0.1:53011: connect: connection refused"#,
    "\n",
    r#"E1126 11:18:04.000002   21711 authentication.go:76] "Unable to authenticate the request" err="[invalid bearer token, Post \"https://127.0.0.1:53011/authenticate?timeout=30s\": dial tcp 127.0.0.1:53011: connect: connection refused]""#,
    "\n",
    r#"E1126 11:18:05.000002   21711 webhook.go:184] Failed to make webhook authenticator request: converting (v1.TokenReview) to (v1beta1.TokenReview): unknown conversion"#,
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
    r#"[invalid bearer token, Post \"https://idp/introspect?timeout=30s\": dial tcp: lookup idp: no such host]"#
)]
#[case::in_kubernetes_words(
    "[invalid bearer token, the server could not find the requested resource]"
)]
#[case::of_another_decoder("[invalid bearer token, json: cannot unmarshal string]")]
#[case::in_the_words_of_the_log(
    "[invalid bearer token, Failed to make webhook authenticator request: EOF]"
)]
#[case::of_the_caller(
    "verifying certificate SN=6958, SKID=FE:CE, AKID=FE:CE failed: x509: certificate signed by unknown authority"
)]
fn what_is_no_fault_on_the_way_to_the_webhook_is_not_told_as_one(#[case] error: &str) {
    let line = format!("{HEAD}\"{error}\"");
    let found = Unauthenticated::in_log(&line);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].cause, None, "{}", found[0].error);
}

/// What stands before an error.
const HEAD: &str = "E1126 12:26:14.465872    7698 authentication.go:76] \"Unable to authenticate the request\" err=";

/// As kube-apiserver logs it that it could not ask the webhook: twice.
fn logged(failure: &str) -> String {
    let quoted = failure.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "E1126 12:26:14.4 7698 webhook.go:184] {FAILED}{failure}\n{HEAD}\"[invalid bearer token, {quoted}]\"\n"
    )
}

/// What no setup of the table in `tests/lab/diagnosis.rs` brings about.
#[rstest]
#[case::tls_1_1("remote error: tls: protocol version not supported", Cause::OldTls)]
#[case::tls_1_1_chosen("tls: server selected unsupported protocol version 302", Cause::OldTls)]
#[case::sha_1(
    "tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because of \\\"x509: cannot verify signature: insecure algorithm SHA1-RSA\\\" while trying to verify candidate authority certificate \\\"ca\\\")",
    Cause::WeakSignature
)]
#[case::no_route("dial tcp 10.96.0.9:443: connect: no route to host", Cause::NoRoute)]
#[case::behind_a_proxy(
    "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused",
    Cause::Proxy
)]
// What kube-apiserver says of the same end of its patience is a matter of which of its timers was first.
#[case::slow_to_answer("context deadline exceeded", Cause::TimedOut)]
#[case::slow_to_answer_by_the_client(
    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
    Cause::TimedOut
)]
#[case::slow_to_answer_by_the_transport(
    "net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
    Cause::TimedOut
)]
#[case::slow_to_connect("dial tcp 10.96.0.9:443: i/o timeout", Cause::TimedOut)]
#[case::slow_to_read(
    "read tcp 10.0.0.1:1->10.0.0.2:2: read: connection timed out",
    Cause::TimedOut
)]
#[case::names_are_slow(
    "dial tcp: lookup x on 10.0.0.10:53: read udp 10.0.0.1:1->10.0.0.10:53: i/o timeout",
    Cause::NoAddress
)]
#[case::names_are_refused(
    "dial tcp: lookup x on 10.0.0.10:53: read udp 10.0.0.1:1->10.0.0.10:53: read: connection refused",
    Cause::NoAddress
)]
#[case::cut("unexpected EOF", Cause::Closed)]
#[case::cut_while_written("write tcp 10.0.0.1:1->10.0.0.2:2: write: broken pipe", Cause::Closed)]
#[case::stream_ended(
    "stream error: stream ID 1; INTERNAL_ERROR; received from peer",
    Cause::Closed
)]
#[case::redirected("stopped after 10 redirects", Cause::Redirected)]
#[case::refused_by_a_proxy("Forbidden", Cause::Proxy)]
#[case::of_a_host_with_that_word(
    "tls: failed to verify certificate: x509: certificate is valid for Forbidden.svc, not a",
    Cause::OtherName
)]
#[case::no_common_cipher("remote error: tls: handshake failure", Cause::Unreached)]
#[case::name_unknown_to_it("remote error: tls: unrecognized name", Cause::Unreached)]
#[case::never_heard_of("something new of Go's", Cause::Unreached)]
fn what_is_rare_is_known(#[case] failed: &str, #[case] cause: Cause) {
    let failed = failed.replace("\\\"", "\"");
    let found = Unauthenticated::in_log(&logged(&format!(
        "Post \"https://a/b?timeout=30s\": {failed}"
    )));
    assert_eq!(found[0].cause, Some(cause), "{}", found[0].error);
}

/// The webhook's own words for an error, told apart from `status.error` by another line.
#[test]
fn what_the_webhook_answered_with_an_error_is_known_as_that() {
    let line = format!("{HEAD}\"[invalid bearer token, no such path]\"\n");
    assert_eq!(Unauthenticated::in_log(&line)[0].cause, None);
    let found = Unauthenticated::in_log(&logged("no such path"));
    assert_eq!(found[0].cause, Some(Cause::Failed));
}

/// With a structured `AuthenticationConfiguration` there are errors of others beside it.
#[test]
fn one_error_among_others_is_found() {
    let others = r#"[invalid bearer token, [oidc: verify token: malformed jwt, Post \"https://a/b?timeout=30s\": EOF]]"#;
    let log = format!("1] {FAILED}Post \"https://a/b?timeout=30s\": EOF\n{HEAD}\"{others}\"\n");
    let found = Unauthenticated::in_log(&log);
    assert_eq!(found[0].cause, Some(Cause::Closed));
}

/// As klog 2.140.0 writes values.
#[rstest]
#[case::over_lines(
    "<\n\t[invalid bearer token, a\n\tb]\n >",
    "[invalid bearer token, a\nb]"
)]
#[case::escaped(
    r#""[invalid bearer token, DOMAIN\\ann\t\u00e4\x01]""#,
    "[invalid bearer token, DOMAIN\\ann\t\u{e4}\u{1}]"
)]
#[case::quotes_at_its_end(r#""say \"hi\"""#, "say \"hi\"")]
fn an_error_is_read_as_it_was_written(#[case] value: &str, #[case] error: &str) {
    let log = format!("{HEAD}{value}\n{HEAD}\"invalid bearer token\"\n");
    let found = Unauthenticated::in_log(&log);
    let errors: Vec<_> = found.iter().map(|found| &*found.error).collect();
    assert_eq!(errors, [error, INVALID_TOKEN]);
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
