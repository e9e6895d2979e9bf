/// Many at a time.
mod crowd;
/// Octets that are no handshake.
mod handshake;
/// HTTP/1.1 that two readers could read differently.
mod http1;
/// HTTP/2 that costs its sender less than its reader.
mod http2;
/// What the program takes of the machine.
mod memory;
/// HTTP as octets.
pub(crate) mod raw;
/// Clients that take their time.
mod slow;
