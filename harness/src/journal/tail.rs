//! A log file that somebody else writes, and puts another in the place of.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;

use camino::Utf8PathBuf;

/// Reads a file's lines as they come.
pub(super) struct Tail {
    path: Utf8PathBuf,
    file: Option<File>,
    /// The line that has no end yet.
    begun: Vec<u8>,
}

impl Tail {
    /// What is in the file by now is passed over.
    pub(super) fn at_end(path: Utf8PathBuf) -> Self {
        let file = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        });
        Self {
            path,
            file: file.ok(),
            begun: Vec::new(),
        }
    }

    /// The lines that were finished since the last call. None while there is no file.
    pub(super) fn lines(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let current = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut bytes = std::mem::take(&mut self.begun);
        if let Some(mut file) = self.file.take() {
            // Looked at first: what was renamed away is not written to any more.
            let replaced = file.metadata()?.ino() != current.metadata()?.ino();
            file.read_to_end(&mut bytes)?;
            self.file = (!replaced).then_some(file);
        }
        if self.file.is_none() {
            self.file.insert(current).read_to_end(&mut bytes)?;
        }
        let mut lines: Vec<_> = bytes
            .split(|&byte| byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        self.begun = lines.pop().unwrap_or_default();
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn whole_lines_of_a_file_and_of_its_successor() {
        let folder = tempfile::tempdir().expect("must be made");
        let path = Utf8PathBuf::from_path_buf(folder.path().join("log")).expect("must be UTF-8");
        let mut tail = Tail::at_end(path.clone());
        let mut lines = || -> Vec<String> {
            let lines = tail.lines().expect("must be read").into_iter();
            lines
                .map(|line| String::from_utf8(line).expect("must be UTF-8"))
                .collect()
        };
        assert!(lines().is_empty());
        let mut file = File::create(&path).expect("must be made");
        write!(file, "one\ntw").expect("must be written");
        assert_eq!(lines(), ["one"]);
        assert!(lines().is_empty());
        writeln!(file, "o").expect("must be written");
        assert_eq!(lines(), ["two"]);
        writeln!(file, "three").expect("must be written");
        std::fs::rename(&path, path.with_extension("old")).expect("must be renamed");
        std::fs::write(&path, "four\n").expect("must be written");
        assert_eq!(lines(), ["three", "four"]);
        assert!(lines().is_empty());
        let mut later = Tail::at_end(path.clone());
        std::fs::write(&path, "four\nfive\n").expect("must be written");
        assert_eq!(later.lines().expect("must be read"), [b"five"]);
    }
}
