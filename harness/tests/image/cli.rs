//! `tokenlab image` and `tokenlab manifests`: what scripts and people see.

use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokenlab_webhook::pki::CertificateAuthority;

use crate::support::{AMD64, Folder, elf, gone, text_of};

/// The program in a folder of its own, with nothing of this process's environment.
fn command(folder: &Folder, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenlab"));
    command
        .args(args)
        .current_dir(&folder.path)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", &folder.path)
        .env("TMPDIR", &folder.path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(folder: &Folder, args: &[&str]) -> Output {
    command(folder, args).output().expect("must start")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("must be UTF-8")
}

#[test]
fn build_writes_the_archive_named_by_the_tag() {
    let folder = Folder::new();
    folder.write("program", elf(AMD64));
    let output = run(&folder, &["image", "build", "--program", "program"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    insta::assert_snapshot!(text(&output.stdout), @"
    pwk/authn-webhook:v0.1 for linux/amd64, 0.00 MB: authn-webhook-v0.1.tar
    sha256:53a0ef7daad990c98ea736cdd262cf48d603c099f2b672b43a6f95ec2e2e2956
    ");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(folder.names(), ["authn-webhook-v0.1.tar", "program"]);

    let args = ["image", "build", "--program", "program", "--out", "-"];
    let piped = run(&folder, &args);
    let file = std::fs::read(folder.path.join("authn-webhook-v0.1.tar"));
    assert!(piped.stdout == file.expect("must be there"));
}

#[test]
fn json_is_for_scripts() {
    let folder = Folder::new();
    folder.write("program", elf(AMD64));
    let args = "image build --program program --tag localhost:5000/a/b --out c.tar --json";
    let output = run(&folder, &args.split(' ').collect::<Vec<_>>());
    insta::assert_snapshot!(text(&output.stdout), @r#"
    {
      "image": "localhost:5000/a/b:latest",
      "file": "c.tar",
      "architecture": "amd64",
      "id": "sha256:53a0ef7daad990c98ea736cdd262cf48d603c099f2b672b43a6f95ec2e2e2956",
      "digest": "sha256:64a09345db5d1b6e47ccdbca05acedf164e813e3831ef115c5f18b698a5da348",
      "layer": "sha256:6e1c236f86e05808e09d008ac3a4c334e4282244572536e4a35517065fbbaf12",
      "bytes": 9216,
      "program": "program",
      "program_bytes": 64
    }
    "#);
    assert_eq!(folder.names(), ["c.tar", "program"]);
}

#[rstest]
#[case::missing(
    "nothing",
    "error: `nothing` cannot be read: No such file or directory (os error 2)\n"
)]
#[case::folder(".", "error: `.` is not a file\n")]
#[case::device("/dev/zero", "error: `/dev/zero` is not a file\n")]
#[case::text(
    "text",
    "error: `text` is not a program for Linux\n\nhint: give the program `tokenlab-webhook`, built for Linux\n"
)]
fn a_program_that_is_none_writes_nothing(#[case] program: &str, #[case] expected: &str) {
    let folder = Folder::new();
    folder.write("text", "no program");
    let output = run(&folder, &["image", "build", "--program", program]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), expected);
    assert_eq!(folder.names(), ["text"]);
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let folder = Folder::new();
    folder.write("program", elf(AMD64));
    folder.write("taken/file", "");
    for (out, expected) in [
        (
            "none/a.tar",
            "error: `none/a.tar` could not be written: there is no folder `none`",
        ),
        (
            "taken",
            "error: `taken` could not be written: Is a directory",
        ),
    ] {
        let output = run(
            &folder,
            &["image", "build", "--program", "program", "--out", out],
        );
        assert_eq!(output.status.code(), Some(1));
        let error = text(&output.stderr);
        assert!(error.starts_with(expected), "{error}");
        let output = run(&folder, &["manifests", "--webhook-config", out]);
        assert_eq!(
            (output.status.code(), text(&output.stdout)),
            (Some(1), String::new())
        );
    }
    assert_eq!(folder.names(), ["program", "taken"]);
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let folder = Folder::new();
    folder.write("program", elf(AMD64));
    folder.write("a.tar", "old");
    // One block of 512 bytes at most, and an error instead of a signal for what is more.
    let script = r#"trap '' XFSZ; ulimit -f 1; exec "$0" "$@""#;
    let tokenlab = env!("CARGO_BIN_EXE_tokenlab");
    for args in [
        "image build --program program --out a.tar",
        "manifests --webhook-config a.tar",
    ] {
        let mut shell = Command::new("/bin/sh");
        let shell = shell.args(["-c", script, tokenlab]).args(args.split(' '));
        let output = shell.current_dir(&folder.path).output();
        let output = output.expect("must start");
        let error = text(&output.stderr);
        assert!(
            error.starts_with("error: `a.tar` could not be written: File too large"),
            "{error}"
        );
        assert_eq!(
            (output.status.code(), text(&output.stdout)),
            (Some(1), String::new())
        );
        assert_eq!(folder.names(), ["a.tar", "program"]);
        let old = std::fs::read_to_string(folder.path.join("a.tar"));
        assert_eq!(old.expect("must be there"), "old");
    }
}

#[test]
fn a_link_and_a_device_stay_what_they_are() {
    let folder = Folder::new();
    folder.write("program", elf(AMD64));
    let file = folder.write("file", "old");
    std::os::unix::fs::symlink(&file, folder.path.join("link")).expect("must be made");
    let output = run(
        &folder,
        &["image", "build", "--program", "program", "--out", "link"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(folder.path.join("link").is_symlink());
    assert!(std::fs::read(file).expect("must be there").len() > 1024);

    let pipe = folder.path.join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("must start").success());
    let child = command(&folder, &["manifests", "--webhook-config", "pipe"]).spawn();
    let read = std::fs::read_to_string(&pipe).expect("must be read");
    assert!(read.contains("kind: Config"), "{read}");
    assert!(
        child
            .expect("must start")
            .wait_with_output()
            .expect("must end")
            .status
            .success()
    );
    assert_eq!(folder.names(), ["file", "link", "pipe", "program"]);
}

#[test]
fn a_folder_that_is_not_there_is_told_before_the_work() {
    let folder = Folder::new();
    let output = run(&folder, &["image", "build", "--out", "nowhere/a.tar"]);
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (
            Some(1),
            "error: `nowhere/a.tar` could not be written: there is no folder `nowhere`\n"
                .to_owned()
        )
    );
    assert_eq!(folder.names(), [""; 0]);
}

#[rstest]
#[case::no_command("image")]
#[case::tag("image build --tag Upper/Case")]
#[case::digest("manifests --image authn@sha256:00")]
#[case::archive_and_json("image build --out - --json")]
#[case::address("manifests --cluster-ip 10.96.0")]
#[case::loopback("manifests --cluster-ip 127.0.0.1")]
#[case::unspecified("manifests --cluster-ip ::")]
#[case::link_local("manifests --cluster-ip fe80::1")]
#[case::namespace("manifests --namespace Kube")]
#[case::empty_namespace("manifests --namespace=")]
#[case::replicas("manifests --replicas 0")]
#[case::config_and_manifests("manifests --webhook-config -")]
fn usage_errors_are_2(#[case] args: &str) {
    let folder = Folder::new();
    let output = run(&folder, &args.split(' ').collect::<Vec<_>>());
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(2), String::new())
    );
    assert_eq!(folder.names(), [""; 0]);
}

#[tokio::test]
async fn ctrl_c_ends_cargo_and_leaves_nothing() {
    let folder = Folder::new();
    let out = folder.path.join("out");
    std::fs::create_dir(&out).expect("must be made");
    let cargo = folder.script(
        "cargo",
        &format!(
            "sleep 600 & echo $! >{0}/compiler; echo $$ >{0}/pid; wait",
            folder.path
        ),
    );
    let mut command = command(&folder, &["image", "build", "--out", "out/a.tar"]);
    let mut child = command
        .env("CARGO", cargo)
        .env("TMPDIR", &out)
        .spawn()
        .expect("must start");
    let pids = [
        text_of(&folder.path.join("compiler")).await,
        text_of(&folder.path.join("pid")).await,
    ];
    let id = i32::try_from(child.id()).expect("must be a process id");
    kill(Pid::from_raw(id), Signal::SIGINT).expect("must be sent");
    let status = tokio::task::spawn_blocking(move || child.wait()).await;
    let status = status.expect("must not panic").expect("must end");
    assert_eq!(status.code(), Some(130));
    for pid in pids {
        gone(&pid).await;
    }
    let left = std::fs::read_dir(&out).expect("must be there").count();
    assert_eq!(left, 0);
}

#[test]
fn cargo_gets_the_environment_but_for_what_is_of_a_package() {
    let folder = Folder::new();
    let cargo = folder.script("cargo", &format!("env >{}/seen; exit 1", folder.path));
    let mut command = command(&folder, &["image", "build"]);
    command
        .env("CARGO", cargo)
        .env("RUSTUP_TOOLCHAIN", "a-toolchain");
    command
        .env("CARGO_PKG_NAME", "a-package")
        .env("CARGO_MANIFEST_DIR", "/a/package");
    let output = command.output().expect("must start");
    assert_eq!(output.status.code(), Some(1));
    let seen = std::fs::read_to_string(folder.path.join("seen")).expect("must be there");
    assert!(seen.contains("RUSTUP_TOOLCHAIN=a-toolchain\n"), "{seen}");
    assert!(seen.contains(&format!("HOME={}\n", folder.path)), "{seen}");
    assert!(!seen.contains("package"), "{seen}");
}

#[test]
fn webhook_config_goes_with_the_secret() {
    let folder = Folder::new();
    let args = "manifests --cluster-ip fd00::35 --webhook-config webhook-config.yml";
    let output = run(&folder, &args.split(' ').collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(folder.names(), ["webhook-config.yml"]);
    let config = std::fs::read_to_string(folder.path.join("webhook-config.yml"));
    let config = config.expect("must be there");
    // There is a key in it.
    let mode = std::fs::metadata(folder.path.join("webhook-config.yml")).map(|file| file.mode());
    assert_eq!(mode.expect("must be there") & 0o777, 0o600);
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"[A-Za-z0-9+/=]{100,}", "[BASE64]");
    settings.bind(|| {
        insta::assert_snapshot!(config, @"
    apiVersion: v1
    kind: Config
    clusters:
    - name: my-authn
      cluster:
        certificate-authority-data: >-
          [BASE64]
        server: https://[fd00::35]/authenticate
        tls-server-name: my-authn.kube-system.svc
    users:
    - name: my-apiserver
      user:
        client-certificate-data: >-
          [BASE64]
        client-key-data: >-
          [BASE64]
    contexts:
    - name: my-authn
      context:
        cluster: my-authn
        user: my-apiserver
    current-context: my-authn
    ");
    });
    let yaml = text(&output.stdout);
    assert!(yaml.contains("--listen=[::]:8443"), "{yaml}");
    let config: serde_json::Value = serde_saphyr::from_str(&config).expect("must be YAML");
    let authority = &config["clusters"][0]["cluster"]["certificate-authority-data"];
    let authority = authority.as_str().expect("must be there");
    let authority = STANDARD.decode(authority).expect("must be base64");
    let secret = (yaml.split("---\n")).find(|document| document.contains("kind: Secret"));
    let secret: Secret =
        serde_saphyr::from_str(secret.expect("must be there")).expect("must be a Secret");
    let certificate = &secret.data.expect("must be there")["tls.crt"].0;
    verify(certificate, &authority).expect("must be the authority's");
    let other = CertificateAuthority::new("other").expect("must be made");
    verify(certificate, other.certificate_pem().as_bytes()).expect_err("must be another's");
}

/// Checks a serving certificate as a client does that looks for the Service.
fn verify(certificate: &[u8], authority: &[u8]) -> Result<(), rustls::Error> {
    let der = |pem: &[u8]| CertificateDer::from_pem_slice(pem).expect("must be a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der(authority)).expect("must be an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let name = ServerName::try_from("my-authn.kube-system.svc").expect("must be a name");
    (verifier.build().expect("must be a verifier"))
        .verify_server_cert(&der(certificate), &[], &name, &[], UnixTime::now())
        .map(drop)
}
