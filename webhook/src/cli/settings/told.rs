//! Settings from everywhere, and where each is from.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::{FileError, Settings, file, names};

/// Where settings come from. A flag is stronger than its variable, that is stronger than the file.
#[derive(Debug, clap::Args)]
pub(crate) struct Source {
    /// Settings in YAML: what is `--max-in-flight` here is `maxInFlight` there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    flags: Settings,
}

/// What `serve` was told.
pub(crate) struct Told {
    pub(crate) settings: Settings,
    matches: ArgMatches,
    file: PathBuf,
    lines: HashMap<String, usize>,
}

impl Source {
    /// What is behind the flags in the help of a command that takes them.
    pub(crate) const HELP: &str = "\
Each flag has a variable, and a key in the file of `--config`: `--max-in-flight 50` is
TOKENLAB_WEBHOOK_MAX_IN_FLIGHT=50 and `maxInFlight: 50`. A flag beats the variable, that the file.
Those of `--log` and `--log-format` are TOKENLAB_LOG and TOKENLAB_LOG_FORMAT.
In the file only: `ldap`, `ldapLimit`, `ldapCache`.";

    /// The same command, whose flags can be variables too.
    pub(crate) fn with_variables(command: Command) -> Command {
        command.mut_args(|flag| {
            let variable = names::variable(flag.get_id().as_str());
            flag.env(variable).hide_env(true)
        })
    }

    /// The same flags with another file, or none.
    #[cfg(feature = "manifests")]
    pub(crate) fn with_file(self, config: Option<PathBuf>) -> Self {
        Self { config, ..self }
    }

    /// Reads the file, if there is one. `matches` are what the flags were made of.
    pub(crate) fn read(self, matches: ArgMatches) -> Result<Told, FileError> {
        let (settings, lines) = match &self.config {
            Some(path) => file::read(path)?,
            None => Default::default(),
        };
        Ok(Told {
            settings: self.flags.or(settings),
            matches,
            file: self.config.unwrap_or_default(),
            lines,
        })
    }
}

impl Told {
    /// How a setting was told, for somebody who is to change it.
    pub(crate) fn place(&self, field: &str) -> String {
        let source = self.matches.try_contains_id(field).ok();
        match source.and_then(|_| self.matches.value_source(field)) {
            Some(ValueSource::EnvVariable) => format!("`{}`", names::variable(field)),
            Some(_) => format!("`{}`", names::flag(field)),
            None => {
                let (key, file) = (names::key(field), self.file.display());
                let line = self.lines.get(&key).copied().unwrap_or(1);
                format!("`{key}` (`{file}`, line {line})")
            }
        }
    }
}
