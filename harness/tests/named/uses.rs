//! A lab that is used: kubectl, reviews, the apiserver's flags.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use insta::assert_snapshot;
use nix::sys::signal::Signal;
use rstest::rstest;
use tokenlab_harness::named::Status;

use crate::home::{Home, SOON};
use crate::owner::{Running, ended};
use crate::support::{done, filtered, nothing_left, tokenlab, up, words};

/// A token that must be found where it belongs, and nowhere else.
const CANARY: &str = "canary-b3f1c0de";

/// Anybody, to the mock.
const AS_MOCK: &str = "kubectl --as-token any get ns";

#[tokio::test]
async fn kubectl_is_its_admin_or_whom_a_token_belongs_to() {
    let home = Home::new().await;
    up(&home, "used").await;
    let admin = done(&home, &words("kubectl get ns kube-system -o name")).await;
    assert_eq!(admin, "namespace/kube-system\n");
    let whoami = "kubectl -l used -- auth whoami -o jsonpath={.status.userInfo.username}";
    assert_eq!(done(&home, &words(whoami)).await, "lab-admin");

    let forbidden = tokenlab(&home, &words(AS_MOCK)).await;
    assert_snapshot!(forbidden, @r#"
    exit code: 1
    ----- stderr -----
    Error from server (Forbidden): namespaces is forbidden: User "mock" cannot list resource "namespaces" in API group "" at the cluster scope
    "#);

    done(&home, &["down"]).await;
    let gone = tokenlab(&home, &["kubectl", "get", "ns"]).await;
    assert_snapshot!(gone, @"
    exit code: 1
    ----- stderr -----
    error: no lab runs

    hint: `tokenlab up` starts one
    ");
    nothing_left(&home).await;
}

#[tokio::test]
async fn a_token_is_in_a_kubeconfig_alone() {
    let home = Home::new().await;
    let lab = up(&home, "used").await;
    let file = home.file("token");
    std::fs::write(&file, format!("{CANARY}\n")).expect("must be written");
    let line = format!("kubectl --as-token-file {file} -- proxy --port=0");
    let mut proxy = Running::start(home.tokenlab(&words(&line)).await);
    proxy.says("Starting to serve on").await;

    // It is kubectl itself, and its signals and exit status are its own.
    let processes = home.processes();
    assert!(
        processes.iter().any(|process| process.name == "kubectl"),
        "{processes:?}"
    );
    for process in &processes {
        let line = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        assert!(!line.contains(CANARY), "{line}");
    }
    let review = done(&home, &["review", "--json", CANARY]).await;
    assert!(!review.contains(CANARY), "{review}");
    // Once for a token, and for the user alone.
    done(&home, &["kubectl", "--as-token", CANARY, "auth", "whoami"]).await;
    let holders = holders(&lab, CANARY);
    assert_eq!(holders.len(), 1, "{holders:?}");
    assert!(holders[0].ends_with(".kubeconfig"), "{holders:?}");
    let mode = std::fs::metadata(&holders[0])
        .expect("must be there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    proxy.signal(Signal::SIGINT);
    let proxy = proxy.ended().await;
    assert_eq!(proxy.status.signal(), Some(2), "{proxy}");
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

/// The files of a lab in which a text stands.
fn holders(lab: &Status, text: &str) -> Vec<String> {
    let mut holders = Vec::new();
    let mut folders = vec![lab.folder.clone()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().expect("must be read") {
            let entry = entry.expect("must be read");
            let kind = entry.file_type().expect("must be known");
            if kind.is_dir() {
                folders.push(entry.path().to_owned());
            } else if kind.is_file() {
                let bytes = std::fs::read(entry.path()).expect("must be read");
                if String::from_utf8_lossy(&bytes).contains(text) {
                    holders.push(entry.path().to_string());
                }
            }
        }
    }
    holders
}

#[tokio::test]
async fn a_review_is_answered_in_both_versions() {
    let home = Home::new().await;
    up(&home, "used").await;
    let text = done(&home, &words("review any --audience a --audience b")).await;
    assert_snapshot!(without_times(&text), @r#"
    authentication.k8s.io/v1beta1  authenticated: mock (uid mock, groups group-mock)  HTTP 200, [time]
    {
      "apiVersion": "authentication.k8s.io/v1beta1",
      "kind": "TokenReview",
      "status": {
        "authenticated": true,
        "user": {
          "groups": [
            "group-mock"
          ],
          "uid": "mock",
          "username": "mock"
        }
      }
    }
    authentication.k8s.io/v1  authenticated: mock (uid mock, groups group-mock)  HTTP 200, [time]
    {
      "apiVersion": "authentication.k8s.io/v1",
      "kind": "TokenReview",
      "status": {
        "authenticated": true,
        "user": {
          "groups": [
            "group-mock"
          ],
          "uid": "mock",
          "username": "mock"
        }
      }
    }
    "#);
    // To this one the webhook says nothing that the apiserver could use.
    done(&home, &["set", "--other-version"]).await;
    let refused = tokenlab(&home, &["review", "--json", "any"]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    let report: serde_json::Value = serde_json::from_str(&refused.stdout).expect("must be JSON");
    assert_eq!(report["lab"], "used");
    assert_eq!(report["authenticated"], false);
    let reviews = report["reviews"].as_array().expect("must be there");
    assert_eq!(reviews.len(), 2);
    for (review, [asked, answered]) in reviews.iter().zip([["v1beta1", "v1"], ["v1", "v1beta1"]]) {
        assert_eq!(
            review["api_version"],
            format!("authentication.k8s.io/{asked}")
        );
        assert!(review["latency_us"].is_u64(), "{review}");
        assert_eq!(review["decision"], "failed");
        let reason = format!(
            "its apiVersion is `authentication.k8s.io/{answered}`, not that of the question"
        );
        assert_eq!(review["reason"], reason);
    }
    done(&home, &["set", "--no-fault"]).await;
    let good = done(&home, &["review", "--json", "any"]).await;
    let good: serde_json::Value = serde_json::from_str(&good).expect("must be JSON");
    let good = &good["reviews"][1];
    assert_eq!(
        (&good["decision"], &good["user"]),
        (&"authenticated".into(), &"mock".into())
    );
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

fn without_times(text: &str) -> String {
    let time = regex::Regex::new(r"\d+\.\d ms").expect("must be a pattern");
    time.replace_all(text, "[time]").into_owned()
}

#[tokio::test]
async fn flags_are_shown_changed_and_taken_away() {
    const TTL: &str = "authentication-token-webhook-cache-ttl";
    let home = Home::new().await;
    up(&home, "used").await;
    let before = done(&home, &["flags"]).await;
    assert!(before.contains("--authorization-mode=RBAC\n"), "{before}");

    let set = tokenlab(&home, &["flags", "--set", &format!("{TTL}=7s")]).await;
    assert_eq!(set.status.code(), Some(0), "{set}");
    assert_eq!(set.stdout, format!("+ --{TTL}=7s\n"));
    assert!(running(&home).contains(&format!("--{TTL}=7s")));
    let again = tokenlab(&home, &["flags", "--set", &format!("--{TTL}=7s")]).await;
    assert_eq!(again.stdout, "", "{again}");
    let unchanged = "nothing changed: it runs with them already\n";
    assert_eq!(again.stderr, unchanged);
    let status = done(&home, &["status"]).await;
    assert!(status.contains(&format!("--{TTL}=7s\n")), "{status}");

    let json = done(&home, &["flags", "--json", "--unset", TTL]).await;
    let report: serde_json::Value = serde_json::from_str(&json).expect("must be JSON");
    assert_eq!(report["changed"]["removed"][0], format!("--{TTL}=7s"));
    assert_eq!(report["flags"]["authorization-mode"][0], "RBAC");
    assert_eq!(done(&home, &["flags"]).await, before);
    let unset = tokenlab(&home, &["flags", "--unset", "profilling"]).await;
    assert_snapshot!(unset, @"
    exit code: 1
    ----- stderr -----
    error: `profilling` is not set: `tokenlab flags` shows those that are
    ");
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

/// The arguments of the kube-apiserver that runs, by the system.
fn running(home: &Home) -> Vec<String> {
    let mut lines = home
        .processes()
        .into_iter()
        .filter(|process| process.name == "kube-apiserver");
    let pid = lines.next().expect("must run").pid;
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("must be read");
    line.split('\0').map(str::to_owned).collect()
}

#[tokio::test]
async fn a_bad_flag_is_rolled_back() {
    let home = Home::new().await;
    up(&home, "used").await;
    let before = done(&home, &["flags"]).await;
    let line = "flags --set no-such-flag=1 --unset authorization-mode";
    let failed = tokenlab(&home, &words(line)).await;
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    assert_eq!(failed.stdout, "");
    // Above it stands how long it took, and more where that was long.
    let error = failed.stderr.find("error: ").map(|at| &failed.stderr[at..]);
    assert_snapshot!(filtered(error.unwrap_or_default()), @"
    error: kube-apiserver did not come back with the new flags, so all is as it was: kube-apiserver ended early: exit status: 1
        Error: unknown flag: --no-such-flag
      log: [run folder]/logs/kube-apiserver.log
      command: in `[run folder]/command-lines`

    hint: this version of the program does not have that flag
    ");
    assert_eq!(done(&home, &["flags"]).await, before);
    // It is there, and still allows nothing to everybody.
    let mock = tokenlab(&home, &words(AS_MOCK)).await;
    assert!(mock.stderr.contains("(Forbidden)"), "{mock}");
    done(&home, &["status"]).await;
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

#[rstest]
#[case::no_value(&["flags", "--set", "profiling"], "a flag is `NAME=VALUE`")]
#[case::a_value(&["flags", "--unset", "profiling=true"], "is taken away by its name alone")]
#[case::twice(&["flags", "--set", "v=1", "--unset", "v"], "`v` is given twice\n\nUsage: tokenlab flags ")]
#[case::empty(&["kubectl", "--as-token", "", "get", "ns"], "it is empty")]
#[case::dash(&["kubectl", "--as-token", "-", "get", "ns"], "read by `--as-token-file -`")]
#[case::misspelt(&["kubectl", "--as-tokn", "t", "get", "ns"], "a similar argument exists: '--as-token'")]
#[case::label(&["kubectl", "-l", "app=x", "get", "pods"], "kubectl's `-l` stands behind its first word")]
#[case::nothing(&["review", ""], "it is empty")]
#[case::no_token(&["review", "-"], "read by `--token-file -`")]
#[case::a_lab(&["logs", "two"], "tip: '-l two' says which lab")]
#[tokio::test]
async fn wrong_usage(#[case] args: &[&str], #[case] said: &str) {
    let home = Home::new().await;
    let refused = tokenlab(&home, args).await;
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    assert_eq!(refused.stdout, "");
    assert!(refused.stderr.contains(said), "{refused}");
}

#[tokio::test]
async fn a_webhook_elsewhere_is_not_seen() {
    let home = Home::new().await;
    let ca = home.file("ca.crt");
    let names = ["elsewhere".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("must be made");
    std::fs::write(&ca, made.cert.pem()).expect("must be written");
    // Nobody listens there.
    let url = "https://127.0.0.1:1/authenticate";
    let line = format!("up used --webhook-url {url} --ca {ca} --no-probe");
    done(&home, &words(&line)).await;
    let watch = tokenlab(&home, &["watch"]).await;
    assert_snapshot!(watch, @"
    exit code: 1
    ----- stderr -----
    error: the webhook is not tokenlab's own: what it is asked is not seen
    ");
    let review = tokenlab(&home, &["review", "any"]).await;
    assert_eq!(review.status.code(), Some(1), "{review}");
    let hint = "\nhint: it must run: start it\n";
    assert!(review.stderr.ends_with(hint), "{review}");
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

/// Nothing is written there by itself.
#[rstest]
#[case::logs(&["logs", "-f", "webhook"])]
#[case::watch(&["watch", "--json"])]
#[tokio::test]
async fn it_ends_with_its_reader(#[case] args: &[&str]) {
    let home = Home::new().await;
    up(&home, "used").await;
    let (reader, writer) = std::io::pipe().expect("must be made");
    drop(reader);
    let mut command = home.tokenlab(args).await;
    let read = tokio::time::timeout(SOON.within, ended(command.stdout(writer))).await;
    let read = read.expect("must end");
    assert_eq!(read.status.code(), Some(141), "{read}");
    assert_eq!(read.stderr, "");
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

/// With another one it would run, and nobody would reach it.
#[rstest]
#[case::of_one_that_runs(&["flags", "--set", "secure-port=6443"])]
#[case::taken_away(&["flags", "--unset", "--etcd-servers"])]
#[case::at_first(&["up", "--flag", "bind-address=::1"])]
#[tokio::test]
async fn a_flag_that_the_lab_needs_is_refused_at_once(#[case] args: &[&str]) {
    let home = Home::new().await;
    let refused = tokenlab(&home, args).await;
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    assert!(
        refused
            .stderr
            .contains("` as it is, to find its kube-apiserver"),
        "{refused}"
    );
}
