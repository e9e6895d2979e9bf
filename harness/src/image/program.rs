//! The one program in the image: what it must be to run where there is nothing else.

use std::fmt;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

/// A processor, by its name in images (Go's `GOARCH`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// `AArch64`.
    Arm64,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        })
    }
}

/// What is wrong with a program that shall be an image.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be read.
    #[error("`{path}` cannot be read")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is a folder, a device or the like.
    #[error("`{path}` is not a file")]
    NotAFile {
        /// What it is not.
        path: Utf8PathBuf,
    },
    /// It is no ELF program of 64 bits.
    #[error("`{path}` is not a program for Linux")]
    NotAProgram {
        /// The file.
        path: Utf8PathBuf,
    },
    /// It is for another processor.
    #[error("`{path}` is for a processor (ELF machine {machine}) that is neither amd64 nor arm64")]
    Machine {
        /// The file.
        path: Utf8PathBuf,
        /// The number in its header.
        machine: u16,
    },
    /// It needs a dynamic linker.
    #[error(
        "`{path}` is linked dynamically: it needs `{interpreter}`, and the image has no other file"
    )]
    Dynamic {
        /// The file.
        path: Utf8PathBuf,
        /// The dynamic linker that it names.
        interpreter: String,
    },
}

impl ProgramError {
    /// The way out, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Dynamic { .. } => Some(
                "link it statically: RUSTFLAGS=-Ctarget-feature=+crt-static with cargo's --target, or a musl target"
                    .to_owned(),
            ),
            Self::NotAProgram { .. } => {
                Some("give the program `tokenlab-webhook`, built for Linux".to_owned())
            }
            Self::Read { .. } | Self::NotAFile { .. } | Self::Machine { .. } => None,
        }
    }
}

/// A program that needs nothing but a kernel.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) bytes: Vec<u8>,
    pub(super) architecture: Architecture,
}

impl Program {
    /// Reads the program, and checks that it runs alone.
    pub(super) fn read(path: &Utf8Path) -> Result<Self, ProgramError> {
        let unreadable = |source| ProgramError::Read {
            path: path.to_owned(),
            source,
        };
        // Asked first: reading a device might never end.
        if !path.metadata().map_err(unreadable)?.is_file() {
            return Err(ProgramError::NotAFile {
                path: path.to_owned(),
            });
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let header = Header::read(&bytes).ok_or_else(|| ProgramError::NotAProgram {
            path: path.to_owned(),
        })?;
        if let Some(interpreter) = header.interpreter {
            return Err(ProgramError::Dynamic {
                path: path.to_owned(),
                interpreter,
            });
        }
        let architecture = match header.machine {
            62 => Architecture::Amd64,
            183 => Architecture::Arm64,
            machine => {
                return Err(ProgramError::Machine {
                    path: path.to_owned(),
                    machine,
                });
            }
        };
        Ok(Self {
            bytes,
            architecture,
        })
    }
}

/// What the headers of an ELF file say (`elf(5)`; the numbers are those of `<elf.h>`).
#[derive(Debug)]
struct Header {
    machine: u16,
    interpreter: Option<String>,
}

impl Header {
    /// `None` when it is not a little-endian program of 64 bits, or cut short.
    fn read(file: &[u8]) -> Option<Self> {
        const EXECUTABLE: u16 = 2; // ET_EXEC
        const POSITION_INDEPENDENT: u16 = 3; // ET_DYN
        const INTERPRETER: u32 = 3; // PT_INTERP
        if !file.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        match (half(file, 16)?, word(file, 24)?) {
            // A library, which names no dynamic linker either, but has no place to start at.
            (POSITION_INDEPENDENT, 0) => return None,
            (EXECUTABLE | POSITION_INDEPENDENT, _) => {}
            _ => return None,
        }
        let (table, size, count) = (word(file, 32)?, half(file, 54)?, half(file, 56)?);
        let mut interpreter = None;
        for index in 0..count {
            let entry = table.checked_add(usize::from(index) * usize::from(size))?;
            let entry = file.get(entry..)?;
            let kind = u32::from_le_bytes(*entry.first_chunk()?);
            if kind == INTERPRETER {
                let (offset, length) = (word(entry, 8)?, word(entry, 32)?);
                let path = file.get(offset..offset.checked_add(length)?)?;
                let path = String::from_utf8_lossy(path);
                interpreter = Some(path.trim_end_matches('\0').to_owned());
            }
        }
        Some(Self {
            machine: half(file, 18)?,
            interpreter,
        })
    }
}

fn half(file: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

fn word(file: &[u8], at: usize) -> Option<usize> {
    let word = u64::from_le_bytes(*file.get(at..)?.first_chunk()?);
    usize::try_from(word).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_are_cut_short_are_no_program() {
        let own = std::fs::read(std::env::current_exe().expect("must be known"));
        let own = own.expect("must be read");
        let whole = Header::read(&own).expect("must be a program");
        assert!(
            whole
                .interpreter
                .is_some_and(|path| path.starts_with("/lib"))
        );
        for length in [0, 5, 17, 40, 64, 100] {
            assert!(Header::read(&own[..length]).is_none(), "{length}");
        }
    }
}
