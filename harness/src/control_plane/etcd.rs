//! How etcd is started for one control plane, and known to be ready.

use std::convert::Infallible;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Flags, Plan, Poll, Probe, Process, StartError, fast_go};

/// What a client in the same folder calls it. etcd takes the host part of a `unix:` URL as the
/// socket's file name, relative to its working folder: so the path's length, which a socket's
/// address limits to about 100 bytes, does not matter.
pub(super) const URL: &str = "unix://etcd.sock:0";
const SOCKET: &str = "etcd.sock:0";
const PEER_URL: &str = "unix://peer.sock:0";

/// The plan for an etcd whose data and sockets lie in `folder`.
///
/// Unix sockets in a folder of mode 0700 close it to every other user of the machine; with
/// a port on loopback, each of them would be the cluster's admin.
pub(super) fn plan(program: &Utf8Path, folder: &Utf8Path, logs: &Utf8Path) -> Plan {
    let mut flags = Flags::default();
    flags
        .set("data-dir", "etcd")
        .set("listen-client-urls", URL)
        .set("advertise-client-urls", URL)
        .set("listen-peer-urls", PEER_URL)
        .set("initial-advertise-peer-urls", PEER_URL)
        .set("initial-cluster", format!("default={PEER_URL}"))
        // What a lab stores need not survive a power cut.
        .set("unsafe-no-fsync", "true")
        // One member elects itself; with the default of 1 s it takes its time to begin.
        .set("heartbeat-interval", "10")
        .set("election-timeout", "100")
        .set("log-level", "warn");
    Plan {
        name: "etcd",
        program: program.to_owned(),
        args: flags.args(),
        env: fast_go(),
        inherit: false,
        folder: folder.to_owned(),
        log: logs.join("etcd.log"),
    }
}

/// Waits until it listens: the socket's file appears when it does.
pub(super) async fn ready(etcd: &Process) -> Result<(), StartError> {
    let socket: Utf8PathBuf = etcd.plan().folder.join(SOCKET);
    let poll = Poll {
        every: Duration::from_millis(5),
        within: Duration::from_secs(30),
    };
    etcd.ready(poll, async || -> Probe<(), Infallible> {
        if socket.exists() {
            Probe::Ready(())
        } else {
            Probe::NotYet(format!("no socket `{socket}`").into())
        }
    })
    .await
}
