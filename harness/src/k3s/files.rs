//! Files for a container that need not run, as `docker cp` takes them.

/// A file that its owner alone may read.
#[derive(Debug)]
pub(super) struct File<'a> {
    /// Its path, below where they are unpacked.
    pub(super) path: &'a str,
    /// The number of a user, and of the group.
    pub(super) owner: i64,
    /// Its content.
    pub(super) text: &'a str,
}

/// All of them.
///
/// # Panics
/// When a path is longer than a tar's.
pub(super) fn tar(files: &[File<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for File { path, owner, text } in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o600);
        header.set_uid(owner.unsigned_abs());
        header.set_gid(owner.unsigned_abs());
        header.set_size(text.len() as u64);
        let path = path.trim_start_matches('/');
        tar.append_data(&mut header, path, text.as_bytes())
            .expect("must be written to memory");
    }
    tar.into_inner().expect("must be written to memory")
}
