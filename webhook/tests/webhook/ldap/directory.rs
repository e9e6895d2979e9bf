//! A real OpenLDAP server, and a way to it that can be disturbed.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokenlab_webhook::pki::CertificateAuthority;
use tokio::io::{AsyncBufReadExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::peer::soon;

/// Debian's; it is in no user's path.
pub(super) const SLAPD: &str = "/usr/sbin/slapd";

/// What Debian's package brings along.
pub(super) const SCHEMA: &str = "/etc/ldap/schema";

const ENTRIES: &str = include_str!("directory.ldif");

/// OpenLDAP with [`ENTRIES`] and a certificate for `localhost`. Dropped, it is killed.
pub(super) struct Directory {
    child: Child,
    pub(super) ldap: SocketAddr,
    pub(super) ldaps: SocketAddr,
    // After the child: it works in there.
    pub(super) folder: TempDir,
}

impl Directory {
    pub(super) async fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let authority = CertificateAuthority::new("directory").expect("an authority");
        let certificate = authority.serving(&["localhost"]).expect("a certificate");
        let path = folder.path();
        fs::create_dir(path.join("data")).expect("a folder");
        for (name, content) in [
            ("ca.crt", authority.certificate_pem()),
            ("tls.crt", certificate.certificate_pem()),
            ("tls.key", certificate.key_pem()),
            ("slapd.conf", &configuration(path)),
            ("reader.password", "reader-password\n"),
        ] {
            fs::write(path.join(name), content).expect("written");
        }
        fs::write(path.join("directory.ldif"), ENTRIES).expect("written");
        let add = Command::new("/usr/sbin/slapadd")
            .args(["-q", "-f", "slapd.conf", "-l", "directory.ldif"])
            .current_dir(path)
            .output()
            .await
            .expect("a program");
        assert!(
            add.status.success(),
            "{}",
            String::from_utf8_lossy(&add.stderr)
        );
        let (ldap, ldaps) = (address(), address());
        let child = spawn(path, ldap, ldaps).await;
        Self {
            child,
            ldap,
            ldaps,
            folder,
        }
    }

    pub(super) async fn stop(&mut self) {
        self.child.kill().await.expect("it must be running");
    }

    pub(super) async fn restart(&mut self) {
        self.child = spawn(self.folder.path(), self.ldap, self.ldaps).await;
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Passwords are taken over TLS alone; no password is taken for anonymous, as old directories do.
/// Users see themselves and all groups but one.
fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "include {SCHEMA}/core.schema
include {SCHEMA}/cosine.schema
include {SCHEMA}/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile {folder}/ca.crt
TLSCertificateFile {folder}/tls.crt
TLSCertificateKeyFile {folder}/tls.key
security simple_bind=128
allow bind_anon_dn
sizelimit 10
database mdb
suffix dc=example,dc=org
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to dn.exact=\"uid=hidden,ou=people,dc=example,dc=org\" by * none
access to dn.subtree=\"ou=people,dc=example,dc=org\"
  by dn.exact=\"cn=reader,dc=example,dc=org\" read by self read by * none
access to dn.exact=\"cn=secret,ou=groups,dc=example,dc=org\"
  by dn.exact=\"cn=reader,dc=example,dc=org\" read by * none
access to dn.subtree=\"ou=groups,dc=example,dc=org\" by users read by * none
access to * by users search by * none
"
    )
}

async fn spawn(folder: &Path, ldap: SocketAddr, ldaps: SocketAddr) -> Child {
    let mut child = Command::new(SLAPD)
        // With `-d` it stays in the foreground.
        .args(["-d", "stats", "-f", "slapd.conf"])
        .args(["-h", &format!("ldap://{ldap} ldaps://{ldaps}")])
        .current_dir(folder)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a program");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let (sender, mut lines) = mpsc::unbounded_channel();
    // All the time, so that a full pipe never stops it.
    tokio::spawn(async move {
        while let Ok(Some(line)) = stderr.next_line().await {
            sender.send(line).ok();
        }
    });
    // It says that it starts before it listens.
    let mut clock = interval(Duration::from_millis(5));
    for address in [ldap, ldaps] {
        while soon(TcpStream::connect(address)).await.is_err() {
            if let Some(status) = child.try_wait().expect("a child") {
                let mut seen = String::new();
                while let Some(line) = soon(lines.recv()).await {
                    seen = format!("{seen}{line}\n");
                }
                panic!("it ended with {status}:\n{seen}");
            }
            clock.tick().await;
        }
    }
    child
}

/// An address that is nobody else's. slapd takes no port 0, but the loopback network is large:
/// each process of tests has a host of its own there.
fn address() -> SocketAddr {
    static PORTS: AtomicUsize = AtomicUsize::new(10_000);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let port = PORTS.fetch_add(1, Ordering::Relaxed);
    let host = Ipv4Addr::new(127, 64 | high, middle, low);
    (host, u16::try_from(port).expect("a port")).into()
}

/// A way to a directory: `localhost` and a port.
pub(super) struct Way {
    pub(super) port: u16,
    connections: Arc<AtomicUsize>,
    traffic: watch::Sender<Traffic>,
    task: JoinHandle<()>,
}

/// What becomes of connections. Each change but [`Traffic::Forgets`] cuts those that are open.
#[derive(Clone, Copy)]
pub(super) enum Traffic {
    Flows,
    /// They are taken, and nothing is said.
    Hangs,
    /// Nothing comes through those that are open, and nothing ends them; new ones flow.
    Forgets,
}

impl Way {
    pub(super) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let (traffic, state) = watch::channel(Traffic::Flows);
        let task = tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.expect("a connection");
                count.fetch_add(1, Ordering::Relaxed);
                let mut state = state.clone();
                let now = *state.borrow_and_update();
                tokio::spawn(async move {
                    let carry = async {
                        match now {
                            Traffic::Hangs => std::future::pending().await,
                            Traffic::Flows | Traffic::Forgets => {
                                if let Ok(mut far) = TcpStream::connect(target).await {
                                    copy_bidirectional(&mut near, &mut far).await.ok();
                                }
                            }
                        }
                    };
                    tokio::select! {
                        () = carry => return,
                        _ = state.changed() => {}
                    }
                    if matches!(*state.borrow(), Traffic::Forgets) {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self {
            port,
            connections,
            traffic,
            task,
        }
    }

    /// How many connections were made.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, traffic: Traffic) {
        self.traffic.send(traffic).expect("somebody must listen");
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
    }
}
