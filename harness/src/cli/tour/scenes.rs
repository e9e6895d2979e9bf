//! What is said of the steps, and typed for them, that is the same on every backend.

use std::net::SocketAddr;

use tokenlab_harness::SERVICE_NAME;
use tokenlab_webhook::PATH;

use super::step::Step;

const AS_MOCK: &str = "./kubectl --kubeconfig mock.kubeconfig get ns";
/// The last refusal in the log of kube-apiserver.
pub(super) const LOG: &str = "grep 'Unable to authenticate' logs/kube-apiserver.log | tail -1";

/// What happens, and why.
pub(super) fn why(step: Step) -> String {
    match step {
        Step::PlainHttp => {
            "The webhook is an HTTP server. A TokenReview is posted to it: whose token is this? It \
             answers with the same object and a status. This one is the mock: it takes every token \
             for user mock's, in group group-mock. Other methods are 405."
        }
        Step::Certificates => {
            "kube-apiserver talks to a webhook by TLS only, and checks whose certificate it is. Go \
             has not looked at the common name (CN) since 1.15: the name must be a subject \
             alternative name (SAN). kubectl is Go too, and shows what the apiserver would say to \
             a certificate that has a CN alone."
        }
        Step::Tls => {
            "The webhook again, with that certificate: what the apiserver will do is to connect, \
             check the certificate against the CA that it was told of, and post."
        }
        Step::Kubeconfig => {
            "The user webhook-test has a token and nothing else. kubectl sends it as a bearer \
             token; from a file, since a command line is for everybody on the machine to see."
        }
        Step::Forbidden => {
            "Now the apiserver asks the webhook whose token that is, and hears: mock's. That is \
             authentication. Whether mock may list namespaces is another question, and no role \
             says so."
        }
        Step::Allowed => {
            "Authorization is RBAC's, and RBAC believes what the webhook said of groups. A \
             ClusterRole may list namespaces, and a ClusterRoleBinding gives it to group-mock."
        }
        Step::Revoked => {
            "The webhook now refuses the token, and the apiserver does not ask: it remembers the \
             last answer. There are two caches: 2 min around the webhook, which a flag has set to \
             2 s here, and 10 s around all of authentication, for which there is no flag. So this \
             takes some ten seconds."
        }
        Step::Stopped => {
            "Three ways to break it; to the user all look the same, and kube-apiserver's log tells \
             them apart. First the webhook is stopped. A token that nobody has shown yet is \
             in no cache."
        }
        Step::WrongCa => {
            "The webhook runs again. Its file now names another CA: the certificate is good, and \
             not by anybody whom the apiserver was told to trust. kube-apiserver reads the file \
             when it starts."
        }
        Step::Apiserver | Step::Deploy | Step::Wire | Step::WrongVersion => "",
    }
    .to_owned()
}

/// Shows what is posted.
pub(super) const REVIEW: &str = "cat tokenreview.json";

pub(super) fn plain_http(address: SocketAddr) -> Vec<String> {
    vec![
        REVIEW.to_owned(),
        format!("# tokenlab-webhook serve --mock --plain-http --listen {address}"),
        post_plainly(address),
        get_plainly(address),
    ]
}

pub(super) fn post_plainly(address: SocketAddr) -> String {
    format!("curl -sS -d @tokenreview.json http://{address}{PATH}")
}

pub(super) fn get_plainly(address: SocketAddr) -> String {
    format!("curl -sS -i http://{address}{PATH}")
}

pub(super) fn certificates(port: u16) -> Vec<String> {
    vec![
        format!("# tokenlab-webhook certs --out . --name {SERVICE_NAME}"),
        certificate(port),
        format!(
            "./kubectl --kubeconfig cn-only.kubeconfig create --raw {PATH} \\\n    \
             --filename tokenreview.json"
        ),
    ]
}

/// Shows what is in the certificate of the webhook on this machine.
pub(super) fn certificate(port: u16) -> String {
    format!(
        "openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null |\n    \
         openssl x509 -noout -subject -issuer -dates \\\n    \
         -ext subjectAltName,extendedKeyUsage"
    )
}

pub(super) fn tls(port: u16) -> Vec<String> {
    vec![post(port), post_without_ca(port)]
}

/// Posts the review to the webhook on this machine.
pub(super) fn post(port: u16) -> String {
    format!(
        "curl -sS --cacert webhook-ca.crt -d @tokenreview.json \\\n    \
         -H 'Content-Type: application/json' \\\n    \
         --resolve {SERVICE_NAME}:{port}:127.0.0.1 \\\n    \
         https://{SERVICE_NAME}:{port}{PATH}"
    )
}

pub(super) fn post_without_ca(port: u16) -> String {
    post(port).replace(" --cacert webhook-ca.crt", "")
}

pub(super) fn kubeconfig() -> Vec<String> {
    vec!["./kubectl --kubeconfig mock.kubeconfig config view".to_owned()]
}

pub(super) fn forbidden() -> Vec<String> {
    vec![AS_MOCK.to_owned()]
}

pub(super) fn allowed() -> Vec<String> {
    vec![
        "./kubectl --kubeconfig admin.kubeconfig create clusterrole look \\\n    \
         --verb=list --resource=namespaces"
            .to_owned(),
        "./kubectl --kubeconfig admin.kubeconfig create clusterrolebinding look \\\n    \
         --clusterrole=look --group=group-mock"
            .to_owned(),
        AS_MOCK.to_owned(),
    ]
}

/// What breaks it, what the user sees, and what the log says.
pub(super) fn broken(by: &[&str]) -> Vec<String> {
    let then = ["./kubectl --kubeconfig fresh.kubeconfig get ns", LOG];
    by.iter().copied().chain(then).map(str::to_owned).collect()
}
