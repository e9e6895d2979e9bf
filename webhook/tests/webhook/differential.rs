//! The Go peer in `tests/peers/decoders` reads the same bodies: Kubernetes' own decoder, and
//! controller-runtime's handler.

mod generated;
mod table;

use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokenlab_webhook::review::decode;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::skipped::{has, skip};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/decoders");
const PROGRAM: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/decoders-peer");

/// Why a body is not read as Go reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// JSON is UTF-8; Go puts U+FFFD in the place of what is not, and so reads a token that nobody
    /// presented.
    Utf8,
    /// The same for half of a surrogate pair in an escape.
    Surrogate,
    /// Go takes the last of two fields of one name, others the first: refused.
    Twice,
    /// Go reads `kind` and `apiVersion` in any case, its last one counts; the rest of a review
    /// in exact case only.
    Case,
    /// Go reads `null` in a list as an empty text: an audience that is none. Refused.
    NullInList,
    /// Go goes 10,000 levels deep, 128 are enough here.
    Nesting,
    /// Go knows what `metadata` and `status` must look like; here nobody reads them.
    Ignored,
    /// controller-runtime takes every kind and version, and none.
    AnyKind,
    /// controller-runtime takes YAML, and with it a byte order mark.
    Yaml,
}

impl Why {
    /// Whether it is between us and Kubernetes, too.
    fn is_kubernetes(self) -> bool {
        !matches!(self, Self::AnyKind | Self::Yaml)
    }
}

/// A review as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Understood {
    api_version: String,
    token: String,
    audiences: Vec<String>,
}

/// What the peer says of a body.
#[derive(Debug, Deserialize)]
struct Peer {
    apimachinery: Answer,
    controller_runtime: Answer,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    api_version: String,
    token: String,
    audiences: Vec<String>,
    error: String,
}

impl Answer {
    fn understood(&self) -> Option<Understood> {
        self.error.is_empty().then(|| Understood {
            api_version: self.api_version.clone(),
            token: self.token.clone(),
            audiences: self.audiences.clone(),
        })
    }
}

fn ours(body: &[u8]) -> Option<Understood> {
    let review = decode(body).ok()?;
    Some(Understood {
        api_version: review.api_version.to_string(),
        token: review.token.expose().to_owned(),
        audiences: review.audiences,
    })
}

/// Asks the peer about all of them at once. Without Go the test is skipped.
async fn ask(test: &str, bodies: impl Iterator<Item = &[u8]>) -> Option<Vec<Peer>> {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    if !has("go") {
        skip(test, "there is no Go to build the peer with");
        return None;
    }
    BUILT.get_or_init(build).await;
    let bodies: Vec<_> = bodies.map(|body| STANDARD.encode(body)).collect();
    let question = serde_json::to_vec(&bodies).expect("JSON");
    let mut peer = Command::new(PROGRAM)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // controller-runtime complains that it has no logger.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the peer must run");
    let mut stdin = peer.stdin.take().expect("a pipe");
    stdin.write_all(&question).await.expect("it must be read");
    drop(stdin);
    let output = peer.wait_with_output().await.expect("an end");
    assert!(output.status.success(), "{}", output.status);
    let answers: Vec<_> = serde_json::from_slice(&output.stdout).expect("answers");
    assert_eq!(answers.len(), bodies.len());
    Some(answers)
}

/// Minutes the first time.
async fn build() {
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-o", PROGRAM, "."])
        .current_dir(SOURCE)
        .stdin(Stdio::null());
    let status = go.status().await.expect("go must run");
    assert!(status.success(), "the peer must be built");
}
