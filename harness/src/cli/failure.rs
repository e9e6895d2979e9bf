//! How a command that failed says so.

use std::io::Write as _;
use std::process::ExitCode;

use tokenlab_harness::assets::AssetsError;
use tokenlab_harness::named::{ClientError, LaunchError, RegistryError};
use tokenlab_harness::{
    BackendError, ClusterError, ExistingError, ForeignImageError, ImageError, LabError,
    NodeImageError, RunFolderError,
};

/// Prints the error with its causes, and the advice apart; tells the exit status.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    // Only our own output: any other pipe that broke (the guardian's, say) has its place in
    // the error's causes, and is one to tell.
    let reader_left = (error.downcast_ref::<std::io::Error>())
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
    if reader_left {
        // As after SIGPIPE, which Rust programs ignore: 128 and the signal's number.
        return ExitCode::from(141);
    }
    let red = anstyle::AnsiColor::Red.on_default().bold();
    let bold = anstyle::Style::new().bold();
    let mut stderr = anstream::stderr().lock();
    // When nobody reads the error output, the exit status still tells.
    let _ = writeln!(stderr, "{red}error:{red:#} {error:#}");
    if let Some(hint) = hint(error) {
        let _ = writeln!(stderr, "\n{bold}hint:{bold:#} {hint}");
    }
    ExitCode::FAILURE
}

fn hint(error: &anyhow::Error) -> Option<String> {
    (error.downcast_ref::<LabError>().and_then(LabError::hint))
        .or_else(|| error.downcast_ref::<AssetsError>()?.hint())
        .or_else(|| error.downcast_ref::<RunFolderError>()?.hint())
        .or_else(|| error.downcast_ref::<ImageError>()?.hint())
        .or_else(|| error.downcast_ref::<ExistingError>()?.hint())
        .or_else(|| error.downcast_ref::<ForeignImageError>()?.hint())
        .or_else(|| error.downcast_ref::<NodeImageError>()?.hint())
        .or_else(|| error.downcast_ref::<BackendError>()?.hint())
        .or_else(|| error.downcast_ref::<ClusterError>()?.hint())
        .or_else(|| error.downcast_ref::<RegistryError>()?.hint())
        .or_else(|| error.downcast_ref::<ClientError>()?.hint())
        .or_else(|| error.downcast_ref::<LaunchError>()?.hint())
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn only_a_broken_pipe_of_our_own_output_is_silent() {
        let own = anyhow::Error::from(Error::from(ErrorKind::BrokenPipe));
        assert_eq!(report(&own), ExitCode::from(141));
        let guardians = RunFolderError::Create {
            path: "folder".into(),
            source: ErrorKind::BrokenPipe.into(),
        };
        assert_eq!(report(&guardians.into()), ExitCode::FAILURE);
    }

    #[test]
    fn advice_is_found_in_each_kind_of_error() {
        let full = || RunFolderError::Write {
            path: "file".into(),
            source: ErrorKind::StorageFull.into(),
        };
        assert!(hint(&full().into()).is_some());
        assert!(hint(&LabError::from(full()).into()).is_some());
    }
}
