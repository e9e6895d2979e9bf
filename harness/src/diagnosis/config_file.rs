//! The webhook's file, read as client-go reads a kubeconfig
//! (`client-go/tools/clientcmd`, `apiserver/pkg/util/webhook/webhook.go`, `LoadKubeconfig`, v0.37.2).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use tokenlab_webhook::Token;
use url::{Host, Url};

use super::sight::Eyes;
use crate::kubeconfig::{Identity, Kubeconfig};

/// What the file comes to.
#[derive(Debug)]
pub(super) struct ConfigFile {
    /// How the webhook is reached, with all data inline.
    pub(super) config: Kubeconfig,
    proxy: Option<String>,
    /// Why it cannot be asked from here as the apiserver asks it.
    pub(super) unlike: Option<&'static str>,
}

/// Why the apiserver cannot use it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigFileError {
    #[error("it cannot be read: {0}")]
    Unread(String),
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
        why: String,
    },
    #[error("its `{0}` is not base64 of PEM")]
    Data(String),
    #[error("its `tls-server-name` is no name: `{0}`")]
    Name(String),
}

impl ConfigFileError {
    /// Whether a file is not there, this one or one that it names.
    pub(super) fn is_of_a_missing_file(&self) -> bool {
        matches!(self, Self::Unread(_) | Self::File { .. })
    }
}

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
        let file: Value = serde_saphyr::from_str(&file)
            .map_err(|error| ConfigFileError::NotYaml(Box::new(error)))?;
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
        let server = Url::parse(server).map_err(|_| ConfigFileError::Url)?;
        if !matches!(server.scheme(), "http" | "https") || !server.has_host() {
            return Err(ConfigFileError::Url);
        }
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
            proxy,
            unlike,
        })
    }

    /// The URL's host and port, as the apiserver's metrics name it.
    pub(super) fn host(&self) -> Option<String> {
        let url = Url::parse(&self.config.server).ok()?;
        let host = url.host_str()?;
        Some(match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    }
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
