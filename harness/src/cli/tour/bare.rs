//! The tour on the bare backend: etcd and kube-apiserver as processes, the webhook in this one.

mod scenes;
mod steps;

use camino::Utf8Path;
use tokenlab_harness::assets::Wanted;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{
    CONFIG_FILE, CONFIG_FILE_FLAG, Kubeconfig, Lab, LabPlan, Scripted, Webhook,
};
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Decision, Token, User};

use super::acts;
use super::audience::Surroundings;
use super::guide::Stage;
use super::step::{Outcome, Scene, Step};
use super::typist::Typist;
use super::users::Users;
use super::web::Served;
use super::{CACHE_FLAG, CACHE_TTL, TOKEN, link, review};

/// The command lines of etcd and kube-apiserver, with all of their flags.
const CONTROL_PLANE: &str = "control-plane.sh";
/// The file by which the apiserver is told of another CA.
const WRONG_CA_FILE: &str = "wrong-ca.yml";

/// The lab, before and after step 1.
enum Stand {
    Planned(Box<LabPlan>),
    Running(Box<Lab>),
    /// It is just being started, or that failed.
    Nothing,
}

/// By which file the apiserver reaches its webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wiring {
    Nothing,
    Right,
    WrongCa,
}

pub(super) struct Bare {
    stand: Stand,
    typist: Typist,
    script: Scripted,
    token: Token,
    plain: Served,
    by_common_name: (Served, Kubeconfig),
    progress: Progress,
    wiring: Wiring,
    /// The apiserver may remember that the token was refused.
    refused: bool,
    /// Once there is a control plane.
    users: Option<Users>,
}

fn mock() -> Decision {
    Decision::authenticated(User::new("mock").with_uid("mock").with_group("group-mock"))
}

impl Bare {
    /// Everything is decided and the webhook listens; no control plane runs yet.
    pub(super) async fn new(wanted: Wanted) -> anyhow::Result<Self> {
        let progress = Progress::stderr().brief();
        let script = Scripted::new();
        let token = Token::from(TOKEN);
        script.script(&token, mock());
        let mut plan = Lab::builder()
            .kubernetes(wanted)
            .authenticator(script.clone())
            .flag(CACHE_FLAG, CACHE_TTL)
            .progress(progress.clone())
            .plan()
            .await?;
        plan.flags().unset(CONFIG_FILE_FLAG);
        let folder = plan.folder();
        folder.write("tokenreview.json", &review().to_string())?;
        let by_common_name = Served::by_common_name().await?;
        folder.write("cn-only.kubeconfig", &by_common_name.1.yaml())?;
        // An authority that nobody is told to trust.
        let other = CertificateAuthority::new("somebody-else")?;
        folder.write("other-ca.crt", other.certificate_pem())?;
        let flags = plan.to_string().replace(" --", " \\\n    --");
        folder.write(CONTROL_PLANE, &format!("{flags}\n"))?;
        let assets = plan.assets();
        // Not beside kubectl: `etcd` is the folder of etcd's data.
        folder.folder("bin")?;
        link(&folder.file("bin/etcd"), &assets.etcd)?;
        link(&folder.file("bin/kube-apiserver"), &assets.kube_apiserver)?;
        link(&folder.file("kubectl"), &assets.kubectl)?;
        Ok(Self {
            typist: Typist::new(folder.path()).await?,
            stand: Stand::Planned(Box::new(plan)),
            script,
            token,
            plain: Served::plain().await?,
            by_common_name,
            progress,
            wiring: Wiring::Nothing,
            refused: false,
            users: None,
        })
    }

    pub(super) fn surroundings(&self) -> Surroundings {
        Surroundings {
            folder: self.folder().to_owned(),
            kubeconfig: self.folder().join("admin.kubeconfig"),
        }
    }

    /// Ends the lab; its run folder stays when something failed.
    pub(super) async fn end(self, failure: Option<&anyhow::Error>) {
        if let Stand::Running(lab) = self.stand {
            if failure.is_some() {
                lab.keep();
            }
            lab.stop().await;
        }
    }

    fn folder(&self) -> &Utf8Path {
        match &self.stand {
            Stand::Planned(plan) => plan.folder().path(),
            Stand::Running(lab) => lab.folder().path(),
            Stand::Nothing => Utf8Path::new("."),
        }
    }

    fn webhook(&self) -> anyhow::Result<&Webhook> {
        match &self.stand {
            Stand::Planned(plan) => Ok(plan.webhook()),
            Stand::Running(lab) => Ok(lab.webhook()),
            Stand::Nothing => anyhow::bail!(NOTHING),
        }
    }

    fn lab(&self) -> anyhow::Result<&Lab> {
        match &self.stand {
            Stand::Running(lab) => Ok(lab),
            Stand::Planned(_) | Stand::Nothing => anyhow::bail!(NOTHING),
        }
    }

    /// Has kube-apiserver run, wired so.
    async fn wire(&mut self, wiring: Wiring) -> anyhow::Result<()> {
        // kube-apiserver runs in the folder.
        let file = match wiring {
            Wiring::Nothing => None,
            Wiring::Right => Some(CONFIG_FILE),
            Wiring::WrongCa => Some(WRONG_CA_FILE),
        };
        let change = |flags: &mut tokenlab_harness::Flags| {
            match file {
                Some(file) => flags.set(CONFIG_FILE_FLAG, file),
                None => flags.unset(CONFIG_FILE_FLAG),
            };
        };
        match std::mem::replace(&mut self.stand, Stand::Nothing) {
            Stand::Planned(mut plan) => {
                change(plan.flags());
                let lab = Box::pin(plan.start()).await?;
                // Interrupted, the tour leaves nothing; what goes wrong is kept where it does.
                lab.discard_on_drop();
                let user = lab.token_user(&self.token);
                lab.folder().write("mock.kubeconfig", &user.yaml())?;
                let mock = lab.kubectl_with("mock", &user)?;
                self.users = Some(Users::new(lab.kubectl()?, mock));
                self.stand = Stand::Running(Box::new(lab));
            }
            Stand::Running(lab) => {
                self.stand = Stand::Running(lab);
                let Stand::Running(lab) = &mut self.stand else {
                    anyhow::bail!(NOTHING);
                };
                let restart = lab.control_plane_mut().restart(change);
                let title = "starting kube-apiserver with other flags";
                self.progress.step(title, Box::pin(restart)).await?;
            }
            Stand::Nothing => anyhow::bail!(NOTHING),
        }
        self.wiring = wiring;
        Ok(())
    }
}

const NOTHING: &str = "there is no control plane";

impl Stage for Bare {
    async fn arrange(&mut self, step: Step) -> anyhow::Result<()> {
        if step == Step::Apiserver {
            return Ok(());
        }
        self.webhook()?.up().await?;
        self.webhook()?.set_fault(None)?;
        let needed = match step {
            Step::Wire => Some(Wiring::Nothing),
            _ if step > Step::Wire => Some(Wiring::Right),
            _ => None,
        };
        let runs = matches!(self.stand, Stand::Running(_));
        if !runs || needed.is_some_and(|needed| needed != self.wiring) {
            self.wire(needed.unwrap_or(Wiring::Nothing)).await?;
        }
        if step <= Step::Kubeconfig {
            return Ok(());
        }
        self.script.script(&self.token, mock());
        if self.refused {
            self.users()?.is_known().await?;
            self.refused = false;
        }
        match step {
            Step::Forbidden | Step::Allowed => self.users_mut()?.unbind().await.map(drop),
            Step::Revoked => self.users_mut()?.bind().await.map(drop),
            _ => self.fresh().map(drop),
        }
    }

    fn scene(&self, step: Step) -> Scene {
        self.scene_of(step)
    }

    fn skipped(&self, _step: Step) -> Option<&'static str> {
        None
    }

    async fn act(&mut self, step: Step) -> anyhow::Result<Outcome> {
        match step {
            Step::Apiserver => self.start().await,
            Step::PlainHttp => acts::plain_http(&self.typist, self.plain.address).await,
            Step::Certificates => self.certificates().await,
            Step::Tls => self.tls().await,
            Step::Deploy => self.deploy().await,
            Step::Wire => self.wired().await,
            Step::Kubeconfig => acts::kubeconfig(self.users()?).await,
            Step::Forbidden => acts::forbidden(self.users()?).await,
            Step::Allowed => acts::allowed(self.users_mut()?).await,
            Step::Revoked => self.revoked().await,
            Step::Stopped => self.stopped().await,
            Step::WrongCa => self.wrong_ca().await,
            Step::WrongVersion => self.wrong_version().await,
        }
    }
}
