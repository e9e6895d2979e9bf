//! The Go peer where the lab does not start it.

use std::net::SocketAddr;
use std::process::Stdio;

use camino::Utf8Path;
use tokenlab_harness::Port;
use tokenlab_webhook::pki::CertificateAuthority;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The peer, which serves nobody without a certificate of its own authority. Dropped, it is killed.
pub(crate) struct Serving {
    _process: Child,
    pub(crate) address: SocketAddr,
    _port: Port,
}

impl Serving {
    /// Writes its files, `ca.crt` among them, into the folder, and waits until it serves.
    pub(crate) async fn start(
        program: &Utf8Path,
        folder: &Utf8Path,
        authority: &CertificateAuthority,
    ) -> Self {
        let serving = authority.serving(&["127.0.0.1"]).expect("must be made");
        for (name, text) in [
            ("tls.crt", serving.certificate_pem()),
            ("tls.key", serving.key_pem()),
            ("ca.crt", authority.certificate_pem()),
        ] {
            std::fs::write(folder.join(name), text).expect("must be written");
        }
        let port = Port::reserve_for_another().expect("must be reserved");
        let number = port.number();
        let file = |flag, name| format!("--{flag}={folder}/{name}");
        let mut command = Command::new(program);
        command
            .args(["--host=127.0.0.1", &format!("--port={number}")])
            .args([file("cert", "tls.crt"), file("key", "tls.key")])
            .arg(file("client-ca", "ca.crt"))
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().expect("must start");
        let stderr = process.stderr.take().expect("must be a pipe");
        let mut lines = BufReader::new(stderr).lines();
        let serving = async {
            while let Some(line) = lines.next_line().await.expect("must be read") {
                if line.contains("Serving webhook server") {
                    return;
                }
            }
            panic!("the peer must serve");
        };
        serving.await;
        // Nobody waits for what else it says, and it must not be held up by that.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            _process: process,
            address: SocketAddr::from(([127, 0, 0, 1], number)),
            _port: port,
        }
    }
}
