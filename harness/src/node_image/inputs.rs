//! What an image is made of, as one hash: by that a second build knows that there is nothing to do.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use camino::Utf8PathBuf;
use sha2::{Digest as _, Sha256};

use super::debian::DebianTar;
use super::{DOCKERFILE, KUBE_PROXY_FILES, NodeImageError, PRELOAD, context};
use crate::assets::{Assets, Kit, spoilt};
use crate::digest::{hexadecimal, of_file};

/// Stands for the code that puts an image together. Raise it whenever a change of that code makes
/// another image of the same content: where a program goes, what an image in the node runs, how
/// it is loaded, what is committed (`build.rs`, `context.rs`, `layout.rs`, `archive.rs`).
const RECIPE: u32 = 1;

/// The hash of the recipe, of the texts and of the programs' content. Debian's tar is named by
/// what it was made of: it is made once for each name, and where it lies says nothing.
pub(super) fn hash(
    assets: &Assets,
    kit: &Kit,
    debian: &DebianTar,
) -> Result<String, NodeImageError> {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        // With its length, so that no two texts are the same as two others.
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    add(&RECIPE.to_string());
    for text in [DOCKERFILE, KUBE_PROXY_FILES, PRELOAD] {
        add(text);
    }
    context::TEXTS.into_iter().for_each(&mut add);
    add(&debian.made_of);
    let own = [&assets.etcd, &assets.kube_apiserver, &assets.kubectl];
    let files: Vec<_> = own
        .into_iter()
        .chain(&kit.programs)
        .chain([&kit.base_files])
        .collect();
    for (path, sum) in files.iter().zip(sums(&files)) {
        let sum = sum.map_err(|source| NodeImageError::Read {
            path: (*path).clone(),
            source,
        })?;
        if let Some(folder) = spoilt(path, &sum) {
            let path = (*path).clone();
            return Err(NodeImageError::Spoilt { path, folder });
        }
        add(&sum);
    }
    Ok(hexadecimal(&hash.finalize()[..16]))
}

/// The sums of the files, by a few readers: a node's programs are most of a gigabyte.
fn sums(files: &[&Utf8PathBuf]) -> Vec<io::Result<String>> {
    let readers = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
    let next = AtomicUsize::new(0);
    let read = || {
        let mut read = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = files.get(at) else {
                return read;
            };
            read.push((at, of_file::<Sha256>(path)));
        }
    };
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..readers).map(|_| scope.spawn(read)).collect();
        let read = |reader: std::thread::ScopedJoinHandle<'_, _>| reader.join();
        let read = readers.into_iter().map(read);
        read.flat_map(|read| read.expect("reading does not panic"))
            .collect()
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, sum)| sum).collect()
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;

    #[test]
    fn sums_come_in_the_order_of_their_files() {
        let folder = tempfile::tempdir().expect("must be made");
        let folder = Utf8Path::from_path(folder.path()).expect("must be UTF-8");
        let mut paths: Vec<_> = (0..20).map(|name| folder.join(name.to_string())).collect();
        for path in &paths {
            let text = path.file_name().unwrap_or_default();
            std::fs::write(path, text).expect("must be written");
        }
        paths.push(folder.join("nowhere"));
        let sums = sums(&paths.iter().collect::<Vec<_>>());
        for (path, found) in paths[..20].iter().zip(&sums) {
            let alone = of_file::<Sha256>(path).expect("must be read");
            assert_eq!(found.as_ref().expect("must be read"), &alone);
        }
        assert!(sums[20].is_err());
    }
}
