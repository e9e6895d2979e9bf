//! A machine of a test's own: nothing on PATH but what the test puts there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use camino::{Utf8Path, Utf8PathBuf};
use tokenlab_harness::Output;
use tokio::process::Command;

use crate::skipped::skip;
use crate::stand_in::stand_in;

pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub(crate) folder: Utf8PathBuf,
    program: Utf8PathBuf,
    user: Option<u32>,
}

/// A modern engine.
pub(crate) const VERSION: &str = r#"echo '{"ApiVersion":"1.50"}'"#;

impl World {
    pub(crate) fn new() -> Self {
        let temporary = tempfile::tempdir().expect("must be made");
        let folder = fs::canonicalize(temporary.path()).expect("must be there");
        let folder = Utf8PathBuf::from_path_buf(folder).expect("must be UTF-8");
        let world = Self {
            _folder: temporary,
            program: env!("CARGO_BIN_EXE_tokenlab").into(),
            folder,
            user: None,
        };
        for name in ["bin", "tmp", "data"] {
            fs::create_dir(world.folder.join(name)).expect("must be made");
        }
        // What the guardian and the scripts run.
        for name in ["cat", "chmod", "mkdir", "rm", "sleep"] {
            let real = [Utf8Path::new("/bin"), Utf8Path::new("/usr/bin")];
            let real = real.map(|folder| folder.join(name));
            let real = real.iter().find(|path| path.exists());
            let link = world.folder.join("bin").join(name);
            std::os::unix::fs::symlink(real.expect("must be there"), link).expect("must be made");
        }
        world
    }

    /// One with a docker that runs this script.
    pub(crate) fn with_docker(script: &str) -> Self {
        let world = Self::new();
        world.script("docker", script);
        world
    }

    /// One whose engine answers questions about itself, and then does this.
    pub(crate) fn with_engine(script: &str) -> Self {
        Self::with_docker(&format!(
            "case $1 in version) {VERSION} ;; info) echo '{{}}' ;; *) {script} ;; esac"
        ))
    }

    /// Puts a script on PATH.
    pub(crate) fn script(&self, name: &str, script: &str) {
        stand_in(&self.folder.join("bin").join(name), script);
    }

    /// Whether others may enter all folders above this one.
    pub(crate) fn lets_nobody_in(&self) -> bool {
        let mut above = self.folder.ancestors().skip(1);
        above.all(|path| {
            let mode = fs::metadata(path).map(|data| data.permissions().mode());
            mode.is_ok_and(|mode| mode & 0o001 == 1)
        })
    }

    /// Has everything run as nobody, if this process is root: as somebody who is not.
    pub(crate) fn of_nobody(mut self) -> Self {
        if nix::unistd::geteuid().is_root() {
            let program = self.folder.join("tokenlab");
            // Where the real one lies, nobody may have no business. Not copied by this process: a
            // child of another test would hold it open for writing, and then it cannot be run.
            let copied = std::process::Command::new("cp")
                .args([&self.program, &program])
                .status()
                .expect("cp must run");
            assert!(copied.success(), "must be copied");
            for path in [&self.folder, &program] {
                fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("must be set");
            }
            (self.program, self.user) = (program, Some(65534));
        }
        self
    }

    /// `tokenlab`, with nothing of this process's environment.
    pub(crate) fn tokenlab(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .env_clear()
            .env("PATH", self.folder.join("bin"))
            .env("HOME", &self.folder)
            .env("XDG_DATA_HOME", self.folder.join("data"))
            .env("TMPDIR", self.folder.join("tmp"))
            .env("LAB_ENVTEST_INDEX", "http://127.0.0.1:1/index.yaml")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    pub(crate) async fn outcome(&self, args: &[&str]) -> Output {
        outcome(&mut self.tokenlab(args), self).await
    }
}

/// Whether this process is root: what only root is told cannot be seen by others.
pub(crate) fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        skip(test, "this is not root");
    }
    root
}

/// A machine that has all that a build takes but for Go, and an engine on this disk, which has
/// no image and makes none.
pub(crate) fn all_but_go(disk: &str) -> World {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("must be read");
    let info = format!(r#"{{"Name":"{}","DockerRootDir":"{disk}"}}"#, host.trim());
    let world = World::with_docker(&format!(
        r#"case $1 in version) {VERSION} ;; info) echo '{info}' ;;
           image) echo 'No such image' >&2; exit 1 ;; *) echo "no $1" >&2; exit 9 ;; esac"#
    ));
    for name in ["debootstrap", "etcd", "kubectl"] {
        world.script(name, "exit 9");
    }
    world.script("unshare", "for root; do :; done");
    world.script(
        "tar",
        "while [ \"$1\" != --file ]; do shift; done; echo >\"$2\"",
    );
    world.script("apt-get", "echo 'Debian|Debian|main|http://127.0.0.1:1/'");
    world.script("kube-apiserver", "echo Kubernetes v1.37.9");
    world
}

/// What comes of it, with the test's own folder named so.
pub(crate) async fn outcome(command: &mut Command, world: &World) -> Output {
    let output = command.output().await.expect("must start");
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).expect("must be UTF-8");
        text.replace(world.folder.as_str(), "[folder]")
    };
    Output {
        status: output.status,
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
