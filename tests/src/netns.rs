//! Networks of their own for a test: one namespace with nothing but a loopback, or two joined by a cable.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::skip;

/// Where the program ip keeps the namespaces it made, by their names.
const NAMESPACES: &str = "/var/run/netns";

/// Namespaces made by this process so far: part of their names.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A namespace. Dropping it deletes it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one with its loopback up, or reports that `test` is skipped.
    #[must_use]
    pub fn make_or_skip(test: &str) -> Option<Self> {
        if !skip::is_root() || !skip::has_program("ip") {
            skip::skip(test, "needs root and the program ip (iproute2), for a network namespace");
            return None;
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let namespace = Self { name: format!("brunt-test-{}-{number}", std::process::id()) };
        if let Err(error) = ip(&["netns", "add", &namespace.name]) {
            skip::skip(test, &format!("needs a network namespace, which cannot be made here: {error}"));
            return None;
        }
        namespace.run(&["ip", "link", "set", "lo", "up"]);
        Some(namespace)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command inside, to its end.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, command: &[&str]) {
        let mut args = vec!["netns", "exec", &self.name];
        args.extend(command);
        ip(&args).unwrap_or_else(|error| panic!("{command:?} in the namespace: {error}"));
    }

    /// The words that make a command run inside.
    #[must_use]
    pub fn wrapper(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    /// The words that make a command run on this network alone: unlike [`Namespace::wrapper`] it keeps its mounts, and
    /// so its cgroups.
    #[must_use]
    pub fn network_wrapper(&self) -> [String; 2] {
        ["nsenter".to_owned(), format!("--net=/run/netns/{}", self.name)]
    }

    /// Calls this on a thread of its own that is inside. Sockets stay in the namespace they were made in, so what it
    /// gives back may be used from anywhere.
    ///
    /// # Panics
    /// When the thread cannot enter the namespace, or panics itself.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.name, work)
    }

    /// A figure the kernel counts for this namespace, as in `counter("Tcp", "RetransSegs")`; the names are those of
    /// /proc/net/snmp and /proc/net/netstat.
    ///
    /// # Panics
    /// When there is no such figure.
    #[must_use]
    pub fn counter(&self, group: &str, name: &str) -> u64 {
        let tables = self.inside(|| {
            // Not /proc/net: that is the network of the process, not of this thread.
            let files = ["/proc/thread-self/net/snmp", "/proc/thread-self/net/netstat"];
            files.map(|file| fs::read_to_string(file).unwrap_or_default()).concat()
        });
        counter_in(&tables, group, name).unwrap_or_else(|| panic!("the kernel does not count {group} {name}"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

/// Two namespaces joined by a cable (veth), one for the client and one for the server. Dropping it deletes both.
#[derive(Debug)]
pub struct Pair {
    client: Namespace,
    server: Namespace,
}

impl Pair {
    pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    /// The test certificates of servers are valid for this address too.
    pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

    /// Makes them with their addresses, ready for packets, or reports that `test` is skipped.
    #[must_use]
    pub fn make_or_skip(test: &str) -> Option<Self> {
        let (client, server) = (Namespace::make_or_skip(test)?, Namespace::make_or_skip(test)?);
        let cable = ["link", "add", CABLE, "netns", &client.name, "type", "veth"];
        let other_end = ["peer", "name", CABLE, "netns", &server.name];
        if let Err(error) = ip(&[&cable[..], &other_end[..]].concat()) {
            skip::skip(test, &format!("needs a veth pair, which cannot be made here: {error}"));
            return None;
        }
        let pair = Self { client, server };
        for (end, address) in [(&pair.client, Self::CLIENT), (&pair.server, Self::SERVER)] {
            end.run(&["ip", "address", "add", &format!("{address}/24"), "dev", CABLE]);
            end.run(&["ip", "link", "set", CABLE, "up"]);
        }
        Some(pair)
    }

    #[must_use]
    pub fn client(&self) -> &Namespace {
        &self.client
    }

    #[must_use]
    pub fn server(&self) -> &Namespace {
        &self.server
    }
}

/// The name of the cable's end, in either namespace.
const CABLE: &str = "cable";

/// A setting of the kernel for one namespace, changed. Dropping it sets the old value again.
#[derive(Debug)]
pub struct Setting {
    namespace: String,
    file: String,
    before: String,
}

impl Setting {
    /// Names it as the program sysctl does, as in `net.ipv4.tcp_syncookies`.
    ///
    /// # Panics
    /// When there is no such setting, or the value is refused.
    #[must_use]
    pub fn change(namespace: &Namespace, name: &str, value: &str) -> Self {
        let file = format!("/proc/sys/{}", name.replace('.', "/"));
        let change = || {
            let before = fs::read_to_string(&file)?;
            fs::write(&file, value)?;
            Ok(before)
        };
        let changed: io::Result<String> = inside(&namespace.name, change);
        let before = changed.unwrap_or_else(|error| panic!("{name} = {value}: {error}"));
        Self { namespace: namespace.name.clone(), file, before }
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        // A namespace that is gone has taken the setting with it.
        if fs::exists(format!("{NAMESPACES}/{}", self.namespace)).unwrap_or(false) {
            let _ = inside(&self.namespace, || fs::write(&self.file, &self.before));
        }
    }
}

/// On a thread of its own, because a thread that entered a namespace stays there.
fn inside<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let within = scope.spawn(|| {
            let file = fs::File::open(format!("{NAMESPACES}/{name}")).expect("the namespace has a file");
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a namespace");
            work()
        });
        within.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))
    })
}

/// Each group is two lines, one of names and one of values.
fn counter_in(tables: &str, group: &str, name: &str) -> Option<u64> {
    let of_group = |line: &&str| line.split_once(':').is_some_and(|(first, _)| first == group);
    let mut lines = tables.lines().filter(of_group);
    let at = lines.next()?.split_whitespace().position(|word| word == name)?;
    lines.next()?.split_whitespace().nth(at)?.parse().ok()
}

/// Both ends of a connection, in namespaces or in one; for tests of the harness itself.
#[cfg(test)]
pub(crate) fn connected(
    client: &Namespace,
    server: &Namespace,
    at: impl Into<std::net::IpAddr>,
) -> [std::net::TcpStream; 2] {
    use std::net::{TcpListener, TcpStream};

    let at = at.into();
    let listener = server.inside(|| TcpListener::bind((at, 0))).expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let stream = client.inside(|| TcpStream::connect_timeout(&address, std::time::Duration::from_secs(5)));
    let ends = [stream.expect("it connects"), listener.accept().expect("it has connected").0];
    for end in &ends {
        let bound = Some(std::time::Duration::from_secs(10));
        end.set_read_timeout(bound).expect("a bound above zero");
        end.set_write_timeout(bound).expect("a bound above zero");
    }
    ends
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn counters_are_found_by_their_names() {
        let tables = "Tcp: A RetransSegs\nTcp: -1 7\nTcpExt: A ListenOverflows\nTcpExt: 3 4\n";
        let cases = [
            (("Tcp", "RetransSegs"), Some(7)),
            (("TcpExt", "ListenOverflows"), Some(4)),
            (("Tcp", "A"), None),
            (("Tcp", "ListenOverflows"), None),
            (("Udp", "A"), None),
        ];
        for ((group, name), expected) in cases {
            assert_eq!(counter_in(tables, group, name), expected, "{group} {name}");
        }
    }

    #[test]
    fn a_pair_carries_bytes_between_its_namespaces() {
        let Some(pair) = Pair::make_or_skip("a_pair_carries_bytes_between_its_namespaces") else { return };
        let [mut client, mut server] = connected(pair.client(), pair.server(), Pair::SERVER);
        client.write_all(b"hello").unwrap();
        let mut got = [0; 5];
        server.read_exact(&mut got).unwrap();
        assert_eq!((&got, server.peer_addr().unwrap().ip()), (b"hello", Pair::CLIENT.into()));
    }

    #[test]
    fn a_setting_is_of_one_namespace_and_undone() {
        let Some(namespace) = Namespace::make_or_skip("a_setting_is_of_one_namespace_and_undone") else {
            return;
        };
        let file = "/proc/sys/net/ipv4/tcp_syncookies";
        let read = || fs::read_to_string(file).unwrap().trim().to_owned();
        let [outside, before] = [read(), namespace.inside(read)];
        let setting = Setting::change(&namespace, "net.ipv4.tcp_syncookies", "2");
        assert_eq!([read(), namespace.inside(read)], [outside.as_str(), "2"]);
        drop(setting);
        assert_eq!(namespace.inside(read), before);
    }
}
