//! A unix socket in a folder whose path may be too long for one.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use camino::Utf8Path;

/// The socket's name in the run folder.
pub(crate) const SOCKET: &str = "supervisor.sock";

/// What a socket's path may have on every system: Linux has room for 108 bytes, macOS for 104, with
/// the closing zero (`unix(7)`).
const LONGEST: usize = 100;

/// Listens in the run folder, which is the user's alone.
pub(super) fn listen(folder: &Utf8Path) -> io::Result<UnixListener> {
    in_folder(folder, |path| UnixListener::bind(path))
}

/// Connects to who listens there.
pub(super) fn connect(folder: &Utf8Path) -> io::Result<UnixStream> {
    in_folder(folder, |path| UnixStream::connect(path))
}

fn in_folder<T>(folder: &Utf8Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let path = folder.join(SOCKET);
    if path.as_str().len() <= LONGEST {
        return act(path.as_std_path());
    }
    // The kernel's own short name for a folder that is open.
    let open = File::open(folder)?;
    act(&Path::new("/proc/self/fd")
        .join(open.as_raw_fd().to_string())
        .join(SOCKET))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_long_path_is_no_obstacle() {
        let folder = tempfile::tempdir().expect("must be made");
        let folder = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
        let long = folder.join("x".repeat(200));
        std::fs::create_dir(&long).expect("must be made");
        for folder in [folder, &*long] {
            let listener = listen(folder).expect("must listen");
            let mut client = connect(folder).expect("must connect");
            let (mut server, _) = listener.accept().expect("must come");
            client.write_all(b"x").expect("must be sent");
            drop(client);
            let mut read = String::new();
            server.read_to_string(&mut read).expect("must be read");
            assert_eq!(read, "x");
            assert!(folder.join(SOCKET).exists());
        }
    }
}
