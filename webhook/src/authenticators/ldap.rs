//! Users and passwords of an LDAP directory.

mod config;

pub use config::{LdapBind, LdapConfig, LdapGroups, LdapSearch};
