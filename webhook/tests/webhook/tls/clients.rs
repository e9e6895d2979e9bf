use std::sync::{Arc, Mutex};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType,
};
use rstest::rstest;
use time::{Duration, OffsetDateTime};
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Authenticator, Decision, Mock, Review, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ask, client, connect, pem, review};
use crate::peer::{SERVICE, Webhook, soon};

const APISERVER: &str = "kube-apiserver";
const SPIFFE: &str = "spiffe://example.org/kube-apiserver";

/// An authority of clients whose certificates can be anything.
struct Clients(CertifiedIssuer<'static, KeyPair>);

impl Clients {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params
            .distinguished_name
            .push(DnType::CommonName, "clients");
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// A certificate and its key, PEM.
    fn issue(&self, client: &Client) -> (String, String) {
        let now = OffsetDateTime::now_utc();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, client.common_name);
        let text = |name: &str| Ia5String::try_from(name).expect("ASCII");
        let dns = client.dns.map(|name| SanType::DnsName(text(name)));
        let uri = client.uri.map(|name| SanType::URI(text(name)));
        params.subject_alt_names = dns.into_iter().chain(uri).collect();
        params.extended_key_usages = vec![client.usage.clone()];
        params.not_before = now + client.from;
        params.not_after = now + client.to;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

struct Client {
    common_name: &'static str,
    dns: Option<&'static str>,
    uri: Option<&'static str>,
    usage: ExtendedKeyUsagePurpose,
    from: Duration,
    to: Duration,
}

impl Client {
    fn new(common_name: &'static str) -> Self {
        Self {
            common_name,
            dns: None,
            uri: None,
            usage: ExtendedKeyUsagePurpose::ClientAuth,
            from: Duration::HOUR * -1,
            to: Duration::HOUR,
        }
    }
}

/// A webhook for clients of `clients`.
async fn webhook(clients: &Clients, names: &[&str]) -> (Webhook, CertificateAuthority) {
    asking(Mock, clients, names).await
}

async fn asking(
    authenticator: impl Authenticator,
    clients: &Clients,
    names: &[&str],
) -> (Webhook, CertificateAuthority) {
    let authority = CertificateAuthority::new("test").expect("an authority");
    let certificate = authority.serving(&[SERVICE]).expect("a certificate");
    let (chain, key) = (certificate.certificate_pem(), certificate.key_pem());
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let pem = clients.0.pem();
    let mut tls = Tls::builder(chain.as_bytes(), key.as_bytes()).client_ca(pem.as_bytes());
    if !names.is_empty() {
        tls = tls.client_names(&names);
    }
    let tls = tls.build().expect("usable");
    (
        Webhook::over(authenticator, tls, &authority).await,
        authority,
    )
}

const OK: Result<&str, &str> = Ok("HTTP/1.1 200 OK");
const DENIED: Result<&str, &str> = Err("received fatal alert: AccessDenied");

#[rstest]
#[case::common_name(Client::new(APISERVER), OK)]
#[case::dns_name(Client { dns: Some(APISERVER), ..Client::new("x") }, OK)]
#[case::uri(Client { uri: Some(SPIFFE), ..Client::new("x") }, OK)]
#[case::no_name_of_them(Client::new("x"), DENIED)]
#[case::longer_name(Client::new("kube-apiserver-2"), DENIED)]
#[case::other_case(Client::new("Kube-Apiserver"), DENIED)]
#[case::empty_name(Client::new(""), DENIED)]
#[case::names_that_are_not_allowed(
    Client { dns: Some("y"), uri: Some("spiffe://example.org/y"), ..Client::new("x") },
    DENIED
)]
#[case::expired(
    Client { to: Duration::MINUTE * -1, ..Client::new(APISERVER) },
    Err("received fatal alert: CertificateExpired")
)]
#[case::not_yet_valid(
    Client { from: Duration::MINUTE * 30, ..Client::new(APISERVER) },
    Err("received fatal alert: CertificateExpired")
)]
#[case::servers_certificate(
    Client { usage: ExtendedKeyUsagePurpose::ServerAuth, ..Client::new(APISERVER) },
    Err("received fatal alert: UnsupportedCertificate")
)]
#[tokio::test]
async fn a_certificate_of_the_authority(
    #[case] shown: Client,
    #[case] outcome: Result<&str, &str>,
) {
    let clients = Clients::new();
    let (webhook, authority) = webhook(&clients, &[APISERVER, SPIFFE]).await;
    let (certificate, key) = clients.issue(&shown);
    let config = client(&authority, Some((&certificate, &key)));
    let answer = ask(webhook.address, &config).await;
    assert_eq!(answer.as_deref().map_err(String::as_str), outcome);
}

#[tokio::test]
async fn without_names_all_clients_of_the_authority_get_in() {
    let clients = Clients::new();
    let (webhook, authority) = webhook(&clients, &[]).await;
    let (certificate, key) = clients.issue(&Client::new("anybody"));
    let config = client(&authority, Some((&certificate, &key)));
    let answer = ask(webhook.address, &config).await;
    assert_eq!(answer.as_deref().map_err(String::as_str), OK);
}

#[tokio::test]
async fn nobody_else_gets_in() {
    let (webhook, authority) = webhook(&Clients::new(), &[]).await;
    let none = ask(webhook.address, &client(&authority, None)).await;
    let error = none.expect_err("no certificate");
    assert_eq!(error, "received fatal alert: CertificateRequired");
    // Of the authority that signed the server's, and of one with the right name.
    let certificate = authority.client(APISERVER, &[]).expect("a client");
    let foreign = ask(
        webhook.address,
        &client(&authority, Some(pem(&certificate))),
    )
    .await;
    let error = foreign.expect_err("another authority");
    assert_eq!(error, "received fatal alert: UnknownCA");
    let (certificate, key) = Clients::new().issue(&Client::new(APISERVER));
    let foreign = client(&authority, Some((&certificate, &key)));
    let error = ask(webhook.address, &foreign)
        .await
        .expect_err("a stranger");
    assert_eq!(error, "received fatal alert: DecryptError");
}

/// Who is reset may not see the reason, and takes it for a failure of the network.
#[tokio::test]
async fn who_is_refused_is_not_reset() {
    let (webhook, authority) = webhook(&Clients::new(), &[]).await;
    let mut stream = connect(webhook.address, &client(&authority, None)).await;
    let error = review(&mut stream).await.expect_err("no certificate");
    assert_eq!(error, "received fatal alert: CertificateRequired");
    let (socket, _) = stream.get_mut();
    socket.write_all(&[0; 1024]).await.expect("still taken");
    let end = soon(socket.read(&mut [0])).await.expect("no reset");
    assert_eq!(end, 0);
}

/// Writes down who asks.
#[derive(Clone, Default)]
struct Callers(Arc<Mutex<Vec<Option<String>>>>);

impl Authenticator for Callers {
    async fn authenticate(&self, review: &Review) -> Decision {
        let caller = review.caller.clone().expect("a caller");
        let mut callers = self.0.lock().expect("no panic");
        callers.push(caller.common_name);
        Decision::Refused
    }
}

#[tokio::test]
async fn an_authenticator_learns_who_asks() {
    let (clients, callers) = (Clients::new(), Callers::default());
    let (webhook, authority) = asking(callers.clone(), &clients, &[]).await;
    for name in ["one", "other"] {
        let (certificate, key) = clients.issue(&Client::new(name));
        let config = client(&authority, Some((&certificate, &key)));
        ask(webhook.address, &config).await.expect("an answer");
    }
    let seen = callers.0.lock().expect("no panic").clone();
    assert_eq!(seen, ["one", "other"].map(|name| Some(name.to_owned())));
}
