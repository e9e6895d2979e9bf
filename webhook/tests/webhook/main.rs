//! The webhook over real sockets: the library's server in this process, and the program.

/// No token is seen where none belongs.
mod canary;
/// `tokenlab-webhook certs`.
mod certs;
/// What the fuzzer has found worth keeping.
mod corpus;
/// What Go makes of the same bodies.
mod differential;
/// Probes, metrics, and the way to the end.
mod health;
/// `tokenlab-webhook kubeconfig`.
mod kubeconfig;
/// The webhook in this process, and clients for it.
mod peer;
/// The program as a child process.
mod program;
/// What holds for any review and any decision.
mod properties;
/// What is answered to which request.
mod protocol;
/// What the router's settings change, and what its observer learns.
mod router;
/// `tokenlab-webhook serve`.
mod serve;
/// Flags, variables and the file.
mod settings;
/// Tests that cannot run on this machine.
mod skipped;
/// How the server ends.
mod stop;
/// Versions of TLS, client certificates, and files that change.
mod tls;
/// TLS, HTTP versions, and connections that do not behave.
mod transport;
