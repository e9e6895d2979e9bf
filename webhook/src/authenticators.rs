//! Authenticators to use as they are, and others to put around them.
//!
//! Each that wraps another is an [`Authenticator`](crate::Authenticator) itself, so that they
//! nest: a [`FirstMatch`] of a [`TokenFile`] and a [`Limited`] of what asks a directory.

mod cached;
mod first_match;
mod layered;
#[cfg(feature = "ldap")]
pub mod ldap;
mod limited;
pub mod token_file;

pub use cached::{CacheConfig, CacheLimits, Cached};
pub use first_match::FirstMatch;
pub use layered::{Layered, ReviewService};
pub use limited::{LimitConfig, Limited};
pub use token_file::{TokenFile, TokenReload};
