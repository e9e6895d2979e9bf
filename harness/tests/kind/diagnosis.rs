//! Setups that are really broken on a cluster, each in one way, and what the diagnosis says of them:
//! in a cluster of one's own, of a webhook in a cluster that is somebody else's, and from outside.

mod plane;
mod setups;

use std::fmt::Write as _;

use tokenlab_harness::diagnosis::Source;
use tokenlab_harness::{Cause, Cluster, ClusterError, Diagnosis, Image, Wire};
use tokenlab_webhook::Token;

use plane::Plane;
use setups::Setup;

/// What is to be said.
struct Expected {
    healthy: bool,
    cause: Option<Cause>,
    /// What tells so.
    tells: (Source, &'static str),
}

struct Row {
    setup: Setup,
    /// Of the cluster's owner, who sees flags, files and log.
    ours: Expected,
    /// Of its guest, who has a webhook in it.
    theirs: Option<Expected>,
    /// Of who has a kubeconfig of it and a copy of the webhook's file, and asks from elsewhere.
    outside: Option<Expected>,
}

const fn sound(cause: Option<Cause>, source: Source, says: &'static str) -> Expected {
    Expected {
        healthy: true,
        cause,
        tells: (source, says),
    }
}

const fn named(cause: Cause, source: Source, says: &'static str) -> Expected {
    Expected {
        healthy: false,
        cause: Some(cause),
        tells: (source, says),
    }
}

/// It answers the apiserver, and is another than the one that the guest has.
const NOT_THEIRS: Expected = Expected {
    healthy: false,
    cause: None,
    tells: (Source::Metrics, "answered 200"),
};

const FORWARDED: &str = "from here, by a port-forward to its Pod: ";

const ROWS: [Row; 14] = [
    Row {
        setup: Setup::Sound,
        ours: sound(None, Source::Probe, "HTTP 200, authenticated as \"ann\""),
        theirs: Some(sound(None, Source::Probe, FORWARDED)),
        outside: None,
    },
    Row {
        setup: Setup::Fresh,
        ours: sound(Some(Cause::Refused), Source::Metrics, "1 answered 200"),
        theirs: Some(sound(
            Some(Cause::Refused),
            Source::Probe,
            "HTTP 200, refused",
        )),
        outside: None,
    },
    Row {
        setup: Setup::Refused,
        ours: named(Cause::Refused, Source::Log, "invalid bearer token"),
        theirs: Some(named(Cause::Refused, Source::Probe, "HTTP 200, refused")),
        outside: None,
    },
    Row {
        setup: Setup::RefusedBefore,
        ours: named(
            Cause::CachedRefusal,
            Source::Metrics,
            "no call to the webhook",
        ),
        theirs: Some(named(
            Cause::CachedRefusal,
            Source::Metrics,
            "for a token that nobody has, calls to the webhook: 1 answered 200",
        )),
        outside: None,
    },
    Row {
        setup: Setup::NoPods,
        ours: named(
            Cause::NothingListens,
            Source::Log,
            "connect: connection refused",
        ),
        theirs: Some(named(
            Cause::NothingListens,
            Source::Probe,
            "nothing stands behind its Service",
        )),
        outside: None,
    },
    Row {
        setup: Setup::OtherAuthority,
        ours: named(
            Cause::UnknownAuthority,
            Source::Log,
            "x509: certificate signed by unknown authority",
        ),
        theirs: Some(named(
            Cause::UnknownAuthority,
            Source::Certificate,
            "for my-authn.kube-system.svc",
        )),
        outside: None,
    },
    Row {
        setup: Setup::OtherName,
        ours: named(Cause::OtherName, Source::Log, "not elsewhere.svc"),
        theirs: Some(named(Cause::OtherName, Source::Probe, FORWARDED)),
        outside: None,
    },
    Row {
        setup: Setup::ServiceName,
        ours: named(
            Cause::NoAddress,
            Source::Log,
            "lookup my-authn.kube-system.svc",
        ),
        // The port-forward goes another way.
        theirs: Some(named(
            Cause::Unreached,
            Source::Metrics,
            "without an answer",
        )),
        outside: None,
    },
    Row {
        setup: Setup::OtherVersion,
        ours: named(Cause::OtherVersion, Source::Log, "unknown conversion"),
        theirs: Some(NOT_THEIRS),
        outside: Some(named(Cause::OtherVersion, Source::Probe, "from here: ")),
    },
    Row {
        setup: Setup::OtherAudiences,
        ours: named(Cause::OtherAudiences, Source::Log, "invalid bearer token"),
        theirs: Some(NOT_THEIRS),
        outside: Some(named(
            Cause::OtherAudiences,
            Source::Probe,
            "from here: HTTP 200, authenticated as \"ann\"",
        )),
    },
    Row {
        setup: Setup::NoFlag,
        ours: named(
            Cause::FlagNotSet,
            Source::Flags,
            "no --authentication-token-webhook-config-file",
        ),
        theirs: Some(named(
            Cause::NotAsked,
            Source::Metrics,
            "for a token that nobody has, no call to the webhook",
        )),
        outside: Some(named(
            Cause::NotAsked,
            Source::Metrics,
            "for a token that nobody has, no call to the webhook",
        )),
    },
    Row {
        setup: Setup::BackupRuns,
        ours: named(Cause::FlagNotSet, Source::Flags, "the manifest has it"),
        theirs: None,
        outside: None,
    },
    Row {
        setup: Setup::NotMounted,
        ours: named(
            Cause::FileNotVisible,
            Source::File,
            "it is in the node, and the manifest of kube-apiserver's Pod mounts no folder with it",
        ),
        theirs: Some(named(Cause::Down, Source::File, "https://")),
        outside: None,
    },
    Row {
        setup: Setup::NoFileYet,
        ours: named(Cause::FileNotVisible, Source::File, "it is not in the node"),
        theirs: None,
        outside: None,
    },
];

impl Expected {
    /// What is missing in a diagnosis, or too much.
    fn complaint(&self, said: &Diagnosis, token: Option<Token>) -> Option<String> {
        let (source, says) = self.tells;
        let mut evidence = said.evidence.iter();
        let complaint = if said.cause != self.cause || said.healthy != self.healthy {
            format!("must be {:?}, and is {:?}", self.cause, said.cause)
        } else if !evidence.any(|it| it.source == source && it.says.contains(says)) {
            format!("{source} must say `{says}`")
        } else if token.is_none_or(|token| said.to_string().contains(token.expose())) {
            "the token is in it".to_owned()
        } else if said.remedy.is_some() != (said.cause.is_some() && !said.healthy) {
            "what has a cause has a remedy, and nothing else".to_owned()
        } else {
            return None;
        };
        Some(complaint)
    }
}

/// All of it on one cluster: a broken row does not keep the others from being looked at.
#[tokio::test]
async fn a_broken_setup_is_named() {
    if !super::allowed("kind::diagnosis::a_broken_setup_is_named") {
        return;
    }
    let image = Image::builder().build().await.expect("must be built");
    let plan = Cluster::builder().wire(Wire::Patch).plan().await;
    let ran = plan.expect("must be planned").run(async |lab| {
        lab.load(&image).await.expect("must be loaded");
        let mut plane = Box::pin(Plane::new(lab)).await;
        let mut complaints = String::new();
        for row in ROWS {
            let setup = row.setup;
            setup.break_it(&plane).await;
            for (who, expected) in [
                ("its owner", Some(row.ours)),
                ("its guest", row.theirs),
                ("from outside", row.outside),
            ] {
                let Some(expected) = expected else { continue };
                // Each shows another token, or the apiserver would remember it.
                let shown = setup.shown(&mut plane).await;
                let said = match who {
                    "its owner" => lab.diagnose(&shown).await,
                    "its guest" => plane.theirs.diagnose(&shown).await,
                    _ => plane.outside.diagnose(&shown).await,
                };
                if let Some(complaint) = expected.complaint(&said, shown.token()) {
                    let _ = write!(complaints, "\n{setup:?}, {who}: {complaint}:\n{said}");
                }
            }
            setup.mend(&plane).await;
        }
        plane.stop().await;
        assert!(complaints.is_empty(), "{complaints}");
        Ok::<_, ClusterError>(())
    });
    Box::pin(ran).await.expect("must start");
}
