//! What a client may take of a server.

use std::time::Duration;

/// What a client may take of a server. Every limit has a default that an apiserver does not
/// notice; each field says why it is what it is. How long a request may run is not among them: that
/// is the router's, body and all (`RouterBuilder::review_limit`).
///
/// ```
/// use std::time::Duration;
/// use tokenlab_webhook::Limits;
///
/// let mut limits = Limits::default();
/// limits.connections = 1024;
/// limits.idle = Duration::from_secs(300);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many connections there may be at a time, those in their handshake among them. More
    /// wait in the socket's backlog, unaccepted, until one ends. Default 16384; each takes a file
    /// descriptor. 0 counts as 1. An eighth of them, or 16, may be in their handshake: with one more,
    /// the oldest of those ends.
    pub connections: usize,
    /// How long a client may take for its TLS handshake. Default 10 s, the apiserver's own limit
    /// (`TLSHandshakeTimeout` in `client-go/transport/cache.go`, v0.37.2).
    pub handshake: Duration,
    /// How long the head of an HTTP/1.1 request may take from its first octet to its last.
    /// Default 10 s. An unfinished head of HTTP/2 does not keep its connection from being idle.
    pub head: Duration,
    /// How long a connection may be without a request. Default 120 s, more than the 90 s after
    /// which Go's client closes one itself (`IdleConnTimeout`): closed by the server, it could
    /// cross with a request, and the apiserver does not repeat what ended by EOF.
    pub idle: Duration,
    /// How long running requests may take after a stop before they are dropped. Default 11 s, a
    /// second more than the router gives a review. Kubernetes waits for
    /// `terminationGracePeriodSeconds`.
    pub drain: Duration,
    /// How long a connection is kept for what may be on its way. Default 1 s.
    ///
    /// After a stop that is one in its handshake or without a request: the apiserver does not
    /// repeat a request that ended by EOF. HTTP/2 does without: `GOAWAY` says which requests were
    /// not seen. At any time it is one that the server ends, after an answer to a body that is too
    /// large to be read for instance: what its client still sends, up to 8 MiB, is read and
    /// dropped, so that no reset overtakes the answer.
    pub linger: Duration,
    /// How many requests may run on an HTTP/2 connection at a time. Default 250, as Go's server;
    /// the apiserver opens another connection for more.
    pub streams: u32,
    /// How many octets the head of a request may have; HTTP/2 counts them unpacked, with 32 more
    /// for each field. Default 16 KiB. What is larger is answered by 431. HTTP/1.1 takes 8 KiB at
    /// least.
    pub head_octets: u32,
    /// How many HTTP/2 requests a client may have cancelled that the server has not seen begin
    /// (CVE-2023-44487). With one more the connection ends by `ENHANCE_YOUR_CALM`. Default 20.
    pub resets: usize,
    /// How long an HTTP/2 connection may be silent before it is pinged. Default 30 s, as Go's
    /// client does it to a server.
    pub ping_interval: Duration,
    /// How long the answer to a ping may take before the connection is dropped. Default 15 s.
    pub ping_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            drain: Duration::from_secs(11),
            linger: Duration::from_secs(1),
            streams: 250,
            head_octets: 16 * 1024,
            resets: 20,
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(15),
        }
    }
}
