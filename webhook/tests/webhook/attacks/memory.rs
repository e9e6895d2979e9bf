use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::raw::{self, END_HEADERS, HTTP1, HTTP2};
use crate::material::Material;
use crate::peer::{TUTORIAL, client, soon, url};
use crate::program::Program;

/// How many clients do each of it at a time.
const EACH: usize = 3;

/// What one client sends of it: were all of it kept, each sort of attack would be over [`MOST`].
const OCTETS: usize = 16 * 1024 * 1024;

/// What the program may take: 16 MiB that bodies share, in buffers that may be twice as large; 20 at
/// rest, and 12 for up to a hundred connections.
const MOST: usize = 64 * 1024 * 1024;

/// After so long without a way to send more, the server has stopped to read.
const STALLED: Duration = Duration::from_secs(2);

/// First, then again and again.
type Attack = (&'static [u8], Vec<u8>, Vec<u8>);

fn attacks() -> Vec<Attack> {
    let http2 = |first: &[u8]| [raw::PREFACE, first].concat();
    let head = "POST /authenticate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let no_window = raw::frame(raw::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let streams = (0..250).map(|n| raw::frame(raw::HEADERS, END_HEADERS, 2 * n + 1, &raw::head()));
    let streams = streams.collect::<Vec<_>>().concat();
    let reviews: Vec<u8> = (0..1000).flat_map(|n| raw::review(2 * n + 1)).collect();
    vec![
        // A head, and a body, without end.
        (HTTP1, format!("{head}x: ").into(), vec![b'x'; 16 * 1024]),
        (
            HTTP1,
            format!("{head}transfer-encoding: chunked\r\n\r\n").into(),
            chunk.into(),
        ),
        // Requests whose answers nobody takes.
        (HTTP1, Vec::new(), raw::post().into()),
        (HTTP2, http2(&no_window), reviews),
        // Frames to be answered, whose answers nobody takes.
        (HTTP2, http2(&[]), raw::frame(raw::PING, 0, 0, &[0; 8])),
        (HTTP2, http2(&[]), raw::frame(raw::SETTINGS, 0, 0, &[])),
        // A head without end, and bodies that grow on each of a connection's streams.
        (
            HTTP2,
            http2(&raw::frame(raw::HEADERS, 0, 1, &raw::head())),
            raw::frame(raw::CONTINUATION, 0, 1, &raw::field("x", "y").repeat(1000)),
        ),
        (
            HTTP2,
            http2(&streams),
            (0..250)
                .flat_map(|n| raw::frame(raw::DATA, 0, 2 * n + 1, &[b' '; 64]))
                .collect(),
        ),
    ]
}

/// Sends until the other side takes no more of it.
async fn run(
    mut stream: TlsStream<TcpStream>,
    first: Vec<u8>,
    again: Vec<u8>,
) -> TlsStream<TcpStream> {
    // Small ones together, so that the sender is not what is slow.
    let again = again.repeat((16 * 1024_usize).div_ceil(again.len()));
    let again = std::iter::repeat_n(&again, OCTETS / again.len());
    for octets in std::iter::once(&first).chain(again) {
        match timeout(STALLED, stream.write_all(octets)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    // What stands still is attack enough.
    timeout(STALLED, stream.flush()).await.ok();
    stream
}

/// All of them at the same time; beside them reviews are answered.
#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded() {
    let material = Material::new();
    let program = Program::serve(&material.args(), "error").await;
    let attacks = attacks().into_iter().flat_map(|(alpn, first, again)| {
        let connector = raw::connector(&material.authority, alpn);
        let address = program.address;
        (0..EACH).map(move |_| {
            let (connector, first, again) = (connector.clone(), first.clone(), again.clone());
            tokio::spawn(async move {
                run(raw::connect_to(address, &connector).await, first, again).await
            })
        })
    });
    let attacks: Vec<_> = attacks.collect();
    let client = client(program.address, Some(&material.authority));
    let client = client.build().expect("a client");
    let url = url("/authenticate", program.address, true);
    for _ in 0..200 {
        let request = client.post(&url).body(TUTORIAL);
        let answer = soon(request.send()).await.expect("a response");
        assert!([200, 429].contains(&answer.status().as_u16()));
    }
    let _streams = futures::future::join_all(attacks).await;
    let (_, most) = program.memory();
    assert!(most < MOST, "{most} octets");
}

/// As long tokens that anybody sends to the apiserver become: 100 MiB of bodies, none of them
/// whole. 16 MiB are kept at a time, and the rest is refused.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_share_what_there_is() {
    let material = Material::new();
    // None ends by its time.
    let args = [&material.args()[..], &["--review-timeout=1h".to_owned()]].concat();
    let program = Program::serve(&args, "error").await;
    let connector = raw::connector(&material.authority, HTTP1);
    let head = "POST /authenticate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let body = " ".repeat(1024 * 1024 - 1);
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len() + 1);
    let request: Arc<[u8]> = request.into_bytes().into();
    let slow = (0..100).map(|_| {
        let (address, connector) = (program.address, connector.clone());
        let request = Arc::clone(&request);
        tokio::spawn(async move {
            let mut stream = raw::connect_to(address, &connector).await;
            // Those that are refused are not read to their end.
            stream.write_all(&request).await.ok();
            raw::rest(&mut stream).await
        })
    });
    let mut slow: FuturesUnordered<_> = slow.collect();
    for _ in 0..80 {
        let refused = soon(slow.next()).await.expect("more");
        let answer = String::from_utf8(refused.expect("no panic")).expect("UTF-8");
        // A reset may have been faster than the answer.
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 429"),
            "{answer}"
        );
    }
    let client = client(program.address, Some(&material.authority));
    let client = client.build().expect("a client");
    let url = url("/authenticate", program.address, true);
    let answer = client.post(&url).body(TUTORIAL).send().await;
    assert_eq!(answer.expect("a response").status(), 200, "short ones pass");
    let (_, most) = program.memory();
    assert!(most < MOST, "{most} octets");
    drop(slow);
}
