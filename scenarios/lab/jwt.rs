//! JSON web tokens of our own: ES256 (RFC 7515, RFC 7518 section 3.4).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokenlab_webhook::Token;
use tokenlab_webhook::pki::signing_key_pem;

/// What tokens are signed with.
#[derive(Debug)]
pub(crate) struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    /// A fresh one.
    pub(crate) fn draw() -> Self {
        Self::from_pem(&signing_key_pem().expect("must be made"))
    }

    /// One of a PKCS#8 PEM block, such as that of a control plane for its service accounts.
    pub(crate) fn from_pem(pem: &str) -> Self {
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(base64).expect("must be PEM");
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &der, &SystemRandom::new());
        Self(pair.expect("must be a key of P-256"))
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> Token {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": "ES256" })), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.expect("must sign"));
        Token::from(format!("{signed}.{signature}"))
    }

    /// Its public half as a JSON web key (RFC 7517).
    pub(crate) fn public(&self) -> Value {
        // An uncompressed point: the octet 4, then both coordinates.
        let point = &self.0.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "x": x, "y": y })
    }
}

/// What a token claims.
pub(crate) fn claims(token: &Token) -> Value {
    let claims = token.expose().split('.').nth(1).expect("must be a JWT");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("must be base64");
    serde_json::from_slice(&claims).expect("must be JSON")
}

/// An hour from now, in seconds after 1970.
pub(crate) fn in_an_hour() -> u64 {
    now() + 3600
}

/// An hour before now, in seconds after 1970.
pub(crate) fn an_hour_ago() -> u64 {
    now() - 3600
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or(Duration::ZERO).as_secs()
}
