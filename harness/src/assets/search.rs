//! The search through all sources, in order.

use std::fmt;

use super::explicit::{self, ExplicitError, Overrides};
use super::place::{Place, State};
use super::sources::SettingError;
use super::store::{Store, StoreError};
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
        _progress: &Progress,
    ) -> Result<Assets, AssetsError> {
        let mut search = Search::new(self, wanted);
        match search.local().await? {
            Some(assets) => Ok(assets),
            None => Err(AssetsError::Nowhere {
                wanted: wanted.clone(),
                places: search.places,
            }),
        }
    }

    /// As [`Assets::find`], with these sources.
    pub async fn find(&self, wanted: &Wanted) -> Result<Option<Assets>, AssetsError> {
        Search::new(self, wanted).local().await
    }

    /// What each place has, and which one would be taken. A broken place is reported, not an error.
    pub async fn survey(&self, wanted: &Wanted) -> Vec<Place> {
        let mut places = Vec::new();
        let overrides = match explicit::environment(self, wanted).await {
            Ok((overrides, place)) => {
                places.push(place);
                overrides
            }
            Err(error) => {
                places.push(Place::failed(Source::Environment, "", &error, error.hint()));
                Overrides::default()
            }
        };
        places.push(match explicit::folder(self, wanted, &overrides).await {
            Ok((_, place)) => place,
            Err(error) => Place::failed(Source::KubebuilderAssets, "", &error, error.hint()),
        });
        places.push(match Store::new(&self.store, &self.platform).find(wanted) {
            Ok((_, place)) => place,
            Err(error) => Place::failed(Source::Store, self.store.as_str(), &error, error.hint()),
        });
        if let Ok(Some(assets)) = self.find(wanted).await {
            for place in &mut places {
                if place.source == assets.source {
                    place.state = State::Taken;
                }
            }
        }
        places
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
        let (found, place) =
            Store::new(&self.sources.store, &self.sources.platform).find(self.wanted)?;
        self.places.push(place);
        Ok(found.map(|assets| self.overrides.over(assets)))
    }
}
