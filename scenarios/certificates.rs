//! Serving certificates with one thing wrong, all by an authority that is known.

use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use time::{Duration, OffsetDateTime};
use tokenlab_webhook::Tls;
