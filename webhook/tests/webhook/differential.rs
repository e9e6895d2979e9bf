//! The Go peer in `tests/peers/decoders` reads the same bodies: Kubernetes' own decoder, and
//! controller-runtime's handler.

mod generated;
mod table;

use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokenlab_webhook::review::{DecodeError, decode};
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
    /// Go takes any number of audiences, 64 are enough here.
    Audiences,
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

    /// Whether this is why one of the two reads it and the other does not: by what we say of it,
    /// and by what was made of it where it was read.
    fn explains(self, ours: &Ours, theirs: Option<&Understood>) -> bool {
        let (error, theirs) = match (ours, theirs) {
            (Err(error), Some(theirs)) => (error, theirs),
            (Ok(_), None) => return matches!(self, Self::Ignored | Self::Case),
            _ => return false,
        };
        match self {
            Self::Utf8 => *error == DecodeError::Utf8,
            Self::Surrogate => {
                let mut texts = theirs.audiences.iter().chain([&theirs.token]);
                matches!(error, DecodeError::Syntax { .. })
                    && texts.any(|text| text.contains('\u{fffd}'))
            }
            Self::Twice => matches!(error, DecodeError::Shape { .. }),
            Self::NullInList => {
                matches!(error, DecodeError::Shape { .. })
                    && theirs.audiences.iter().any(String::is_empty)
            }
            Self::Nesting => *error == DecodeError::Nesting,
            Self::Audiences => *error == DecodeError::Audiences,
            Self::Case | Self::AnyKind => matches!(
                error,
                DecodeError::Kind { .. } | DecodeError::ApiVersion { .. }
            ),
            Self::Yaml => matches!(error, DecodeError::Syntax { .. }),
            Self::Ignored => false,
        }
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

type Ours = Result<Understood, DecodeError>;

fn ours(body: &[u8]) -> Ours {
    let review = decode(body)?;
    Ok(Understood {
        api_version: review.api_version.to_string(),
        token: review.token.expose().to_owned(),
        audiences: review.audiences,
    })
}

/// Asks the peer about all of them at once. Without Go, or without its modules, the test is skipped.
async fn ask(test: &str, bodies: impl Iterator<Item = &[u8]>) -> Option<Vec<Peer>> {
    static BUILT: OnceCell<bool> = OnceCell::const_new();
    if !has("go") {
        skip(test, "there is no Go to build the peer with");
        return None;
    }
    if !*BUILT.get_or_init(build).await {
        skip(test, "the peer's modules cannot be fetched");
        return None;
    }
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

/// Minutes the first time. False where its modules are not here, and cannot be had.
async fn build() -> bool {
    let go = async |args: &[&str]| {
        let mut go = Command::new("go");
        go.args(args).current_dir(SOURCE).stdin(Stdio::null());
        go.status().await.expect("go must run").success()
    };
    let built = go(&["build", "-trimpath", "-o", PROGRAM, "."]).await;
    assert!(
        built || !go(&["mod", "download"]).await,
        "the peer must be built"
    );
    built
}
