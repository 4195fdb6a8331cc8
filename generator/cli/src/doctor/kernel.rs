//! What there is of the kernel's part and of the jail. Runs work without, so nothing here is worse than a warning.

use std::path::Path;

use brunt_jail::State;
use brunt_loader::wire::Features;

use super::checks::{Finding, Level, finding};
use crate::host::{environment, text_of};
use crate::kernel::{Offer, offer};

/// The oldest kernel that has all that the loader and its programs need; cgroup.kill came last.
const LEAST: (u32, u32) = (5, 14);

/// What decides about the kernel's part.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    pub offer: Offer,
    pub release: Option<(u32, u32)>,
    /// The kernel describes its own types.
    pub has_btf: bool,
    /// The mode that is chosen, such as `none`; `None` where the kernel has no such thing.
    pub lockdown: Option<String>,
    pub has_cgroup2: bool,
}

impl Kernel {
    pub(super) fn of_this_host(loader_socket: &Path) -> Self {
        Self {
            offer: offer(loader_socket),
            release: parse_release(&environment::kernel()),
            has_btf: Path::new("/sys/kernel/btf/vmlinux").exists(),
            lockdown: text_of("/sys/kernel/security/lockdown").and_then(|text| parse_lockdown(&text)),
            has_cgroup2: text_of("/proc/self/mountinfo").is_none_or(|text| has_cgroup2(&text)),
        }
    }
}

pub(super) fn timing(kernel: &Kernel) -> Finding {
    part("kernel timing", kernel, |features| features.timing)
}

pub(super) fn guard(kernel: &Kernel) -> Finding {
    part("kernel guard", kernel, |features| features.guard)
}

/// The first line of defence around what a hostile answer might take over.
pub(super) fn jail(parts: &[brunt_jail::Part]) -> Finding {
    let each = parts.iter().map(|part| match &part.state {
        State::On(detail) => format!("{} {detail}", part.name),
        State::Off(why) => format!("{} off: {why}", part.name),
    });
    let level = if parts.iter().all(brunt_jail::Part::is_on) { Level::Ok } else { Level::Warn };
    let figure = each.collect::<Vec<_>>().join("; ");
    finding("jail", level, figure, "use a kernel with Landlock and seccomp, and let the container have them")
}

fn part(name: &'static str, kernel: &Kernel, is_on: impl Fn(&Features) -> bool) -> Finding {
    match &kernel.offer {
        Offer::Tried { is_own, features, .. } if is_on(features) => {
            let whose = if *is_own { "a loader that each run starts for itself" } else { "brunt-loader" };
            finding(name, Level::Ok, format!("works, by {whose}"), "")
        }
        _ if !kernel.has_cgroup2 => {
            finding(name, Level::Warn, "off: only cgroups of version 1 are mounted here", CGROUP2)
        }
        Offer::Absent(why) => finding(name, Level::Warn, format!("off: {why}"), START),
        Offer::Stranger(why) => finding(name, Level::Warn, format!("off: {why}"), PEER),
        Offer::Tried { why, .. } => finding(name, Level::Warn, format!("off: {why}"), &mend(kernel)),
    }
}

const CGROUP2: &str =
    "mount -t cgroup2 none /sys/fs/cgroup/unified, or boot with systemd.unified_cgroup_hierarchy=1";
const START: &str = "start brunt-loader (systemctl start brunt-loader.socket), or run this as root with all of its capabilities";
const PEER: &str = "start the loader with --peer-uid for this user (id -u)";

/// For a kernel that did not take the programs: the likeliest cause that can be seen.
fn mend(kernel: &Kernel) -> String {
    match (kernel.release, kernel.lockdown.as_deref()) {
        (Some(release), _) if release < LEAST => {
            let (major, minor) = LEAST;
            format!("use Linux {major}.{minor} or later; this is {}.{}", release.0, release.1)
        }
        (_, Some("confidentiality")) => {
            "the kernel is locked down: boot with lockdown=integrity or without lockdown=".to_owned()
        }
        _ if !kernel.has_btf => {
            "there is no /sys/kernel/btf/vmlinux: use a kernel with CONFIG_DEBUG_INFO_BTF=y".to_owned()
        }
        _ => "mend what the reason names; runs work without and say so".to_owned(),
    }
}

/// `Linux 6.18.44-x` is (6, 18).
fn parse_release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(1)?.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The word in brackets: `none [integrity] confidentiality`.
fn parse_lockdown(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(mode, _)| mode.to_owned())
}

/// proc(5): the type of a mount is the first field after the dash.
fn has_cgroup2(mounts: &str) -> bool {
    mounts.lines().any(|line| line.split_once(" - ").is_some_and(|(_, rest)| rest.starts_with("cgroup2 ")))
}

#[cfg(test)]
mod tests {
    use brunt_jail::Part;

    use super::*;

    const ALL: Features = Features { timing: true, logs: true, guard: true };

    fn tried(features: Features, why: &str) -> Offer {
        Offer::Tried { is_own: false, features, why: why.to_owned() }
    }

    /// A host that has everything, but for what the loader says.
    fn host(offer: Offer) -> Kernel {
        Kernel { offer, release: Some((6, 18)), has_btf: true, lockdown: None, has_cgroup2: true }
    }

    /// Both findings are a warning with these words in figure and mend.
    #[track_caller]
    fn check_off(kernel: &Kernel, figure: &str, mend: &str) {
        for found in [timing(kernel), guard(kernel)] {
            assert_eq!(found.level, Level::Warn, "{found:?}");
            assert!(found.figure.starts_with("off: ") && found.figure.contains(figure), "{found:?}");
            assert!(found.mend.as_ref().is_some_and(|text| text.contains(mend)), "{found:?}");
        }
    }

    #[test]
    fn what_works_names_whose_loader_it_is() {
        for (is_own, word) in [(true, "starts for itself"), (false, "by brunt-loader")] {
            let kernel = host(Offer::Tried { is_own, features: ALL, why: String::new() });
            for found in [timing(&kernel), guard(&kernel)] {
                assert!(found.level == Level::Ok && found.figure.contains(word), "{found:?}");
                assert_eq!(found.mend, None);
            }
        }
    }

    #[test]
    fn one_part_without_the_other() {
        let kernel = host(tried(Features { guard: true, ..Features::default() }, "no ingress"));
        assert_eq!((timing(&kernel).level, guard(&kernel).level), (Level::Warn, Level::Ok));
        assert!(timing(&kernel).figure.contains("no ingress"));
    }

    #[test]
    fn no_loader_and_a_loader_for_others() {
        let none = "no loader at /run/x; start brunt-loader, or run this as root";
        check_off(&host(Offer::Absent(none.to_owned())), "no loader at", "start brunt-loader");
        let stranger = "user 7 may not use this loader";
        check_off(&host(Offer::Stranger(stranger.to_owned())), "user 7", "--peer-uid");
    }

    #[test]
    fn the_kernel_refuses() {
        let why = "this kernel does not take the programs: brunt_egress: EPERM";
        check_off(
            &host(tried(Features::default(), why)),
            "brunt_egress: EPERM",
            "mend what the reason names",
        );
    }

    #[test]
    fn old_kernel() {
        let old = Kernel { release: Some((5, 4)), ..host(tried(Features::default(), "EINVAL")) };
        check_off(&old, "EINVAL", "Linux 5.14 or later; this is 5.4");
        for (text, want) in
            [("Linux 5.4.0-42-generic", Some((5, 4))), ("Linux 6.18", Some((6, 18))), ("Linux", None)]
        {
            assert_eq!(parse_release(text), want, "{text}");
        }
    }

    #[test]
    fn no_btf() {
        let without = Kernel { has_btf: false, ..host(tried(Features::default(), "EINVAL")) };
        check_off(&without, "EINVAL", "CONFIG_DEBUG_INFO_BTF");
        let takes_them = Kernel { has_btf: false, ..host(tried(ALL, "")) };
        assert_eq!(timing(&takes_them).level, Level::Ok, "what works needs no mend");
    }

    #[test]
    fn lockdown() {
        let locked =
            Kernel { lockdown: Some("confidentiality".into()), ..host(tried(Features::default(), "EPERM")) };
        check_off(&locked, "EPERM", "lockdown=integrity");
        let integrity = Kernel { lockdown: Some("integrity".into()), ..locked };
        check_off(&integrity, "EPERM", "mend what the reason names");
        assert_eq!(parse_lockdown("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(parse_lockdown(""), None);
    }

    #[test]
    fn cgroup_v1_only() {
        let gone = Offer::Absent("no cgroup of version 2 is mounted".to_owned());
        check_off(&Kernel { has_cgroup2: false, ..host(gone) }, "version 1", "mount -t cgroup2");
        let v1 = "30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let v2 = "31 24 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        assert!(!has_cgroup2(v1) && has_cgroup2(&format!("{v1}{v2}")));
    }

    #[test]
    fn a_jail_is_whole_or_a_warning() {
        let on = Part { name: "landlock", state: State::On("version 7".into()) };
        let off = Part { name: "seccomp", state: State::Off("not there".into()) };
        let found = jail(&[on.clone(), off]);
        assert_eq!(found.level, Level::Warn);
        assert_eq!(found.figure, "landlock version 7; seccomp off: not there");
        assert!(found.mend.is_some());
        assert_eq!(jail(&[on]).level, Level::Ok);
    }
}
