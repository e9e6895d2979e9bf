//! Digests of bytes and of files, in lower-case hexadecimal digits.

use std::fs::File;
use std::io::{self, Read as _};

use camino::Utf8Path;
use sha2::{Digest, Sha256};

/// The SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// A file's digest, by whichever algorithm.
pub(crate) fn of_file<D: Digest>(path: &Utf8Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = D::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Two digits a byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digits = |text: String, byte: &u8| text + &format!("{byte:02x}");
    bytes.iter().fold(String::new(), digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_a_file_of_them_have_one_digest() {
        // FIPS 180-4's own example.
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), digest);
        let file = tempfile::NamedTempFile::new().expect("must be made");
        std::fs::write(file.path(), "abc").expect("must be written");
        let path = Utf8Path::from_path(file.path()).expect("must be UTF-8");
        assert_eq!(of_file::<Sha256>(path).expect("must be read"), digest);
    }
}
