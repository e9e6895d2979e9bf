//! The ways in which a setup is broken on a cluster. P1 to P17 are the kinds of trouble at the end of
//! SCENARIOS.md.

use serde_json::{Value, json};
use tokenlab_harness::{Act, RawAnswer, Shown, fresh_token};
use tokenlab_webhook::Token;
use tokenlab_webhook::pki::CertificateAuthority;

use super::plane::{MANIFEST, Plane};

/// In the order in which they are made: what needs the same apiserver stands together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    /// Nothing is.
    Sound,
    /// Nothing is, and nobody has the token.
    Fresh,
    /// The token is one that the webhook refuses.
    Refused,
    /// The same, and it was shown before.
    RefusedBefore,
    /// The webhook's Service has no Pod behind it.
    NoPods,
    /// The file has another authority (P7).
    OtherAuthority,
    /// The file has another `tls-server-name`.
    OtherName,
    /// The file has the Service's name as URL: the apiserver is in the node's network, and asks the
    /// node's DNS (P5).
    ServiceName,
    /// The webhook answers in v1 what it was asked in v1beta1 (P8).
    OtherVersion,
    /// The webhook names audiences, and none of the apiserver's (P10).
    OtherAudiences,
    /// The flag is not set.
    NoFlag,
    /// The flag stands in the manifest, and a backup of the manifest in the same folder is what runs
    /// (P2).
    BackupRuns,
    /// The flag names a file of the node that is not mounted into the apiserver's container (P1).
    NotMounted,
    /// The apiserver starts before its webhook's file is there (P3).
    NoFileYet,
}

const NOT_MOUNTED: &str = "/etc/webhook/config.yml";
const BACKUP: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml_orig";

/// How the apiserver ends that does not find its webhook's file.
fn missed(file: &str) -> String {
    format!("stat {file}: no such file or directory")
}

/// The file with another value of its cluster.
fn with(config: &Value, key: &str, value: &str) -> String {
    let mut config = config.clone();
    config["clusters"][0]["cluster"][key] = value.into();
    config.to_string()
}

impl Setup {
    /// Breaks it.
    pub(super) async fn break_it(self, plane: &Plane<'_>) {
        let config = &plane.config;
        let file = plane.lab.plan().config_file();
        match self {
            Self::Sound | Self::Fresh | Self::Refused | Self::RefusedBefore => {
                plane.wired_by(&config.to_string()).await;
            }
            Self::NoPods => plane.pods(0).await,
            Self::OtherAuthority => {
                use base64::Engine as _;
                let others = CertificateAuthority::new("others").expect("must be made");
                let others =
                    base64::engine::general_purpose::STANDARD.encode(others.certificate_pem());
                let key = "certificate-authority-data";
                plane.wired_by(&with(config, key, &others)).await;
            }
            Self::OtherName => {
                let key = "tls-server-name";
                plane.wired_by(&with(config, key, "elsewhere.svc")).await;
            }
            Self::ServiceName => {
                let url = "https://my-authn.kube-system.svc/authenticate";
                plane.wired_by(&with(config, "server", url)).await;
            }
            Self::OtherVersion | Self::OtherAudiences => {
                plane.wired_by(&plane.scripted_config().await.yaml()).await;
            }
            Self::NoFlag => plane.unwired().await,
            Self::BackupRuns => {
                let written = plane.lab.write(file, &config.to_string()).await;
                written.expect("must be written");
                let copied = plane.lab.in_node(&["cp", MANIFEST, BACKUP]).await;
                copied.expect("must be copied");
                let before = plane.container().await;
                plane.edited(&plane.manifest_with(file)).await;
                plane.another_runs_than(&before).await;
            }
            Self::NotMounted => {
                let written = plane.lab.in_node(&["mkdir", "/etc/webhook"]).await;
                written.expect("must be made");
                let written = plane.lab.write(NOT_MOUNTED, &config.to_string()).await;
                written.expect("must be written");
                plane.edited(&plane.manifest_with(NOT_MOUNTED)).await;
                plane.killed().await;
                plane.ended_with(&missed(NOT_MOUNTED)).await;
            }
            Self::NoFileYet => {
                let removed = plane.lab.in_node(&["rm", "-f", file]).await;
                removed.expect("must be removed");
                plane.edited(&plane.manifest_with(file)).await;
                plane.killed().await;
                plane.ended_with(&missed(file)).await;
            }
        }
    }

    /// Takes back what the next one would not.
    pub(super) async fn mend(self, plane: &Plane<'_>) {
        let file = plane.lab.plan().config_file();
        match self {
            Self::NoPods => plane.pods(1).await,
            Self::BackupRuns => {
                let removed = plane.lab.in_node(&["rm", BACKUP]).await;
                removed.expect("must be removed");
                plane.killed().await;
                plane.runs_with(Some(file)).await;
            }
            // It needs no more than the file: the kubelet starts it again and again.
            Self::NoFileYet => {
                let written = plane.lab.write(file, &plane.config.to_string()).await;
                written.expect("must be written");
                plane.runs_with(Some(file)).await;
            }
            _ => {}
        }
    }

    /// Who makes a request, and what the webhook says of that.
    pub(super) async fn shown(self, plane: &mut Plane<'_>) -> Shown {
        const V1: &str = "authentication.k8s.io/v1";
        let scripted = |plane: &Plane<'_>, version: &str, audiences: &[&str]| {
            let answer = RawAnswer::json(&json!({
                "apiVersion": version,
                "kind": "TokenReview",
                "status": {"authenticated": true, "user": {"username": "ann"},
                    "audiences": audiences},
            }));
            plane.scripted.token(Act::answer(answer))
        };
        let token: Token = match self {
            Self::Fresh => return Shown::fresh(),
            Self::Refused => fresh_token(),
            Self::RefusedBefore => {
                let token = fresh_token();
                let kubectl = plane.lab.kubectl_as(&token).expect("must be written");
                kubectl.run(["get", "ns"]).await.expect("must run");
                token
            }
            Self::OtherVersion => scripted(plane, V1, &[]),
            Self::OtherAudiences => {
                let beta = "authentication.k8s.io/v1beta1";
                scripted(plane, beta, &["https://elsewhere.example"])
            }
            _ => plane.known(),
        };
        Shown::from(&token)
    }
}
