//! How many files the program may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What is kept for others than connections: settings and logs that are read and written, an
/// authenticator's backend, the other port.
const OTHERS: u64 = 64;

/// How many connections there is room for, once as many files are asked for as the program may
/// have. It starts with 1024 of them under systemd and in a shell; Go's programs ask as well, since
/// Go 1.19 (`src/os/rlimit.go`).
pub(super) fn room() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return usize::MAX;
    };
    let files = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    };
    usize::try_from(files - OTHERS.min(files / 4)).unwrap_or(usize::MAX)
}
