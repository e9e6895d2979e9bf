//! Who decides whose a token is.

use std::pin::Pin;
use std::sync::Arc;

use tokenlab_webhook::authenticators::{FirstMatch, TokenFile};
use tokenlab_webhook::reload::ReloadEvent;
use tokenlab_webhook::{BoxAuthenticator, Mock};

use super::failure::Failure;
use super::settings::Settings;

/// Runs for ever.
pub(super) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Hears of everything that was read again.
pub(super) type Report = Arc<dyn Fn(ReloadEvent) + Send + Sync>;

/// Authenticators in the order in which they are asked.
#[derive(Default)]
pub(super) struct Decider {
    authenticators: Vec<BoxAuthenticator>,
    /// One word for each.
    pub(super) modes: Vec<&'static str>,
    /// What keeps them up to date.
    pub(super) tasks: Vec<Task>,
}

impl Decider {
    /// Reads the files of those that the settings name.
    pub(super) fn load(settings: &Settings, report: &Report) -> Result<Self, Failure> {
        let mut decider = Self::default();
        if settings.mock == Some(true) {
            decider.add("mock", BoxAuthenticator::new(Mock));
        }
        if let Some(path) = &settings.token_file {
            let (tokens, reload) = TokenFile::load(path)?;
            decider.add("token-file", BoxAuthenticator::new(tokens));
            let report = Arc::clone(report);
            let run = reload.run(move |event| report(event));
            decider.tasks.push(Box::pin(run));
        }
        #[cfg(feature = "ldap")]
        decider.load_directory(settings, report)?;
        Ok(decider)
    }

    #[cfg(feature = "ldap")]
    fn load_directory(&mut self, settings: &Settings, report: &Report) -> Result<(), Failure> {
        use tokenlab_webhook::authenticators::ldap::Ldap;
        use tokenlab_webhook::authenticators::{Cached, Limited};

        let Some(config) = settings.ldap.clone() else {
            return Ok(());
        };
        let (directory, reload) = Ldap::load(config)?;
        let mut asked = BoxAuthenticator::new(directory);
        if let Some(limit) = settings.ldap_limit {
            asked = BoxAuthenticator::new(Limited::new(asked, limit));
        }
        // What is remembered needs no turn.
        if let Some(cache) = &settings.ldap_cache {
            asked = BoxAuthenticator::new(Cached::new(asked, cache));
        }
        self.add("ldap", asked);
        let report = Arc::clone(report);
        let run = reload.run(move |event| report(event));
        self.tasks.push(Box::pin(run));
        Ok(())
    }

    fn add(&mut self, mode: &'static str, authenticator: BoxAuthenticator) {
        self.modes.push(mode);
        self.authenticators.push(authenticator);
    }

    /// All of them as one.
    pub(super) fn authenticator(&mut self) -> BoxAuthenticator {
        let mut all = std::mem::take(&mut self.authenticators);
        match all.pop() {
            Some(one) if all.is_empty() => one,
            last => BoxAuthenticator::new(FirstMatch::new(all.into_iter().chain(last))),
        }
    }
}
