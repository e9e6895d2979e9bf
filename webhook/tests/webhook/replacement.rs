use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use nix::sys::signal::Signal;
use reqwest::Client;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::attacks::raw::{self, HTTP1};
use crate::material::Material;
use crate::peer::{TUTORIAL, client, soon, url};
use crate::program::Program;

/// What stands before the programs as a Service does: a new connection goes to one of those that
/// are ready, and one that stands stays where it is.
struct Balancer {
    address: SocketAddr,
    ready: Arc<tokio::sync::Mutex<SocketAddr>>,
}

impl Balancer {
    async fn before(program: &Program) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let ready = Arc::new(tokio::sync::Mutex::new(program.address));
        let target = Arc::clone(&ready);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let target = target.lock().await;
                let server = TcpStream::connect(*target).await;
                drop(target);
                tokio::spawn(async move {
                    // What cannot be connected is lost, and its client says so.
                    if let Ok(mut server) = server {
                        copy_bidirectional(&mut client, &mut server).await.ok();
                    }
                });
            }
        });
        Self { address, ready }
    }

    /// Once this has ended no connection to another program is begun any more, or under way.
    async fn turn_to(&self, program: &Program) {
        *self.ready.lock().await = program.address;
    }
}

/// Clients that ask again and again, until this is dropped.
#[derive(Clone, Default)]
struct Load {
    answered: Arc<AtomicUsize>,
    lost: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
}

impl Load {
    async fn ask(self, client: Client, url: String) {
        while !self.ended.load(Relaxed) {
            let answer = client.post(&url).body(TUTORIAL).send().await;
            match answer.and_then(reqwest::Response::error_for_status) {
                Ok(answer) => {
                    let read = answer.bytes().await;
                    read.map(|_| self.answered.fetch_add(1, Relaxed))
                        .map_err(|error| self.lose(&error))
                        .ok();
                }
                Err(error) => self.lose(&error),
            }
        }
    }

    fn lose(&self, error: &reqwest::Error) {
        let mut lost = self.lost.lock().expect("no panic");
        lost.push(format!("{error:?}"));
    }

    /// Waits until so many more have been answered.
    async fn goes_on(&self, more: usize) {
        let enough = self.answered.load(Relaxed) + more;
        soon(async {
            while self.answered.load(Relaxed) < enough {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// Three times, as by a Deployment: the new one is ready, the Service turns to it, the old one is
/// told to end. A client sends again only what is known not to have been read, as Go's does: what
/// was sent on a connection after its last stream, by `GOAWAY`.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_replacement_loses_no_review() {
    let material = Material::new();
    let start = async || Program::serve(&material.args(), "warn").await;
    let mut old = start().await;
    let connector = raw::connector(&material.authority, HTTP1);
    let balancer = Balancer::before(&old).await;
    let url = url("/authenticate", balancer.address, true);
    let load = Load::default();
    let mut asking = Vec::new();
    for http1_only in [false, false, true, true] {
        let client = client(balancer.address, Some(&material.authority));
        let client = if http1_only {
            client.http1_only()
        } else {
            client
        };
        let client = client.build().expect("a client");
        // At a time: streams of one connection, or as many connections.
        let asks = (0..8).map(|_| load.clone().ask(client.clone(), url.clone()));
        asking.extend(asks.map(tokio::spawn));
    }
    for _ in 0..3 {
        load.goes_on(500).await;
        // One that is under way meanwhile.
        let mut slow = raw::connect_to(old.address, &connector).await;
        let post = raw::post();
        let (most, end) = post.split_at(post.len() - 1);
        slow.write_all(most.as_bytes()).await.expect("sent");
        slow.flush().await.expect("sent");
        let new = start().await;
        balancer.turn_to(&new).await;
        old.signal(Signal::SIGTERM);
        soon(async {
            while TcpStream::connect(old.address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        slow.write_all(end.as_bytes()).await.expect("sent");
        assert!(raw::answer(&mut slow).await.contains("200 OK"));
        let (status, stderr) = old.end().await;
        assert_eq!(status.code(), Some(0), "{stderr}");
        assert!(!stderr.contains("dropping"), "{stderr}");
        old = new;
    }
    load.goes_on(500).await;
    load.ended.store(true, Relaxed);
    for asking in asking {
        soon(asking).await.expect("no panic");
    }
    let lost = load.lost.lock().expect("no panic");
    let answered = load.answered.load(Relaxed);
    assert!(
        lost.is_empty(),
        "{} of {answered}: {:#?}",
        lost.len(),
        lost.first()
    );
}
