//! The search through all sources, in order.

use std::fmt;

use semver::Version;

use super::build::{self, BuildError};
use super::claim::Claim;
use super::download::{self, DownloadError};
use super::explicit::{self, ExplicitError, Overrides};
use super::go;
use super::place::{Place, State, chain};
use super::sources::SettingError;
use super::store::{Store, StoreError};
use super::transfer::shown;
use super::{Assets, Source, Sources, Wanted};
use crate::progress::Progress;

/// Why there are no programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssetsError {
    /// A setting is malformed.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// What the environment names is broken.
    #[error(transparent)]
    Explicit(#[from] ExplicitError),
    /// The store cannot be looked at.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No place has the programs, and none could be made to have them.
    #[error("no place has the programs of Kubernetes {wanted}{}", Listing(places))]
    Nowhere {
        /// What was asked for.
        wanted: Wanted,
        /// Every place that was looked at, in order.
        places: Vec<Place>,
    },
}

impl AssetsError {
    /// What to do about it. The advice on each place stands beside it in the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Setting(error) => error.hint(),
            Self::Explicit(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Nowhere { .. } => None,
        }
    }
}

struct Listing<'a>(&'a [Place]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, place) in (1..).zip(self.0) {
            write!(
                f,
                "\n  {number}. {}",
                place.to_string().replace('\n', "\n     ")
            )?;
            if let Some(hint) = &place.hint {
                write!(f, "\n     -> {hint}")?;
            }
        }
        Ok(())
    }
}

impl Sources {
    /// As [`Assets::ensure`], with these sources.
    pub async fn ensure(
        &self,
        wanted: &Wanted,
        progress: &Progress,
    ) -> Result<Assets, AssetsError> {
        let mut search = Search::new(self, wanted);
        let found = match search.local().await {
            Ok(Some(assets)) => Some(assets),
            Ok(None) | Err(AssetsError::Store(_)) => search.fetch(progress).await,
            Err(error) => return Err(error),
        };
        found.ok_or_else(|| AssetsError::Nowhere {
            wanted: wanted.clone(),
            places: search.places,
        })
    }

    /// As [`Assets::find`], with these sources.
    pub async fn find(&self, wanted: &Wanted) -> Result<Option<Assets>, AssetsError> {
        Search::new(self, wanted).local().await
    }

    /// What each place has, and which one would be taken. A broken place is reported, not an error.
    /// Without `remote` neither the index nor the module proxy is asked.
    pub async fn survey(&self, wanted: &Wanted, remote: bool) -> Vec<Place> {
        let (overrides, environment) = match explicit::environment(self, wanted).await {
            Ok((overrides, place)) => (overrides, place),
            Err(error) => (
                Overrides::default(),
                Place::failed(Source::Environment, "", &error, error.hint()),
            ),
        };
        let folder = match explicit::folder(self, wanted, &overrides).await {
            Ok((_, place)) => place,
            Err(error) => Place::failed(Source::KubebuilderAssets, "", &error, error.hint()),
        };
        let store = match Store::new(&self.store, &self.platform).find(wanted) {
            Ok((_, place)) => place,
            Err(error) => Place::failed(Source::Store, self.store.as_str(), &error, error.hint()),
        };
        let (download, build) = (
            self.survey_download(wanted, remote).await,
            self.survey_build(wanted, remote).await,
        );
        let mut places = vec![environment, folder, store, download, build];
        match self.find(wanted).await {
            Ok(Some(assets)) => mark(&mut places, |place| place.source == assets.source),
            // A place that is broken ends the search.
            Err(_) => {}
            Ok(None) => mark(&mut places, |place| {
                place.source >= Source::Download && place.state == State::Usable
            }),
        }
        places
    }

    async fn survey_download(&self, wanted: &Wanted, remote: bool) -> Place {
        let place = |state| Place::new(Source::Download, shown(&self.index), state);
        if !remote {
            return place(State::NotAsked);
        }
        let index = match download::index(self).await {
            Ok(index) => index,
            Err(error) => {
                return Place::failed(Source::Download, shown(&self.index), &error, error.hint());
            }
        };
        let versions = index.versions(&self.platform);
        match index.choose(wanted, &self.platform) {
            Ok(_) => place(State::Usable).versions(versions),
            Err(error) => place(State::Lacks)
                .versions(versions)
                .reason(error.to_string()),
        }
    }

    async fn survey_build(&self, wanted: &Wanted, remote: bool) -> Place {
        let failed = |error: BuildError| {
            Place::failed(Source::Build, self.go.as_str(), &error, error.hint())
        };
        let go = match go::locate(&self.go) {
            Ok(go) => go,
            Err(error) => return failed(error.into()),
        };
        let place = |state| Place::new(Source::Build, go, state);
        if !remote {
            return place(State::NotAsked);
        }
        match build::versions(self).await {
            Ok(versions) if wanted.newest(&versions).is_some() => {
                place(State::Usable).versions(versions)
            }
            Ok(versions) => place(State::Lacks).versions(versions),
            Err(error) => failed(error),
        }
    }
}

/// Marks the first such place as the one that is taken.
fn mark(places: &mut [Place], is: impl Fn(&Place) -> bool) {
    if let Some(place) = places.iter_mut().find(|place| is(place)) {
        place.state = State::Taken;
    }
}

struct Search<'a> {
    sources: &'a Sources,
    wanted: &'a Wanted,
    overrides: Overrides,
    places: Vec<Place>,
}

impl<'a> Search<'a> {
    fn new(sources: &'a Sources, wanted: &'a Wanted) -> Self {
        Self {
            sources,
            wanted,
            overrides: Overrides::default(),
            places: Vec::new(),
        }
    }

    /// The places that take neither network nor work.
    async fn local(&mut self) -> Result<Option<Assets>, AssetsError> {
        let (overrides, place) = explicit::environment(self.sources, self.wanted).await?;
        self.places.push(place);
        self.overrides = overrides;
        if let Some(assets) = self.overrides.complete() {
            return Ok(Some(assets));
        }
        let (found, place) = explicit::folder(self.sources, self.wanted, &self.overrides).await?;
        self.places.push(place);
        if found.is_some() {
            return Ok(found);
        }
        let (found, place) = match self.store().find(self.wanted) {
            Ok(found) => found,
            Err(error) => {
                self.places.push(self.broken_store(&error));
                return Err(error.into());
            }
        };
        self.places.push(place);
        Ok(found.map(|assets| self.overrides.over(assets)))
    }

    /// The places that take the network, and time.
    async fn fetch(&mut self, progress: &Progress) -> Option<Assets> {
        let (index, go) = (shown(&self.sources.index), self.sources.go.as_str());
        if let Err(error) = self.store().workshop() {
            // Neither a download nor a build has a place to go to.
            self.places.pop();
            self.places.push(self.broken_store(&error));
            for (source, at) in [(Source::Download, index.as_str()), (Source::Build, go)] {
                self.places.push(
                    Place::new(source, at, State::NotAsked)
                        .reason("not tried: the store cannot be written"),
                );
            }
            return None;
        }
        let found = match self.download(progress).await {
            Ok(assets) => Ok(assets),
            Err(error) => {
                self.places.push(Place::failed(
                    Source::Download,
                    index.as_str(),
                    &error,
                    error.hint(),
                ));
                let reason = chain(&error);
                progress.note(&format!(
                    "no download, so a build is tried, which takes minutes: {reason}"
                ));
                self.build(progress).await
            }
        };
        match found {
            Ok(assets) => Some(self.overrides.over(assets)),
            Err(error) => {
                self.places
                    .push(Place::failed(Source::Build, go, &error, error.hint()));
                None
            }
        }
    }

    async fn download(&self, progress: &Progress) -> Result<Assets, DownloadError> {
        let Self {
            sources, wanted, ..
        } = self;
        let choose = async {
            Ok(download::index(sources)
                .await?
                .choose(wanted, &sources.platform)?)
        };
        let title = format!("asking the envtest index for the newest Kubernetes {wanted}");
        let archive = progress.step::<_, DownloadError>(&title, choose).await?;
        let claim = self.claim(&archive.version, progress).await?;
        if let Some(assets) = self.stored()? {
            return Ok(assets);
        }
        download::download(sources, &archive, &claim, progress).await?;
        Ok(Assets {
            source: Source::Download,
            ..self.store().assets(&archive.version)
        })
    }

    async fn build(&self, progress: &Progress) -> Result<Assets, BuildError> {
        let Self {
            sources, wanted, ..
        } = self;
        let title = format!("asking the Go module proxy for the newest Kubernetes {wanted}");
        let version = progress
            .step(&title, build::resolve(sources, wanted))
            .await?;
        let claim = self.claim(&version, progress).await?;
        if let Some(assets) = self.stored()? {
            return Ok(assets);
        }
        build::build(sources, &version, &claim, progress).await?;
        Ok(Assets {
            source: Source::Build,
            ..self.store().assets(&version)
        })
    }

    fn broken_store(&self, error: &StoreError) -> Place {
        Place::failed(
            Source::Store,
            self.sources.store.as_str(),
            error,
            error.hint(),
        )
    }

    fn store(&self) -> Store<'a> {
        Store::new(&self.sources.store, &self.sources.platform)
    }

    async fn claim(&self, version: &Version, progress: &Progress) -> Result<Claim, StoreError> {
        let store = self.store();
        let goods = store.goods(version);
        Claim::take(store, goods, self.sources.patience.lock, progress).await
    }

    /// What the store has by now: another process may have fetched it while this one waited.
    fn stored(&self) -> Result<Option<Assets>, StoreError> {
        Ok(self.store().find(self.wanted)?.0)
    }
}
