//! Control planes whose apiserver is told otherwise of its webhook than a lab tells it. What is
//! changed of one nobody else may meet: each has a turn.

use std::borrow::Borrow;
use std::ops::{Deref, DerefMut};

use tokenlab_harness::{CONFIG_FILE, CONFIG_FILE_FLAG, Lab, LabPlan, Scripted};
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
        let mut plan = planned(scripted.clone()).await;
        let file = arrange(&mut plan);
        let path = plan.folder().write(CONFIG_FILE, &file);
        let path = path.expect("must be written");
        plan.flags().set(CONFIG_FILE_FLAG, path);
        Self {
            lab: plan.start().await.expect("must start"),
            scripted,
            file,
        }
    }

    /// Starts the apiserver anew with this file, unless it has it.
    pub(crate) async fn reach_by(&mut self, file: &str) {
        if file != self.file {
            let written = self.lab.folder().write(CONFIG_FILE, file);
            written.expect("must be written");
            let restarted = self.lab.control_plane_mut().restart(|_| ()).await;
            restarted.expect("must come back");
            file.clone_into(&mut self.file);
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
