//! Which lab is meant, for each command that uses one.

use std::str::FromStr;

use tokenlab_harness::named::{Client, Found, LabName, LabNameError, Registry};

/// A lab that is there.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Selection {
    /// The lab [default: the only one that runs]
    #[arg(
        short,
        long,
        value_name = "NAME",
        env = "LAB_NAME",
        default_value = "",
        hide_default_value = true
    )]
    lab: NameOrNone,
}

/// A lab's name, or none: where the variable is not set, or empty, as a script may have it.
#[derive(Clone, Debug)]
pub(super) struct NameOrNone(pub(super) Option<LabName>);

impl FromStr for NameOrNone {
    type Err = LabNameError;

    fn from_str(text: &str) -> Result<Self, LabNameError> {
        Ok(Self(match text {
            "" => None,
            text => Some(text.parse()?),
        }))
    }
}

impl Selection {
    /// The lab, which must be ready.
    pub(super) fn connect(&self) -> anyhow::Result<Client> {
        Ok(Client::to(self.find()?)?)
    }

    /// The lab, however it stands.
    pub(super) fn find(&self) -> anyhow::Result<Found> {
        Ok(Registry::from_env()?.select(self.lab.0.as_ref())?)
    }
}
