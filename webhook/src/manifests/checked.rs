//! What a kube-apiserver would refuse, found out before.

use std::net::IpAddr;

/// Reads the address of a Service: not what the apiserver refuses (`pkg/apis/core/validation`,
/// `ValidateNonSpecialIP`).
pub fn service_address(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|error| format!("{error}"))?;
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() || link_local {
        Err("no Service can have this address".to_owned())
    } else {
        Ok(address)
    }
}

/// Reads a label of RFC 1123, as the name of a namespace and of a Service must be (`apimachinery`,
/// `IsDNS1123Label`).
pub fn label(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = (1..=63).contains(&text.len())
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|c| plain(c) || c == '-');
    if fits {
        Ok(text.to_owned())
    } else {
        Err("not 1 to 63 lower-case letters, digits and `-`, with no `-` at either end")
    }
}
