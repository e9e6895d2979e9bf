//! What happens to connections, for whoever counts it.

use std::fmt::Debug;
use std::sync::Arc;

/// Learns of handshakes and connections; for metrics. Its methods are called in the task of the
/// connection, and must not block.
pub trait ConnectionObserver: Debug + Send + Sync + 'static {
    /// A TLS handshake has ended. It is not called for handshakes that a stop cuts off.
    fn handshake(&self, outcome: Handshake);

    /// A connection begins to speak HTTP. [`closed`](Self::closed) follows, whatever happens.
    fn opened(&self, protocol: Protocol);

    /// A connection that was [`opened`](Self::opened) has ended.
    fn closed(&self, protocol: Protocol);
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Handshake {
    /// Well.
    Completed,
    /// The client took longer than [`Limits::handshake`](crate::Limits::handshake), or than there
    /// was room for it.
    TimedOut,
    /// The client showed no certificate where one is required, or one that is not accepted.
    ClientCertificate,
    /// The client broke it off by an alert: mostly because it does not trust the server's
    /// certificate.
    Alert,
    /// Anything else: no TLS, no version or cipher in common, a connection that ended.
    Failed,
}

impl Handshake {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Completed,
        Self::TimedOut,
        Self::ClientCertificate,
        Self::Alert,
        Self::Failed,
    ];

    /// Its name as the label of a metric, for instance `client_certificate`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::TimedOut => "timed_out",
            Self::ClientCertificate => "client_certificate",
            Self::Alert => "alert",
            Self::Failed => "failed",
        }
    }
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/1.1 over TLS.
    Http1,
    /// HTTP/2 over TLS.
    Http2,
    /// Either version without TLS: nothing is agreed upon, HTTP/2's preface tells.
    Plain,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Plain];

    /// Its name as the label of a metric: `http/1.1`, `h2` or `plain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http/1.1",
            Self::Http2 => "h2",
            Self::Plain => "plain",
        }
    }
}

/// Whoever counts, or nobody.
pub(super) type Observer = Option<Arc<dyn ConnectionObserver>>;

/// Tells of a connection's begin, and of its end when it is dropped.
pub(super) struct Open<'a>(&'a Observer, Protocol);

impl<'a> Open<'a> {
    pub(super) fn new(observer: &'a Observer, protocol: Protocol) -> Self {
        if let Some(observer) = observer {
            observer.opened(protocol);
        }
        Self(observer, protocol)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if let Some(observer) = self.0 {
            observer.closed(self.1);
        }
    }
}
