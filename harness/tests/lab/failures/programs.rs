//! Kubernetes' programs that are none.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;
use tokenlab_harness::assets::Program;

use crate::filters::assert_text;
use crate::home::Home;
use crate::owner::ended;
use crate::programs::{apiserver, real, stand_in};

/// A folder of programs: stand-ins that do nothing.
fn folder(home: &Home) -> Utf8PathBuf {
    let folder = home.file("programs");
    std::fs::create_dir(&folder).expect("must be made");
    for name in ["etcd", "kubectl"] {
        stand_in(&folder.join(name), "exit 9");
    }
    stand_in(&folder.join("kube-apiserver"), &apiserver("exit 9"));
    folder
}

/// What `tokenlab demo` says with nothing but this folder to take programs from.
async fn refusal(home: &Home, folder: &Utf8PathBuf) -> String {
    let mut demo = home.tokenlab(&["demo"]).await;
    for program in Program::ALL {
        demo.env_remove(program.variable());
    }
    let output = ended(demo.env("KUBEBUILDER_ASSETS", folder)).await;
    assert_eq!(output.status.code(), Some(1), "{output}");
    output.stderr
}

#[tokio::test]
async fn no_folder() {
    let home = Home::new().await;
    assert_text!(refusal(&home, &home.file("nowhere")).await, @"
    error: KUBEBUILDER_ASSETS: `[test folder]/nowhere` is not a folder

    hint: set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl, or unset it to have them found or fetched
    ");
}

#[tokio::test]
async fn an_incomplete_folder() {
    let home = Home::new().await;
    let folder = folder(&home);
    std::fs::remove_file(folder.join("etcd")).expect("must be removed");
    std::fs::write(folder.join("kubectl"), "").expect("must be written");
    std::fs::set_permissions(folder.join("kubectl"), Permissions::from_mode(0o644))
        .expect("must be set");
    assert_text!(refusal(&home, &folder).await, @"
    error: KUBEBUILDER_ASSETS: in `[test folder]/programs` etcd is not there, kubectl is not executable

    hint: set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl, or unset it to have them found or fetched
    ");
}

#[tokio::test]
async fn a_text_instead_of_kube_apiserver() {
    let home = Home::new().await;
    let folder = folder(&home);
    std::fs::write(folder.join("kube-apiserver"), "<html>404</html>\n").expect("must be written");
    assert_text!(refusal(&home, &folder).await, @"
    error: KUBEBUILDER_ASSETS: the version of kube-apiserver is unknown: `[test folder]/programs/kube-apiserver --version` did not start: Exec format error (os error 8)

    hint: set KUBEBUILDER_ASSETS to programs that run on this machine, or unset it to have them found or fetched
    ");
}

#[tokio::test]
async fn half_a_kube_apiserver() {
    let home = Home::new().await;
    let folder = folder(&home);
    let whole = std::fs::read(&real().await.etcd).expect("must be readable");
    std::fs::write(folder.join("kube-apiserver"), &whole[..4096]).expect("must be written");
    let text = refusal(&home, &folder).await;
    // Whether the kernel refuses it or kills it depends on where it was cut.
    assert!(
        text.starts_with("error: KUBEBUILDER_ASSETS: the version of kube-apiserver is unknown: "),
        "{text}"
    );
    assert!(
        text.contains("hint: set KUBEBUILDER_ASSETS to programs that run on this machine"),
        "{text}"
    );
}

#[tokio::test]
async fn a_text_instead_of_etcd() {
    let home = Home::new().await;
    let folder = folder(&home);
    std::fs::write(folder.join("etcd"), "<html>404</html>\n").expect("must be written");
    let text = refusal(&home, &folder).await;
    home.only_evidence_left(&text).await;
    // A shell reads it as a script; how it complains is the shell's own.
    let error = "error: etcd ended early: exit status: ";
    assert!(text.contains(error), "{text}");
}
