//! A store of a test's own, and what one finds in it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use tokenlab_harness::assets::{Assets, AssetsError, Place, Source, Sources, Wanted};
use tokenlab_harness::progress::Progress;
use url::Url;

use crate::server::{Server, platform};
use crate::stand_in::stand_in;

pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub(crate) folder: Utf8PathBuf,
    pub(crate) sources: Sources,
}

impl World {
    /// An empty store, no Go, and an index that nobody serves.
    pub(crate) fn new() -> Self {
        let temporary = tempfile::tempdir().expect("must make a folder");
        let folder = fs::canonicalize(temporary.path()).expect("must be there");
        let folder = Utf8PathBuf::from_path_buf(folder).expect("must be UTF-8");
        let store = if cfg!(target_os = "macos") {
            "Library/Application Support/io.kubebuilder.envtest/k8s"
        } else {
            "kubebuilder-envtest/k8s"
        };
        let mut sources = Sources::new(folder.join(store));
        sources.index = Url::parse("http://127.0.0.1:1/index.yaml").expect("must be an address");
        sources.go = folder.join("no-go");
        sources.patience.retry = Duration::from_millis(1);
        sources.patience.stall = Duration::from_secs(10);
        Self {
            _folder: temporary,
            folder,
            sources,
        }
    }

    pub(crate) fn with(server: &Server) -> Self {
        let mut world = Self::new();
        world.sources.index = server.index();
        world
    }

    pub(crate) async fn ensure(&self, wanted: &str) -> Result<Assets, AssetsError> {
        let wanted: Wanted = wanted.parse().expect("must be a version");
        self.sources.ensure(&wanted, &Progress::hidden()).await
    }

    /// The reason why one source failed.
    pub(crate) async fn failure(&self, source: Source) -> Place {
        let error = self.ensure("1.37").await.expect_err("must fail");
        let AssetsError::Nowhere { places, .. } = error else {
            panic!("must list the places: {error}")
        };
        let place = places.into_iter().find(|place| place.source == source);
        place.expect("must be listed")
    }

    /// `tokenlab assets fetch`.
    pub(crate) fn command(&self) -> Command {
        self.assets(&["fetch"])
    }

    /// `tokenlab assets …`, with nothing of this process's environment.
    pub(crate) fn assets(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenlab"));
        command
            .arg("assets")
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.folder)
            .env("XDG_DATA_HOME", &self.folder)
            .env("LAB_ENVTEST_INDEX", self.sources.index.as_str())
            .env("LAB_GO", &self.sources.go)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The name of what belongs to 1.37.9.
    pub(crate) fn name() -> String {
        format!("1.37.9-{}", platform())
    }

    pub(crate) fn partial(&self) -> Utf8PathBuf {
        self.sources
            .store
            .join(format!(".tokenlab/{}.tar.gz.partial", Self::name()))
    }

    /// Everything in the store, without the locks.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        walk(self.sources.store.as_std_path(), &mut files);
        let mut files: Vec<_> = files
            .iter()
            .map(|file| {
                file.strip_prefix(self.sources.store.as_str())
                    .expect("must be inside")
                    .to_owned()
            })
            .filter(|file| Utf8Path::new(file).extension() != Some("lock"))
            .collect();
        files.sort();
        files
    }

    /// Asserts that the store has the three programs of the server's archive and nothing else.
    pub(crate) fn assert_whole(&self) {
        let programs = ["etcd", "kube-apiserver", "kubectl"];
        assert_eq!(
            self.files(),
            programs.map(|program| format!("/{}/{program}", Self::name()))
        );
        for program in programs {
            let script = fs::read_to_string(self.sources.store.join(Self::name()).join(program));
            let script = script.expect("must be a text");
            assert!(
                script.contains(&format!("\n# {program}\n")),
                "{program}: {script:.80}"
            );
        }
    }

    /// Writes stand-ins for programs into a folder.
    pub(crate) fn programs(folder: &Utf8Path, version: &str, programs: &[&str]) {
        fs::create_dir_all(folder).expect("must make the folder");
        for program in programs {
            stand_in(
                &folder.join(program),
                &format!("echo Kubernetes v{version}"),
            );
        }
    }
}

fn walk(path: &Path, files: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("must be readable").path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path.to_str().expect("must be UTF-8").to_owned());
        }
    }
}

/// Looks until it is so.
pub(crate) async fn until(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "still waiting: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process is there and no zombie.
pub(crate) fn alive(pid: &str) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", pid])
        .output()
        .expect("must have ps");
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}
