//! The settings of the search, read from the environment once.

use std::fmt;
use std::time::Duration;

use camino::Utf8PathBuf;
use url::Url;

use super::Program;

/// The index of the archives that the Kubernetes project publishes for envtest.
const INDEX: &str =
    "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml";

/// Where programs are looked for. [`from_env`](Self::from_env) reads it from the environment;
/// [`new`](Self::new) starts from nothing but a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sources {
    /// `TEST_ASSET_ETCD`.
    pub etcd: Option<Utf8PathBuf>,
    /// `TEST_ASSET_KUBE_APISERVER`.
    pub kube_apiserver: Option<Utf8PathBuf>,
    /// `TEST_ASSET_KUBECTL`.
    pub kubectl: Option<Utf8PathBuf>,
    /// `KUBEBUILDER_ASSETS`.
    pub folder: Option<Utf8PathBuf>,
    /// The folder with one folder for each version, `<version>-<os>-<arch>`:
    /// `$XDG_DATA_HOME/kubebuilder-envtest/k8s`, with `~/.local/share` for the variable's default,
    /// and on macOS `~/Library/Application Support/io.kubebuilder.envtest/k8s`
    /// (controller-runtime, `tools/setup-envtest/store/helpers.go`).
    pub store: Utf8PathBuf,
    /// `LAB_ENVTEST_INDEX`, by default the index of controller-tools.
    pub index: Url,
    /// `LAB_GO`: the Go program, a path or a name to be found on `PATH`; by default `go`.
    pub go: Utf8PathBuf,
    /// What the programs must run on.
    pub platform: Platform,
    /// How long is waited for what.
    pub patience: Patience,
}

/// How long is waited for what. There is no limit to a whole download or build: those end when
/// nothing moves any more, or when they are done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Patience {
    /// For `kube-apiserver --version`; 10 s by default.
    pub version: Duration,
    /// For a connection; 5 s by default.
    pub connect: Duration,
    /// For the next byte of an answer; 20 s by default.
    pub stall: Duration,
    /// Before the second try of a request; twice as long before the third. 500 ms by default.
    pub retry: Duration,
    /// For another process that fetches the same version; an hour by default.
    pub lock: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            version: Duration::from_secs(10),
            connect: Duration::from_secs(5),
            stall: Duration::from_secs(20),
            retry: Duration::from_millis(500),
            lock: Duration::from_secs(3600),
        }
    }
}

/// An operating system and an architecture, by Go's names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Platform {
    /// `linux`, `darwin`.
    pub os: String,
    /// `amd64`, `arm64`, `ppc64le`, `s390x`.
    pub arch: String,
}

impl Platform {
    /// Of this machine.
    pub fn this() -> Self {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            other => other,
        };
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            other => other,
        };
        Self {
            os: os.to_owned(),
            arch: arch.to_owned(),
        }
    }
}

/// `linux-amd64`, as in the names of folders and archives.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.os, self.arch)
    }
}

/// An environment variable that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// Its value is no UTF-8, or relative to a folder whose path is none.
    #[error("{variable}: `{value}` is not UTF-8")]
    NotUtf8 {
        /// Its name.
        variable: &'static str,
        /// Its value, with replacement characters.
        value: String,
    },
    /// Its value is no address.
    #[error("{variable}: `{value}` is not an address")]
    NotAnAddress {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// The address is of a kind that cannot be fetched.
    #[error("{variable}: `{value}` is not an http or https address")]
    NotHttp {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// Neither `XDG_DATA_HOME` nor a home folder says where the store is.
    #[error("no folder for the programs: neither XDG_DATA_HOME nor HOME is set")]
    NoHome,
}

impl SettingError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotUtf8 { variable, .. } => {
                format!("set {variable} to a path of UTF-8 characters, or unset it")
            }
            Self::NotAnAddress { variable, .. } | Self::NotHttp { variable, .. } => {
                format!("set {variable} to an address such as {INDEX}, or unset it")
            }
            Self::NoHome => "set XDG_DATA_HOME to a folder that can be written".to_owned(),
        })
    }
}

impl Sources {
    /// Sources with this store, the default index, `go` from `PATH`, this machine's platform, and
    /// no program named.
    pub fn new(store: Utf8PathBuf) -> Self {
        Self {
            etcd: None,
            kube_apiserver: None,
            kubectl: None,
            folder: None,
            store,
            index: Url::parse(INDEX).expect("the default index must be an address"),
            go: Utf8PathBuf::from("go"),
            platform: Platform::this(),
            patience: Patience::default(),
        }
    }

    /// Reads the environment. A variable that is set but empty counts as not set.
    pub fn from_env() -> Result<Self, SettingError> {
        let mut sources = Self::new(store()?);
        sources.etcd = path(Program::Etcd.variable())?;
        sources.kube_apiserver = path(Program::KubeApiserver.variable())?;
        sources.kubectl = path(Program::Kubectl.variable())?;
        sources.folder = path("KUBEBUILDER_ASSETS")?;
        if let Some(index) = variable("LAB_ENVTEST_INDEX")? {
            sources.index = address("LAB_ENVTEST_INDEX", index)?;
        }
        if let Some(go) = variable("LAB_GO")? {
            // A name stays one: it is looked for on PATH.
            sources.go = if go.contains('/') {
                path("LAB_GO")?.unwrap_or(sources.go)
            } else {
                go.into()
            };
        }
        Ok(sources)
    }

    /// The path that the environment names for a program.
    pub(super) fn named(&self, program: Program) -> Option<&Utf8PathBuf> {
        match program {
            Program::Etcd => self.etcd.as_ref(),
            Program::KubeApiserver => self.kube_apiserver.as_ref(),
            Program::Kubectl => self.kubectl.as_ref(),
        }
    }
}

fn store() -> Result<Utf8PathBuf, SettingError> {
    let home = || match std::env::home_dir() {
        Some(home) => Utf8PathBuf::from_path_buf(home).map_err(|path| SettingError::NotUtf8 {
            variable: "HOME",
            value: path.display().to_string(),
        }),
        None => Err(SettingError::NoHome),
    };
    let folder = if cfg!(target_os = "macos") {
        home()?.join("Library/Application Support/io.kubebuilder.envtest")
    } else {
        let data = match path("XDG_DATA_HOME")? {
            Some(data) => data,
            None => home()?.join(".local/share"),
        };
        data.join("kubebuilder-envtest")
    };
    Ok(folder.join("k8s"))
}

fn address(variable: &'static str, value: String) -> Result<Url, SettingError> {
    match Url::parse(&value) {
        Ok(address) if matches!(address.scheme(), "http" | "https") => Ok(address),
        Ok(_) => Err(SettingError::NotHttp { variable, value }),
        Err(source) => Err(SettingError::NotAnAddress {
            variable,
            value,
            source,
        }),
    }
}

fn variable(name: &'static str) -> Result<Option<String>, SettingError> {
    match std::env::var_os(name) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => value
            .into_string()
            .map(Some)
            .map_err(|value| SettingError::NotUtf8 {
                variable: name,
                value: value.to_string_lossy().into_owned(),
            }),
    }
}

/// A path, made absolute: programs are run in folders of their own.
fn path(name: &'static str) -> Result<Option<Utf8PathBuf>, SettingError> {
    let Some(value) = variable(name)? else {
        return Ok(None);
    };
    let unusable = |_| SettingError::NotUtf8 {
        variable: name,
        value: value.clone(),
    };
    camino::absolute_utf8(&value).map(Some).map_err(unusable)
}
