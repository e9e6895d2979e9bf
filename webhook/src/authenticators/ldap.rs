//! Users and passwords of an LDAP directory.
//!
//! The token is base64 of `user:password`, as the tutorials have it: `printf %s
//! demo-user:demo-password | base64`. It is decoded, the password is tried by a simple bind, and
//! the user's name, uid and groups are what the directory says.
//!
//! # Caveats
//!
//! - Such a token is a password. It is in the kubeconfig, the apiserver remembers a good one for
//!   two minutes, and it is good for everything else that the directory guards. What can be
//!   revoked alone is a token of a [`TokenFile`](super::TokenFile).
//! - Every wrong password is a failed login to the directory, which may lock the account: the
//!   apiserver remembers a refused token, but not the next guess.
//! - The directory's reason for a refusal (a locked account, an expired password) is in the log
//!   alone. A directory may also give a wrong `bind.template` out as wrong passwords: OpenLDAP does.
//! - Directories take longer for a wrong password than for a user who is not there. Refusals wait
//!   until the slowest answer of the last ten minutes would have been there, at most half of
//!   `timeout`, so that the time does not tell who is. The first ones after the start do, and one
//!   that is slower than all before; and whoever can count the directory's questions still can.
//! - Prefer `ldaps://`. A directory that goes away while `StartTLS` is begun is waited for until the
//!   review's time is over (`ldap3` 0.12, `LdapConnAsync::single_op`); of any other it is known at
//!   once.
//! - Usernames and filters are escaped; a name that is in the token in another case or with other
//!   spaces than in the directory is the directory's.

mod config;
mod directory;
mod floor;
mod login;
mod pool;
mod session;
mod template;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

pub use config::{LdapBind, LdapConfig, LdapGroups, LdapSearch};

use self::directory::{Answer, Directory};
use self::login::Login;
use crate::reload::{ReadError, ReloadEvent, Watched};
use crate::{Authenticator, Decision, Review};

/// Why a directory cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LdapError {
    /// One of the files cannot be read.
    #[error("cannot use the directory")]
    Read(#[from] ReadError),
    /// The address is no address, has more than a host and a port, or names another protocol. It
    /// is not quoted: there may be a password in it.
    #[error("`url` is neither `ldaps://HOST[:PORT]` nor `ldap://HOST[:PORT]`")]
    Url,
    /// The address has an IPv6 address in it, whose certificate `ldap3` 0.12 cannot check.
    #[error("`url` has an IPv6 address in it; a name is needed, which the certificate must have")]
    Ipv6,
    /// A text lacks its place, without which every user would be the same.
    #[error("`{field}` has no `{place}` in it")]
    Place {
        /// Which text.
        field: &'static str,
        /// What must be in it.
        place: &'static str,
    },
    /// A filter is none.
    #[error("`{field}` is not an LDAP filter (RFC 4515)")]
    Filter {
        /// Which one.
        field: &'static str,
    },
    /// The CA file has no certificate in PEM, or one that is broken.
    #[error("no usable certificate is in `{}`", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
    },
    /// The password file is empty or not UTF-8.
    #[error("no password is in `{}`", path.display())]
    Password {
        /// The file.
        path: PathBuf,
    },
}

/// Asks an LDAP directory, over TLS only. Cloning shares it.
///
/// A token that can be no login is refused without asking. One that the directory cannot be asked
/// about is [`Decision::Unavailable`] or [`Decision::Undecided`], never a refusal, which the
/// apiserver would remember.
#[derive(Clone)]
pub struct Ldap(Arc<Inner>);

struct Inner {
    directory: Directory,
    timeout: Duration,
}

impl Ldap {
    /// Reads the files that `config` names: what asks the directory, and what takes it when the
    /// files change. The directory itself is asked with the first review.
    pub fn load(config: LdapConfig) -> Result<(Self, LdapReload), LdapError> {
        let mut paths = vec![config.ca_file.clone()];
        if let LdapBind::Search(search) = &config.bind {
            paths.push(search.password_file.clone());
        }
        let (watched, contents) = Watched::open(paths)?;
        let timeout = config.timeout;
        let directory = Directory::new(config, &contents)?;
        let ldap = Self(Arc::new(Inner { directory, timeout }));
        let reload = LdapReload {
            ldap: ldap.clone(),
            watched,
        };
        Ok((ldap, reload))
    }
}

impl Authenticator for Ldap {
    async fn authenticate(&self, review: &Review) -> Decision {
        let Some(login) = Login::of(&review.token) else {
            return Decision::Refused;
        };
        let limit = self.0.timeout;
        let end = Instant::now() + limit;
        match timeout_at(end, self.0.directory.decide(&login)).await {
            Ok(Answer { decision, due }) => {
                if let Some(due) = due {
                    sleep_until(due.min(end)).await;
                }
                decision
            }
            Err(_) => Decision::Unavailable {
                reason: format!("the directory did not answer within {limit:?}"),
            },
        }
    }
}

impl fmt::Debug for Ldap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ldap").finish_non_exhaustive()
    }
}

/// Takes what changes in the files of an [`LdapConfig`].
#[derive(Debug)]
pub struct LdapReload {
    ldap: Ldap,
    watched: Watched,
}

impl LdapReload {
    /// What is reloaded, in its [`ReloadEvent`]s.
    pub const WHAT: &'static str = "directory";

    /// As [`Watched::with_interval`].
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.watched = self.watched.with_interval(interval);
        self
    }

    /// Reads the files each time they change, and tells `report` what became of it. Never ends:
    /// spawn it, or drop it.
    pub async fn run(self, report: impl Fn(ReloadEvent)) {
        let Self { ldap, watched } = self;
        let take = |contents: Vec<Vec<u8>>| ldap.0.directory.replace(&contents);
        watched.reload(Self::WHAT, take, report).await;
    }
}
