//! Webhooks that are not the lab's own: a program that it starts, and one that runs elsewhere.

mod command;
mod elsewhere;
pub(crate) mod peer;
mod serving;
mod usage;

use std::error::Error;

/// An error with its causes, as the program prints it.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
