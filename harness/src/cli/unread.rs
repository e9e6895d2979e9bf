//! The end of whoever reads the standard output, where nothing is written for long.

use std::fs::File;
use std::future::pending;
use std::io;
use std::os::fd::AsFd as _;

use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

/// Resolves when the reader of the standard output is gone: the system tells that of a pipe. What is
/// not a pipe has no such end.
pub(super) async fn unread() -> io::Error {
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    // Unchecked: the check would set a flag on the pipe, which other programs share.
    let stdout = stdout.and_then(|stdout| Sender::from_file_unchecked(File::from(stdout)));
    match stdout {
        Ok(stdout) if stdout.ready(Interest::ERROR).await.is_ok() => {
            io::ErrorKind::BrokenPipe.into()
        }
        _ => pending().await,
    }
}
