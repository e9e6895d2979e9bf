//! The environment, as far as it is for this program.

use std::env;
use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, Error};

/// What the variables of settings begin with.
const PREFIX: &str = "TOKENLAB_WEBHOOK_";

/// What a lab tells the webhook that it starts (`tokenlab demo --webhook-command`), which may be
/// this one.
const LABS: [&str; 3] = ["ADDRESS", "DIR", "TLS_KEY_FILE"];

/// What the program was called with. An error names the variable that it is about.
pub(super) fn matches(command: &mut Command) -> Result<ArgMatches, Error> {
    let matches = command.try_get_matches_from_mut(env::args_os());
    let matches = matches.map_err(|error| blame(command, error))?;
    refuse_unknown(command, &matches)?;
    Ok(matches)
}

/// Puts the variable into the error in place of its flag, if that is where the value is from.
fn blame(command: &Command, mut error: Error) -> Error {
    if let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
        && let Some(variable) = variable(command, argument)
    {
        error.insert(ContextKind::InvalidArg, ContextValue::String(variable));
    }
    error
}

/// The variable of `--listen <ADDRESS>`, unless that is on the command line.
fn variable(command: &Command, argument: &str) -> Option<String> {
    let flag = argument.split([' ', '[', '=']).next()?;
    let is_it = |word: OsString| word.to_string_lossy().split('=').next() == Some(flag);
    if env::args_os().any(is_it) {
        return None;
    }
    let commands = command.get_subcommands().chain([command]);
    let mut arguments = commands.flat_map(Command::get_arguments);
    let is_it = |arg: &&Arg| arg.get_env().is_some() && arg.get_long() == flag.strip_prefix("--");
    let variable = arguments.find(is_it)?.get_env()?;
    Some(variable.to_string_lossy().into_owned())
}

/// Refuses variables that look as if they set something and set nothing: one that is misspelt may
/// be a limit that is not there.
fn refuse_unknown(command: &mut Command, matches: &ArgMatches) -> Result<(), Error> {
    let name = matches.subcommand_name().unwrap_or_default();
    let Some(command) = command.find_subcommand_mut(name) else {
        return Ok(());
    };
    let known = command.get_arguments().filter_map(Arg::get_env);
    let known: Vec<_> = known.filter(|name| is_of_this_program(name)).collect();
    if known.is_empty() {
        return Ok(());
    }
    let mut names: Vec<_> = env::vars_os().map(|(name, _)| name).collect();
    names.sort();
    let unknown = names.iter().find(|name| {
        is_of_this_program(name) && !known.contains(&name.as_os_str()) && !is_of_others(name)
    });
    match unknown {
        Some(name) => {
            let text = format!("the variable `{}` is no setting", name.to_string_lossy());
            Err(command.error(ErrorKind::UnknownArgument, text))
        }
        None => Ok(()),
    }
}

fn is_of_this_program(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(PREFIX)
}

/// Whether a lab says it, or Kubernetes to the Pods beside a Service whose name begins as this
/// program's (`pkg/kubelet/envvars/envvars.go`).
fn is_of_others(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    // A Service `tokenlab-webhook` leaves nothing before the word, `tokenlab-webhook-a` leaves `A_`.
    let has = |word: &str| rest.starts_with(word) || rest.contains(&format!("_{word}"));
    let digit = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    LABS.contains(&rest)
        || has("SERVICE_HOST")
        || has("SERVICE_PORT")
        || rest == "PORT"
        || rest.ends_with("_PORT")
        || rest.split("PORT_").skip(1).any(digit)
}
