//! The one control plane for what nobody else may meet: broken connections, other certificates,
//! restarts, metrics. Whoever has it has it alone.

use std::ops::{Deref, DerefMut};

use tokenlab_harness::{CONFIG_FILE, Flags, Lab, SERVICE_NAME, Scripted};
use tokenlab_webhook::Tls;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::lab::attempts::{asks, comes_to, passes};
use crate::support::{SOON, config};

static SERIAL: OnceCell<Mutex<Plane>> = OnceCell::const_new();

struct Plane {
    lab: Lab,
    scripted: Scripted,
    /// The flags that it was started with.
    flags: Flags,
}

/// The serial lab, for one scenario. Dropped by a panic, it has the run folder kept.
pub(crate) struct Serial(MutexGuard<'static, Plane>);

/// The serial lab as it was at first, once nobody else has it: its webhook listens and serves, with
/// a certificate of its own authority, and the apiserver runs with the lab's flags and file.
pub(crate) async fn serial() -> Serial {
    let plane = SERIAL.get_or_init(async || Mutex::new(Plane::start().await));
    let mut plane = plane.await.lock().await;
    plane.reset().await;
    Serial(plane)
}

impl Plane {
    async fn start() -> Self {
        let scripted = Scripted::new();
        let lab = Lab::builder()
            .kubernetes(config().kubernetes)
            .webhook(scripted.clone())
            .start()
            .await
            .expect("the serial lab must start");
        Self {
            flags: lab.control_plane().flags().clone(),
            scripted,
            lab,
        }
    }

    async fn reset(&mut self) {
        let webhook = self.lab.webhook();
        let authority = webhook.authority().expect("is served here");
        let certificate = authority.serving(&[SERVICE_NAME]).expect("must be made");
        let tls = Tls::from_certificate(&certificate).expect("must be usable");
        webhook.serve_with(Some(tls)).await.expect("must serve");
        let whole = webhook.break_connections(None).await;
        whole.expect("must serve again");
        webhook.up().await.expect("must listen");
        let file = self.lab.webhook().kubeconfig().yaml();
        let as_it_was = self.lab.control_plane().flags() == &self.flags
            && std::fs::read_to_string(self.lab.folder().path().join(CONFIG_FILE))
                .is_ok_and(|now| now == file);
        if !as_it_was {
            let flags = self.flags.clone();
            self.configure(&file, |now| *now = flags).await;
        }
        // kube-apiserver hears of a closed connection in its own time, and asks once more by it.
        let (lab, scripted) = (&self.lab, &self.scripted);
        let reached = comes_to(
            "the webhook is reached",
            SOON,
            || asks(lab, scripted),
            passes,
        );
        let _ = reached.await;
    }

    async fn configure(&mut self, file: &str, change: impl FnOnce(&mut Flags)) {
        let folder = self.lab.folder();
        folder.write(CONFIG_FILE, file).expect("must be written");
        let restarted = self.lab.control_plane_mut().restart(change).await;
        restarted.expect("the apiserver must come back");
    }
}

impl Serial {
    /// The webhook's script and record.
    pub(crate) fn scripted(&self) -> &Scripted {
        &self.0.scripted
    }

    /// Starts the apiserver anew with this file for its webhook.
    pub(crate) async fn with_file(&mut self, file: &str) {
        self.0.configure(file, |_| ()).await;
    }
}

impl Deref for Serial {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0.lab
    }
}

impl DerefMut for Serial {
    fn deref_mut(&mut self) -> &mut Lab {
        &mut self.0.lab
    }
}

impl Drop for Serial {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lab.keep();
        }
    }
}
