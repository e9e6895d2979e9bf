//! The command line.

mod certs;
mod check_config;
#[cfg(feature = "completion")]
mod completion;
mod decider;
mod environment;
mod failure;
mod files;
mod kubeconfig;
mod log;
#[cfg(feature = "manifests")]
mod manifests;
mod out;
mod serve;
mod settings;
mod token;
mod written;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use failure::Failure;
use log::{Format, Level, Log};
use settings::Source;

const EXAMPLES: &str = "\
Examples:
  Over plain HTTP, to see what a review looks like:
    tokenlab-webhook serve --mock --plain-http --listen 127.0.0.1:8080

  Over TLS, under the name that the apiserver will ask for:
    tokenlab-webhook certs --out pki --name my-authn.kube-system.svc
    tokenlab-webhook serve --mock --tls-cert-file pki/tls.crt --tls-private-key-file pki/tls.key";

/// The program's arguments.
#[derive(Debug, Parser)]
#[command(
    version,
    about = "Answers the TokenReviews of a kube-apiserver",
    after_help = EXAMPLES,
    max_term_width = 100
)]
pub(crate) struct Args {
    /// What to log on stderr: off, error, warn, info, debug or trace. Never a token [default: info]
    #[arg(long, env = "TOKENLAB_LOG", value_name = "LEVEL", global = true)]
    log: Option<Level>,

    /// How to write it [default: text]
    #[arg(
        long,
        env = "TOKENLAB_LOG_FORMAT",
        value_name = "FORMAT",
        global = true
    )]
    log_format: Option<Format>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    CheckConfig(check_config::Args),
    Certs(certs::Args),
    #[cfg(feature = "completion")]
    #[command(alias = "completions")]
    Completion(completion::Args),
    Kubeconfig(kubeconfig::Args),
    #[cfg(feature = "manifests")]
    Manifests(Box<manifests::Args>),
    Token(token::Args),
}

/// Exit code 0, or the failure's; clap has ended the program with 2 for a wrong usage.
pub(crate) fn run() -> ExitCode {
    let mut command = Args::command()
        .mut_subcommand("serve", Source::with_variables)
        .mut_subcommand("check-config", Source::with_variables);
    let matches = environment::matches(&mut command).unwrap_or_else(|error| error.exit());
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match args.run(matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            print(&failure);
            ExitCode::from(failure.code())
        }
    }
}

impl Args {
    fn run(self, mut matches: ArgMatches) -> Result<(), Failure> {
        let Self {
            log,
            log_format,
            command,
        } = self;
        let mut settled = |source: Source| {
            let matches = matches.remove_subcommand().map(|(_, matches)| matches);
            let mut told = source.read(matches.unwrap_or_default())?;
            told.check()?;
            let settings = &mut told.settings;
            settings.log = log.or(settings.log);
            settings.log_format = log_format.or(settings.log_format);
            let log = Log::start(settings.log, settings.log_format);
            Ok::<_, Failure>((told.settings, log))
        };
        match command {
            Command::Serve(args) => {
                let (settings, log) = settled(args.source)?;
                serve::run(&settings, log)
            }
            Command::CheckConfig(args) => {
                let (settings, _log) = settled(args.source)?;
                check_config::run(&settings)
            }
            Command::Certs(args) => args.run(),
            #[cfg(feature = "completion")]
            Command::Completion(args) => args.run(),
            Command::Kubeconfig(args) => args.run(),
            #[cfg(feature = "manifests")]
            Command::Manifests(args) => args.run(),
            Command::Token(args) => args.run(),
        }
    }
}

fn print(failure: &Failure) {
    let mut text = format!("error: {}", failure::chain(failure));
    if let Some(hint) = failure.hint() {
        text = format!("{text}\n\nhint: {hint}");
    }
    // Where stderr is closed nobody reads it, and the exit code says enough.
    writeln!(io::stderr(), "{text}").ok();
}

fn note(text: &str) {
    // Where stderr is closed nobody reads it.
    writeln!(io::stderr(), "note: {text}").ok();
}
