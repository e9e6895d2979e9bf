//! What a person would type for each step.

use tokenlab_harness::{CONFIG_FILE, CONFIG_FILE_FLAG};

use super::super::CACHE_FLAG;
use super::super::scenes;
use super::super::step::{Scene, Step};
use super::super::web;
use super::{Bare, CONTROL_PLANE, Stand, WRONG_CA_FILE};
use crate::cli::demo::typed;

impl Bare {
    pub(super) fn scene_of(&self, step: Step) -> Scene {
        let address = self.webhook().and_then(web::address);
        let port = address.map_or(0, |address| address.port());
        let mut commands = match step {
            Step::Apiserver => self.command_lines(),
            Step::PlainHttp => scenes::plain_http(self.plain.address),
            Step::Certificates => scenes::certificates(port),
            Step::Tls => scenes::tls(port),
            Step::Deploy => vec![own_process()],
            Step::Wire => vec![
                WEBHOOK_CONFIG.to_owned(),
                format!(
                    "# Ctrl-C, and kube-apiserver again with one more flag:\n--{CONFIG_FILE_FLAG}={CONFIG_FILE}"
                ),
            ],
            Step::Kubeconfig => scenes::kubeconfig(),
            Step::Forbidden => scenes::forbidden(),
            Step::Allowed => scenes::allowed(),
            Step::Revoked => vec![
                "# the webhook refuses the token from now on; then, until it ends:".to_owned(),
                "while ./kubectl --kubeconfig mock.kubeconfig get ns; do sleep 1; done".to_owned(),
            ],
            Step::Stopped => scenes::broken(&["# Ctrl-C where the webhook runs"]),
            Step::WrongCa => scenes::broken(&[
                &wrong_ca()[0],
                &wrong_ca()[1],
                &format!("# kube-apiserver again, with\n--{CONFIG_FILE_FLAG}={WRONG_CA_FILE}"),
            ]),
            Step::WrongVersion => scenes::broken(&[
                "# the webhook answers in v1 what it was asked in v1beta1",
                &scenes::post(port),
            ]),
        };
        commands.insert(0, format!("cd {}", typed(self.folder())));
        Scene {
            why: Self::why(step),
            commands: self.typist.shown(commands),
        }
    }

    fn why(step: Step) -> String {
        match step {
            Step::Apiserver => format!(
                "etcd and kube-apiserver are two processes, and that is a control plane. It has no \
                 webhook yet. Who shows it a token that it did not make itself is nobody to it. \
                 (--{CACHE_FLAG} is for step 10.)"
            ),
            Step::Deploy => "In a cluster the webhook is an image, a Deployment and a Service. \
                 Here it is a process like the other two, and it runs already: there is nothing to \
                 deploy."
                .to_owned(),
            Step::Wire => format!(
                "kube-apiserver learns of its webhook by a file, {CONFIG_FILE}, in the form of a \
                 kubeconfig: the URL, the CA, and the name that the certificate must have. A flag \
                 names the file."
            ),
            Step::WrongVersion => "kube-apiserver asks in v1beta1 unless it is told otherwise. A \
                 webhook that answers in v1, whatever it was asked in, says something that the \
                 apiserver cannot read."
                .to_owned(),
            _ => scenes::why(step),
        }
    }

    /// The command lines of etcd and kube-apiserver, with the flags that matter here.
    fn command_lines(&self) -> Vec<String> {
        let lines = match &self.stand {
            Stand::Planned(plan) => plan.to_string(),
            Stand::Running(lab) => lab.control_plane().plan().to_string(),
            Stand::Nothing => String::new(),
        };
        let flag = |name: &str| {
            let mut words = lines.split_whitespace();
            let start = format!("--{name}=");
            words.find(|word| word.starts_with(&start)).unwrap_or("…")
        };
        vec![
            format!("# all of their flags are in {CONTROL_PLANE}"),
            format!("bin/etcd {} …", flag("listen-client-urls")),
            format!(
                "bin/kube-apiserver {} {} \\\n    {} \\\n    {} …",
                flag("etcd-servers"),
                flag("secure-port"),
                flag("authorization-mode"),
                flag(CACHE_FLAG),
            ),
            "./kubectl --kubeconfig mock.kubeconfig get ns".to_owned(),
        ]
    }
}

pub(super) const WEBHOOK_CONFIG: &str = "cat webhook-config.yml";

/// The process that serves the webhook: this one.
pub(super) fn own_process() -> String {
    format!("ps -o pid,comm -p {}", std::process::id())
}

/// Makes the file that has another CA.
pub(super) fn wrong_ca() -> [String; 2] {
    [
        format!("cp {CONFIG_FILE} {WRONG_CA_FILE}"),
        format!(
            "./kubectl --kubeconfig {WRONG_CA_FILE} config set-cluster my-authn \\\n    \
             --certificate-authority other-ca.crt --embed-certs"
        ),
    ]
}
