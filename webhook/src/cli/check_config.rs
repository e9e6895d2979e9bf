//! `tokenlab-webhook check-config`.

use std::io::{self, Write as _};
use std::sync::Arc;

use time::format_description::well_known::Rfc3339;

use super::decider::Decider;
use super::failure::Failure;
use super::serve::load_tls;
use super::settings::{Settings, Source};

const EXAMPLES: &str = "\
Examples:
  tokenlab-webhook check-config --config webhook.yaml
  tokenlab-webhook check-config --mock --tls-cert-file tls.crt --tls-private-key-file tls.key";

/// Say what is wrong with what `serve` would be told, its files included
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{}\n\n{EXAMPLES}", Source::HELP))]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) source: Source,
}

/// Reads all that serving would read, and listens nowhere.
pub(super) fn run(settings: &Settings) -> Result<(), Failure> {
    let tls = load_tls(settings)?;
    let decider = Decider::load(settings, &(Arc::new(drop) as _))?;
    let mut told = format!("decides: {}\n", decider.modes.join(", then "));
    if let Some((tls, _)) = tls {
        let not_after = tls.not_after().format(&Rfc3339);
        let not_after = not_after.expect("a certificate's years must have four digits");
        told = format!("{told}certificate: until {not_after}\n");
    }
    let clients = match (&settings.client_ca_file, &settings.client_name) {
        (None, _) => "any".to_owned(),
        (Some(_), None) => "any with a certificate of the client CA".to_owned(),
        (Some(_), Some(names)) => format!("with a certificate for {}", names.join(" or ")),
    };
    told = format!("{told}clients: {clients}\n");
    // Who closed stdout did not want to know.
    io::stdout().write_all(told.as_bytes()).ok();
    Ok(())
}
