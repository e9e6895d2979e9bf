//! `/etc/rancher/k3s/config.yaml`: k3s' flags as a file, which it reads at each start.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where k3s looks for it.
pub(crate) const PATH: &str = "/etc/rancher/k3s/config.yaml";

/// The file, of which only the apiserver's flags are of interest; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Config {
    #[serde(default, skip_serializing_if = "Arguments::is_empty")]
    kube_apiserver_arg: Arguments,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// `name=value` each; k3s takes one for a list of one.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
enum Arguments {
    List(Vec<String>),
    One(String),
}

impl Default for Arguments {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Arguments {
    fn is_empty(&self) -> bool {
        matches!(self, Self::List(list) if list.is_empty())
    }

    fn list(&mut self) -> &mut Vec<String> {
        if let Self::One(text) = self {
            *self = Self::List(vec![std::mem::take(text)]);
        }
        match self {
            Self::List(list) => list,
            Self::One(_) => unreachable!("it was made a list"),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let list = match self {
            Self::List(list) => list.as_slice(),
            Self::One(text) => std::slice::from_ref(text),
        };
        list.iter().map(String::as_str)
    }
}

impl Config {
    /// Reads it; there is nothing in a file that is not there.
    pub(crate) fn read(text: &str) -> Result<Self, Box<serde_saphyr::Error>> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        crate::kubeconfig::read(text)
    }

    /// The value of a flag of kube-apiserver.
    pub(crate) fn flag(&self, name: &str) -> Option<&str> {
        let values = self.kube_apiserver_arg.iter();
        // The last one counts.
        values.filter_map(|argument| value(argument, name)).last()
    }

    /// Sets a flag of kube-apiserver, or takes it away; another value is replaced where it is.
    pub(crate) fn set(&mut self, name: &str, new: Option<&str>) {
        if self.flag(name) == new {
            return;
        }
        let list = self.kube_apiserver_arg.list();
        let place = list.iter().position(|old| value(old, name).is_some());
        list.retain(|old| value(old, name).is_none());
        if let Some(new) = new {
            let place = place.unwrap_or(list.len());
            list.insert(place, format!("{name}={new}"));
        }
    }

    /// The file's text.
    pub(crate) fn yaml(&self) -> String {
        serde_saphyr::to_string(self).expect("plain data always serialises")
    }
}

fn value<'a>(argument: &'a str, name: &str) -> Option<&'a str> {
    let argument = argument.trim_start_matches('-');
    argument.strip_prefix(name)?.strip_prefix('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_set_replaced_and_taken_away() {
        let mut config = Config::read("").expect("must be read");
        config.set("audit-log-path", Some("-"));
        config.set("v", Some("4"));
        config.set("audit-log-path", Some("/log"));
        insta::assert_snapshot!(config.yaml(), @r"
        kube-apiserver-arg:
        - audit-log-path=/log
        - v=4
        ");
        assert_eq!(config.flag("audit-log-path"), Some("/log"));
        assert_eq!(config.flag("audit-log"), None);
        config.set("v", None);
        config.set("audit-log-path", None);
        assert_eq!(config, Config::default());
    }

    #[test]
    fn what_else_is_in_it_stays() {
        let text = "kube-apiserver-arg: v=2\ntls-san: [a, b]\nsecrets-encryption: true\n";
        let mut config = Config::read(text).expect("must be read");
        config.set("v", Some("4"));
        config.set("profiling", Some("false"));
        let read: Value = serde_saphyr::from_str(&config.yaml()).expect("must be YAML");
        assert_eq!(
            read,
            serde_json::json!({
                "kube-apiserver-arg": ["v=4", "profiling=false"],
                "tls-san": ["a", "b"],
                "secrets-encryption": true,
            })
        );
    }

    #[test]
    fn what_is_wrong_with_it_shows_nothing_of_it() {
        for text in [
            "token: CANARY: x\n",
            "kube-apiserver-arg: {a: CANARY}\n",
            "CANARY",
        ] {
            let error = Config::read(text).expect_err("must fail").to_string();
            assert!(!error.contains("CANARY"), "{error}");
        }
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        assert!(Config::read("- a\n- b\n").is_err());
    }
}
