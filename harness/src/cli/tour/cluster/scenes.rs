//! What a person would type for each step.

use tokenlab_harness::{Backend, CONFIG_FILE};

use super::super::scenes;
use super::super::step::{Scene, Step};
use super::{Clustered, WRONG_CA_FILE};
use crate::cli::demo::commands::Commands;
use crate::cli::demo::typed;

const ADMIN: &str = "./kubectl --kubeconfig admin.kubeconfig";

impl Clustered {
    pub(super) fn scene_of(&self, step: Step) -> Scene {
        let port = self.tls.address.port();
        let mut commands = vec![format!("cd {}", typed(self.folder()))];
        commands.extend(match step {
            Step::Apiserver => {
                let create = self.plan().map(|plan| self.commands().create(plan));
                create.into_iter().chain(scenes::forbidden()).collect()
            }
            Step::PlainHttp => scenes::plain_http(self.plain.address),
            Step::Certificates => scenes::certificates(port),
            Step::Tls => scenes::tls(port),
            Step::Deploy => self.deploying(),
            Step::Wire => {
                let file = self.plan().map_or(CONFIG_FILE, |plan| plan.config_file());
                self.commands().wire(file)
            }
            Step::Kubeconfig => scenes::kubeconfig(),
            Step::Forbidden => scenes::forbidden(),
            Step::Allowed => scenes::allowed(),
            Step::Revoked => {
                let delete = format!("{ADMIN} delete clusterrolebinding,clusterrole look");
                std::iter::once(delete).chain(scenes::forbidden()).collect()
            }
            Step::Stopped => {
                let scale =
                    format!("{ADMIN} -n kube-system scale deployment my-authn --replicas=0");
                self.broken_by(vec![scale])
            }
            Step::WrongCa => {
                let file = self.plan().map_or(CONFIG_FILE, |plan| plan.config_file());
                let file = file.replace(CONFIG_FILE, WRONG_CA_FILE);
                let set = format!(
                    "./kubectl --kubeconfig {WRONG_CA_FILE} config set-cluster my-authn \\\n    \
                     --certificate-authority other-ca.crt --embed-certs"
                );
                let mut by = vec![format!("cp {CONFIG_FILE} {WRONG_CA_FILE}"), set];
                let wire = self.commands().wire(&file).into_iter();
                by.extend(
                    wire.map(|line| line.replace("cp webhook-config.yml", "cp wrong-ca.yml")),
                );
                self.broken_by(by)
            }
            Step::WrongVersion => Vec::new(),
        });
        if step == Step::WrongVersion {
            commands.clear();
        }
        let why = match step {
            Step::Apiserver => "A cluster of one node in a container, with everything that a real \
                 one has. Its apiserver has no webhook yet. Who shows it a token that it did not \
                 make itself is nobody to it."
                .to_owned(),
            Step::Deploy => "Into the cluster the webhook goes as an image, a Deployment and a \
                 Service, with its certificate in a Secret. The image is loaded into the node: no \
                 registry has it."
                .to_owned(),
            Step::Wire => "kube-apiserver learns of its webhook by a file in the form of a \
                 kubeconfig, and of the file by a flag. On a node both are files; one is changed, \
                 and the apiserver started again. (The other flag is for the steps to come: it \
                 has the apiserver remember an answer for 2 s, not for 2 min.)"
                .to_owned(),
            Step::Revoked => "The webhook in the cluster is the mock, and refuses nobody. So the \
                 permission goes: the binding and the role are deleted. No cache keeps those."
                .to_owned(),
            Step::Stopped => "Three ways to break it; to the user all look the same, and \
                 kube-apiserver's log tells them apart. First the webhook is stopped. A token that \
                 was shown before goes on for some ten seconds: it is remembered, 2 s by a flag, \
                 and 10 s by a cache that has none."
                .to_owned(),
            Step::WrongVersion => "A webhook that answers in another version than it was asked in \
                 says something that the apiserver cannot read."
                .to_owned(),
            _ => scenes::why(step),
        };
        Scene {
            why,
            commands: self.typist.shown(commands),
        }
    }

    fn commands(&self) -> Commands {
        Commands {
            backend: self.backend,
            agent: true,
            name: self
                .plan()
                .map(|plan| plan.name().to_owned())
                .unwrap_or_default(),
        }
    }

    /// The node's container.
    pub(super) fn node(&self) -> String {
        self.commands().node()
    }

    fn deploying(&self) -> Vec<String> {
        let commands = self.commands();
        let mut all = vec!["tokenlab image build --out image.tar".to_owned()];
        all.extend(commands.load());
        all.push(format!("{ADMIN} apply -f authn-webhook-deploy.yml"));
        all.push(format!(
            "{ADMIN} -n kube-system rollout status deployment my-authn"
        ));
        all
    }

    fn broken_by(&self, by: Vec<String>) -> Vec<String> {
        const GREP: &str = "| grep 'Unable to authenticate' | tail -1";
        let node = self.node();
        let log = match self.backend {
            Backend::K3s => format!("docker logs {node} 2>&1 {GREP}"),
            _ => format!("{ADMIN} -n kube-system logs kube-apiserver-{node} \\\n    {GREP}"),
        };
        let get = "./kubectl --kubeconfig fresh.kubeconfig get ns".to_owned();
        by.into_iter().chain([get, log]).collect()
    }
}
