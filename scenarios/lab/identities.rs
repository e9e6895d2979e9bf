//! Who one is to the apiserver, whatever one shows it.

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use tokenlab_harness::{Act, Identity, Kubeconfig, Play, SharedLab, client};
use tokenlab_webhook::{Decision, Token, User};

use crate::lab::evidence::{Asked, who_am_i};

/// What the webhook says of somebody whom it knows, and who may do nothing.
pub(crate) fn ann() -> Decision {
    Decision::authenticated(User::new("ann"))
}

/// What it says of her token that is revoked when it has been shown once.
pub(crate) fn revoked() -> Play {
    Act::from(ann()).then(Decision::Refused)
}

/// A header of a request.
pub(crate) type Header = (HeaderName, String);

/// The header that shows a token.
pub(crate) fn bearer(token: &Token) -> Header {
    (AUTHORIZATION, format!("Bearer {}", token.expose()))
}

/// Who shows nothing beside what a test has them show.
pub(crate) fn nobody(lab: &SharedLab) -> Kubeconfig {
    lab.control_plane().user("nobody", Identity::Anonymous)
}

/// Asks the apiserver who shows this identity and these headers, and looks what becomes of the token.
pub(crate) async fn whoami(
    lab: &SharedLab,
    identity: &Kubeconfig,
    headers: &[Header],
    token: &Token,
) -> Asked {
    let mut request = who_am_i();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).expect("must be a header's value");
        request.headers_mut().append(name, value);
    }
    let client = client(identity).await.expect("must be made");
    Asked::through(client, lab, lab.scripted(), token, request).await
}
