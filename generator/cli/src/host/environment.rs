//! Where a run takes place: what a reader needs to repeat it.

use std::net::{IpAddr, Ipv4Addr};

use brunt_model::plan::Endpoint;
use brunt_model::report::Environment;
use brunt_model::units::CoreId;

use super::text_of;

/// Describes this host for a run to these endpoints, from the first of these cores. How I/O and pacing were chosen is
/// for the caller to add, as is what the kernel and the jail had a part in.
pub(crate) fn describe(endpoints: &[Endpoint], cores: &[CoreId]) -> Environment {
    Environment {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: kernel(),
        cpu: cpu(),
        nic: endpoints.first().and_then(nic),
        offloads: None,
        governor: cores.first().and_then(|core| governor(*core)),
        congestion_control: text_of("/proc/sys/net/ipv4/tcp_congestion_control"),
        ..Environment::default()
    }
}

/// The CPU's frequency governor; guests of a hypervisor usually have none.
pub(crate) fn governor(core: CoreId) -> Option<String> {
    text_of(format!("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", core.0))
}

/// Name and release of the running kernel.
pub(crate) fn kernel() -> String {
    let name = rustix::system::uname();
    format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy())
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    model_name(&info).unwrap_or_else(|| rustix::system::uname().machine().to_string_lossy().into_owned())
}

fn model_name(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The interface that leads to an endpoint, with its driver and speed where the kernel tells them.
fn nic(endpoint: &Endpoint) -> Option<String> {
    let Endpoint::Ip(address) = endpoint else { return None };
    let name = match address.ip() {
        ip if ip.is_loopback() => "lo".to_owned(),
        IpAddr::V4(ip) => route(&text_of("/proc/net/route")?, ip)?,
        IpAddr::V6(_) => return None,
    };
    let folder = format!("/sys/class/net/{name}");
    let driver = std::fs::read_link(format!("{folder}/device/driver")).ok();
    let driver =
        driver.as_deref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    let speed = text_of(format!("{folder}/speed")).and_then(|speed| speed.parse::<u32>().ok());
    let details: Vec<_> = driver.into_iter().chain(speed.map(|speed| format!("{speed} Mb/s"))).collect();
    Some(if details.is_empty() { name } else { format!("{name} ({})", details.join(", ")) })
}

/// The interface of the longest prefix that holds the address. Addresses are hex words in the host's byte order.
fn route(table: &str, to: Ipv4Addr) -> Option<String> {
    let to = u32::from_ne_bytes(to.octets());
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let word = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
        let (destination, mask) = (word(1)?, word(7)?);
        (to & mask == destination).then(|| (mask.count_ones(), fields[0].to_owned()))
    });
    routes.max_by_key(|(length, _)| *length).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_named_where_the_kernel_names_it() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nmodel name\t: Other\n";
        assert_eq!(model_name(info).as_deref(), Some("Some CPU @ 2.0GHz"));
        assert_eq!(model_name("processor : 0\n"), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_longest_prefix_leads() {
        let table = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                     eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n\
                     eth1 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
        assert_eq!(route(table, Ipv4Addr::new(192, 0, 2, 9)).as_deref(), Some("eth1"));
        assert_eq!(route(table, Ipv4Addr::new(198, 51, 100, 1)).as_deref(), Some("eth0"));
        assert_eq!(route("header\nbroken line\n", Ipv4Addr::LOCALHOST), None);
    }

    #[test]
    fn a_loopback_target_has_its_interface() {
        let endpoint = Endpoint::Ip("127.0.0.1:80".parse().unwrap());
        assert!(nic(&endpoint).unwrap().starts_with("lo"));
        assert_eq!(nic(&Endpoint::Unix("/run/s".into())), None);
        assert!(describe(&[endpoint], &[CoreId(0)]).kernel.starts_with("Linux "));
    }
}
