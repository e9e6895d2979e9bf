//! Kubeconfigs: those of clusters read, and clients made of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;

pub use tokenlab_webhook::kubeconfig::{Identity, Kubeconfig};

/// Why a kubeconfig does not tell who the admin is.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// It is not YAML.
    #[error("it is not YAML")]
    NotYaml(#[source] Box<serde_saphyr::Error>),
    /// Something is not in it, or not in a form that is known.
    #[error("it has no `{0}`")]
    Lacks(&'static str),
}

/// Reads YAML that may hold secrets. An error says where it is, and shows no line of the text, as
/// those of serde-saphyr do by default.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Box<serde_saphyr::Error>> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(Box::new)
}

/// The admin of the first cluster, from a file with inline data, as kind and k3s write it.
pub(crate) fn admin(text: &str) -> Result<Kubeconfig, AdminError> {
    let file: serde_json::Value = read(text).map_err(AdminError::NotYaml)?;
    let cluster = &file["clusters"][0]["cluster"];
    let user = &file["users"][0]["user"];
    let plain = |entry: &serde_json::Value, key| {
        let value = entry[key].as_str();
        value.map(str::to_owned).ok_or(AdminError::Lacks(key))
    };
    let decoded = |entry, key| {
        let bytes = STANDARD.decode(plain(entry, key)?);
        bytes
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or(AdminError::Lacks(key))
    };
    Ok(Kubeconfig {
        cluster: "lab".to_owned(),
        user: "admin".to_owned(),
        server: plain(cluster, "server")?,
        certificate_authority: decoded(cluster, "certificate-authority-data")?,
        tls_server_name: None,
        identity: Identity::ClientCertificate {
            certificate: decoded(user, "client-certificate-data")?,
            key: decoded(user, "client-key-data")?,
        },
    })
}

/// A `kube` client by a kubeconfig. It does not retry: an answer is an answer.
pub async fn client(kubeconfig: &Kubeconfig) -> Result<kube::Client, kube::Error> {
    let unreadable = |error: kube::config::KubeconfigError| kube::Error::Service(Box::new(error));
    crate::runtime::install_crypto_provider();
    let parsed = kube::config::Kubeconfig::from_yaml(&kubeconfig.yaml()).map_err(unreadable)?;
    let options = kube::config::KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(parsed, &options)
        .await
        .map_err(unreadable)?;
    config.default_retry = false;
    // A control plane on loopback is not behind the proxy that the environment names.
    config.proxy_url = None;
    kube::Client::try_from(config)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_admin_is_read_back() {
        let written = Kubeconfig {
            cluster: "lab".to_owned(),
            user: "admin".to_owned(),
            server: "https://127.0.0.1:6443".to_owned(),
            certificate_authority: "authority".to_owned(),
            tls_server_name: None,
            identity: Identity::ClientCertificate {
                certificate: "certificate".to_owned(),
                key: "key".to_owned(),
            },
        };
        let read = admin(&written.yaml()).expect("must be read");
        assert_eq!(read.yaml(), written.yaml());
    }

    #[rstest]
    #[case::broken("users:\n- user:\n    token: CANARY-1: x\n    password: [CANARY-2\n")]
    #[case::of_another_form("CANARY-1")]
    #[case::with_an_alias("password: *CANARY-1\n")]
    #[case::with_a_tab("token: CANARY-1\n\tpassword: CANARY-2\n")]
    #[case::in_quotes("token: \"CANARY-1\\q\"\npassword: 'CANARY-2\n")]
    fn what_is_wrong_with_a_file_shows_nothing_of_it(#[case] text: &str) {
        let admin = admin(text).expect_err("must fail");
        let told = format!("{} {admin:?}", crate::assets::chain(&admin));
        assert!(!told.contains("CANARY"), "{told}");
        let typed = read::<std::collections::BTreeMap<String, Vec<bool>>>(text);
        let told = typed.expect_err("must fail").to_string();
        assert!(!told.contains("CANARY"), "{told}");
    }

    #[test]
    fn what_an_admins_file_lacks_is_named() {
        let error = admin("clusters: []").expect_err("must fail");
        assert_eq!(error.to_string(), "it has no `server`");
        let error = admin("[").expect_err("must fail");
        assert_eq!(error.to_string(), "it is not YAML");
    }
}
