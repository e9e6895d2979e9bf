//! Where a control plane's start-up time goes: one thing changed at a time, in turns.
//!
//! What is run are the product's own command lines, as its plan prints them.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use camino::Utf8PathBuf;
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokenlab_harness::assets::Assets;
use tokenlab_harness::progress::Progress;
use tokenlab_harness::{ControlPlanePlan, Plan, Poll, Probe, RunFolder, StartError};

use crate::sample::Sample;
use crate::table::Table;

/// One thing changed. The first is the product as it is.
struct Variant {
    what: &'static str,
    change: fn(&mut Programs),
}

const VARIANTS: [Variant; 9] = [
    Variant {
        what: "the product",
        change: |_| {},
    },
    Variant {
        what: "Go's own GOGC (100) for both",
        change: |programs| programs.collect_at(None),
    },
    Variant {
        what: "GOGC=off for both",
        change: |programs| programs.collect_at(Some("off")),
    },
    Variant {
        what: "etcd's own heartbeat and election time",
        change: |programs| {
            programs.without_etcd_flags(&["--heartbeat-interval", "--election-timeout"]);
        },
    },
    Variant {
        what: "etcd with fsync",
        change: |programs| programs.without_etcd_flags(&["--unsafe-no-fsync"]),
    },
    Variant {
        what: "both processes at once",
        change: |programs| programs.at_once = true,
    },
    Variant {
        what: "GOGC, election and fsync as they come",
        change: |programs| {
            programs.collect_at(None);
            programs.without_etcd_flags(&[
                "--heartbeat-interval",
                "--election-timeout",
                "--unsafe-no-fsync",
            ]);
        },
    },
    Variant {
        what: "the apiserver without its watch cache",
        change: |programs| {
            let flag = "--watch-cache=false".to_owned();
            programs.apiserver.args.push(flag);
        },
    },
    // Twice the same: what is left between the two is noise.
    Variant {
        what: "the product again",
        change: |_| {},
    },
];

/// The moments of one start, from the first process on.
#[derive(Default)]
struct Samples {
    etcd: Sample,
    answers: Sample,
    ready: Sample,
}

/// The table, after one round that is not counted.
pub(crate) async fn measure(
    assets: &Assets,
    rounds: usize,
    progress: &Progress,
) -> anyhow::Result<Table<5>> {
    let mut samples: [Samples; VARIANTS.len()] = Default::default();
    for round in 0..=rounds {
        let title = format!("matrix: round {round} of {rounds}");
        let all = async {
            for (variant, samples) in VARIANTS.iter().zip(&mut samples) {
                let started = start(assets, variant).await?;
                if round > 0 {
                    samples.etcd.add(started[0]);
                    samples.answers.add(started[1]);
                    samples.ready.add(started[2]);
                }
            }
            anyhow::Ok(())
        };
        progress.step(&title, all).await?;
    }
    let mut table = Table::new([
        "one thing changed",
        "etcd listens",
        "apiserver answers",
        "ready",
        "to the product",
    ]);
    for (variant, of) in VARIANTS.iter().zip(&samples) {
        table.row([
            variant.what.to_owned(),
            of.etcd.to_string(),
            of.answers.to_string(),
            of.ready.to_string(),
            of.ready.difference(&samples[0].ready),
        ]);
    }
    Ok(table)
}

struct Programs {
    etcd: Plan,
    apiserver: Plan,
    at_once: bool,
}

impl Programs {
    /// Reads the plan back from what it prints.
    fn read(plan: &ControlPlanePlan, logs: &Utf8PathBuf) -> anyhow::Result<Self> {
        let text = plan.to_string();
        let Some((etcd, apiserver)) = text.split_once('\n') else {
            bail!("not two command lines: {text}");
        };
        Ok(Self {
            etcd: read("etcd", etcd, logs)?,
            apiserver: read("kube-apiserver", apiserver, logs)?,
            at_once: false,
        })
    }

    fn collect_at(&mut self, percent: Option<&str>) {
        for plan in [&mut self.etcd, &mut self.apiserver] {
            plan.env.remove("GOGC");
            plan.env
                .extend(percent.map(|percent| ("GOGC".to_owned(), percent.to_owned())));
        }
    }

    fn without_etcd_flags(&mut self, flags: &[&str]) {
        let args = &mut self.etcd.args;
        args.retain(|arg| !flags.iter().any(|flag| arg.starts_with(flag)));
    }
}

fn read(name: &'static str, line: &str, logs: &Utf8PathBuf) -> anyhow::Result<Plan> {
    let words = shlex::split(line).context("not a line for a shell")?;
    let [cd, folder, and, rest @ ..] = &words[..] else {
        bail!("not a command line: {line}");
    };
    ensure!((&**cd, &**and) == ("cd", "&&"), "another form: {line}");
    let assigned = rest.iter().take_while(|word| word.starts_with("GOGC="));
    let env: BTreeMap<_, _> = assigned
        .filter_map(|word| Some(("GOGC".to_owned(), word.split_once('=')?.1.to_owned())))
        .collect();
    let (program, args) = rest[env.len()..].split_first().context("no program")?;
    let plan = Plan {
        name,
        program: Utf8PathBuf::from(program),
        args: args.to_vec(),
        env,
        inherit: false,
        folder: Utf8PathBuf::from(folder),
        log: logs.join(format!("{name}.log")),
    };
    ensure!(
        plan.to_string() == line,
        "read otherwise than printed: {line}"
    );
    Ok(plan)
}

/// Starts one: when etcd listened, when the apiserver first answered, when it was ready.
async fn start(assets: &Assets, variant: &Variant) -> anyhow::Result<[Duration; 3]> {
    let folder = RunFolder::create()?;
    let plan = ControlPlanePlan::new(assets, &folder)?;
    let mut programs = Programs::read(&plan, &folder.folder("logs")?)?;
    (variant.change)(&mut programs);
    let client = client(&folder).await?;
    let Programs {
        etcd,
        apiserver,
        at_once,
    } = programs;

    let begin = Instant::now();
    let etcd = etcd.spawn()?;
    let early = at_once.then(|| apiserver.clone().spawn()).transpose()?;
    let socket = folder.file("etcd.sock:0");
    etcd.ready(every(5), async || -> Probe<(), Infallible> {
        if socket.exists() {
            Probe::Ready(())
        } else {
            Probe::NotYet("no socket".into())
        }
    })
    .await?;
    let listens = begin.elapsed();
    let apiserver = match early {
        Some(apiserver) => apiserver,
        None => apiserver.spawn()?,
    };
    let answers = OnceCell::new();
    let ready: Result<(), StartError> = apiserver
        .ready(every(20), async || -> Probe<(), Infallible> {
            let request = Request::get("/readyz").body(Vec::new());
            let request = request.expect("a constant request is valid");
            match client.request_text(request).await {
                Ok(_) => Probe::Ready(()),
                Err(kube::Error::Api(status)) => {
                    answers.get_or_init(|| begin.elapsed());
                    Probe::NotYet(status.message.into())
                }
                Err(error) => Probe::NotYet(error.to_string().into()),
            }
        })
        .await;
    let elapsed = begin.elapsed();
    ready.inspect_err(|_| folder.keep())?;
    apiserver.kill().await;
    etcd.kill().await;
    Ok([listens, answers.into_inner().unwrap_or(elapsed), elapsed])
}

fn every(milliseconds: u64) -> Poll {
    Poll {
        every: Duration::from_millis(milliseconds),
        within: Duration::from_secs(120),
    }
}

async fn client(folder: &RunFolder) -> anyhow::Result<kube::Client> {
    let file = Kubeconfig::read_from(folder.file("admin.kubeconfig"))?;
    let options = KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(file, &options).await?;
    config.default_retry = false;
    config.proxy_url = None;
    Ok(kube::Client::try_from(config)?)
}
