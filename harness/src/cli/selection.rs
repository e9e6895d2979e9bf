//! Which lab is meant, for each command that uses one.

use std::env;

use anyhow::Context as _;
use tokenlab_harness::named::{Client, Found, LabName, Registry};

use super::choice::conflict;

/// It names the lab where the command line does not. clap's `env` would take it for something that
/// was typed, and so for a contradiction to what is.
pub(super) const VARIABLE: &str = "LAB_NAME";

/// A lab that is there.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Selection {
    /// The lab [default: `LAB_NAME`, or the only one that runs]
    #[arg(short, long, value_name = "NAME", value_parser = name)]
    lab: Option<LabName>,
}

/// The same, for a command that takes nothing else: its name may stand alone.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Named {
    /// The same as --lab
    #[arg(conflicts_with = "lab")]
    name: Option<LabName>,

    #[command(flatten)]
    selection: Selection,
}

/// Whoever means kubectl's `-l` is told where that stands.
fn name(text: &str) -> Result<LabName, String> {
    let name = text.parse::<LabName>().map_err(|error| error.to_string());
    name.map_err(|error| {
        if text.contains('=') {
            format!("{error}; kubectl's `-l` stands behind its first word, or behind `--`")
        } else {
            error
        }
    })
}

/// What the variable says; an empty one, as a script may set it, says nothing. Ends the program, as
/// a misspelt option does, when it is no name.
pub(super) fn from_env() -> Option<LabName> {
    let text = env::var_os(VARIABLE).filter(|text| !text.is_empty())?;
    match text.to_string_lossy().parse() {
        Ok(name) => Some(name),
        Err(error) => conflict(&format!("{VARIABLE}: {error}")),
    }
}

impl Selection {
    /// The lab, which must be ready.
    pub(super) fn connect(&self) -> anyhow::Result<Client> {
        Ok(Client::to(self.find()?)?)
    }

    /// The lab, however it stands.
    pub(super) fn find(&self) -> anyhow::Result<Found> {
        let registry = Registry::from_env()?;
        if let Some(name) = &self.lab {
            return Ok(registry.select(Some(name))?);
        }
        match from_env() {
            None => Ok(registry.select(None)?),
            // Who has forgotten the variable looks for the name in vain.
            Some(name) => registry.select(Some(&name)).context(VARIABLE),
        }
    }
}

impl Named {
    /// Whether the command line says which.
    pub(super) fn is_given(&self) -> bool {
        self.name.is_some() || self.selection.lab.is_some()
    }

    /// The lab, which must be ready.
    pub(super) fn connect(self) -> anyhow::Result<Client> {
        self.selection().connect()
    }

    /// The lab, however it stands.
    pub(super) fn find(self) -> anyhow::Result<Found> {
        self.selection().find()
    }

    fn selection(self) -> Selection {
        let Self { name, selection } = self;
        Selection {
            lab: name.or(selection.lab),
        }
    }
}
