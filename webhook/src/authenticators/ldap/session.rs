//! One connection to the directory, and what is asked over it.

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchEntry};
use url::Url;

use crate::Decision;

/// Why the directory's word could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The connection could not be made, or broke.
    #[error("the directory cannot be reached: {0}")]
    Connection(LdapError),
    /// An open connection stays silent.
    #[error("the directory does not answer on a connection that was open")]
    Silent,
    /// The directory said that it cannot, or that we must not.
    #[error("the directory does not {what}: {}", said(.result))]
    Said {
        what: &'static str,
        result: Box<LdapResult>,
    },
    /// It said something that fits no user.
    #[error("{0}")]
    Ambiguous(&'static str),
}

/// The code, and the directory's words: without what could break out of a line of the log.
fn said(result: &LdapResult) -> String {
    format!("result code {}, {:?}", result.rc, result.text)
}

impl Trouble {
    /// Whether another connection may do better.
    pub(super) fn is_connection(&self) -> bool {
        matches!(self, Self::Connection(_) | Self::Silent)
    }
}

impl From<Trouble> for Decision {
    fn from(trouble: Trouble) -> Self {
        let reason = trouble.to_string();
        match trouble {
            Trouble::Connection(_) | Trouble::Silent => Self::Unavailable { reason },
            // busy, unavailable (RFC 4511, 4.1.9).
            Trouble::Said { result, .. } if [51, 52].contains(&result.rc) => {
                Self::Unavailable { reason }
            }
            Trouble::Said { .. } | Trouble::Ambiguous(_) => Self::Undecided { reason },
        }
    }
}

/// An open connection. Whoever has one binds before a search: it may be anybody's.
pub(super) struct Session(Ldap);

impl Session {
    pub(super) async fn open(settings: LdapConnSettings, url: &Url) -> Result<Self, Trouble> {
        let (connection, ldap) = LdapConnAsync::from_url_with_settings(settings, url)
            .await
            .map_err(Trouble::Connection)?;
        // It ends when the session is dropped.
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "connection to the directory");
            }
        });
        Ok(Self(ldap))
    }

    pub(super) fn is_closed(&mut self) -> bool {
        self.0.is_closed()
    }

    /// Waits for any word of the directory; what it thinks of the question does not matter.
    pub(super) async fn probe(&mut self) -> Result<(), Trouble> {
        let root = self.0.search("", Scope::Base, "(objectClass=*)", ["1.1"]);
        root.await.map(drop).map_err(Trouble::Connection)
    }

    /// Becomes `dn`, by `password`. Whether that is the password; who may not log in has none.
    /// `what` says in an error what that was for.
    ///
    /// Why not is in the log, as the directory says it: a locked account is no wrong password.
    pub(super) async fn bind(
        &mut self,
        what: &'static str,
        dn: &str,
        password: &str,
    ) -> Result<bool, Trouble> {
        let result = self.0.simple_bind(dn, password).await;
        let result = result.map_err(Trouble::Connection)?;
        match result.rc {
            0 => Ok(true),
            // constraintViolation (389's locked accounts), inappropriateAuthentication,
            // invalidCredentials (RFC 4511, A). Not noSuchObject and invalidDNSyntax, which say
            // that a setting is wrong, and not unwillingToPerform, which a directory says that is
            // being filled or wants more of the connection.
            19 | 48 | 49 => {
                tracing::info!(code = result.rc, text = ?result.text, "the directory refuses a password");
                Ok(false)
            }
            _ => Err(Trouble::Said {
                what,
                result: Box::new(result),
            }),
        }
    }

    /// The entries that match, with these attributes. Referrals are not followed: that would bring
    /// passwords to servers that nobody named. `what` says in an error what that was for.
    pub(super) async fn search(
        &mut self,
        what: &'static str,
        (base, scope, filter): (&str, Scope, &str),
        attributes: &[&str],
    ) -> Result<Vec<SearchEntry>, Trouble> {
        let found = self.0.search(base, scope, filter, attributes).await;
        let found = found.map_err(Trouble::Connection)?;
        match found.1.rc {
            0 => Ok(found.0.into_iter().map(SearchEntry::construct).collect()),
            _ => Err(Trouble::Said {
                what,
                result: Box::new(found.1),
            }),
        }
    }
}
