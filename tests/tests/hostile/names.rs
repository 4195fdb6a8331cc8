//! T22: a name with thousands of addresses, and names that do not exist.
//!
//! The resolver reads `/etc/resolv.conf`, so both ends live in a network namespace of their own, for which `ip netns
//! exec` puts another file in its place.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use brunt_tests::brunt::Brunt;
use brunt_tests::netns::Namespace;
use brunt_tests::origin::Origin;
use brunt_tests::turn;
use brunt_tests::zoo::{Keeper, MANY};

/// A name that cannot be resolved is given up within this: the resolver's two seconds and the process.
const RESOLVED_WITHIN: Duration = Duration::from_secs(4);
const RESIDENT_KIB_MAX: u64 = 64 << 10;

/// A folder that `ip netns exec` mounts over /etc. Dropping it deletes it.
struct Etc(PathBuf);

impl Etc {
    fn of(namespace: &Namespace) -> Self {
        let folder = PathBuf::from("/etc/netns").join(namespace.name());
        fs::create_dir_all(&folder).expect("root can write to /etc");
        fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\n").expect("root can write to /etc");
        Self(folder)
    }
}

impl Drop for Etc {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn names_with_thousands_of_addresses_or_none() {
    let _turn = turn();
    let Some(namespace) = Namespace::make_or_skip("names_with_thousands_of_addresses_or_none") else {
        return;
    };
    let _etc = Etc::of(&namespace);
    let wrapper = namespace.wrapper();
    let _names = Keeper::names(env!("CARGO_BIN_EXE_brunt-zoo"), &wrapper);
    let origin = Origin::start_wrapped(&wrapper, "--host 0.0.0.0");
    let port = origin.port();
    let many = format!("run -n 4 -c 4 http://{MANY}:{port}/");
    let measured = Brunt::new(&many).wrapped(&wrapper).json();
    measured.expect_counts(0).expect_errors(&[]);
    assert!(measured.ended.resident_kib <= RESIDENT_KIB_MAX, "{}", measured.story());
    let ended = Brunt::new(&format!("run -n 4 -c 4 http://no.example:{port}/")).wrapped(&wrapper).run();
    ended.expect_code(7).expect_on_stderr(&["no.example"]);
    assert!(ended.wall < RESOLVED_WITHIN, "{}", ended.story());
}
