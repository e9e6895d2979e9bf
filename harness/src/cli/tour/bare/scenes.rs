//! What a person would type for each step.

use tokenlab_harness::{CONFIG_FILE, CONFIG_FILE_FLAG};

use super::super::CACHE_FLAG;
use super::super::scenes::{self, typed};
use super::super::step::{Scene, Step};
use super::super::web;
use super::{Bare, Stand, WRONG_CA_FILE};

impl Bare {
    pub(super) fn scene_of(&self, step: Step) -> Scene {
        let address = self.webhook().and_then(web::address);
        let port = address.map_or(0, |address| address.port());
        let mut commands = match step {
            Step::Apiserver => self.command_lines(),
            Step::PlainHttp => scenes::plain_http(self.plain.address),
            Step::Certificates => scenes::certificates(port),
            Step::Tls => scenes::tls(port),
            Step::Deploy => vec![format!("ps -o pid,args -p {}", std::process::id())],
            Step::Wire => vec![
                format!("cat {CONFIG_FILE}"),
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
                &format!("cp {CONFIG_FILE} {WRONG_CA_FILE}"),
                &format!(
                    "./kubectl --kubeconfig {WRONG_CA_FILE} config set-cluster my-authn \\\n    --certificate-authority other-ca.crt --embed-certs"
                ),
                &format!("# kube-apiserver again, with\n--{CONFIG_FILE_FLAG}={WRONG_CA_FILE}"),
            ]),
            Step::WrongVersion => scenes::broken(&[
                "# the webhook answers in v1 what it was asked in v1beta1",
                &scenes::post(port),
            ]),
        };
        if step != Step::Apiserver {
            commands.insert(0, format!("cd {}", typed(self.folder())));
        }
        Scene {
            why: Self::why(step),
            commands,
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

    /// The command lines of etcd and kube-apiserver, one flag a line.
    fn command_lines(&self) -> Vec<String> {
        let lines = match &self.stand {
            Stand::Planned(plan) => plan.to_string(),
            Stand::Running(lab) => lab.control_plane().plan().to_string(),
            Stand::Nothing => String::new(),
        };
        let lines = lines.lines().map(|line| line.replace(" --", " \\\n    --"));
        let kubectl = "./kubectl --kubeconfig mock.kubeconfig get ns".to_owned();
        lines.chain([kubectl]).collect()
    }
}
