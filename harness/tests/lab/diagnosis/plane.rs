//! The one lab that is broken in every way, one after the other.

use std::convert::Infallible;
use std::ops::{Deref, DerefMut};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use tokenlab_harness::{CONFIG_FILE, Flags, Lab, Probe, SERVICE_NAME, Scripted, until};
use tokenlab_webhook::{Decision, Tls, User};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::home::{SOON, turn};
use crate::programs::wanted;

static PLANE: OnceCell<Mutex<Whole>> = OnceCell::const_new();

struct Whole {
    lab: Lab,
    scripted: Scripted,
    flags: Flags,
}

/// The lab, for one test. Dropped by a panic, it has the run folder kept.
pub(super) struct Plane(MutexGuard<'static, Whole>);

/// The lab as it was at first, once nobody else has it.
pub(super) async fn plane() -> Plane {
    let whole = PLANE.get_or_init(async || Mutex::new(Whole::start().await));
    let mut whole = whole.await.lock().await;
    whole.mend().await;
    Plane(whole)
}

impl Whole {
    async fn start() -> Self {
        let _turn = turn(1).await;
        let scripted = Scripted::new();
        let lab = Lab::builder()
            .kubernetes(wanted())
            .webhook(scripted.clone())
            .start();
        let lab = lab.await.expect("must start");
        Self {
            flags: lab.control_plane().flags().clone(),
            scripted,
            lab,
        }
    }

    /// Whole again, whatever was broken.
    async fn mend(&mut self) {
        let webhook = self.lab.webhook();
        webhook.up().await.expect("must listen");
        let whole = webhook.break_connections(None).await;
        whole.expect("must serve again");
        let authority = webhook.authority().expect("is served here");
        let certificate = authority.serving(&[SERVICE_NAME]).expect("must be made");
        let tls = Tls::from_certificate(&certificate).expect("must be usable");
        webhook.serve_with(Some(tls)).await.expect("must serve");
        let runs = self
            .lab
            .running_flags()
            .is_ok_and(|flags| !flags.is_empty());
        if !runs || *self.lab.control_plane().flags() != self.flags {
            let flags = self.flags.clone();
            let back = self.lab.control_plane_mut().restart(|now| *now = flags);
            back.await.expect("must come back");
        }
        self.is_reached().await;
    }

    /// kube-apiserver hears of a closed connection in its own time, and asks once more by it.
    async fn is_reached(&self) {
        let look = async || {
            let token = (self.scripted).token(Decision::authenticated(User::new("ann")));
            let client = self.lab.client_as(&token).await.expect("must be made");
            let namespaces = kube::Api::<Namespace>::all(client);
            match namespaces.list(&ListParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 403 => {
                    Probe::<_, Infallible>::Ready(())
                }
                other => Probe::NotYet(format!("{:?}", other.err()).into()),
            }
        };
        let reached = until("the webhook is reached", SOON, look).await;
        reached.expect("must be");
    }
}

impl Plane {
    pub(super) fn scripted(&self) -> &Scripted {
        &self.0.scripted
    }

    /// Starts the apiserver anew with this file for its webhook, which it may not survive.
    pub(super) async fn with_file(&mut self, yaml: &str) -> bool {
        let name = format!("broken-{CONFIG_FILE}");
        let file = self.folder().write(&name, yaml).expect("must be written");
        self.with_flag(tokenlab_harness::CONFIG_FILE_FLAG, Some(file.as_str()))
            .await
    }

    /// The same with another flag, or without it. Whether it came back.
    pub(super) async fn with_flag(&mut self, name: &'static str, value: Option<&str>) -> bool {
        let change = |flags: &mut Flags| {
            match value {
                Some(value) => flags.set(name, value),
                None => flags.unset(name),
            };
        };
        self.control_plane_mut().restart(change).await.is_ok()
    }
}

impl Deref for Plane {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0.lab
    }
}

impl DerefMut for Plane {
    fn deref_mut(&mut self) -> &mut Lab {
        &mut self.0.lab
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lab.keep();
        }
    }
}
