//! What the Pod would find wrong with what it is told.

use std::path::{Path, PathBuf};

use clap::{Args as _, Command, FromArgMatches as _};
use tokenlab_webhook::manifests::{Manifests, SETTINGS};

use crate::cli::failure::Failure;
use crate::cli::settings::{Settings, Source, Told};

/// Reads the Pod's arguments as `serve` will, but for the configuration, which is `config` here.
/// Returns the settings that come of both.
pub(super) fn check(manifests: &Manifests, config: Option<PathBuf>) -> Result<Settings, Failure> {
    let args = manifests.args().unwrap_or_default();
    let serve = Source::augment_args(Command::new("serve"));
    let matches = serve.try_get_matches_from(args);
    let matches = matches.unwrap_or_else(|error| error.exit());
    let source = Source::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let told = source.with_file(config).read(matches)?;
    // What recognises every token must not be hidden in a file.
    if told.settings.mock == Some(true) {
        return Err(Failure::HiddenMock {
            place: told.place("mock"),
        });
    }
    told.check()?;
    paths(manifests, &told)?;
    Ok(told.settings)
}

/// Whether the Pod has each file that the settings name.
fn paths(manifests: &Manifests, told: &Told) -> Result<(), Failure> {
    let is_there = |path: &Path| {
        let name = path.strip_prefix(SETTINGS).ok().and_then(Path::to_str);
        name.is_some_and(|name| manifests.files.contains_key(name))
    };
    match named(&told.settings).find(|(_, path)| !is_there(path)) {
        Some((field, path)) => Err(Failure::NotInPod {
            place: told.place(field),
            path: path.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Each with the setting that names it. The certificates are the arguments' alone.
fn named(settings: &Settings) -> impl Iterator<Item = (&'static str, &Path)> {
    let tokens = settings.token_file.as_deref();
    let tokens = tokens.map(|path| ("token_file", path));
    #[cfg(feature = "ldap")]
    let directory = {
        use tokenlab_webhook::authenticators::ldap::LdapBind;

        let files = settings.ldap.iter().flat_map(|ldap| {
            let password = match &ldap.bind {
                LdapBind::Search(search) => Some(&*search.password_file),
                _ => None,
            };
            std::iter::once(&*ldap.ca_file).chain(password)
        });
        files.map(|path| ("ldap", path))
    };
    #[cfg(not(feature = "ldap"))]
    let directory = std::iter::empty();
    tokens.into_iter().chain(directory)
}
