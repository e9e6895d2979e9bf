//! Secrets that the lab itself handed out: replaced wherever they stand, in every form in which
//! programs write a string.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use camino::Utf8Path;
use serde_json::Value;

use super::mark;
use crate::lab::CONFIG_FILE;

/// What is shorter is no secret, and stands in every other word.
const SHORTEST: usize = 4;

/// Texts to be replaced.
#[derive(Clone, Default)]
pub(super) struct Known {
    // The longest first: a secret may be a part of another one.
    forms: BTreeSet<(std::cmp::Reverse<usize>, String)>,
}

impl Known {
    /// Adds a secret. Of one with several lines, such as a key, each line is one.
    pub(super) fn add(&mut self, secret: &str) {
        let lines = secret.lines().filter(|line| !line.starts_with("-----"));
        for part in lines.chain([secret]).map(str::trim) {
            if part.len() >= SHORTEST {
                self.forms
                    .extend(forms(part).map(|form| (std::cmp::Reverse(form.len()), form)));
            }
        }
    }

    /// Adds the credentials of all kubeconfigs in a folder, and of the apiserver's for its webhook.
    pub(super) fn learn(&mut self, folder: &Utf8Path) {
        for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension() != Some("kubeconfig") && path.file_name() != Some(CONFIG_FILE) {
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let file: Value = serde_saphyr::from_str(&text).unwrap_or_default();
            for user in file["users"].as_array().into_iter().flatten() {
                let of_user = |name: &str| user["user"][name].as_str();
                let values = ["token", "password", "client-key-data"].map(of_user);
                values
                    .into_iter()
                    .flatten()
                    .for_each(|value| self.add(value));
                if let Some(key) = of_user("client-key-data").and_then(super::encoded::decoded) {
                    self.add(&key);
                }
            }
        }
    }

    pub(super) fn replaced<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for (_, form) in &self.forms {
            if text.contains(form.as_str()) {
                text = Cow::Owned(text.replace(form, &mark("credential of this lab")));
            }
        }
        text
    }
}

/// As it is; in JSON, and in JSON in JSON; in YAML's single quotes; in a URL; in base64.
fn forms(secret: &str) -> impl Iterator<Item = String> {
    let in_json = |text: &str| {
        let quoted = Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let once = in_json(secret);
    let in_url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    [
        secret.to_owned(),
        in_json(&once),
        once,
        secret.replace('\'', "''"),
        in_url.replace('+', "%20"),
        in_url,
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ]
    .into_iter()
}
