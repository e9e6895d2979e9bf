//! A service account of a control plane's own, known by a token that its apiserver issued.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use tokenlab_harness::{Lab, fresh_token};
use tokenlab_webhook::Token;

/// A service account, and a token of it.
pub(crate) struct Account {
    accounts: kube::Api<ServiceAccount>,
    name: String,
    pub(crate) token: Token,
}

impl Account {
    pub(crate) async fn create(lab: &Lab) -> Self {
        let name = fresh_token().expose().replace("lab-", "account-");
        let admin = lab.client().await.expect("must be made");
        let accounts = kube::Api::<ServiceAccount>::namespaced(admin, "default");
        let account = ServiceAccount {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            ..ServiceAccount::default()
        };
        let post = PostParams::default();
        accounts
            .create(&post, &account)
            .await
            .expect("the admin may");
        let request = TokenRequest {
            spec: Some(TokenRequestSpec::default()),
            ..TokenRequest::default()
        };
        let request = accounts.create_token_request(&name, &post, &request).await;
        let status = request.expect("the admin may").status;
        let token = status.and_then(|status| status.token);
        Self {
            accounts,
            name,
            token: Token::from(token.expect("must be given")),
        }
    }

    /// As the apiserver calls it.
    pub(crate) fn name(&self) -> String {
        format!("system:serviceaccount:default:{}", self.name)
    }

    pub(crate) async fn delete(&self) {
        let params = DeleteParams::default();
        let deleted = self.accounts.delete(&self.name, &params).await;
        deleted.expect("the admin may");
    }
}
