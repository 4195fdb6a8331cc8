//! When the generator counts as the limit: one function for each way, and the likeliest cause of lateness.

use super::{Evidence, Thresholds};
use crate::units::Nanos;

pub(super) fn all(e: &Evidence, t: &Thresholds) -> Vec<String> {
    let found = [
        lag(e, t),
        late(e, t),
        dwell(e, t),
        busy(e, t),
        paused(e, t),
        starved(e, t),
        overflow(e),
        own_failures(e, t),
    ];
    found.into_iter().flatten().collect()
}

fn lag(e: &Evidence, t: &Thresholds) -> Option<String> {
    let allowed = t.lag.max(share_of(e.response_p50, t.lag_share));
    (e.lag_p99 > allowed).then(|| {
        format!("lag p99 {} is over {allowed}: requests were sent late; cause: {}", e.lag_p99, cause(e, t))
    })
}

fn late(e: &Evidence, t: &Thresholds) -> Option<String> {
    let bad = e.late + e.dropped;
    let share = ratio(bad, e.scheduled);
    (share > t.late_share).then(|| {
        format!(
            "{} slots late and {} dropped of {} ({:.2} %, allowed {:.2} %); cause: {}",
            e.late,
            e.dropped,
            e.scheduled,
            share * 100.0,
            t.late_share * 100.0,
            cause(e, t)
        )
    })
}

fn dwell(e: &Evidence, t: &Thresholds) -> Option<String> {
    let dwell = e.dwell_p99?;
    // A percentile of a few answers is the one that had bad luck.
    let enough = e.kernel.known >= t.dwell_answers;
    let over = enough && dwell > t.dwell && dwell > share_of(e.response_p50, t.dwell_share);
    over.then(|| {
        let cause = cause_here(e, t);
        format!("responses sat in the socket for {dwell} (dwell p99): the generator read them late; cause: {cause}")
    })
}

fn busy(e: &Evidence, t: &Thresholds) -> Option<String> {
    (e.open && e.busy_for >= t.busy_for).then(|| {
        format!(
            "a core was over {:.0} % busy for {}; cause: the core is saturated, give the run more cores (--cores) or a lower rate",
            t.busy * 100.0,
            e.busy_for
        )
    })
}

fn paused(e: &Evidence, t: &Thresholds) -> Option<String> {
    (e.host.paused > t.paused)
        .then(|| format!("the engine was paused for {} (SIGSTOP, a debugger or a freezer)", e.host.paused))
}

/// A closed run sends late without knowing: its users begin when the core gets to them.
fn starved(e: &Evidence, t: &Thresholds) -> Option<String> {
    let taken = ratio(e.host.worst().0, e.core_time.0);
    (taken > t.host_share && e.host.worst() > t.host_least).then(|| {
        format!(
            "the engine's cores were taken from it for {:.0} % of the run; cause: {}",
            taken * 100.0,
            e.host.name()
        )
    })
}

fn overflow(e: &Evidence) -> Option<String> {
    (e.overflows > 0).then(|| format!("{} ring overflows: completions were lost", e.overflows))
}

fn own_failures(e: &Evidence, t: &Thresholds) -> Option<String> {
    let own = e.no_port + e.no_fd;
    (ratio(own, e.ended) > t.own_failures_share).then(|| {
        let mend = if e.no_port >= e.no_fd {
            "local ports ran out; give more --source-ip, widen net.ipv4.ip_local_port_range or keep connections alive"
        } else {
            "file descriptors ran out; raise the limit (ulimit -n) or lower the connections"
        };
        format!("{own} of {} requests failed on this side; cause: {mend}", e.ended)
    })
}

/// The likeliest reason for lateness, with its figure.
fn cause(e: &Evidence, t: &Thresholds) -> String {
    let late = e.late + e.dropped;
    if late > 0 && (e.late_for_connections + e.dropped) * 2 >= late {
        return format!(
            "all {} connections were in use; raise --max-connections, or the target cannot take this rate",
            e.max_connections
        );
    }
    cause_here(e, t)
}

/// The likeliest reason on this host for what was not done in time.
fn cause_here(e: &Evidence, t: &Thresholds) -> String {
    if e.host.worst() >= t.lag {
        return e.host.name();
    }
    if e.busiest >= 0.8 {
        return format!(
            "the busiest core was {:.0} % busy; give the run more cores (--cores)",
            e.busiest * 100.0
        );
    }
    "unknown; the engine's cores may be shared with interrupts or other work (see brunt doctor)".to_owned()
}

fn share_of(time: Nanos, share: f64) -> Nanos {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a time is a time"
    )]
    Nanos((time.0 as f64 * share) as u64)
}

pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
