//! The image on its own, in a real container engine: only where `LAB_BACKEND` asks for
//! containers.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use camino::Utf8Path;
use futures::FutureExt as _;
use serde_json::json;
use testcontainers::core::{AccessMode, IntoContainerPort as _, Mount, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use tokenlab_harness::{Identity, Manifests, Poll, Probe, until};
use tokenlab_webhook::pki::CertificateAuthority;

use crate::engine::{Loaded, docker_text, image};
use crate::support::{Folder, engine_is_off};

/// The label that finds a test's containers, and a value of that test's own.
const LABEL: &str = "tokenlab.test";

/// The webhook in a container, held as tightly as the Pod is; certificates come by a mount, as
/// there. Dropped, container, image and folder go, in this order.
struct Running {
    container: ContainerAsync<GenericImage>,
    manifests: Manifests,
    authority: CertificateAuthority,
    image: Loaded,
    certificates: Folder,
}

impl Running {
    async fn start() -> Self {
        let image = Loaded::load(&image().await);
        let manifests = Manifests::default();
        let authority = CertificateAuthority::new("test").expect("must be made");
        let credentials = manifests.credentials(&authority).expect("must be made");
        let deployment = manifests.deployment(&credentials);
        let pod = deployment.spec.template.spec.expect("must be there");
        let webhook = &pod.containers[0];
        let mounts = webhook.volume_mounts.as_ref().expect("must be there");

        let certificates = Folder::new();
        for (name, text) in credentials.files() {
            let file = certificates.write(&format!("tls/{name}"), text);
            // The container's user is another one; the folder above is for this one alone.
            fs::set_permissions(file, fs::Permissions::from_mode(0o644)).expect("must be set");
        }
        let folder = certificates.path.join("tls");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("must be set");

        let name = image.name.to_string();
        let (repository, tag) = name.rsplit_once(':').expect("must have a tag");
        let mount = Mount::bind_mount(certificates.path.join("tls"), &mounts[0].mount_path);
        let container = GenericImage::new(repository, tag)
            .with_exposed_port(8443.tcp())
            .with_wait_for(WaitFor::message_on_stderr("listening on "))
            .with_cmd(webhook.args.clone().expect("must be there"))
            .with_mount(mount.with_access_mode(AccessMode::ReadOnly))
            .with_readonly_rootfs(true)
            .with_cap_drop("ALL")
            .with_security_opt("no-new-privileges")
            .with_label(LABEL, &name)
            // An engine may be busy with others; what does not start says so by its log.
            .with_startup_timeout(Duration::from_secs(300))
            .start()
            .await
            .expect("must start");
        Self {
            container,
            manifests,
            authority,
            image,
            certificates,
        }
    }

    /// A client that finds the container under the Service's name, and trusts its authority.
    async fn client(&self) -> (reqwest::Client, String) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let port = self.container.get_host_port_ipv4(8443).await;
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("must be mapped")));
        let name = self.manifests.server_name();
        let ca = reqwest::Certificate::from_pem(self.authority.certificate_pem().as_bytes());
        let Ok(Identity::ClientCertificate { certificate, key }) =
            self.manifests.client(&self.authority)
        else {
            panic!("must have a certificate");
        };
        let identity = reqwest::Identity::from_pem((certificate + &key).as_bytes());
        let client = reqwest::Client::builder()
            .identity(identity.expect("must be a pair"))
            .tls_certs_only([ca.expect("must be a certificate")])
            .no_proxy()
            .resolve(&name, address)
            .build();
        let url = format!("https://{name}:{}", address.port());
        (client.expect("must be made"), url)
    }
}

/// What is left of a test: its containers, its image, its folder.
fn left(image: &str, folder: &Utf8Path) -> (String, String, bool) {
    let label = format!("label={LABEL}={image}");
    (
        docker_text(&["ps", "--all", "--quiet", "--filter", &label]),
        docker_text(&["image", "ls", "--quiet", image]),
        folder.exists(),
    )
}

/// The engine takes its time when it is busy.
async fn nothing_is_left(image: &str, folder: &Utf8Path) {
    let poll = Poll {
        every: Duration::from_millis(50),
        within: Duration::from_secs(60),
    };
    let gone = until("all of it is gone", poll, async || {
        let left = left(image, folder);
        if left == (String::new(), String::new(), false) {
            Probe::<_, Infallible>::Ready(())
        } else {
            Probe::NotYet(format!("{left:?}").into())
        }
    });
    gone.await.expect("must be gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_answers_a_review() {
    if engine_is_off("container::the_image_answers_a_review") {
        return;
    }
    let running = Running::start().await;
    let (client, url) = running.client().await;
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1beta1",
        "kind": "TokenReview",
        "spec": { "token": "ZGVtbW8tcGFzc3dvcmQ=" },
    });
    let request = client
        .post(format!("{url}/authenticate"))
        .header("Content-Type", "application/json")
        .body(review.to_string());
    let answer = request.send().await.expect("must answer");
    assert_eq!(answer.status(), 200);
    let answer: serde_json::Value = answer.json().await.expect("must be JSON");
    assert_eq!(answer["status"]["authenticated"], true);
    assert_eq!(
        answer["status"]["user"],
        json!({ "username": "mock", "uid": "mock", "groups": ["group-mock"] })
    );
    let live = client.get(format!("{url}/livez")).send().await;
    assert_eq!(live.expect("must answer").status(), 200);

    let id = running.container.id();
    let top = docker_text(&["top", id, "-o", "pid,uid"]);
    assert_eq!(top.split_whitespace().next_back(), Some("65532"), "{top}");
    // Its first process, and so without the kernel's defaults for signals.
    docker_text(&["stop", "--time", "20", id]);
    let code = docker_text(&[
        "container",
        "inspect",
        "--format",
        "{{.State.ExitCode}}",
        id,
    ]);
    assert_eq!(code, "0");

    let (image, folder) = (
        running.image.name.to_string(),
        running.certificates.path.clone(),
    );
    assert_ne!(left(&image, &folder), (String::new(), String::new(), false));
    drop(running);
    nothing_is_left(&image, &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_after_a_panic() {
    if engine_is_off("container::nothing_is_left_after_a_panic") {
        return;
    }
    let mut seen = None;
    let scope = async {
        let running = Running::start().await;
        seen = Some((
            running.image.name.to_string(),
            running.certificates.path.clone(),
        ));
        panic!("as an assertion does");
    };
    AssertUnwindSafe(scope)
        .catch_unwind()
        .await
        .expect_err("must panic");
    let (image, folder) = seen.expect("must have started");
    nothing_is_left(&image, &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_sees_what_was_written() {
    if engine_is_off("container::the_engine_sees_what_was_written") {
        return;
    }
    let image = image().await;
    let loaded = Loaded::load(&image);
    assert_eq!(loaded.inspect(".Id"), image.id());
    assert_eq!(loaded.inspect(".RootFS.Layers"), json!([image.layer()]));
    assert_eq!(loaded.inspect(".Config.User"), "65532:65532");
    assert_eq!(
        loaded.inspect(".Config.Entrypoint"),
        json!(["/tokenlab-webhook"])
    );
    let size = image.archive().len();
    assert!(size <= 5_000_000, "{size} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dockerfile_makes_the_same_files_and_configuration() {
    if engine_is_off("container::the_dockerfile_makes_the_same_files_and_configuration") {
        return;
    }
    let image = image().await;
    let written = Loaded::load(&image);
    let folder = Folder::new();
    let webhook = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../webhook");
    for name in ["Dockerfile", ".dockerignore"] {
        fs::copy(webhook.join(name), folder.path.join(name)).expect("must be copied");
    }
    let program = folder.path.join("tokenlab-webhook");
    fs::copy(image.program(), &program).expect("must be copied");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("must be set");
    let built = Loaded::build(&folder.path);

    assert!(written.files() == built.files(), "other files");
    let config = |image: &Loaded| {
        let mut config = image.inspect(".Config");
        let fields = config.as_object_mut().expect("must be an object");
        // The step before the last, and the host that it ran on.
        fields.retain(|field, _| !matches!(field.as_str(), "Image" | "Hostname"));
        config
    };
    assert_eq!(config(&written), config(&built));
    for field in [".Architecture", ".Os"] {
        assert_eq!(written.inspect(field), built.inspect(field));
    }
}
