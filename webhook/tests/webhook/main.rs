//! The webhook over real sockets: the library's server in this process, and the program.

/// Clients that mean harm.
mod attacks;
/// No token is seen where none belongs.
mod canary;
/// `tokenlab-webhook certs`.
mod certs;
/// `tokenlab-webhook completion`.
#[cfg(feature = "completion")]
mod completion;
/// What the fuzzer has found worth keeping.
mod corpus;
/// Requests that cross with a stop.
mod crossing;
/// What Go makes of the same bodies.
mod differential;
/// Variables that are wrong.
mod environment;
/// Probes, metrics, and the way to the end.
mod health;
/// `tokenlab-webhook kubeconfig`.
mod kubeconfig;
/// The authenticator `ldap`, against OpenLDAP.
#[cfg(feature = "ldap")]
mod ldap;
/// `tokenlab-webhook manifests`.
#[cfg(feature = "manifests")]
mod manifests;
/// A certificate as files.
mod material;
/// `--out` of what is secret.
mod out;
/// The webhook in this process, and clients for it.
mod peer;
/// The program as a child process.
mod program;
/// What holds for any review and any decision.
mod properties;
/// What is answered to which request.
mod protocol;
/// The README, run.
mod readme;
/// A rolling replacement under load.
mod replacement;
/// What the router's settings change, and what its observer learns.
mod router;
/// A webhook answers the same by its own way as by axum's routes.
mod routes;
/// `tokenlab-webhook serve`.
mod serve;
/// Flags, variables and the file.
mod settings;
/// Tests that cannot run on this machine.
#[path = "../../../harness/tests/lab/skipped.rs"]
mod skipped;
/// How the server ends.
mod stop;
/// Versions of TLS, client certificates, and files that change.
mod tls;
/// `tokenlab-webhook token`, and the file that it writes to.
mod token;
/// TLS, HTTP versions, and connections that do not behave.
mod transport;
