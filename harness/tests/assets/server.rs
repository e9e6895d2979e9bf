//! A server of an envtest index and its archives, which misbehaves as told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt as _, stream};
use sha2::{Digest as _, Sha512};
use tokio::sync::watch;
use url::Url;

/// What the server does with one request for an archive.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// The archive, or the part that was asked for.
    Good,
    /// The whole archive, whatever was asked for.
    Whole,
    /// The whole archive, said to be a part of it.
    WholeAsPart,
    /// As `Good`, once the index was asked for so often.
    AfterIndex(usize),
    /// A status without an archive.
    Status(u16),
    /// So many bytes, then the connection ends.
    Cut(usize),
    /// So many bytes, then nothing more.
    Stall(usize),
}

/// What the server is like, and what it saw.
struct Inner {
    index: Mutex<String>,
    index_answers: Mutex<VecDeque<u16>>,
    index_requests: watch::Sender<usize>,
    archive: Bytes,
    answers: Mutex<VecDeque<Answer>>,
    ranges: Mutex<Vec<Option<String>>>,
}

#[derive(Clone)]
pub(crate) struct Server {
    inner: Arc<Inner>,
    pub(crate) address: Url,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("must not be poisoned")
}

impl Server {
    /// Serves 1.37.9 for this machine.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::with_archive(archive(&["etcd", "kubectl", "kube-apiserver"]), answers).await
    }

    pub(crate) async fn with_archive(
        archive: Vec<u8>,
        answers: impl IntoIterator<Item = Answer>,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("must find a port");
        let address = format!("http://{}/", listener.local_addr().expect("must be bound"));
        let inner = Arc::new(Inner {
            index: Mutex::new(index(
                "1.37.9",
                platform(),
                &digest(&archive),
                "archives/a.tar.gz",
            )),
            index_answers: Mutex::default(),
            index_requests: watch::Sender::new(0),
            archive: archive.into(),
            answers: Mutex::new(answers.into_iter().collect()),
            ranges: Mutex::default(),
        });
        let router = Router::new()
            .route("/index.yaml", get(serve_index))
            .route("/archives/{name}", get(serve_archive))
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            inner,
            address: Url::parse(&address).expect("must be an address"),
        }
    }

    pub(crate) fn index(&self) -> Url {
        self.address.join("index.yaml").expect("must be an address")
    }

    pub(crate) fn set_index(&self, text: impl Into<String>) {
        *lock(&self.inner.index) = text.into();
    }

    /// The statuses of the next answers to a request for the index; after those, 200.
    pub(crate) fn index_answers(&self, answers: &[u16]) {
        lock(&self.inner.index_answers).extend(answers);
    }

    pub(crate) fn hash(&self) -> String {
        digest(&self.inner.archive)
    }

    pub(crate) fn index_requests(&self) -> usize {
        *self.inner.index_requests.borrow()
    }

    /// The `Range` of each request for an archive.
    pub(crate) fn ranges(&self) -> Vec<Option<String>> {
        lock(&self.inner.ranges).clone()
    }
}

async fn serve_index(State(inner): State<Arc<Inner>>) -> (StatusCode, String) {
    inner.index_requests.send_modify(|count| *count += 1);
    let status = lock(&inner.index_answers).pop_front().unwrap_or(200);
    (
        StatusCode::from_u16(status).expect("must be a status"),
        lock(&inner.index).clone(),
    )
}

async fn serve_archive(
    State(inner): State<Arc<Inner>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    assert_eq!(name, "a.tar.gz", "only this one is in the index");
    let range = headers
        .get(header::RANGE)
        .map(|range| range.to_str().expect("must be ASCII").to_owned());
    lock(&inner.ranges).push(range.clone());
    let answer = lock(&inner.answers).pop_front().unwrap_or(Answer::Good);

    if let Answer::AfterIndex(count) = answer {
        let mut requests = inner.index_requests.subscribe();
        requests
            .wait_for(|seen| *seen >= count)
            .await
            .expect("the server must be there");
    }
    if let Answer::Status(status) = answer {
        return Response::builder()
            .status(status)
            .body(Body::empty())
            .expect("must be an answer");
    }
    let from = match (&range, answer) {
        (Some(range), Answer::Good | Answer::Cut(_) | Answer::Stall(_)) => {
            let from = range
                .strip_prefix("bytes=")
                .and_then(|range| range.strip_suffix('-'));
            from.and_then(|from| from.parse().ok())
                .expect("must be an open range")
        }
        _ => 0,
    };
    let total = inner.archive.len();
    if from >= total {
        return Response::builder()
            .status(416)
            .body(Body::empty())
            .expect("must be an answer");
    }
    let rest = inner.archive.slice(from..);
    let mut response = Response::builder().header(header::CONTENT_LENGTH, rest.len());
    if from > 0 || matches!(answer, Answer::WholeAsPart) {
        let range = format!("bytes {from}-{}/{total}", total - 1);
        response = response.status(206).header(header::CONTENT_RANGE, range);
    }
    let sent = match answer {
        Answer::Cut(bytes) | Answer::Stall(bytes) => rest.slice(..bytes),
        _ => rest,
    };
    let end = stream::once(async move {
        // Once pending, what was sent so far is flushed.
        tokio::task::yield_now().await;
        match answer {
            Answer::Cut(_) => Err(std::io::Error::other("cut")),
            Answer::Stall(_) => std::future::pending().await,
            _ => Ok(Bytes::new()),
        }
    });
    let body = Body::from_stream(stream::iter([Ok(sent)]).chain(end));
    response.body(body).expect("must be an answer")
}

/// An index with one archive.
pub(crate) fn index(
    version: &str,
    platform: impl std::fmt::Display,
    hash: &str,
    link: &str,
) -> String {
    format!(
        "releases:\n  v{version}:\n    envtest-v{version}-{platform}.tar.gz:\n      hash: {hash}\n      selfLink: {link}\n"
    )
}

pub(crate) fn platform() -> tokenlab_harness::assets::Platform {
    tokenlab_harness::assets::Platform::this()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha512::digest(bytes)
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// An archive with these programs of 1.37.9 in the real layout, and with entries that nobody may take.
pub(crate) fn archive(programs: &[&str]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::none()));
    let mut add = |path: &str, kind: tar::EntryType, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        // Not by `set_path`, which refuses what a malicious archive has.
        let name = &mut header.as_gnu_mut().expect("must be a GNU header").name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        if kind == tar::EntryType::Symlink {
            header.set_link_name("/etc/passwd").expect("must be a link");
        }
        header.set_cksum();
        archive
            .append(&header, content)
            .expect("must take the entry");
    };
    add("controller-tools/envtest/", tar::EntryType::Directory, b"");
    add("../../../escaped", tar::EntryType::Regular, b"outside");
    add(
        "controller-tools/envtest/../../../../etcd",
        tar::EntryType::Regular,
        b"outside",
    );
    add(
        "controller-tools/envtest/etcd",
        tar::EntryType::Symlink,
        b"",
    );
    add(
        "controller-tools/envtest/README",
        tar::EntryType::Regular,
        b"nobody asked for this",
    );
    for program in programs {
        let script = format!(
            "#!/bin/sh\necho Kubernetes v1.37.9\nexit\n# {program}\n{}",
            "padding\n".repeat(4000)
        );
        add(
            &format!("controller-tools/envtest/{program}"),
            tar::EntryType::Regular,
            script.as_bytes(),
        );
    }
    let archive = archive.into_inner().expect("must be whole");
    archive.finish().expect("must be compressed")
}
