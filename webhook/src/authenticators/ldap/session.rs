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
        matches!(self, Self::Connection(_))
    }
}

impl From<Trouble> for Decision {
    fn from(trouble: Trouble) -> Self {
        let reason = trouble.to_string();
        match trouble {
            Trouble::Connection(_) => Self::Unavailable { reason },
            // busy, unavailable (RFC 4511, 4.1.9).
            Trouble::Said { result, .. } if [51, 52].contains(&result.rc) => {
                Self::Unavailable { reason }
            }
            Trouble::Said { .. } | Trouble::Ambiguous(_) => Self::Undecided { reason },
        }
    }
}

/// What became of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Yes,
    /// It is not the password, or not somebody who may log in.
    No,
    /// There is no such entry.
    Nobody,
}

/// An open connection. Whoever has one begins with [`Session::bind`]: it may be anybody's.
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

    /// Becomes `dn`, by `password`. Why not, as the directory says it, is in the log: a locked
    /// account is no wrong password.
    ///
    /// unwillingToPerform is no refusal, which the apiserver would remember of everybody: so says
    /// a directory that is being restored, too.
    pub(super) async fn bind(&mut self, dn: &str, password: &str) -> Result<Bound, Trouble> {
        let result = self.0.simple_bind(dn, password).await;
        let result = result.map_err(Trouble::Connection)?;
        let refused = |bound| {
            tracing::info!(code = result.rc, text = ?result.text, "the directory refuses a login");
            Ok(bound)
        };
        match result.rc {
            0 => Ok(Bound::Yes),
            // constraintViolation (an account that is locked), inappropriateAuthentication (one
            // without a password), invalidCredentials (RFC 4511, A).
            19 | 48 | 49 => refused(Bound::No),
            // noSuchObject
            32 => refused(Bound::Nobody),
            _ => Err(Trouble::Said {
                what: "check the password",
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
