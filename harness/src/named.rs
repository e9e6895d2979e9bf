//! Labs with names: they stay when the command that started them has ended.
//!
//! A lab's owner is its supervisor, a process in the background with a unix socket in the run
//! folder. It writes the lab down in the [`Registry`]; a [`Client`] finds it there and asks it
//! something. Whatever way the supervisor ends, `kill -9` included, nothing of the lab is left.

mod client;
mod launch;
mod name;
mod protocol;
mod record;
mod registry;
mod secret;
mod settings;
mod socket;
mod spec;
mod supervisor;
mod webhook;

pub use crate::owner::Owner;
pub use client::{Answers, Client, ClientError};
pub use launch::{LaunchError, launch};
pub use name::{LabName, LabNameError};
use protocol::VERSION;
pub use protocol::{Failure, Log, LogName, Part, Request, Response, Status};
pub use record::{Age, Record};
pub use registry::{Found, Registry, RegistryError, Standing};
pub use settings::{Change, Script, ScriptedToken, Settings};
pub use spec::Spec;
pub use supervisor::{SUPERVISE, supervise};
pub use webhook::SpecWebhook;
