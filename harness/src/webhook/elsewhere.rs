//! A webhook that somebody else runs: where it is, and how it is known.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::DnsName;
use serde::{Deserialize, Serialize};
use url::Url;

use super::WebhookError;
use super::credentials::{self, CredentialError, Seen};
use super::post::{self, Answer};
use crate::kubeconfig::{Identity, Kubeconfig};

/// The URL that TokenReviews are posted to; `https`, without user, query and fragment.
///
/// client-go drops query and fragment of a kubeconfig's `server`
/// (`client-go/rest/client.go`, `NewRESTClient`, v0.37.2), and adds `?timeout=30s`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookUrl(Url);

/// What is wrong with a webhook's URL. A URL with a password is not shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookUrlError {
    /// It is none.
    #[error("it is not a URL, such as https://127.0.0.1:8443/authenticate")]
    NotUrl(#[source] url::ParseError),
    /// Another protocol.
    #[error("its scheme is `{0}`: kube-apiserver shall send tokens over `https` alone")]
    Scheme(String),
    /// A user, and perhaps a password.
    #[error("it has a user in it, which kube-apiserver does not send")]
    User,
    /// Something that kube-apiserver leaves out.
    #[error("it has a query or a fragment, which kube-apiserver leaves out")]
    Query,
}

impl FromStr for WebhookUrl {
    type Err = WebhookUrlError;

    fn from_str(text: &str) -> Result<Self, WebhookUrlError> {
        let url = Url::parse(text).map_err(WebhookUrlError::NotUrl)?;
        if url.scheme() != "https" {
            return Err(WebhookUrlError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(WebhookUrlError::User);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(WebhookUrlError::Query);
        }
        Ok(Self(url))
    }
}

/// A webhook that runs elsewhere, with all that kube-apiserver needs to trust it and to be trusted.
/// Nothing of it is started or ended; all PEM is checked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Elsewhere {
    url: WebhookUrl,
    certificate_authority: String,
    server_name: Option<String>,
    client: Option<Client>,
    probe: bool,
}

/// Whom the apiserver shows itself as; PEM.
#[derive(Clone, Serialize, Deserialize)]
struct Client {
    certificate: String,
    key: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(redacted)")
    }
}

/// It cannot be a name in a certificate.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a DNS name")]
pub struct ServerNameError(String);

impl Elsewhere {
    /// The webhook at this URL, its certificate of this authority (PEM, one or more).
    pub fn new(url: &WebhookUrl, certificate_authority: &str) -> Result<Self, CredentialError> {
        credentials::authorities(certificate_authority)?;
        Ok(Self {
            url: url.clone(),
            certificate_authority: certificate_authority.to_owned(),
            server_name: None,
            client: None,
            probe: true,
        })
    }

    /// The name that its certificate has, when it is not the URL's host: a DNS name.
    pub fn server_name(mut self, name: &str) -> Result<Self, ServerNameError> {
        DnsName::try_from(name).map_err(|_| ServerNameError(name.to_owned()))?;
        self.server_name = Some(name.to_owned());
        Ok(self)
    }

    /// The certificate that kube-apiserver shows it, with its key; PEM.
    pub fn client_certificate(
        mut self,
        certificate: &str,
        key: &str,
    ) -> Result<Self, CredentialError> {
        self.client = Some(Client {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        });
        let authorities = credentials::authorities(&self.certificate_authority)?;
        credentials::client(authorities, &self.identity(), &Seen::default())?;
        Ok(self)
    }

    /// Whether a review is posted to it before anything is started; so by default. Without that, a
    /// webhook that is started later will do.
    #[must_use]
    pub fn probe(mut self, probe: bool) -> Self {
        self.probe = probe;
        self
    }

    /// Whether it shall be asked first.
    pub fn is_probed(&self) -> bool {
        self.probe
    }

    /// Posts a body to it as the apiserver does.
    pub async fn post(&self, body: String) -> Result<Answer, WebhookError> {
        let answer = Box::pin(post::post(&self.kubeconfig(), body)).await;
        answer.map_err(|source| WebhookError::Post {
            url: self.url.0.to_string(),
            source,
        })
    }

    /// The file that tells kube-apiserver how to reach it.
    pub fn kubeconfig(&self) -> Kubeconfig {
        Kubeconfig {
            cluster: "webhook".to_owned(),
            user: "kube-apiserver".to_owned(),
            server: self.url.0.to_string(),
            certificate_authority: self.certificate_authority.clone(),
            tls_server_name: self.server_name.clone(),
            identity: self.identity(),
        }
    }

    fn identity(&self) -> Identity {
        match &self.client {
            Some(Client { certificate, key }) => Identity::ClientCertificate {
                certificate: certificate.clone(),
                key: key.clone(),
            },
            None => Identity::Anonymous,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokenlab_webhook::pki::CertificateAuthority;

    use super::*;

    #[rstest]
    #[case::no_url(
        "localhost:8443/authenticate",
        "its scheme is `localhost`: kube-apiserver shall send tokens over `https` alone"
    )]
    #[case::nothing("", "it is not a URL, such as https://127.0.0.1:8443/authenticate")]
    #[case::plain(
        "http://127.0.0.1/",
        "its scheme is `http`: kube-apiserver shall send tokens over `https` alone"
    )]
    #[case::user(
        "https://ann:secret@localhost/",
        "it has a user in it, which kube-apiserver does not send"
    )]
    #[case::query(
        "https://localhost/?a=b",
        "it has a query or a fragment, which kube-apiserver leaves out"
    )]
    fn what_no_apiserver_can_use_is_refused(#[case] url: &str, #[case] said: &str) {
        let error = url.parse::<WebhookUrl>().expect_err("must be refused");
        assert_eq!(error.to_string(), said);
    }

    fn url() -> WebhookUrl {
        "https://127.0.0.1:1/authenticate".parse().expect("is one")
    }

    fn authority() -> CertificateAuthority {
        CertificateAuthority::new("somebody").expect("must be made")
    }

    #[test]
    fn broken_pem_is_told_apart() {
        let refused = |pem: &str| Elsewhere::new(&url(), pem).expect_err("must be refused");
        assert!(matches!(refused(""), CredentialError::NoCertificate));
        let ca = authority();
        assert!(matches!(
            refused(&ca.key_pem()),
            CredentialError::NoCertificate
        ));
        let half = &ca.certificate_pem()[..99];
        assert!(matches!(refused(half), CredentialError::Broken(_)));
        let no = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
        assert!(matches!(refused(no), CredentialError::Unusable(_)));
    }

    #[test]
    fn a_clients_certificate_goes_with_its_key() {
        let ca = authority();
        let webhook = || Elsewhere::new(&url(), ca.certificate_pem()).expect("is usable");
        let client = |name| ca.client(name, &[]).expect("must be made");
        let (one, other) = (client("one"), client("other"));
        let mine = webhook().client_certificate(one.certificate_pem(), one.key_pem());
        let yaml = mine.expect("is usable").kubeconfig().yaml();
        assert!(yaml.contains("client-certificate-data:"), "{yaml}");
        assert!(yaml.contains("client-key-data:"), "{yaml}");
        let mixed = webhook().client_certificate(one.certificate_pem(), other.key_pem());
        assert!(matches!(mixed, Err(CredentialError::Mismatch)));
        let swapped = webhook().client_certificate(one.key_pem(), one.certificate_pem());
        assert!(matches!(swapped, Err(CredentialError::NoCertificate)));
        let twice = webhook().client_certificate(one.certificate_pem(), one.certificate_pem());
        assert!(matches!(twice, Err(CredentialError::NoKey(_))));
    }

    #[test]
    fn a_server_name_is_a_name() {
        let webhook = || Elsewhere::new(&url(), authority().certificate_pem()).expect("is usable");
        let named = webhook().server_name("my-authn.kube-system.svc");
        let yaml = named.expect("is usable").kubeconfig().yaml();
        assert!(
            yaml.contains("tls-server-name: my-authn.kube-system.svc"),
            "{yaml}"
        );
        let error = webhook().server_name("not a name").expect_err("is none");
        assert_eq!(error.to_string(), "`not a name` is not a DNS name");
    }
}
