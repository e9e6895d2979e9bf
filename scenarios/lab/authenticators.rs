//! The plane that has every authenticator that kube-apiserver has, the webhook among them, but for
//! the one for who shows nothing: nobody is anonymous there.

use std::convert::Infallible;

use rstest::fixture;
use serde_json::json;
use tokenlab_harness::{Probe, RunFolder, SharedConfig, SharedLab, fresh_token, until};
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Decision, Token, User};
use tokio::sync::OnceCell;

use crate::lab::evidence::Asked;
use crate::lab::issuer::Issuer;
use crate::support::{SOON, config};

/// Who is known to all but the webhook.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) issuer: Issuer,
    /// One that the apiserver trusts, and nobody answers for.
    pub(crate) away: Issuer,
    /// The token of `carl` in `--token-auth-file`.
    pub(crate) carl: Token,
    /// Whom `--requestheader-client-ca-file` trusts.
    pub(crate) front_proxy: CertificateAuthority,
    folder: RunFolder,
}

/// The plane, and who is known there.
pub(crate) struct Chained {
    pub(crate) lab: SharedLab,
    pub(crate) world: &'static World,
}

/// Whom the webhook takes a token's bearer for, where that would be a mistake.
pub(crate) fn mallory() -> Decision {
    Decision::authenticated(User::new("mallory"))
}

#[fixture]
pub(crate) async fn chained() -> Chained {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    static READY: OnceCell<()> = OnceCell::const_new();
    let world = WORLD.get_or_init(async || World::new()).await;
    let lab = SharedLab::get(world.config()).await;
    let chained = Chained { lab, world };
    READY.get_or_init(|| chained.issuer_is_known()).await;
    chained
}

impl World {
    fn new() -> Self {
        let folder = RunFolder::create().expect("must be made");
        let (issuer, away) = (Issuer::serving(), Issuer::away());
        let carl = fresh_token();
        let line = format!("{},carl,7,\"known,staff\"\n", carl.expose());
        folder.write("tokens.csv", &line).expect("must be written");
        let front_proxy = CertificateAuthority::new("front-proxy").expect("must be made");
        let pem = front_proxy.certificate_pem();
        folder
            .write("front-proxy.crt", pem)
            .expect("must be written");
        // JSON is YAML too.
        let authentication = json!({
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": [issuer.trusted(), away.trusted()],
            "anonymous": { "enabled": false },
        });
        let authentication = folder.write("authentication.yml", &authentication.to_string());
        authentication.expect("must be written");
        Self {
            issuer,
            away,
            carl,
            front_proxy,
            folder,
        }
    }

    fn config(&self) -> SharedConfig {
        let file = |name| self.folder.file(name).into_string();
        SharedConfig {
            flags: vec![
                ("requestheader-client-ca-file", file("front-proxy.crt")),
                ("requestheader-username-headers", "X-Remote-User".to_owned()),
                ("token-auth-file", file("tokens.csv")),
                ("enable-bootstrap-token-auth", "true".to_owned()),
                ("authentication-config", file("authentication.yml")),
            ],
            ..config()
        }
    }
}

impl Chained {
    /// Who shows this token and nothing else.
    pub(crate) async fn whoami(&self, token: &Token) -> Asked {
        Asked::whoami(&self.lab, self.lab.scripted(), token).await
    }

    /// The apiserver asks an issuer for its keys when it is ready already.
    async fn issuer_is_known(&self) {
        let token = self.world.issuer.sign(&self.world.issuer.claims("first"));
        let known = until("the issuer is known", SOON, async || {
            match self.whoami(&token).await {
                seen if seen.user.is_some() => Probe::<(), Infallible>::Ready(()),
                seen => Probe::NotYet(seen.to_string().into()),
            }
        });
        known.await.expect("must become known");
    }
}
