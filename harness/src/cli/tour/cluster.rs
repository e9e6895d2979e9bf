//! The tour on a real cluster: the webhook deployed in it, its apiserver's flag patched.

mod scenes;
mod steps;

use anyhow::Context as _;
use camino::Utf8Path;
use tokenlab_harness::assets::Wanted;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{
    Backend, CONFIG_FILE, CONFIG_FILE_FLAG, Cluster, ClusterPlan, Image, Kubeconfig, fresh_token,
};
use tokenlab_webhook::Token;
use tokenlab_webhook::pki::CertificateAuthority;

use super::acts;
use super::audience::Surroundings;
use super::guide::Stage;
use super::step::{Outcome, Scene, Step};
use super::typist::Typist;
use super::users::Users;
use super::web::Served;
use super::{CACHE_FLAG, CACHE_TTL, TOKEN, link, review};

const NOTHING: &str = "there is no cluster";
/// The file by which the apiserver is told of another CA, beside the right one.
const WRONG_CA_FILE: &str = "wrong-ca.yml";

/// The cluster, before and after step 1.
enum Stand {
    Planned(Box<ClusterPlan>),
    Running(Box<Cluster>),
    /// It is just being created, or that failed.
    Nothing,
}

/// By which file the apiserver reaches its webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wiring {
    Nothing,
    Right,
    WrongCa,
}

pub(super) struct Clustered {
    backend: Backend,
    stand: Stand,
    typist: Typist,
    token: Token,
    plain: Served,
    by_common_name: (Served, Kubeconfig),
    /// The webhook on this machine, before it goes into the cluster.
    tls: Served,
    /// An authority that nobody is told to trust.
    other: CertificateAuthority,
    progress: Progress,
    /// Whether the webhook runs in the cluster.
    deployed: bool,
    wiring: Wiring,
    users: Option<Users>,
}

impl Clustered {
    /// Everything is decided; no cluster runs yet.
    pub(super) async fn new(backend: Backend, wanted: Wanted) -> anyhow::Result<Self> {
        backend.check().await?;
        let progress = Progress::stderr().brief();
        let plan = Cluster::builder()
            .backend(backend)
            .kubernetes(wanted)
            .progress(progress.clone())
            .plan()
            .await?;
        let folder = plan.folder();
        folder.write("tokenreview.json", &review().to_string())?;
        let by_common_name = Served::by_common_name().await?;
        folder.write("cn-only.kubeconfig", &by_common_name.1.yaml())?;
        let (tls, authority) = Served::tls().await?;
        folder.write("webhook-ca.crt", &authority)?;
        let other = CertificateAuthority::new("somebody-else")?;
        folder.write("other-ca.crt", other.certificate_pem())?;
        link(&folder.file("kubectl"), &plan.assets().kubectl)?;
        Ok(Self {
            typist: Typist::new(folder.path()).await?,
            backend,
            stand: Stand::Planned(Box::new(plan)),
            token: Token::from(TOKEN),
            plain: Served::plain().await?,
            by_common_name,
            tls,
            other,
            progress,
            deployed: false,
            wiring: Wiring::Nothing,
            users: None,
        })
    }

    pub(super) fn surroundings(&self) -> Surroundings {
        Surroundings {
            folder: self.folder().to_owned(),
            kubeconfig: self.folder().join("admin.kubeconfig"),
        }
    }

    /// Ends the cluster; its diagnostics stay when something failed.
    pub(super) async fn end(self, failure: Option<&anyhow::Error>) {
        if let Stand::Running(cluster) = self.stand {
            if let Some(error) = failure {
                cluster.keep(&format!("{error:#}")).await;
            }
            cluster.stop().await;
        }
    }

    fn plan(&self) -> Option<&ClusterPlan> {
        match &self.stand {
            Stand::Planned(plan) => Some(plan),
            Stand::Running(cluster) => Some(cluster.plan()),
            Stand::Nothing => None,
        }
    }

    fn folder(&self) -> &Utf8Path {
        self.plan()
            .map_or(Utf8Path::new("."), |plan| plan.folder().path())
    }

    fn cluster(&self) -> anyhow::Result<&Cluster> {
        match &self.stand {
            Stand::Running(cluster) => Ok(cluster),
            Stand::Planned(_) | Stand::Nothing => anyhow::bail!(NOTHING),
        }
    }

    fn users(&self) -> anyhow::Result<&Users> {
        self.users.as_ref().context(NOTHING)
    }

    fn users_mut(&mut self) -> anyhow::Result<&mut Users> {
        self.users.as_mut().context(NOTHING)
    }

    /// Creates the cluster, unless it is there.
    async fn create(&mut self) -> anyhow::Result<()> {
        if !matches!(self.stand, Stand::Planned(_)) {
            return Ok(());
        }
        let Stand::Planned(plan) = std::mem::replace(&mut self.stand, Stand::Nothing) else {
            anyhow::bail!(NOTHING);
        };
        let cluster = Box::pin(plan.start()).await?;
        let folder = cluster.plan().folder();
        let admin = cluster.kubectl()?;
        let text = std::fs::read_to_string(admin.kubeconfig());
        let text = text.with_context(|| format!("`{}` cannot be read", admin.kubeconfig()))?;
        folder.write("admin.kubeconfig", &text)?;
        let user = cluster.token_user(&self.token);
        folder.write("mock.kubeconfig", &user.yaml())?;
        let mock = cluster.kubectl_with("mock", &user)?;
        self.users = Some(Users::new(admin, mock));
        self.stand = Stand::Running(Box::new(cluster));
        Ok(())
    }

    /// Has the webhook run in the cluster, and answer the node.
    async fn deploy(&mut self) -> anyhow::Result<()> {
        let cluster = self.cluster()?;
        if self.users.is_some() && !self.deployed {
            let image = Image::builder().progress(self.progress.clone());
            cluster.load(&image.build().await?).await?;
            cluster.deploy().await?;
            self.deployed = true;
        }
        Ok(())
    }

    /// Has the apiserver run, wired so.
    async fn wire(&mut self, wiring: Wiring) -> anyhow::Result<()> {
        let cluster = self.cluster()?;
        let plan = cluster.plan();
        let right = plan.config_file();
        let wrong = right.replace(CONFIG_FILE, WRONG_CA_FILE);
        let file = match wiring {
            Wiring::Nothing => None,
            Wiring::Right => {
                let text = plan.webhook_config()?;
                plan.folder().write(CONFIG_FILE, &text)?;
                cluster.write(right, &text).await?;
                Some(right)
            }
            Wiring::WrongCa => {
                let authority = self.other.certificate_pem();
                let config = plan.manifests();
                let config = config.webhook_config(authority, plan.apiserver().clone());
                let text = config.yaml();
                plan.folder().write(WRONG_CA_FILE, &text)?;
                cluster.write(&wrong, &text).await?;
                Some(&*wrong)
            }
        };
        let cache = file.map(|_| CACHE_TTL);
        let flags = [(CONFIG_FILE_FLAG, file), (CACHE_FLAG, cache)];
        cluster.set_flags(&flags).await?;
        self.wiring = wiring;
        Ok(())
    }

    /// The kubeconfig of a user whose token nobody has shown yet: `fresh.kubeconfig`.
    fn fresh(&self) -> anyhow::Result<Kubeconfig> {
        let cluster = self.cluster()?;
        let user = cluster.token_user(&fresh_token());
        let folder = cluster.plan().folder();
        folder.write("fresh.kubeconfig", &user.yaml())?;
        Ok(user)
    }
}

impl Stage for Clustered {
    async fn arrange(&mut self, step: Step) -> anyhow::Result<()> {
        if step == Step::Apiserver {
            return Ok(());
        }
        self.create().await?;
        if step <= Step::Deploy {
            return Ok(());
        }
        self.deploy().await?;
        let wiring = if step == Step::Wire {
            Wiring::Nothing
        } else {
            Wiring::Right
        };
        if wiring != self.wiring {
            self.wire(wiring).await?;
        }
        if step > Step::Kubeconfig {
            self.users()?.is_known().await?;
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

    fn skipped(&self, step: Step) -> Option<&'static str> {
        (step == Step::WrongVersion).then_some(
            "the webhook in the cluster is the product's, which answers in the version that it \
             is asked in and cannot be told otherwise; on the bare backend it can",
        )
    }

    async fn act(&mut self, step: Step) -> anyhow::Result<Outcome> {
        match step {
            Step::Apiserver => self.start().await,
            Step::PlainHttp => acts::plain_http(&self.typist, self.plain.address).await,
            Step::Certificates => self.certificates().await,
            Step::Tls => acts::tls(&self.typist, self.tls.address.port()).await,
            Step::Deploy => self.deployed().await,
            Step::Wire => self.wired().await,
            Step::Kubeconfig => acts::kubeconfig(self.users()?).await,
            Step::Forbidden => acts::forbidden(self.users()?).await,
            Step::Allowed => acts::allowed(self.users_mut()?).await,
            Step::Revoked => self.revoked().await,
            Step::Stopped => self.stopped().await,
            Step::WrongCa => self.wrong_ca().await,
            Step::WrongVersion => Ok(Outcome::default()),
        }
    }
}
