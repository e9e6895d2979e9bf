//! The file by which kube-apiserver reaches its webhook, with something changed in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokenlab_harness::{CONFIG_FILE_FLAG, Lab, LabPlan, RunFolder, Scripted, Webhook};
use tokenlab_webhook::pki::CertificateAuthority;

use crate::support::config;

/// A lab that is not started yet; its webhook listens already.
pub(crate) async fn planned(scripted: Scripted) -> LabPlan {
    let builder = Lab::builder()
        .kubernetes(config().kubernetes)
        .webhook(scripted);
    builder.plan().await.expect("must be planned")
}

/// The file as data: JSON, which is YAML too. It begins sound, with a client certificate.
pub(crate) struct WebhookFile {
    yaml: Value,
    client_ca: String,
}

impl WebhookFile {
    /// One that reaches the plan's webhook.
    pub(crate) fn of(plan: &LabPlan) -> Self {
        Self::to(plan.webhook())
    }

    /// One that reaches this webhook.
    pub(crate) fn to(webhook: &Webhook) -> Self {
        let authority = CertificateAuthority::new("apiserver-to-webhook").expect("must be made");
        let client = authority.client("kube-apiserver", &[]);
        let client = client.expect("must be made");
        let webhook = webhook.kubeconfig();
        let yaml = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "my-authn", "cluster": {
                "server": webhook.server,
                "tls-server-name": webhook.tls_server_name,
                "certificate-authority-data": data(&webhook.certificate_authority),
            } }],
            "users": [{ "name": "my-apiserver", "user": {
                "client-certificate-data": data(client.certificate_pem()),
                "client-key-data": data(client.key_pem()),
            } }],
            "contexts": [{ "name": "webhook", "context": {
                "cluster": "my-authn", "user": "my-apiserver",
            } }],
            "current-context": "webhook",
        });
        Self {
            yaml,
            client_ca: authority.certificate_pem().to_owned(),
        }
    }

    /// Gives a field of the one cluster this value; `Value::Null` takes it away.
    pub(crate) fn cluster(self, field: &str, value: impl Into<Value>) -> Self {
        self.set("/clusters/0/cluster", field, value.into())
    }

    /// The same of the one user.
    pub(crate) fn user(self, field: &str, value: impl Into<Value>) -> Self {
        self.set("/users/0/user", field, value.into())
    }

    /// The same of the one context.
    pub(crate) fn context(self, field: &str, value: impl Into<Value>) -> Self {
        self.set("/contexts/0/context", field, value.into())
    }

    /// The same of the file.
    pub(crate) fn top(self, field: &str, value: impl Into<Value>) -> Self {
        self.set("", field, value.into())
    }

    /// The authority of its client certificate, PEM.
    pub(crate) fn client_ca(&self) -> &str {
        &self.client_ca
    }

    /// The same file, with what is in it in files beside it, named by where they are from there.
    pub(crate) fn by_path(self, folder: &RunFolder) -> Self {
        let inline = |place: &Value, field: &str| {
            let name = format!("{field}.pem");
            let pem = pem(&place[format!("{field}-data")]);
            folder.write(&name, &pem).expect("must be written");
            name
        };
        let cluster = &self.yaml["clusters"][0]["cluster"];
        let user = &self.yaml["users"][0]["user"];
        let ca = inline(cluster, "certificate-authority");
        let certificate = inline(user, "client-certificate");
        let key = inline(user, "client-key");
        self.cluster("certificate-authority-data", Value::Null)
            .cluster("certificate-authority", ca)
            .user("client-certificate-data", Value::Null)
            .user("client-certificate", certificate)
            .user("client-key-data", Value::Null)
            .user("client-key", key)
    }

    /// A field of the one user.
    pub(crate) fn of_user(&self, field: &str) -> &Value {
        &self.yaml["users"][0]["user"][field]
    }

    /// What a field of the one user holds whose name ends with `-data`.
    pub(crate) fn pem_of_user(&self, field: &str) -> String {
        pem(self.of_user(field))
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        self.yaml.to_string()
    }

    fn set(mut self, place: &str, field: &str, value: Value) -> Self {
        let place = self.yaml.pointer_mut(place).expect("must be there");
        let place = place.as_object_mut().expect("must be an object");
        if value.is_null() {
            place.remove(field).expect("must be there");
        } else {
            place.insert(field.to_owned(), value);
        }
        self
    }
}

/// Octets as a field takes them whose name ends with `-data`.
pub(crate) fn data(octets: impl AsRef<[u8]>) -> Value {
    STANDARD.encode(octets).into()
}

fn pem(data: &Value) -> String {
    let data = STANDARD.decode(data.as_str().expect("must be there"));
    String::from_utf8(data.expect("must be base64")).expect("must be PEM")
}

/// Writes a webhook's file beside the plan's own, and has the apiserver read that one.
pub(crate) fn write(plan: &mut LabPlan, text: &str) {
    let path = plan.folder().write("changed.yml", text);
    let path = path.expect("must be written");
    plan.flags().set(CONFIG_FILE_FLAG, path);
}
