//! An OIDC issuer of our own: what kube-apiserver asks one for, over TLS.

use std::net::Ipv4Addr;

use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokenlab_harness::Port;
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Server, Tls, Token};
use tokio::net::TcpListener;

use crate::lab::jwt::{SigningKey, in_an_hour};

/// For whom its tokens are.
pub(crate) const AUDIENCE: &str = "tokenlab";

/// Who signs tokens, and may say by which keys they are known.
#[derive(Debug)]
pub(crate) struct Issuer {
    url: String,
    authority: CertificateAuthority,
    key: SigningKey,
    /// Held, so that nobody else listens there.
    port: Port,
}

impl Issuer {
    /// One that serves as long as the process lives.
    pub(crate) fn serving() -> Self {
        let issuer = Self::away();
        let certificate = issuer.authority.serving(&["127.0.0.1"]);
        let tls = Tls::from_certificate(&certificate.expect("must be made"));
        let tls = tls.expect("must be usable");
        let router = router(&issuer.url, &issuer.key);
        let address = (Ipv4Addr::LOCALHOST, issuer.port.number());
        // A thread of its own: the runtime of the test that starts it ends with that test.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("must be made");
            runtime.block_on(async {
                let listener = TcpListener::bind(address).await.expect("must listen");
                let server = Server::from_listener(listener, Some(tls)).expect("must serve");
                server.serve(router, std::future::pending()).await;
            });
        });
        issuer
    }

    /// One that nobody answers for: who connects is refused.
    pub(crate) fn away() -> Self {
        let port = Port::reserve_for_another().expect("must be taken");
        Self {
            url: format!("https://127.0.0.1:{}", port.number()),
            authority: CertificateAuthority::new("oidc-issuer").expect("must be made"),
            key: SigningKey::draw(),
            port,
        }
    }

    /// The entry of an `AuthenticationConfiguration` that trusts it
    /// (`apiserver/pkg/apis/apiserver/v1/types.go`, `JWTAuthenticator`, v0.37.2).
    pub(crate) fn trusted(&self) -> Value {
        json!({
            "issuer": {
                "url": self.url,
                "certificateAuthority": self.authority.certificate_pem(),
                "audiences": [AUDIENCE],
            },
            "claimMappings": {
                "username": { "claim": "sub", "prefix": "oidc:" },
                "groups": { "claim": "groups", "prefix": "oidc:" },
            },
        })
    }

    /// What a token of `subject` claims.
    pub(crate) fn claims(&self, subject: &str) -> Value {
        json!({ "iss": self.url, "sub": subject, "aud": AUDIENCE, "exp": in_an_hour() })
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> Token {
        self.key.sign(claims)
    }
}

fn router(url: &str, key: &SigningKey) -> Router {
    let answer = |value: Value| ([(CONTENT_TYPE, "application/json")], value.to_string());
    let keys = answer(json!({ "keys": [key.public()] }));
    let configuration = answer(json!({
        "issuer": url,
        "jwks_uri": format!("{url}/keys"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }));
    Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(async || configuration),
        )
        .route("/keys", get(async || keys))
}
