//! What is asked about a login, in which order.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ldap3::{LdapConnSettings, Scope, SearchEntry};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, timeout};
use url::Url;

use super::floor::Floor;
use super::login::Login;
use super::pool::Pool;
use super::session::{Session, Trouble};
use super::template;
use super::{LdapBind, LdapConfig, LdapError, LdapGroups, LdapSearch};
use crate::{Decision, Token, User};

/// What is asked of the directory about a user's password.
const PASSWORD: &str = "check the password";

/// A directory, and how users are found in it.
pub(super) struct Directory {
    config: LdapConfig,
    url: Url,
    files: RwLock<Arc<Files>>,
    pool: Pool,
    floor: Floor,
}

/// What is known of a login, and before when it is not to be said.
pub(super) struct Answer {
    pub(super) decision: Decision,
    pub(super) due: Option<Instant>,
}

impl From<Trouble> for Answer {
    fn from(trouble: Trouble) -> Self {
        let decision = trouble.into();
        Self {
            decision,
            due: None,
        }
    }
}

/// What the files say.
struct Files {
    tls: Arc<ClientConfig>,
    /// That of whoever searches.
    password: Option<Token>,
}

impl Directory {
    /// `contents` are those of the CA file and, if there is one, of the password file.
    pub(super) fn new(config: LdapConfig, contents: &[Vec<u8>]) -> Result<Self, LdapError> {
        let url = config.check()?;
        let files = RwLock::new(Arc::new(Files::new(&config, contents)?));
        let pool = Pool::new(config.connections);
        Ok(Self {
            config,
            url,
            files,
            pool,
            floor: Floor::new(),
        })
    }

    pub(super) fn replace(&self, contents: &[Vec<u8>]) -> Result<(), LdapError> {
        let files = Arc::new(Files::new(&self.config, contents)?);
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = files;
        self.pool.clear();
        Ok(())
    }

    fn files(&self) -> Arc<Files> {
        Arc::clone(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) async fn decide(&self, login: &Login) -> Answer {
        let _permit = self.pool.permit().await;
        let files = self.files();
        let limit = self.config.timeout;
        if let Some(session) = self.pool.take() {
            match self.ask(session, &files, login, limit / 4).await {
                // It was open for a while: the next is not. The others were as well.
                Err(trouble) if trouble.is_connection() => self.pool.clear(),
                asked => return asked.unwrap_or_else(Answer::from),
            }
        }
        let settings = LdapConnSettings::new()
            .set_config(Arc::clone(&files.tls))
            .set_starttls(self.url.scheme() == "ldap");
        let asked = match Session::open(settings, &self.url).await {
            Ok(session) => self.ask(session, &files, login, limit).await,
            Err(trouble) => Err(trouble),
        };
        asked.unwrap_or_else(Answer::from)
    }

    /// Puts the session back when all has been said, unless it was opened by other files than now.
    /// The directory's first word is waited for as long as `first`: no password is in the question.
    async fn ask(
        &self,
        mut session: Session,
        files: &Arc<Files>,
        login: &Login,
        first: Duration,
    ) -> Result<Answer, Trouble> {
        let began = Instant::now();
        let word = timeout(first, self.begin(&mut session, files)).await;
        word.map_err(|_| Trouble::Silent)??;
        let user = match self.user(&mut session, files, login, began).await {
            Err(trouble) if trouble.is_connection() => return Err(trouble),
            user => user,
        };
        if user.is_ok() && Arc::ptr_eq(files, &self.files()) {
            self.pool.put(session);
        }
        let floor = self.floor.least().min(self.config.timeout / 2);
        let due = (!matches!(user, Ok(Some(_)))).then_some(began + floor);
        let decision = match user {
            Ok(Some(user)) => Decision::authenticated(user),
            Ok(None) => Decision::Refused,
            Err(trouble) => trouble.into(),
        };
        Ok(Answer { decision, due })
    }

    /// Makes the session ready for a login.
    async fn begin(&self, session: &mut Session, files: &Files) -> Result<(), Trouble> {
        match &self.config.bind {
            LdapBind::Template(_) => session.probe().await,
            LdapBind::Search(search) => searcher(session, search, files).await,
        }
    }

    async fn user(
        &self,
        session: &mut Session,
        files: &Files,
        login: &Login,
        began: Instant,
    ) -> Result<Option<User>, Trouble> {
        let entry = match &self.config.bind {
            LdapBind::Template(template) => self.own(session, template, login, began).await?,
            LdapBind::Search(search) => self.found(session, search, files, login, began).await?,
        };
        let Some(entry) = entry else {
            return Ok(None);
        };
        let mut user = User::new(self.username(&entry)?);
        if let Some(attribute) = &self.config.uid_attribute {
            let uid = values(&entry, attribute).next();
            user.uid = uid.cloned().ok_or(Trouble::Ambiguous(
                "the user's entry has no value of `uidAttribute`",
            ))?;
        }
        if let Some(groups) = &self.config.groups {
            user.groups = self::groups(session, groups, &entry.dn, &user.username).await?;
        }
        Ok(Some(user))
    }

    /// The user's own entry, as the user sees it. None: the password is wrong.
    async fn own(
        &self,
        session: &mut Session,
        template: &str,
        login: &Login,
        began: Instant,
    ) -> Result<Option<SearchEntry>, Trouble> {
        let dn = template::dn(template, &login.username);
        if !self.is_right(session, &dn, login, began).await? {
            return Ok(None);
        }
        let whole = (&*dn, Scope::Base, "(objectClass=*)");
        let what = "show users their own entry";
        let mut entries = session.search(what, whole, &self.attributes()).await?;
        entries.pop().map(Some).ok_or(Trouble::Ambiguous(
            "the directory does not show users their own entry",
        ))
    }

    /// The user's entry, as whoever searches, and is in the session, sees it. None: there is none,
    /// or the password is wrong.
    async fn found(
        &self,
        session: &mut Session,
        search: &LdapSearch,
        files: &Files,
        login: &Login,
        began: Instant,
    ) -> Result<Option<SearchEntry>, Trouble> {
        let filter = template::filter(&search.filter, &login.username, "");
        let below = (&*search.base, Scope::Subtree, &*filter);
        let mut entries = session
            .search("search for users", below, &self.attributes())
            .await?;
        let entry = entries.pop();
        if !entries.is_empty() {
            return Err(Trouble::Ambiguous("more than one entry is the user's"));
        }
        let Some(entry) = entry else {
            return Ok(None);
        };
        if !self.is_right(session, &entry.dn, login, began).await? {
            return Ok(None);
        }
        searcher(session, search, files).await?;
        Ok(Some(entry))
    }

    /// Whether the password is this entry's; and how long it takes to find out.
    async fn is_right(
        &self,
        session: &mut Session,
        dn: &str,
        login: &Login,
        began: Instant,
    ) -> Result<bool, Trouble> {
        let right = session.bind(PASSWORD, dn, &login.password).await;
        let now = Instant::now();
        self.floor.learn(began, now, matches!(right, Ok(true)));
        right
    }

    fn attributes(&self) -> Vec<&str> {
        let uid = self.config.uid_attribute.as_deref();
        let username = self.config.username_attribute.as_str();
        uid.into_iter().chain([username]).collect()
    }

    /// The name in the entry. Of several none is taken: which, users would choose by the token, and
    /// one person would be two in Kubernetes.
    fn username(&self, entry: &SearchEntry) -> Result<String, Trouble> {
        let mut names = values(entry, &self.config.username_attribute);
        let name = names.next().cloned().ok_or(Trouble::Ambiguous(
            "the user's entry has no value of `usernameAttribute`",
        ))?;
        match names.next() {
            None => Ok(name),
            Some(_) => Err(Trouble::Ambiguous(
                "the user's entry has more than one value of `usernameAttribute`",
            )),
        }
    }
}

/// Makes the session that of whoever searches.
async fn searcher(
    session: &mut Session,
    search: &LdapSearch,
    files: &Files,
) -> Result<(), Trouble> {
    let password = files.password.as_ref().map_or("", Token::expose);
    if session
        .bind("take `bindDn`", &search.bind_dn, password)
        .await?
    {
        Ok(())
    } else {
        Err(Trouble::Ambiguous(
            "the directory does not take `bindDn` with the password of `passwordFile`",
        ))
    }
}

/// The names of the groups, in alphabetical order.
async fn groups(
    session: &mut Session,
    groups: &LdapGroups,
    dn: &str,
    username: &str,
) -> Result<Vec<String>, Trouble> {
    let filter = template::filter(&groups.filter, username, dn);
    let attribute = groups.name_attribute.as_str();
    let below = (&*groups.base, Scope::Subtree, &*filter);
    let entries = session
        .search("search for groups", below, &[attribute])
        .await?;
    let names = entries.iter().flat_map(|entry| values(entry, attribute));
    let mut names: Vec<_> = names.cloned().collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The texts of an attribute. Its name is without case.
fn values<'a>(entry: &'a SearchEntry, attribute: &'a str) -> impl Iterator<Item = &'a String> {
    let attributes = entry.attrs.iter();
    let named = attributes.filter(|(name, _)| name.eq_ignore_ascii_case(attribute));
    named.flat_map(|(_, values)| values)
}

impl Files {
    fn new(config: &LdapConfig, contents: &[Vec<u8>]) -> Result<Self, LdapError> {
        let unusable = || LdapError::Authority {
            path: config.ca_file.clone(),
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&contents[0]) {
            let certificate = certificate.map_err(|_| unusable())?;
            roots.add(certificate).map_err(|_| unusable())?;
        }
        if roots.is_empty() {
            return Err(unusable());
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring must have what TLS needs")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let password = match &config.bind {
            LdapBind::Template(_) => None,
            LdapBind::Search(search) => {
                let text = str::from_utf8(&contents[1]).unwrap_or_default();
                let text = text.strip_suffix('\n').unwrap_or(text);
                let text = text.strip_suffix('\r').unwrap_or(text);
                if text.is_empty() {
                    let path = search.password_file.clone();
                    return Err(LdapError::Password { path });
                }
                Some(Token::from(text))
            }
        };
        Ok(Self {
            tls: Arc::new(tls),
            password,
        })
    }
}
