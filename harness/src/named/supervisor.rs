//! The owner of a named lab: a process in the background that starts it, answers for it, and ends
//! it.

mod diagnose;
mod flags;
mod health;
mod journal_log;
mod logs;
mod review;
mod set;
mod start;
mod status;
mod streams;
mod user;
mod watch;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use camino::Utf8Path;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Notify, RwLock};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::launch::Order;
use super::protocol::{Envelope, Failure, Request, Response, VERSION};
use super::record::Record;
use super::registry::{Claim, Registry, RegistryError};
use super::socket;
use super::spec::Spec;
use crate::assets::chain;
use crate::backend::{MockLab, MockLabError};
use crate::flags::Flags;
use crate::lab::FlagsError;
use crate::progress::Progress;
use crate::run_folder::RunFolderError;
use journal_log::JournalLog;
use streams::{Input, Signals};

/// The argument that makes a program a supervisor.
pub const SUPERVISE: &str = "supervise";

/// How long a client may take to say what it asks, and how much: it says it at once, in a line.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST: u64 = 1 << 20;

/// How many are answered at once; more have to wait. Each holds a descriptor, as those do that watch.
const AT_ONCE: usize = 256;

/// How often it is tried again when no connection can be taken.
const RETRY: Duration = Duration::from_millis(100);

/// A lab, and what is asked of it.
#[derive(Debug)]
pub(super) struct Supervisor {
    record: Record,
    spec: Spec,
    /// The flags that it was given, at first and since then.
    given: std::sync::Mutex<Flags>,
    /// What does not change as long as it runs.
    facts: status::Facts,
    /// Written to by who changes the apiserver's flags alone.
    lab: RwLock<MockLab>,
    /// What the webhook answers, and what it answered: of one that the supervisor serves.
    webhook: Option<set::Switchboard>,
    users: Mutex<user::Users>,
    stop: Notify,
}

impl Failure {
    fn of(error: &dyn Error, hint: Option<String>) -> Self {
        Self {
            message: chain(error),
            hint,
        }
    }
}

impl From<MockLabError> for Failure {
    fn from(error: MockLabError) -> Self {
        Self::of(&error, error.hint())
    }
}

impl From<FlagsError> for Failure {
    fn from(error: FlagsError) -> Self {
        Self::of(&error, error.hint())
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::of(&error, error.hint())
    }
}

impl From<RunFolderError> for Failure {
    fn from(error: RunFolderError) -> Self {
        Self::of(&error, error.hint())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::of(&error, None)
    }
}

/// Is the supervisor that [`launch`](super::launch()) starts, until its lab is ended: reads from the
/// standard input what to start, and says on the standard output that it is ready, or why not. The
/// end of its input before that means that nobody waits for the lab any more.
///
/// To be called before anything is started, for it leaves the session of its terminal, and closes what
/// it inherited but for the three standard streams: the lab stays, and would hold it open.
pub async fn supervise() -> ExitCode {
    streams::close_inherited();
    let ended = match Signals::new() {
        Ok(signals) => Box::pin(run(signals)).await,
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody reading means that nobody waits.
            let _ = streams::say(&Response::Failed(failure));
            ExitCode::FAILURE
        }
    }
}

async fn run(mut signals: Signals) -> Result<(), Failure> {
    // Whoever closes the terminal, or presses Ctrl-C in it, does not mean the lab. It fails for who
    // leads a process group, as one does that a shell started: then there is nothing to leave.
    let _ = nix::unistd::setsid();
    let mut input = Input::open()?;
    let Order { name, spec } = input.order().await?;
    let progress = Progress::stderr().brief();
    let registry = Registry::from_env()?;
    let mut claim = tokio::select! {
        claim = registry.claim(&name, spec.backend, &progress) => claim?,
        () = input.closed() => return Ok(()),
        () = signals.next() => return Err(given_up()),
    };
    let started = tokio::select! {
        started = start::start(&spec, &mut claim, progress) => started?,
        () = input.closed() => return Ok(()),
        () = signals.next() => return Err(given_up()),
    };
    // From here on the lab is ended, whatever comes.
    let served = Box::pin(serve(started, spec, &mut claim, &mut signals)).await;
    // What waited for the last answer sees the end of the connection when all is gone.
    drop(claim);
    served
}

fn given_up() -> Failure {
    Failure {
        message: "the lab was ended while it was being started".to_owned(),
        hint: None,
    }
}

async fn serve(
    started: start::Started,
    spec: Spec,
    claim: &mut Claim,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let start::Started { lab, webhook } = started;
    let folder = lab.folder().path().to_owned();
    let opened = async {
        let facts = status::Facts::of(&lab).await?;
        let listener = socket::listen(&folder)?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let log = webhook.as_ref().map(|_| JournalLog::open(&folder));
        let log = log.transpose()?;
        claim.update(|record| record.ready = true)?;
        Ok::<_, Failure>((facts, listener, log))
    };
    let (facts, listener, log) = match opened.await {
        Ok(opened) => opened,
        Err(failure) => {
            lab.stop().await;
            return Err(failure);
        }
    };
    let mut given = Flags::default();
    for (name, value) in &spec.flags {
        given.set(name.clone(), value);
    }
    let supervisor = std::sync::Arc::new(Supervisor {
        record: claim.record().clone(),
        spec,
        given: std::sync::Mutex::new(given),
        facts,
        lab: RwLock::new(lab),
        webhook,
        users: Mutex::default(),
        stop: Notify::new(),
    });
    let mut connections = JoinSet::new();
    if let (Some(webhook), Some(log)) = (&supervisor.webhook, log) {
        connections.spawn(log.write(webhook.journal.clone()));
    }
    let ready = ready(&supervisor, &folder).await;
    if ready.is_ok() {
        let mut clients = Clients::of(listener);
        loop {
            tokio::select! {
                stream = clients.next(), if connections.len() < AT_ONCE => {
                    connections.spawn(answer(supervisor.clone(), stream));
                },
                Some(_) = connections.join_next() => {}
                () = supervisor.stop.notified() => break,
                () = signals.next() => break,
            }
        }
    }
    // Those who wait for an answer of a lab that ends see their connection closed.
    connections.shutdown().await;
    if let Some(supervisor) = std::sync::Arc::into_inner(supervisor) {
        tokio::select! {
            () = supervisor.lab.into_inner().end_gracefully() => {}
            // Dropped, it is ended at once.
            () = signals.next() => {}
        }
    }
    ready
}

/// Says that the lab can be used, when nothing can fail any more; from then on nobody reads what is
/// written.
async fn ready(supervisor: &Supervisor, folder: &Utf8Path) -> Result<(), Failure> {
    let status = status::status(supervisor).await?;
    let left = streams::leave(&folder.join("supervisor.log"))?;
    streams::say(&Response::Status(Box::new(status)))?;
    Ok(left.fall_silent()?)
}

/// Who comes to the socket.
struct Clients {
    listener: UnixListener,
    retry: Interval,
}

impl Clients {
    fn of(listener: UnixListener) -> Self {
        let mut retry = interval(RETRY);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { listener, retry }
    }

    /// The next one.
    async fn next(&mut self) -> UnixStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                // No descriptor is left: asked again at once, the system would say the same.
                Err(_) => _ = self.retry.tick().await,
            }
        }
    }
}

/// Answers the one request of a connection.
async fn answer(supervisor: std::sync::Arc<Supervisor>, stream: UnixStream) {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = BufReader::new(read.take(LONGEST));
    let read = timeout(PATIENCE, read.read_line(&mut line)).await;
    // Who left meanwhile, or says nothing, is told nothing.
    if matches!(read, Ok(Ok(1..))) {
        let response = match request(&line) {
            Ok(request) => supervisor.dispatch(request, &mut write).await,
            Err(failure) => Err(failure),
        };
        let response = response.unwrap_or_else(|failure| Some(Response::Failed(failure)));
        if let Some(response) = response {
            let _ = send(&mut write, &response).await;
        }
    }
}

/// The request of a client of the same version.
fn request(line: &str) -> Result<Request, Failure> {
    let unread = |error: serde_json::Error| Failure::of(&error, None);
    let envelope: Envelope<serde_json::Value> = serde_json::from_str(line).map_err(unread)?;
    if envelope.tokenlab != VERSION {
        return Err(Failure {
            message: format!(
                "the lab is of tokenlab {VERSION}, and this is tokenlab {}",
                envelope.tokenlab
            ),
            hint: Some("use that version, or end the lab with `tokenlab down`".to_owned()),
        });
    }
    serde_json::from_value(envelope.request).map_err(unread)
}

/// Sends one answer.
async fn send(write: &mut OwnedWriteHalf, response: &Response) -> io::Result<()> {
    let line = serde_json::to_string(response)?;
    write.write_all(format!("{line}\n").as_bytes()).await
}

impl Supervisor {
    fn given(&self) -> MutexGuard<'_, Flags> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request: one file each. `None` when there is nothing more to send: a stream has sent its
    /// answers by itself, with [`send`], or nobody waits for one any more.
    async fn dispatch(
        &self,
        request: Request,
        write: &mut OwnedWriteHalf,
    ) -> Result<Option<Response>, Failure> {
        Ok(Some(match request {
            Request::Status => Response::Status(Box::new(status::status(self).await?)),
            Request::Stop => {
                // First: with the lab end all connections. Who asked may be gone.
                let _ = send(write, &Response::Done).await;
                self.stop.notify_one();
                return Ok(None);
            }
            Request::SetFlags { flags } => flags::set(self, &flags).await?,
            Request::Set { changes } => set::set(self, changes).await?,
            Request::Watch { past } => return watch::watch(self, past, write).await,
            Request::Flags => flags::running(self).await?,
            Request::User { token } => user::kubeconfig(self, token).await?,
            Request::Diagnose { shown } => return Ok(diagnose::diagnose(self, &shown, write).await),
            Request::Review { token, audiences } => review::post(self, &token, &audiences).await?,
        }))
    }
}
