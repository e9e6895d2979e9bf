//! Rolled back by a docker that fails where it is told to.

use camino::Utf8PathBuf;
use tempfile::TempDir;

use super::*;
use crate::backup::copy;
use crate::docker::{Docker, Owned};
use crate::guardian::EngineObject;
use crate::kubeconfig::Identity;
use crate::stand_in::stand_in;

/// A container that is a folder, `root`. What has a line in `fails` fails once, in that order.
const DOCKER: &str = r#"F=$(dirname "$0")
if [ -s "$F/fails" ] && [ "$(head -n 1 "$F/fails")" = "$1" ]; then
  sed -i 1d "$F/fails"
  echo "no $1 today" >&2
  exit 1
fi
case "$1" in
  exec)
    shift
    [ "$1" != --interactive ] || shift
    case "$2" in
      cat) cat "$F/files$3" ;;
      rm) rm -f "$F/files$4" ;;
      sh) mkdir -p "$F/files$6"; cat >"$F/files$8" ;;
    esac ;;
  cp) tar --no-same-owner -x -C "$F/files" ;;
  container)
    case "$*" in *Running*) echo true 0 ;; *) echo 2026-01-01T00:00:00Z ;; esac ;;
  logs)
    printf 'Running kube-apiserver '
    sed -n 's/^- /--/p' "$F/files/etc/rancher/k3s/config.yaml" | tr '\n' ' ' ;;
esac
"#;

struct Lab {
    folder: TempDir,
    node: Node,
    admin: Kubeconfig,
}

impl Lab {
    fn new(fails: &str) -> Self {
        let folder = tempfile::tempdir().expect("must be made");
        let path = |name: &str| {
            let path = Utf8PathBuf::try_from(folder.path().join(name));
            path.expect("must be UTF-8")
        };
        let program = stand_in(&path("docker"), DOCKER);
        std::fs::create_dir(path("files")).expect("must be made");
        std::fs::write(path("fails"), fails).expect("must be written");
        let name = format!("tokenlab-{}", crate::run_folder::random_name());
        let container = Owned::announce(EngineObject::Container, name).expect("must be told");
        Self {
            folder,
            node: Node {
                docker: Docker::stand_in(program),
                container,
            },
            // No client comes of it, and so nobody asks /readyz.
            admin: Kubeconfig {
                cluster: String::new(),
                user: String::new(),
                server: "no URL".to_owned(),
                certificate_authority: String::new(),
                tls_server_name: None,
                identity: Identity::Anonymous,
            },
        }
    }

    fn wiring(&self) -> Wiring<'_> {
        let Self { node, admin, .. } = self;
        Wiring { node, admin }
    }

    async fn set(&self) -> Result<Wired, K3sError> {
        let flag = (CONFIG_FILE_FLAG.to_owned(), Some(CONFIG_IN_NODE.to_owned()));
        let patch = Patch {
            config: Some("new".to_owned()),
            flags: vec![flag],
            host: None,
        };
        self.wiring().set(&patch).await
    }

    fn has(&self, path: &str) -> bool {
        let path = path.trim_start_matches('/');
        self.folder.path().join("files").join(path).exists()
    }

    /// Whether there is the webhook's file, and whether what was there before is known.
    fn state(&self) -> [bool; 2] {
        [CONFIG_IN_NODE, &copy(config::PATH)].map(|path| self.has(path))
    }
}

#[tokio::test]
async fn it_is_set_and_undone() {
    let lab = Lab::new("");
    assert_eq!(lab.set().await.expect("must be set"), Wired::Changed);
    assert_eq!(lab.state(), [true, true]);
    assert_eq!(lab.set().await.expect("must be set"), Wired::Already);
    let undone = lab.wiring().undo().await.expect("must be undone");
    assert_eq!(undone, Wired::Changed);
    assert_eq!(lab.state(), [false, false]);
}

#[tokio::test]
async fn whatever_fails_is_rolled_back() {
    for step in ["cp", "stop", "start", "container"] {
        let lab = Lab::new(&format!("{step}\n"));
        let error = lab.set().await.expect_err("must fail");
        let K3sError::RolledBack { reason } = &error else {
            panic!("{step}: must be rolled back: {error}");
        };
        assert!(reason.contains(&format!("no {step} today")), "{reason}");
        assert_eq!(lab.state(), [false, false], "{step}");
        // And can be set another time.
        assert_eq!(lab.set().await.expect("must be set"), Wired::Changed);
    }
}

#[tokio::test]
async fn what_cannot_be_rolled_back_is_told_and_its_backup_stays() {
    let lab = Lab::new("start\ncp\nstart\n");
    let error = lab.set().await.expect_err("must fail");
    let K3sError::NotBack { reason, after } = &error else {
        panic!("must not be back: {error}");
    };
    assert!(reason.contains("no start today"), "{reason}");
    for step in ["cp", "start"] {
        assert!(after.contains(&format!("no {step} today")), "{after}");
    }
    // The last step was gone all the same.
    assert_eq!(lab.state(), [false, true]);
    assert!(lab.wiring().undo().await.is_ok());
}
