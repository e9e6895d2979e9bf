//! Two labs in one process know nothing of each other.

use tokenlab_harness::LabError;

use super::{ann, scripted};
use crate::home::turn;

#[tokio::test]
async fn two_labs() -> Result<(), LabError> {
    let _turns = turn(2).await;
    let ((one, one_webhook), (two, two_webhook)) = (scripted(), scripted());
    let (one, two) = tokio::try_join!(one.start(), two.start())?;
    assert_ne!(one.folder().path(), two.folder().path());
    assert_ne!(one.webhook().url(), two.webhook().url());
    assert_ne!(
        one.control_plane().admin().server,
        two.control_plane().admin().server
    );

    let token = one_webhook.token(ann());
    let known = one.kubectl_as(&token)?.run(["auth", "whoami"]).await?;
    assert!(known.status.success(), "{known}");
    let unknown = two.kubectl_as(&token)?.run(["auth", "whoami"]).await?;
    assert!(unknown.stderr.contains("Unauthorized"), "{unknown}");
    assert_eq!(one_webhook.calls(&token).len(), 1);
    assert_eq!(two_webhook.calls(&token).len(), 1);

    one.stop().await;
    let ready = two.kubectl()?.run(["get", "--raw", "/readyz"]).await?;
    assert_eq!(ready.stdout, "ok", "{ready}");
    two.stop().await;
    Ok(())
}
