//! Real control planes: restarted, stopped, side by side, and closed to others.

mod closed;
mod peer;
mod restart;
mod side_by_side;
mod users;

use tokenlab_harness::{Lab, LabBuilder, Scripted, SharedConfig, SharedLab};
use tokenlab_webhook::{Decision, User};

use crate::home::turn;
use crate::programs::wanted;

/// A lab whose webhook is scripted.
fn scripted() -> (LabBuilder, Scripted) {
    let webhook = Scripted::new();
    let builder = Lab::builder().kubernetes(wanted());
    (builder.authenticator(webhook.clone()), webhook)
}

/// The lab for those who change nothing.
async fn shared() -> SharedLab {
    let _turn = turn(1).await;
    let kubernetes = wanted();
    SharedLab::get(SharedConfig {
        kubernetes,
        ..SharedConfig::default()
    })
    .await
}

fn ann() -> Decision {
    Decision::authenticated(User::new("ann"))
}
