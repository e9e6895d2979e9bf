//! A program that a connection is made through.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdout};

use super::{Tool, spawn};
use crate::group::Group;

/// A running program as a connection: what it writes is read from it, what is written to it it
/// reads. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Piped {
    // Closed before the program is killed: one in a container ends by that.
    input: File,
    output: ChildStdout,
    _child: Child,
    _group: Group,
}

impl Tool {
    /// Starts it. What it has to complain of comes from the second value.
    pub(crate) fn pipe(&self, args: &[&str]) -> io::Result<(Piped, ChildStderr)> {
        let (mut child, pid, gate) = spawn(self.logged(args)?)?;
        let (group, input) = Group::open_to_feed(pid, gate)?;
        let pipes = child.stdout.take().zip(child.stderr.take());
        let (output, errors) = pipes.ok_or_else(|| io::Error::other("no pipe"))?;
        let program = Piped {
            input: File::from_std(input),
            output,
            _child: child,
            _group: group,
        };
        Ok((program, errors))
    }
}

/// The rest of what a program complained of, in one line.
pub(crate) async fn complaint(mut errors: ChildStderr) -> String {
    let mut text = Vec::new();
    // What cannot be read is not there.
    let _ = errors.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).trim().replace('\n', "; ")
}

impl AsyncRead for Piped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

impl AsyncWrite for Piped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}
