//! An engine that answers as told: those that refuse, hang or are old cannot be had for a test.

use camino::Utf8Path;

use super::*;
use crate::stand_in::stand_in;

/// A `docker` that runs this script.
pub(crate) struct Stand(tempfile::TempDir);

/// A modern engine.
const VERSION: &str = r#"echo '{"ApiVersion":"1.50"}'"#;

impl Stand {
    pub(crate) fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().expect("must be made");
        let path = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
        stand_in(&path.join("docker"), script);
        Self(folder)
    }

    /// What it was asked to do, by a script that notes it in `$0.calls`.
    pub(crate) fn calls(&self) -> String {
        let path = self.0.path().join("docker.calls");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn with(version: &str, info: &str, run: &str) -> Self {
        Self::new(&format!(
            "case $1 in version) {version} ;; info) {info} ;; run) {run} ;; esac"
        ))
    }

    /// One that answers questions about itself, and then does this.
    pub(crate) async fn docker(script: &str) -> (Self, Docker) {
        let stand = Self::new(&format!(
            "case $1 in version) {VERSION} ;; info) echo '{{}}' ;; *) {script} ;; esac"
        ));
        let docker = stand.check(SOON).await.expect("must answer");
        (stand, docker)
    }

    async fn check(&self, within: Duration) -> Result<Docker, DockerError> {
        let path = self.0.path().join("docker");
        let path = Utf8Path::from_path(&path).expect("must be UTF-8");
        Docker::check_at(Tool::at("docker", path.to_owned()), within).await
    }
}

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_engine_that_gives_no_answer_is_given_up() {
    let stand = Stand::with("exec sleep 1000", "", "");
    let error = stand.check(Duration::from_millis(50)).await;
    let error = error.expect_err("must be given up");
    assert_eq!(
        error.to_string(),
        "the Docker engine gives no answer within 50ms"
    );
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn the_engine_and_its_containers_tell_what_they_run_on() {
    // On an ordinary host, and on one that lacks a capability.
    for (cgroups, bits, host) in [
        ("2", "000001ffffffffff", (2, true)),
        ("1", "000001fffeffffff", (1, false)),
    ] {
        let info = format!(r#"echo '{{"CgroupVersion":"{cgroups}"}}'"#);
        let run = format!("echo CapEff: 0; echo CapBnd: {bits}");
        let stand = Stand::with(VERSION, &info, &run);
        let docker = stand.check(SOON).await.expect("must answer");
        let docker = docker.probed("image").await.expect("must run");
        let Host {
            cgroup_version,
            sys_resource,
        } = docker.host;
        assert_eq!((cgroup_version, sys_resource), host);
    }
}

#[tokio::test]
async fn a_probe_that_is_refused_is_told() {
    let says = "docker: Error response from daemon: authorization denied by plugin policy";
    let script = format!("echo '{says}' >&2; exit 125");
    let (_stand, docker) = Stand::docker(&script).await;
    let error = docker.probed("image").await.expect_err("must be refused");
    assert!(matches!(error, DockerError::NoPrivileges { .. }), "{error}");
}

#[tokio::test]
async fn room_is_only_asked_for_where_it_can_be_seen() {
    let here = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let here = here.trim();
    for (name, folder, seen) in [
        (here, "/", true),
        ("elsewhere.example.org", "/", false),
        (here, "/nowhere", false),
    ] {
        let info = format!(r#"echo '{{"Name":"{name}","DockerRootDir":"{folder}"}}'"#);
        let stand = Stand::with(VERSION, &info, "");
        let docker = stand.check(SOON).await.expect("must answer");
        docker.room_for(1).expect("must have a byte");
        let result = docker.room_for(u64::MAX);
        assert_eq!(result.is_err(), seen && !here.is_empty(), "{name} {folder}");
    }
}

#[tokio::test]
async fn an_engine_that_is_reached_over_the_network_makes_no_clusters() {
    let script = "[ $1 = context ] && echo ssh://me:secret@there.example.org";
    let (_stand, docker) = Stand::docker(script).await;
    let error = docker.probed("image").await.expect_err("must be refused");
    assert_eq!(
        error.to_string(),
        "the Docker engine is on another machine (there.example.org), where its clusters cannot be reached"
    );
}

#[test]
fn an_engine_of_this_machine_is_near_by_whatever_address() {
    for address in [
        "unix:///var/run/docker.sock",
        "npipe:////./pipe/docker_engine",
        "tcp://127.0.0.1:2375",
        "tcp://[::1]:2375",
        "tcp://localhost:2375",
        "",
    ] {
        assert_eq!(elsewhere(address), None, "{address}");
    }
    let far = elsewhere("tcp://10.0.0.1:2375");
    assert_eq!(far.as_deref(), Some("10.0.0.1"));
}

#[test]
fn where_nothing_is_known_the_host_is_an_ordinary_one() {
    assert!(has_sys_resource(""));
}

#[test]
fn versions_of_the_api_are_compared_as_numbers() {
    assert!(api("1.41") >= Some(OLDEST_API));
    assert!(api("1.50") > api("1.6"));
    assert_eq!(api("new"), None);
}
