//! Where Kubernetes' programs come from: against a local server with an index and archives in the
//! real layout, with stand-ins for the programs and for `go`, and in a store of each test's own.

mod build;
mod cli;
mod download;
mod explicit;
mod nowhere;
mod processes;
mod server;
#[path = "../../src/stand_in.rs"]
mod stand_in;
mod store;
mod world;
