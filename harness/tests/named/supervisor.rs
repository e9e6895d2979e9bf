//! The supervisor itself: what it holds, whom it hears, when it says that the lab is ready.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;
use tokenlab_harness::named::Status;
use tokenlab_webhook::pki::CertificateAuthority;
use tokio::io::AsyncReadExt as _;

use crate::home::{Home, SOON};
use crate::owner::{Running, ended};
use crate::programs::{apiserver, real, stand_in};
use crate::support::{done, entries, nothing_left, signal, tokenlab, up};

/// A lock of a script's would be held, and a pipe's reader wait, for as long as the lab is there.
#[tokio::test]
async fn nothing_that_it_inherited_stays_open() {
    let home = Home::new().await;
    let lock = home.file("lock");
    let program = home.tokenlab(&[]).await;
    let mut script = home.command("sh").await;
    script
        .args(["-c", "exec 9>\"$0\"; exec \"$@\"", lock.as_str()])
        .arg(program.as_std().get_program())
        .args(["up", "--json"])
        .env("DOCKER_HOST", "unix:///nowhere");
    let up = ended(&mut script).await;
    assert!(up.status.success(), "{up}");
    let processes = home.processes();
    // Supervisor, guardian, etcd and kube-apiserver.
    assert!(processes.len() >= 4, "{processes:?}");
    for process in processes {
        let open = std::fs::read_dir(format!("/proc/{}/fd", process.pid)).expect("must be read");
        for descriptor in open {
            let descriptor = descriptor.expect("must be read").path();
            let leads_to = std::fs::read_link(&descriptor).unwrap_or_default();
            assert_ne!(leads_to, lock.as_std_path(), "{process:?}");
        }
    }
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

fn connected(lab: &Status) -> UnixStream {
    UnixStream::connect(lab.folder.join("supervisor.sock")).expect("must be heard")
}

#[tokio::test]
async fn who_says_nothing_or_too_much_is_left_alone() {
    let home = Home::new().await;
    let lab = up(&home, "default").await;
    let silent = connected(&lab);
    let memory = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", lab.pid));
        let status = status.expect("must be read");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        let kilobytes = kilobytes.and_then(|number| number.parse().ok());
        kilobytes.expect("must be there")
    };
    let before = memory();
    let mut endless = connected(&lab);
    // It may be hung up on before its end.
    let _ = endless.write_all(&vec![b'x'; 100 << 20]);
    assert!(
        memory() < before + (50 << 10),
        "what was said must not be kept"
    );
    drop(endless);
    done(&home, &["status"]).await;
    // It is hung up on.
    silent.set_nonblocking(true).expect("must be set");
    let mut silent = tokio::net::UnixStream::from_std(silent).expect("must be taken");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(SOON.within, silent.read_to_end(&mut answer)).await;
    assert_eq!(read.expect("must end soon").expect("must be read"), 0);
    done(&home, &["down"]).await;
    nothing_left(&home).await;
}

#[tokio::test]
async fn who_asks_for_the_end_need_not_wait_for_it() {
    let home = Home::new().await;
    let lab = up(&home, "default").await;
    let request = format!(
        "{{\"tokenlab\":\"{}\",\"request\":\"stop\"}}\n",
        env!("CARGO_PKG_VERSION")
    );
    // It reads that when whoever said it is gone.
    signal(lab.pid, Signal::SIGSTOP);
    let mut client = connected(&lab);
    client.write_all(request.as_bytes()).expect("must be taken");
    drop(client);
    signal(lab.pid, Signal::SIGCONT);
    nothing_left(&home).await;
}

#[tokio::test]
async fn a_lab_that_cannot_keep_a_log_is_not_ready() {
    let home = Home::new().await;
    let script = format!(
        "mkdir supervisor.log; exec '{}' \"$@\"",
        real().await.kube_apiserver
    );
    let program = stand_in(&home.file("kube-apiserver"), &apiserver(&script));
    let mut command = home.tokenlab(&["up"]).await;
    let failed = ended(command.env("TEST_ASSET_KUBE_APISERVER", program)).await;
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    assert!(!failed.stdout.contains("is ready"), "{failed}");
    assert_eq!(entries(&home), [""; 0]);
    nothing_left(&home).await;
}

#[tokio::test]
async fn a_webhook_that_takes_its_time_holds_up_nothing_else() {
    let home = Home::new().await;
    let webhook = TcpListener::bind("127.0.0.1:0").expect("must listen");
    let port = webhook.local_addr().expect("must be bound").port();
    let authority = CertificateAuthority::new("webhook").expect("must be made");
    let ca = home.file("ca.crt");
    std::fs::write(&ca, authority.certificate_pem()).expect("must be written");
    let url = format!("https://127.0.0.1:{port}/authenticate");
    let elsewhere = ["--webhook-url", &url, "--ca", ca.as_str(), "--no-probe"];
    done(&home, &[&["up"], &elsewhere[..]].concat()).await;

    let review = Running::start(home.tokenlab(&["review", "any"]).await);
    let asked = tokio::task::spawn_blocking(move || webhook.accept());
    let asked = asked.await.expect("must end").expect("must be asked");
    // It succeeds when each part is as it should be.
    let status = done(&home, &["status"]).await;
    assert!(status.contains("kube-apiserver  running"), "{status}");
    done(
        &home,
        &["kubectl", "--as-token", "any", "version", "--client"],
    )
    .await;
    drop(asked);
    let review = review.ended().await;
    assert_eq!(review.status.code(), Some(1), "{review}");
    let down = tokenlab(&home, &["down"]).await;
    assert!(down.status.success(), "{down}");
    nothing_left(&home).await;
}
