//! The webhook's file, read as client-go reads a kubeconfig
//! (`client-go/tools/clientcmd`, `apiserver/pkg/util/webhook/webhook.go`, `LoadKubeconfig`, v0.37.2).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use tokenlab_webhook::Token;
use url::{Host, Url};

use super::sight::{Eyes, Unread};
use crate::kubeconfig::{self, Identity, Kubeconfig};

/// What the file comes to.
#[derive(Debug)]
pub(super) struct ConfigFile {
    /// How the webhook is reached, with all data inline.
    pub(super) config: Kubeconfig,
    /// The host and port in the URL, as they are written: so client-go counts calls
    /// (`client-go/rest/request.go`, `sanitize`, v0.37.2).
    pub(super) host: String,
    proxy: Option<String>,
    /// Why it cannot be asked from here as the apiserver asks it.
    pub(super) unlike: Option<&'static str>,
}

/// Why the apiserver cannot use it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigFileError {
    #[error("it cannot be read: {0}")]
    Unread(Unread),
    #[error("it is not YAML: {0}")]
    NotYaml(Box<serde_saphyr::Error>),
    #[error("its `current-context` is `{0}`, and there is no such context in it")]
    NoContext(String),
    #[error("there is no cluster `{0}` in it")]
    NoCluster(String),
    #[error("its cluster `{0}` has no `server`")]
    NoServer(String),
    #[error("its `server` is no URL that a webhook can be asked at")]
    Url,
    #[error("its `{field}` is `{path}`, which cannot be read: {why}")]
    File {
        field: String,
        path: Utf8PathBuf,
        why: Unread,
    },
    #[error("its `{0}` is not base64 of PEM")]
    Data(String),
    #[error("its `tls-server-name` is no name: `{0}`")]
    Name(String),
}

impl ConfigFileError {
    /// Whether a file is not there, this one or one that it names, for the apiserver too.
    pub(super) fn is_of_a_missing_file(&self) -> bool {
        matches!(
            self,
            Self::Unread(Unread::Missing(_))
                | Self::File {
                    why: Unread::Missing(_),
                    ..
                }
        )
    }

    /// Whether it is what stands in it that is wrong.
    pub(super) fn is_of_the_content(&self) -> bool {
        !matches!(self, Self::Unread(_) | Self::File { .. })
    }
}

/// What a user may have to show that only client-go knows how to.
const MORE: [&str; 5] = ["tokenFile", "username", "password", "exec", "auth-provider"];

/// The entry of this name in a list; without a name, nothing, as client-go has it.
fn entry<'a>(file: &'a Value, list: &str, name: &str, what: &str) -> Option<&'a Value> {
    let entries = file[list].as_array()?;
    let found =
        (entries.iter()).find(|entry| entry["name"].as_str().unwrap_or_default() == name)?;
    Some(&found[what])
}

fn text<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    entry[key].as_str().filter(|text| !text.is_empty())
}

impl ConfigFile {
    /// Reads it where the apiserver does, with the files that it names.
    pub(super) async fn read(eyes: &Eyes<'_>, path: &Utf8Path) -> Result<Self, ConfigFileError> {
        let file = eyes.file(path).await.map_err(ConfigFileError::Unread)?;
        let file: Value = kubeconfig::read(&file).map_err(ConfigFileError::NotYaml)?;
        let current = text(&file, "current-context").unwrap_or_default();
        let context = match entry(&file, "contexts", current, "context") {
            Some(context) => context,
            None if current.is_empty() => &Value::Null,
            None => return Err(ConfigFileError::NoContext(current.to_owned())),
        };
        let name = text(context, "cluster").unwrap_or_default();
        let cluster = entry(&file, "clusters", name, "cluster");
        let cluster = cluster.ok_or_else(|| ConfigFileError::NoCluster(name.to_owned()))?;
        // A user that is not there is nobody, and no error before the webhook wants one.
        let user = text(context, "user").unwrap_or_default();
        let user = entry(&file, "users", user, "user").unwrap_or(&Value::Null);
        let server = text(cluster, "server");
        let server = server.ok_or_else(|| ConfigFileError::NoServer(name.to_owned()))?;
        let server_name = text(cluster, "tls-server-name").map(str::to_owned);
        if let Some(name) = &server_name
            && Host::parse(name).is_err()
        {
            return Err(ConfigFileError::Name(name.clone()));
        }
        let folder = path.parent().unwrap_or(path);
        let authority = pem(eyes, folder, cluster, "certificate-authority").await?;
        let certificate = pem(eyes, folder, user, "client-certificate").await?;
        let key = pem(eyes, folder, user, "client-key").await?;
        let secured = authority.is_some()
            || certificate.is_some()
            || cluster["insecure-skip-tls-verify"] == true;
        let (server, host) = address(server, secured).ok_or(ConfigFileError::Url)?;
        let identity = match (certificate, key, text(user, "token")) {
            (Some(certificate), Some(key), _) => Identity::ClientCertificate { certificate, key },
            (_, _, Some(token)) => Identity::Token(Token::from(token)),
            _ => Identity::Anonymous,
        };
        let proxy = text(cluster, "proxy-url").map(str::to_owned);
        let unlike = if cluster["insecure-skip-tls-verify"] == true {
            Some("the file has `insecure-skip-tls-verify`, and a token is not sent to just anybody")
        } else if server.scheme() == "http" {
            Some("the file has an `http` URL, over which everybody reads the token")
        } else if proxy.is_some() {
            Some("the file has a `proxy-url`, which only kube-apiserver goes by")
        } else if MORE.iter().any(|key| !user[key].is_null()) {
            Some("the file's user has more than a certificate or a token to show")
        } else if authority.is_none() {
            Some("the file has no certificate authority: kube-apiserver's machine has its own")
        } else {
            None
        };
        Ok(Self {
            config: Kubeconfig {
                cluster: name.to_owned(),
                user: String::new(),
                server: server.into(),
                certificate_authority: authority.unwrap_or_default(),
                tls_server_name: server_name,
                identity,
            },
            host,
            proxy,
            unlike,
        })
    }

    /// What of it is secret.
    pub(super) fn secrets(&self) -> Vec<&str> {
        match &self.config.identity {
            Identity::ClientCertificate { key, .. } => vec![key],
            Identity::Token(token) => vec![token.expose()],
            _ => Vec::new(),
        }
    }
}

/// The URL, and its host and port as they are written. What has no scheme gets one, by whether there
/// is anything of TLS (`client-go/rest/url_utils.go`, `DefaultServerURL`, v0.37.2).
fn address(server: &str, secured: bool) -> Option<(Url, String)> {
    let scheme = if secured { "https" } else { "http" };
    let server = if server.contains("://") {
        server.to_owned()
    } else {
        format!("{scheme}://{server}")
    };
    let url = Url::parse(&server).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    let (_, rest) = server.split_once("://")?;
    let written = rest.split(['/', '?', '#']).next()?;
    let written = written.rsplit('@').next()?;
    Some((url, written.to_owned()))
}

/// PEM that stands in the file, or in one that it names; what stands in it counts first.
async fn pem(
    eyes: &Eyes<'_>,
    folder: &Utf8Path,
    entry: &Value,
    key: &str,
) -> Result<Option<String>, ConfigFileError> {
    let data = format!("{key}-data");
    if let Some(base64) = text(entry, &data) {
        let decoded = STANDARD.decode(base64.split_whitespace().collect::<String>());
        let pem = decoded.ok().and_then(|pem| String::from_utf8(pem).ok());
        return pem.map(Some).ok_or(ConfigFileError::Data(data));
    }
    let Some(path) = text(entry, key) else {
        return Ok(None);
    };
    let path = folder.join(path);
    match eyes.file(&path).await {
        Ok(pem) => Ok(Some(pem)),
        Err(why) => Err(ConfigFileError::File {
            field: key.to_owned(),
            path,
            why,
        }),
    }
}

impl fmt::Display for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.config.server)?;
        if let Some(name) = &self.config.tls_server_name {
            write!(f, " by the name {name}")?;
        }
        if let Some(proxy) = &self.proxy {
            write!(f, " through the proxy {proxy}")?;
        }
        f.write_str(match &self.config.identity {
            Identity::ClientCertificate { .. } | Identity::ClientCertificateFiles { .. } => {
                ", with a client certificate"
            }
            Identity::Token(_) => ", with a token",
            Identity::Anonymous => ", without a client certificate",
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// client-go counts calls by the host as it is written.
    #[rstest]
    #[case(
        "https://LOCALHOST:8443/authenticate",
        "LOCALHOST:8443",
        "https://localhost:8443/authenticate"
    )]
    #[case(
        "https://my-authn.kube-system.svc:443/x",
        "my-authn.kube-system.svc:443",
        "https://my-authn.kube-system.svc/x"
    )]
    #[case("https://[::1]:8443", "[::1]:8443", "https://[::1]:8443/")]
    #[case("https://me@a/b@c", "a", "https://me@a/b@c")]
    #[case("a:8443", "a:8443", "https://a:8443/")]
    fn a_host_is_named_as_it_is_written(
        #[case] server: &str,
        #[case] host: &str,
        #[case] url: &str,
    ) {
        let (read, written) = address(server, true).expect("must be one");
        assert_eq!((read.as_str(), &*written), (url, host));
    }

    #[test]
    fn what_is_no_url_of_a_webhook() {
        for server in ["", "ftp://a", "unix:///a", "https://"] {
            assert_eq!(address(server, true), None, "{server}");
        }
        let (plain, _) = address("a:80", false).expect("must be one");
        assert_eq!(plain.scheme(), "http");
    }
}
