//! A network whose addresses can be asked for: the webhook's must be known before it runs.

use std::net::Ipv4Addr;

use super::K3sError;
use crate::docker::{Docker, DockerError, LABEL, owner_label};

/// How often another network may have taken the subnet in between.
const TRIES: usize = 5;

/// Makes the network, and returns an address in it that Docker gives to nobody unasked: it
/// counts from the other end.
///
/// Docker chooses a free subnet, but gives an address that is asked for only in a subnet that
/// was asked for. So it is asked for the one that it chose.
pub(crate) async fn make(docker: &Docker, name: &str) -> Result<Ipv4Addr, K3sError> {
    const SUBNET: &str = "{{(index .IPAM.Config 0).Subnet}}";
    let label = format!("{LABEL}=k3s");
    let owner = owner_label();
    let create = ["network", "create", "--label", &label, &owner];
    let mut tries = 0;
    loop {
        docker.run(&[&create[..], &[name]].concat()).await?;
        let subnet = docker
            .run(&["network", "inspect", "--format", SUBNET, name])
            .await?;
        let subnet = subnet.trim();
        let address = last_host(subnet).ok_or_else(|| K3sError::Subnet {
            subnet: subnet.to_owned(),
        })?;
        docker.run(&["network", "rm", name]).await?;
        let again = [&create[..], &["--subnet", subnet, name]].concat();
        tries += 1;
        match docker.run(&again).await {
            Ok(_) => return Ok(address),
            Err(DockerError::Tool(error)) if tries < TRIES && error.said().contains("overlaps") => {
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The last address of a subnet but the one for all.
fn last_host(subnet: &str) -> Option<Ipv4Addr> {
    let (address, bits) = subnet.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let bits: u32 = bits.parse().ok().filter(|bits| (8..=29).contains(bits))?;
    let hosts = u32::MAX >> bits;
    Some(Ipv4Addr::from_bits((address.to_bits() | hosts) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_host_is_before_the_broadcast_address() {
        let last = |subnet| last_host(subnet).map(|address| address.to_string());
        assert_eq!(last("172.18.0.0/16").as_deref(), Some("172.18.255.254"));
        assert_eq!(last("192.168.32.0/20").as_deref(), Some("192.168.47.254"));
        assert_eq!(last("fd00::/64"), None);
        assert_eq!(last("10.0.0.0/31"), None);
    }
}
