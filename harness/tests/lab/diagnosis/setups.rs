//! The ways in which a setup is broken.

use http::StatusCode;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use serde_json::{Value, json};
use tokenlab_harness::{
    Act, Break, CONFIG_FILE_FLAG, ConnectionFault, Identity, Kubeconfig, RawAnswer, SERVICE_NAME,
    Shown,
};
use tokenlab_webhook::pki::CertificateAuthority;
use tokenlab_webhook::{Decision, Tls, Token, User};

use super::plane::Plane;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    Known,
    KnownBefore,
    Fresh,
    NoFlag,
    NoFile,
    NoAuthorityFile,
    BrokenFile,
    UnknownFlag,
    Stopped,
    NoAddress,
    Proxy,
    Reset,
    Closed,
    Hangs,
    OtherAuthority,
    CommonName,
    OtherName,
    NoServerName,
    Expired,
    NotYet,
    WantsCertificate,
    OthersCertificate,
    ExpiredCertificate,
    PlainHttp,
    Path,
    Status(u16),
    Version,
    Html,
    Empty,
    Undecided,
    UndecidedInWordsOfGo,
    UndecidedOverLines,
    Audiences,
    Refused,
    RefusedBefore,
    BothShown,
    NothingShown,
    ServiceAccount,
}

const V1BETA1: &str = "authentication.k8s.io/v1beta1";

fn ann() -> Decision {
    Decision::authenticated(User::new("ann"))
}

fn review(version: &str, status: &Value) -> RawAnswer {
    RawAnswer::json(&json!({"apiVersion": version, "kind": "TokenReview", "status": status}))
}

fn answer(status: u16, body: &'static str) -> RawAnswer {
    RawAnswer::new(StatusCode::from_u16(status).expect("must be one"), body)
}

impl Setup {
    /// Breaks it, and says who shows what then.
    pub(super) async fn break_it(self, plane: &mut Plane) -> Shown {
        match self {
            Self::NoFlag | Self::NoFile | Self::UnknownFlag => self.break_flags(plane).await,
            Self::NoAuthorityFile
            | Self::BrokenFile
            | Self::NoAddress
            | Self::NoServerName
            | Self::Proxy
            | Self::Expired
            | Self::NotYet
            | Self::OthersCertificate
            | Self::ExpiredCertificate
            | Self::Path => self.break_file(plane).await,
            Self::Stopped | Self::Reset | Self::Closed => self.break_connections(plane).await,
            Self::OtherAuthority
            | Self::CommonName
            | Self::OtherName
            | Self::WantsCertificate
            | Self::PlainHttp => self.break_tls(plane).await,
            _ => {}
        }
        self.shown(plane).await
    }

    async fn break_flags(self, plane: &mut Plane) {
        let (name, value, comes_back) = match self {
            Self::NoFlag => (CONFIG_FILE_FLAG, None, true),
            Self::NoFile => (CONFIG_FILE_FLAG, Some("/nowhere/webhook.yml"), false),
            _ => ("no-such-flag", Some("1"), false),
        };
        assert_eq!(plane.with_flag(name, value).await, comes_back);
    }

    async fn break_file(self, plane: &mut Plane) {
        let right = plane.webhook().kubeconfig();
        let to = |server: &str| Kubeconfig {
            server: server.to_owned(),
            ..right.clone()
        };
        let (yaml, comes_back) = match self {
            Self::BrokenFile => ("apiVersion: v1\nclusters: [\n".to_owned(), false),
            Self::NoAuthorityFile => {
                let none = Kubeconfig {
                    certificate_authority: String::new(),
                    ..right
                };
                let yaml = none.yaml();
                let line = yaml
                    .lines()
                    .find(|line| line.contains("certificate-authority-data:"));
                let line = line.expect("must be there");
                let (indent, _) = line.split_once("certificate-").expect("is there");
                let named = format!("{indent}certificate-authority: missing.crt");
                (yaml.replace(line, &named), false)
            }
            Self::NoAddress => (to("https://nowhere.invalid/authenticate").yaml(), true),
            Self::NoServerName => {
                let unnamed = Kubeconfig {
                    tls_server_name: None,
                    ..right
                };
                (unnamed.yaml(), true)
            }
            Self::Path => (to(&format!("{}/elsewhere", right.server)).yaml(), true),
            Self::Proxy => {
                let yaml = right.yaml();
                let line = yaml.lines().find(|line| line.contains(" server:"));
                let line = line.expect("must be there");
                let (indent, _) = line.split_once("server:").expect("is there");
                let proxied = format!("{line}\n{indent}proxy-url: http://127.0.0.1:1");
                (yaml.replace(line, &proxied), true)
            }
            Self::OthersCertificate => {
                wants_certificates(plane).await;
                let others = CertificateAuthority::new("others").expect("must be made");
                let others = others.client("kube-apiserver", &[]).expect("must be made");
                let shown = Kubeconfig {
                    identity: Identity::from(&others),
                    ..right
                };
                (shown.yaml(), true)
            }
            Self::ExpiredCertificate => {
                let (authority, chain, key) = client_until(2021);
                wants_certificates_of(plane, &authority).await;
                let identity = Identity::ClientCertificate {
                    certificate: chain,
                    key,
                };
                (Kubeconfig { identity, ..right }.yaml(), true)
            }
            _ => {
                let years = if self == Self::Expired {
                    [2020, 2021]
                } else {
                    [2120, 2121]
                };
                let (authority, tls) = valid_in(years);
                let served = plane.webhook().serve_with(Some(tls)).await;
                served.expect("must serve");
                let trusting = Kubeconfig {
                    certificate_authority: authority,
                    ..right
                };
                (trusting.yaml(), true)
            }
        };
        assert_eq!(plane.with_file(&yaml).await, comes_back);
    }

    async fn break_connections(self, plane: &Plane) {
        let webhook = plane.webhook();
        match self {
            Self::Stopped => webhook.down().await,
            how => {
                let how = if how == Self::Reset {
                    Break::Reset
                } else {
                    Break::Close
                };
                webhook
                    .break_connections(Some(ConnectionFault::AtRequest(how)))
                    .await
            }
        }
        .expect("must be broken");
    }

    async fn break_tls(self, plane: &Plane) {
        let webhook = plane.webhook();
        let ours = webhook.authority().expect("is served here");
        let certificate = match self {
            Self::PlainHttp => {
                webhook.serve_with(None).await.expect("must serve");
                return;
            }
            Self::WantsCertificate => return wants_certificates(plane).await,
            Self::OtherAuthority => CertificateAuthority::new("others")
                .expect("must be made")
                .serving(&[SERVICE_NAME]),
            Self::OtherName => ours.serving(&["elsewhere.svc"]),
            // A client's certificate is one without names.
            _ => ours.client(SERVICE_NAME, &[]),
        };
        let certificate = certificate.expect("must be made");
        let tls = Tls::from_certificate(&certificate).expect("must be usable");
        webhook.serve_with(Some(tls)).await.expect("must serve");
    }

    /// Who makes the request, and what the webhook says of that.
    async fn shown(self, plane: &Plane) -> Shown {
        let scripted = plane.scripted();
        let act = match self {
            Self::Fresh => return Shown::fresh(),
            Self::NothingShown => return Shown::user(json!({})),
            Self::BothShown => return both(plane),
            Self::ServiceAccount => return Shown::from(&service_account(plane).await),
            Self::Hangs => Act::hang(),
            Self::Status(status) => Act::answer(answer(status, "")),
            Self::Version => {
                let status = json!({"authenticated": true, "user": {"username": "ann"}});
                Act::answer(review("authentication.k8s.io/v1", &status))
            }
            Self::Html => Act::answer(answer(200, "<html><body>Welcome</body></html>")),
            Self::Empty => Act::answer(answer(200, "")),
            Self::Audiences => {
                let status = json!({"authenticated": true, "user": {"username": "ann"},
                    "audiences": ["https://elsewhere.example"]});
                Act::answer(review(V1BETA1, &status))
            }
            Self::Undecided => Act::decide(Decision::Undecided {
                reason: "the directory is away".to_owned(),
            }),
            Self::UndecidedInWordsOfGo => Act::decide(Decision::Undecided {
                reason: "context deadline exceeded".to_owned(),
            }),
            Self::UndecidedOverLines => Act::decide(Decision::Undecided {
                reason: "DOMAIN\\ann\nis \"away\"".to_owned(),
            }),
            Self::Refused | Self::RefusedBefore => Act::decide(Decision::Refused),
            _ => Act::decide(ann()),
        };
        let token = scripted.token(act);
        if matches!(self, Self::RefusedBefore | Self::KnownBefore) {
            let kubectl = plane.kubectl_as(&token).expect("must be written");
            let output = kubectl.run(["get", "ns"]).await.expect("must run");
            let is_known = output.stderr.contains("(Forbidden): namespaces");
            assert_eq!(is_known, self == Self::KnownBefore, "{output}");
            let is_nobodys = output.stderr.contains("You must be logged in");
            assert_eq!(is_nobodys, self == Self::RefusedBefore, "{output}");
            assert_eq!(scripted.calls(&token).len(), 1, "{output}");
        }
        Shown::from(&token)
    }
}

async fn wants_certificates(plane: &Plane) {
    let ours = plane.webhook().authority().expect("is served here");
    wants_certificates_of(plane, ours.certificate_pem()).await;
}

async fn wants_certificates_of(plane: &Plane, authority: &str) {
    let webhook = plane.webhook();
    let ours = webhook.authority().expect("is served here");
    let certificate = ours.serving(&[SERVICE_NAME]).expect("must be made");
    let (chain, key) = (certificate.certificate_pem(), certificate.key_pem());
    let tls = Tls::builder(chain.as_bytes(), key.as_bytes())
        .client_ca(authority.as_bytes())
        .build()
        .expect("must be usable");
    webhook.serve_with(Some(tls)).await.expect("must serve");
}

/// An authority, and what serves with a certificate of its that is valid from the one year to the
/// other.
fn valid_in([from, until]: [i32; 2]) -> (String, Tls) {
    let key = || KeyPair::generate().expect("must be made");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, key()).expect("must be made");
    let mut params = CertificateParams::new([SERVICE_NAME.to_owned()]).expect("must be a name");
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let own = key();
    let certificate = params.signed_by(&own, &authority).expect("must be made");
    let (chain, own) = (certificate.pem(), own.serialize_pem());
    let tls = Tls::from_pem(chain.as_bytes(), own.as_bytes()).expect("must be usable");
    (authority.pem(), tls)
}

/// An authority, and a client's certificate and key of its that is valid until that year.
fn client_until(year: i32) -> (String, String, String) {
    let key = || KeyPair::generate().expect("must be made");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, key()).expect("must be made");
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = date_time_ymd(year - 1, 1, 1);
    params.not_after = date_time_ymd(year, 1, 1);
    let own = key();
    let certificate = params.signed_by(&own, &authority).expect("must be made");
    (authority.pem(), certificate.pem(), own.serialize_pem())
}

/// The admin's certificate, and beside it a token that the webhook knows.
fn both(plane: &Plane) -> Shown {
    use base64::Engine as _;
    let Identity::ClientCertificate { certificate, key } = &plane.control_plane().admin().identity
    else {
        panic!("the admin must have a certificate");
    };
    let base64 = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    Shown::user(json!({
        "token": plane.scripted().token(ann()).expose(),
        "client-certificate-data": base64(certificate),
        "client-key-data": base64(key),
    }))
}

/// A token that kube-apiserver itself issues, and knows.
async fn service_account(plane: &Plane) -> Token {
    let kubectl = plane.kubectl().expect("must be written");
    // It is there already when another test was here.
    let made = kubectl.run(["create", "serviceaccount", "robot"]).await;
    made.expect("must run");
    let token = kubectl.run(["create", "token", "robot"]).await;
    let token = token.expect("must run");
    assert!(token.status.success(), "{token}");
    Token::from(token.stdout.trim())
}
