//! A control plane that is restarted, or stopped.

use tokenlab_harness::{ControlPlanePlan, Lab, LabError, RunFolder, VERSION_FLAG};
use tokenlab_webhook::ApiVersion;

use super::{ann, scripted};
use crate::filters::assert_text;
use crate::home::{Home, turn};
use crate::programs::real;

#[tokio::test]
async fn with_a_changed_flag_on_the_same_data() -> Result<(), LabError> {
    let _turn = turn(1).await;
    let (builder, webhook) = scripted();
    let scope = async |lab: &mut Lab| -> Result<(), LabError> {
        let (before, after) = (webhook.token(ann()), webhook.token(ann()));
        lab.kubectl_as(&before)?.run(["auth", "whoami"]).await?;
        assert_eq!(webhook.calls(&before)[0].api_version, ApiVersion::V1Beta1);
        let admin = lab.kubectl()?;
        let made = admin.run(["create", "namespace", "kept"]).await?;
        assert!(made.status.success(), "{made}");

        let plane = lab.control_plane_mut();
        let old = plane.process_ids();
        plane
            .restart(|flags| _ = flags.set(VERSION_FLAG, "v1"))
            .await?;
        let new = plane.process_ids();
        assert_eq!(new[0], old[0], "etcd stays");
        assert_ne!(new[1], old[1], "kube-apiserver is another");

        let lines = std::fs::read_to_string(lab.folder().file("command-lines"));
        let lines = lines.expect("must be written");
        assert!(lines.contains(&format!("--{VERSION_FLAG}=v1 ")), "{lines}");

        lab.kubectl_as(&after)?.run(["auth", "whoami"]).await?;
        assert_eq!(webhook.calls(&after)[0].api_version, ApiVersion::V1);
        let got = admin
            .run(["get", "namespace", "kept", "-o", "name"])
            .await?;
        assert_eq!(got.stdout, "namespace/kept\n", "{got}");
        Ok(())
    };
    builder.run(scope).await
}

#[tokio::test]
async fn with_a_bad_flag_and_mended() -> Result<(), LabError> {
    let _turn = turn(1).await;
    let scope = async |lab: &mut Lab| -> Result<(), LabError> {
        let plane = lab.control_plane_mut();
        let restarted = plane
            .restart(|flags| _ = flags.set("no-such-flag", "1"))
            .await;
        let error = restarted.expect_err("must fail");
        assert_text!(error, @"
        kube-apiserver ended early: exit status: 1
            Error: unknown flag: --no-such-flag
          log: [run folder]/logs/kube-apiserver.log
          command: in `[run folder]/command-lines`
        ");
        assert!(error.hint().is_some());
        assert_eq!(plane.process_ids().len(), 1, "only etcd runs");

        plane
            .restart(|flags| _ = flags.unset("no-such-flag"))
            .await?;
        let ready = lab.kubectl()?.run(["get", "--raw", "/readyz"]).await?;
        assert_eq!(ready.stdout, "ok", "{ready}");
        Ok(())
    };
    scripted().0.run(scope).await
}

#[tokio::test]
async fn stopped_it_ends_by_itself() {
    let home = Home::new().await;
    let folder = RunFolder::create_in(home.tmp()).expect("must be made");
    let mut plan = ControlPlanePlan::new(real().await, &folder).expect("must be planned");
    plan.flags().set("v", "1");
    let plane = plan.start().await.expect("must start");
    let log = plane.logs().join("kube-apiserver.log");
    plane.stop().await;
    let log = std::fs::read_to_string(log).expect("must be there");
    // What one that is killed does not come to: the last that kube-apiserver says
    // (`apiserver/pkg/server/genericapiserver.go`, `RunWithContext`, v0.37.2), and that etcd
    // takes its socket away.
    assert!(log.contains("apiserver is exiting"), "{log}");
    assert!(!folder.file("etcd.sock:0").exists());
    home.no_process().await;
}
