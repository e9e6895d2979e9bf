use rstest::rstest;

use super::*;

/// A line as kube-apiserver 1.37.2 writes it, with what varies here.
fn line(stage: &str, id: &str, user: &str, status: &str) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{id}","stage":"{stage}","requestURI":"/api/v1/namespaces?limit=500","verb":"list","user":{user},"sourceIPs":["127.0.0.1"],"responseStatus":{status},"requestReceivedTimestamp":"2026-11-26T10:00:00.000001Z","stageTimestamp":"2026-11-26T10:00:01.000001Z"}}"#
    )
}

const MOCK: &str = r#"{"username":"mock","uid":"7","groups":["a","system:authenticated"]}"#;
const FORBIDDEN: &str = r#"{"metadata":{},"status":"Failure","code":403}"#;

fn read(line: &str) -> Option<Verdict> {
    let request = Reader::default().request(line.as_bytes())?;
    Some(request.verdict)
}

#[test]
fn a_request_of_a_user() {
    let mock = Verdict::User {
        name: "mock".to_owned(),
        uid: "7".to_owned(),
    };
    assert_eq!(
        read(&line("ResponseComplete", "1", MOCK, FORBIDDEN)),
        Some(mock)
    );
}

#[rstest]
#[case::unauthorized(401, true)]
#[case::something_else(500, false)]
fn a_request_of_nobody(#[case] code: u16, #[case] unauthorized: bool) {
    let status = format!(r#"{{"metadata":{{}},"status":"Failure","code":{code}}}"#);
    let verdict = read(&line("ResponseStarted", "1", "{}", &status));
    assert_eq!(
        verdict,
        unauthorized.then_some(Verdict::Unauthorized { by_token: false })
    );
}

#[rstest]
#[case::client_certificate(
    "X509SHA256=04adf2b65e6325a8c467256eb3a9a373d818398d9a1f1d9eca1cbc2c237fe75f"
)]
#[case::service_account("JTI=7ee52be0-9045-4653-aa5e-0da57b8dccdc")]
fn whom_the_webhook_cannot_have_named(#[case] credential: &str) {
    let user = format!(
        r#"{{"username":"mock","extra":{{"authentication.kubernetes.io/credential-id":["{credential}"]}}}}"#
    );
    assert_eq!(read(&line("ResponseComplete", "1", &user, FORBIDDEN)), None);
}

#[test]
fn a_watch_is_told_of_once() {
    let mut reader = Reader::default();
    let mut read = |stage, id| {
        let line = line(stage, id, MOCK, r#"{"metadata":{},"code":200}"#);
        reader.request(line.as_bytes()).is_some()
    };
    assert!(read("ResponseStarted", "watch"));
    assert!(read("ResponseComplete", "list"));
    assert!(!read("ResponseComplete", "watch"));
}

#[rstest]
#[case("")]
#[case("{}")]
#[case("kind: Event")]
fn other_lines_are_passed_over(#[case] line: &str) {
    assert_eq!(read(line), None);
}

#[rstest]
#[case(None, 120_000)]
#[case(Some("0s"), 0)]
#[case(Some("1h30m"), 5_400_000)]
#[case(Some("500ms"), 500)]
#[case(Some("nonsense"), 120_000)]
fn the_apiservers_memory(#[case] ttl: Option<&str>, #[case] milliseconds: u64) {
    let mut flags = Flags::default();
    if let Some(ttl) = ttl {
        flags.set(TTL_FLAG, ttl);
    }
    let refused = Duration::from_millis(milliseconds);
    let memory = memory(&flags);
    assert_eq!(memory.refused, refused);
    assert_eq!(memory.authenticated, refused + Duration::from_secs(10));
}
