//! What the network and the kernel did to the figures: lost stamps, segments sent again, packets dropped.

use super::rules::ratio;
use super::{Evidence, Thresholds};

pub(super) fn all(e: &Evidence, t: &Thresholds) -> Vec<String> {
    let found = [log_overflow(e, t), retransmits(e, t), refused_syns(e, t), softnet(e, t)];
    found.into_iter().flatten().collect()
}

/// Stamps that were overwritten are those of the busiest moments, so what is left of them is too good.
fn log_overflow(e: &Evidence, t: &Thresholds) -> Option<String> {
    log_overflowed(e, t).then(|| {
        format!(
            "the byte-offset log overflowed: kernel times of {} of {} answers were overwritten before they were read; lower the requests under way on a connection",
            e.kernel.overwritten, e.kernel.completed
        )
    })
}

/// Too few kernel times, by reasons that favour no request. This does not touch the other figures.
pub(super) fn stamps_missing(e: &Evidence, t: &Thresholds) -> Option<String> {
    let k = &e.kernel;
    let unknown = k.completed.saturating_sub(k.known);
    (k.on && is_over(unknown, e, t) && !log_overflowed(e, t)).then(|| {
        let cause = if k.retransmits > 0 {
            format!("; cause: {} segments were sent again, which leaves no stamp to trust", k.retransmits)
        } else {
            String::new()
        };
        let share = ratio(k.known, k.completed) * 100.0;
        format!(
            "kernel stamps missing for {unknown} of {} answers (coverage {share:.1} %){cause}",
            k.completed
        )
    })
}

fn log_overflowed(e: &Evidence, t: &Thresholds) -> bool {
    let k = &e.kernel;
    let dominates = k.overwritten > k.missing && is_over(k.overwritten + k.missing, e, t);
    dominates || is_over(k.overwritten, e, t)
}

fn is_over(unknown: u64, e: &Evidence, t: &Thresholds) -> bool {
    let completed = e.kernel.completed;
    completed >= t.unknown_of && unknown >= t.unknown_least && ratio(unknown, completed) > t.unknown_share
}

/// SYNs are looked at apart, as they have another cause.
fn retransmits(e: &Evidence, t: &Thresholds) -> Option<String> {
    let again = e.kernel.retransmits.saturating_sub(e.kernel.syn_retransmits);
    (again >= t.retransmits_least && ratio(again, e.started) > t.retransmit_share).then(|| {
        let cause = listen_drops(e).unwrap_or_else(|| "packet loss between here and the target".to_owned());
        format!("{again} segments were sent again ({cause}): times contain retransmission time-outs")
    })
}

/// A SYN that is dropped costs a second, which is in the response time but says nothing of how the target serves.
/// Where nothing ever answered the target is not there, which is another finding.
fn refused_syns(e: &Evidence, t: &Thresholds) -> Option<String> {
    let again = e.kernel.syn_retransmits;
    let is_over = |count| {
        count >= t.syn_retransmits_least && ratio(count, e.connections_opened.max(1)) > t.retransmit_share
    };
    if e.answers == 0 {
        None
    } else if is_over(again) {
        let cause = listen_drops(e)
            .unwrap_or_else(|| "the target's listen queue was full or SYNs were lost".to_owned());
        Some(format!("{cause}: {again} SYNs were sent again, each after a second or more"))
    } else if e.connect_max >= t.first_rto && is_over(e.host.listen_drops) {
        // Without kernel timing a slow connect tells that it was one of ours that was dropped.
        listen_drops(e).map(|cause| format!("{cause}: a connect took {}", e.connect_max))
    } else {
        None
    }
}

/// Only of a target on this host can its drops be seen.
fn listen_drops(e: &Evidence) -> Option<String> {
    let drops = e.host.listen_drops;
    (drops > 0).then(|| {
        format!("listen drops: a full queue on this host dropped {drops} connects (raise its backlog and net.core.somaxconn)")
    })
}

fn softnet(e: &Evidence, t: &Thresholds) -> Option<String> {
    let drops = e.host.softnet_drops;
    (drops >= t.softnet_least && ratio(drops, e.started) > t.softnet_share).then(|| {
        format!("this host dropped {drops} packets before TCP saw them; raise net.core.netdev_max_backlog, or spread its interrupts over more cores")
    })
}
