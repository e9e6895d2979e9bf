//! A server as a process: started, watched by its processor time and memory, ended.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Where the server runs; the load is on the other one.
const CORE: &str = "0";

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// `sysconf(_SC_CLK_TCK)`, which Linux keeps at 100 for what it tells programs (`proc(5)`).
const TICK: Duration = Duration::from_millis(10);

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    process: Child,
    /// Bound and never listening: it keeps the port from others, not from one that sets
    /// `SO_REUSEADDR`, as Go's and Rust's servers do.
    _port: TcpSocket,
}

impl Server {
    /// Starts it and waits until it takes connections. `command` gives the words, once the
    /// address is known.
    pub(crate) async fn start(
        command: impl FnOnce(SocketAddr) -> Vec<String>,
    ) -> anyhow::Result<Self> {
        let port = TcpSocket::new_v4()?;
        port.set_reuseaddr(true)?;
        port.bind(([127, 0, 0, 1], 0).into())?;
        let address = port.local_addr()?;
        let words = command(address);
        let process = pinned(CORE)
            .args(&words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("taskset cannot be run")?;
        let mut server = Self {
            address,
            process,
            _port: port,
        };
        let line = words.join(" ");
        server.ready().await.with_context(|| line)?;
        Ok(server)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut tick = interval(Duration::from_millis(5));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while TcpStream::connect(self.address).await.is_err() {
            tick.tick().await;
            if let Some(status) = self.process.try_wait()? {
                bail!("it ended before it listened: {status}");
            }
            if started.elapsed() > PATIENCE {
                bail!("it does not listen at {} after {PATIENCE:?}", self.address);
            }
        }
        Ok(())
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("https://{}{target}", self.address)
    }

    /// How much processor time it has taken, the kernel's for it included.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        let stat = self.proc("stat")?;
        // The name before it is in brackets, and may hold anything. Then: utime is the 14th
        // field of all, stime the 15th.
        let (_, fields) = stat.rsplit_once(')').context("a strange stat")?;
        let mut ticks = 0;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<u32>()?;
        }
        Ok(TICK * ticks)
    }

    /// Its resident set, in MiB.
    pub(crate) fn resident(&self) -> anyhow::Result<f64> {
        self.memory("VmRSS:")
    }

    /// The most that its resident set has been, in MiB.
    pub(crate) fn peak(&self) -> anyhow::Result<f64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> anyhow::Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kibibytes: f64 = kibibytes.with_context(|| name.to_owned())?.parse()?;
        Ok(kibibytes / 1024.0)
    }

    fn proc(&self, name: &str) -> anyhow::Result<String> {
        let id = self.process.id().context("the server has ended")?;
        let path = format!("/proc/{id}/{name}");
        std::fs::read_to_string(&path).with_context(|| path)
    }
}

/// The beginning of a command that runs on one core alone; it becomes that program.
pub(crate) fn pinned(core: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", core]).kill_on_drop(true);
    command
}

/// Lets this process, and those that it starts, have as many files as the system permits.
pub(crate) fn more_files(connections: usize) -> anyhow::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if most < u64::try_from(connections)? + 200 {
        bail!("{connections} connections need more files than `ulimit -Hn` permits: {most}");
    }
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("the limit of files")
}
