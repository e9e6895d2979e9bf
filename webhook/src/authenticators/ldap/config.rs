//! What an operator says about the directory.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ldap3::parse_filter;
use serde::{Deserialize, Deserializer, de};
use url::{Host, Url};

use super::LdapError;
use super::template;
use crate::duration;

/// Where the directory is, and how users and groups are found in it.
///
/// ```yaml
/// url: ldaps://directory.example.org
/// caFile: /etc/tokenlab/directory-ca.crt
/// bind:
///   template: uid={username},ou=people,dc=example,dc=org
/// groups:
///   base: ou=groups,dc=example,dc=org
///   filter: (member={dn})
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct LdapConfig {
    /// `ldaps://HOST[:636]`, TLS from the start, or `ldap://HOST[:389]`, where TLS is begun by
    /// `StartTLS` before anything else is said. There is no way without TLS.
    ///
    /// An IPv6 address is none yet: `ldap3` 0.12 takes its brackets for a part of the name that the
    /// certificate must have.
    #[serde(deserialize_with = "checked_url")]
    pub url: String,
    /// The authorities that may have signed the directory's certificate, PEM. The system's are not
    /// asked. The certificate must name the host of `url`.
    pub ca_file: PathBuf,
    /// How a user's name becomes the DN that the password is tried for.
    pub bind: LdapBind,
    /// The attribute of the user's entry that has the name for Kubernetes; that is not taken from
    /// the token, where one user can be written in several ways. It must be one that users cannot
    /// write themselves and that no two of them share, or one can be another; and it must have
    /// one value: of several nobody can tell who it is, and whoever logs in does not choose.
    /// Default: `uid`.
    #[serde(default = "username_attribute")]
    pub username_attribute: String,
    /// The attribute that has the uid for Kubernetes, for example `entryUUID`. Default: none, and
    /// no uid.
    #[serde(default)]
    pub uid_attribute: Option<String>,
    /// How a user's groups are found. Default: not looked for, no groups.
    #[serde(default)]
    pub groups: Option<LdapGroups>,
    /// The most connections to the directory, and so the most reviews that are decided at once;
    /// more wait for one. They are kept open. Default: 8.
    #[serde(default = "connections")]
    pub connections: NonZeroUsize,
    /// How long a review may take in all, waiting for a connection included. Default: 5 s.
    #[serde(default = "timeout", deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
}

/// How the DN of a user is known.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum LdapBind {
    /// It is written: `uid={username},ou=people,dc=example,dc=org`. Users must be allowed to read
    /// their own entry, and the groups.
    Template(#[serde(deserialize_with = "checked_template")] String),
    /// It is looked for, by somebody who may look.
    Search(LdapSearch),
}

/// A search for a user's entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct LdapSearch {
    /// The DN under which all users are.
    pub base: String,
    /// What tells the user, with `{username}` in it. Default: `(uid={username})`.
    #[serde(default = "user_filter", deserialize_with = "checked_user_filter")]
    pub filter: String,
    /// Who searches, for users and groups.
    pub bind_dn: String,
    /// The file with that one's password; a line end at its end is not part of it.
    pub password_file: PathBuf,
}

/// A search for a user's groups.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct LdapGroups {
    /// The DN under which all groups are.
    pub base: String,
    /// What tells the groups, with the user's DN as `{dn}` or the name as `{username}` in it.
    /// Default: `(member={dn})`.
    #[serde(default = "group_filter", deserialize_with = "checked_group_filter")]
    pub filter: String,
    /// The attribute that has the group's name for Kubernetes. Default: `cn`.
    #[serde(default = "name_attribute")]
    pub name_attribute: String,
}

impl LdapConfig {
    /// The address, unless something is wrong in the settings themselves: a program may have
    /// changed them since they were read.
    pub(super) fn check(&self) -> Result<Url, LdapError> {
        match &self.bind {
            LdapBind::Template(template) => check_template(template)?,
            LdapBind::Search(search) => check_user_filter(&search.filter)?,
        }
        if let Some(groups) = &self.groups {
            check_group_filter(&groups.filter)?;
        }
        url(&self.url)
    }
}

fn url(text: &str) -> Result<Url, LdapError> {
    let url = Url::parse(text).map_err(|_| LdapError::Url)?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && ["", "/"].contains(&url.path())
        && url.query().is_none()
        && url.fragment().is_none();
    // What is no protocol of the web has its IPv4 addresses as names, but not those of IPv6.
    match url.host() {
        Some(Host::Ipv6(_)) => Err(LdapError::Ipv6),
        Some(Host::Domain("")) | None => Err(LdapError::Url),
        Some(_) if bare && ["ldaps", "ldap"].contains(&url.scheme()) => Ok(url),
        Some(_) => Err(LdapError::Url),
    }
}

fn check_template(text: &str) -> Result<(), LdapError> {
    place("bind.template", text, &["{username}"])
}

fn check_user_filter(text: &str) -> Result<(), LdapError> {
    let field = "bind.search.filter";
    place(field, text, &["{username}"]).and_then(|()| filter(field, text))
}

fn check_group_filter(text: &str) -> Result<(), LdapError> {
    let field = "groups.filter";
    place(field, text, &["{dn}", "{username}"]).and_then(|()| filter(field, text))
}

/// One of the places must be in it.
fn place(field: &'static str, text: &str, places: &[&'static str]) -> Result<(), LdapError> {
    let place = places[0];
    let found = places.iter().any(|place| text.contains(place));
    found.then_some(()).ok_or(LdapError::Place { field, place })
}

fn filter(field: &'static str, text: &str) -> Result<(), LdapError> {
    let parsed = parse_filter(template::filter(text, "x", "x")).map(drop);
    parsed.map_err(|()| LdapError::Filter { field })
}

/// A text that is looked at where it is read, which is where its line is known.
fn checked<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    check: impl Fn(&str) -> Result<T, LdapError>,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    check(&text).map_err(de::Error::custom)?;
    Ok(text)
}

fn checked_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, url)
}

fn checked_template<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, check_template)
}

fn checked_user_filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, check_user_filter)
}

fn checked_group_filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked(deserializer, check_group_filter)
}

fn username_attribute() -> String {
    "uid".to_owned()
}

fn name_attribute() -> String {
    "cn".to_owned()
}

fn user_filter() -> String {
    "(uid={username})".to_owned()
}

fn group_filter() -> String {
    "(member={dn})".to_owned()
}

fn connections() -> NonZeroUsize {
    NonZeroUsize::new(8).expect("8 must not be 0")
}

fn timeout() -> Duration {
    Duration::from_secs(5)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn settings() -> Value {
        json!({
            "url": "ldaps://directory.example.org",
            "caFile": "ca.crt",
            "bind": {"template": "uid={username},dc=example,dc=org"},
        })
    }

    fn read(settings: Value) -> Result<LdapConfig, String> {
        serde_json::from_value(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let config = read(settings()).expect("settings");
        assert_eq!(config.username_attribute, "uid");
        assert_eq!(config.uid_attribute, None);
        assert_eq!(config.groups, None);
        assert_eq!(config.connections.get(), 8);
        assert_eq!(config.timeout, Duration::from_secs(5));
        config.check().expect("usable");

        let mut other = settings();
        other["bind"] = json!({"search": {"base": "x", "bindDn": "y", "passwordFile": "z"}});
        other["groups"] = json!({"base": "x"});
        let config = read(other).expect("settings");
        let LdapBind::Search(search) = &config.bind else {
            panic!("{config:?}");
        };
        assert_eq!(search.filter, "(uid={username})");
        let groups = config.groups.as_ref().expect("groups");
        assert_eq!(
            (&*groups.filter, &*groups.name_attribute),
            ("(member={dn})", "cn")
        );
        config.check().expect("usable");
    }

    #[rstest]
    #[case::typo(json!({"CAFile": "x"}), "unknown field `CAFile`")]
    #[case::neither(json!({"bind": {}}), "expected")]
    #[case::both(json!({"bind": {"template": "{username}", "search": {}}}), "expected")]
    #[case::no_connections(json!({"connections": 0}), "nonzero")]
    #[case::timeout(json!({"timeout": 5}), "expected a string")]
    fn what_is_no_setting(#[case] change: Value, #[case] expected: &str) {
        let mut settings = settings();
        let fields = settings.as_object_mut().expect("an object");
        fields.extend(change.as_object().expect("an object").clone());
        let error = read(settings).expect_err("no setting");
        assert!(error.contains(expected), "{error}");
    }

    #[rstest]
    #[case::ldaps("ldaps://directory:1636/", true)]
    #[case::starttls("ldap://127.0.0.1", true)]
    #[case::ipv6("ldap://[::1]", false)]
    #[case::other_protocol("https://directory", false)]
    #[case::socket("ldapi://%2Frun%2Fslapd", false)]
    #[case::no_host("ldaps://", false)]
    #[case::no_address("directory", false)]
    #[case::login("ldaps://reader:secret@directory", false)]
    #[case::base("ldaps://directory/dc=example", false)]
    #[case::search("ldaps://directory?uid", false)]
    fn addresses(#[case] url: &str, #[case] usable: bool) {
        let mut settings = settings();
        settings["url"] = url.into();
        let read = read(settings);
        assert_eq!(read.is_ok(), usable);
        if let Err(error) = read {
            assert!(
                error.contains("`url`") && !error.contains("secret"),
                "{error}"
            );
        }
    }

    #[rstest]
    #[case::template(json!({"bind": {"template": "uid=x"}}), "`bind.template` has no `{username}` in it")]
    #[case::everybody(search("(uid=*)"), "`bind.search.filter` has no `{username}` in it")]
    #[case::filter(
        search("uid={username})"),
        "`bind.search.filter` is not an LDAP filter (RFC 4515)"
    )]
    #[case::all_groups(json!({"groups": {"base": "x", "filter": "(cn=*)"}}), "`groups.filter` has no `{dn}` in it")]
    #[case::groups(json!({"groups": {"base": "x", "filter": "(member={dn}"}}), "`groups.filter` is not an LDAP filter (RFC 4515)")]
    fn texts(#[case] change: Value, #[case] expected: &str) {
        let mut settings = settings();
        let fields = settings.as_object_mut().expect("an object");
        fields.extend(change.as_object().expect("an object").clone());
        assert_eq!(read(settings).expect_err("unusable"), expected);
    }

    #[test]
    fn what_a_program_changes_is_looked_at_again() {
        let mut config = read(settings()).expect("settings");
        config.bind = LdapBind::Template("uid=x".to_owned());
        assert!(matches!(config.check(), Err(LdapError::Place { .. })));
        let mut config = read(settings()).expect("settings");
        config.url = "http://directory".to_owned();
        assert!(matches!(config.check(), Err(LdapError::Url)));
    }

    fn search(filter: &str) -> Value {
        let search = json!({"base": "x", "bindDn": "y", "passwordFile": "z", "filter": filter});
        json!({"bind": {"search": search}})
    }
}
