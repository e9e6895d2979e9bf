//! Control planes whose apiserver is told otherwise of its webhook than a lab tells it. What is
//! changed of one nobody else may meet: each has a turn.

use std::borrow::Borrow;
use std::ops::{Deref, DerefMut};

use serde_json::{Value, json};
use tokenlab_harness::{CONFIG_FILE, CONFIG_FILE_FLAG, Lab, LabPlan, Scripted, Webhook};
use tokio::sync::MutexGuard;

use crate::lab::attempts::asks;
use crate::lab::evidence::Asked;
use crate::lab::webhook_file::planned;

/// A lab and the file that its apiserver reaches the webhook by.
pub(crate) struct Rewired {
    lab: Lab,
    pub(crate) scripted: Scripted,
    file: String,
}

impl Rewired {
    /// Starts one; `arrange` may change the plan, and says what the file is.
    pub(crate) async fn start(arrange: impl FnOnce(&mut LabPlan) -> String) -> Self {
        let scripted = Scripted::new();
        let builder = Lab::builder()
            .kubernetes(config().kubernetes)
            .webhook(scripted.clone());
        let mut plan = builder.plan().await.expect("must be planned");
        let file = arrange(&mut plan);
        let path = plan.folder().write(CONFIG_FILE, &file);
        plan.flags()
            .set(CONFIG_FILE_FLAG, path.expect("must be written"));
        Self {
            lab: plan.start().await.expect("must start"),
            scripted,
            file,
        }
    }

    /// Starts the apiserver anew with this file, unless it has it.
    pub(crate) async fn reach_by(&mut self, file: String) {
        if file != self.file {
            let written = self.lab.folder().write(CONFIG_FILE, &file);
            written.expect("must be written");
            let restarted = self.lab.control_plane_mut().restart(|_| ()).await;
            restarted.expect("must come back");
            self.file = file;
        }
    }

    /// For one that is nobody else's.
    pub(crate) async fn stop(self) {
        self.lab.stop().await;
    }

    /// What comes of a token that nobody has shown before.
    pub(crate) async fn asks(&self) -> Asked {
        asks(&self.lab, &self.scripted).await
    }
}

impl Deref for Rewired {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Borrow<Lab> for Rewired {
    fn borrow(&self) -> &Lab {
        self
    }
}

/// A turn with what others have to wait for. Dropped by a panic, it has the run folder kept.
pub(crate) struct Turn<T: Borrow<Lab> + 'static>(pub(crate) MutexGuard<'static, T>);

impl<T: Borrow<Lab>> Deref for Turn<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Borrow<Lab>> DerefMut for Turn<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Borrow<Lab>> Drop for Turn<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (*self.0).borrow().keep();
        }
    }
}

/// A webhook's file with this cluster and this user; JSON is YAML.
pub(crate) fn file(cluster: &Value, user: &Value) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "webhook", "cluster": cluster }],
        "users": [{ "name": "apiserver", "user": user }],
        "contexts": [{
            "name": "webhook",
            "context": { "cluster": "webhook", "user": "apiserver" },
        }],
        "current-context": "webhook",
    })
    .to_string()
}

/// The port of 127.0.0.1 that the webhook listens on.
pub(crate) fn port(webhook: &Webhook) -> u16 {
    let url: http::Uri = webhook.url().parse().expect("must be a URL");
    url.port_u16().expect("must have a port")
}
