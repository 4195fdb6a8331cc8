//! Counts passed, failed and skipped tests, from what libtest prints and from what tests note down.

/// The count of a whole run.
#[derive(Default, Debug)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// One `name: reason` each.
    pub(super) skips: Vec<String>,
    /// Names, for the list at the end. A test program that dies has one entry.
    pub(super) failures: Vec<String>,
}

impl Tally {
    pub(super) fn count_check(&mut self, name: &str, is_good: bool) {
        if is_good {
            self.passed += 1;
        } else {
            self.fail(name);
        }
    }

    pub(super) fn fail(&mut self, name: &str) {
        self.failed += 1;
        self.failures.push(name.to_owned());
    }

    /// Adds what the test programs of one step printed. A failure that none of them told of is one too: tests that
    /// do not build, a program that died.
    pub(super) fn count_tests(&mut self, step: &str, counts: Counts, is_good: bool) {
        self.passed += counts.passed;
        self.failed += counts.failed;
        self.skips.extend(counts.ignored);
        self.failures.extend(counts.failures);
        for _ in 0..counts.unfinished {
            self.fail(&format!("{step}: a test program ended before its tests did"));
        }
        if !is_good && counts.failed == 0 && counts.unfinished == 0 {
            self.fail(&format!("{step}: it could not be built or started"));
        }
    }

    /// Takes the lines `name: reason` of tests that returned early. For libtest they passed.
    pub(super) fn count_skips(&mut self, log: &str) {
        for line in log.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if !self.skips.iter().any(|skip| skip == line) {
                self.skips.push(line.to_owned());
                self.passed = self.passed.saturating_sub(1);
            }
        }
    }

    /// Where everything is provided, what a test needs and does not find is a failure.
    pub(super) fn fail_unmet_needs(&mut self) {
        let (unmet, kept) = std::mem::take(&mut self.skips).into_iter().partition(|skip| is_unmet_need(skip));
        self.skips = kept;
        let unmet: Vec<String> = unmet;
        for skip in unmet {
            self.fail(&format!("{skip} (BRUNT_MUST_RUN is set)"));
        }
    }

    /// A run without a single test is no success.
    pub(super) fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    pub(super) fn last_line(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skips.len())
    }
}

/// The reason begins after a `: `, and a name may hold one too.
fn is_unmet_need(skip: &str) -> bool {
    skip.contains(": needs ")
}

/// What the test programs of one step printed.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    passed: u64,
    failed: u64,
    /// One `name: reason` each.
    ignored: Vec<String>,
    failures: Vec<String>,
    /// Test programs that began and told no result.
    unfinished: u64,
}

/// Reads libtest's output line by line.
#[derive(Default, Debug)]
pub(super) struct Reader {
    counts: Counts,
    is_running: bool,
}

impl Reader {
    pub(super) fn read(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.counts.passed += number_before(result, " passed");
            self.counts.failed += number_before(result, " failed");
            self.is_running = false;
        } else if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.counts.unfinished += u64::from(self.is_running);
            self.is_running = true;
        } else if let Some((name, outcome)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "))
        {
            self.read_test(name, outcome);
        }
    }

    fn read_test(&mut self, name: &str, outcome: &str) {
        if outcome == "FAILED" {
            self.counts.failures.push(name.to_owned());
        } else if let Some(reason) = outcome.strip_prefix("ignored") {
            let reason = reason.trim_start_matches([',', ' ']);
            let separator = if reason.is_empty() { "" } else { ", " };
            self.counts.ignored.push(format!("{name}: ignored{separator}{reason}"));
        }
    }

    pub(super) fn finish(mut self) -> Counts {
        self.counts.unfinished += u64::from(self.is_running);
        self.counts
    }
}

/// The number that stands before a word, 0 when it does not.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().unwrap_or_default();
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    if before.len() == text.len() { 0 } else { digits.parse().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Tally};

    const TWO_PROGRAMS: &str = "\nrunning 3 tests\ntest a::b ... ok\ntest a::c ... ignored, later\n\
        test a::d ... FAILED\n\nfailures:\n\ntest result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; \
        0 filtered out; finished in 0.00s\n\n\nrunning 1 test\ntest e ... ok\n\ntest result: ok. 12 passed; 0 failed; \
        0 ignored; 0 measured; 3 filtered out; finished in 0.00s\n";

    fn tally(output: &str, is_good: bool) -> Tally {
        let mut reader = Reader::default();
        output.lines().for_each(|line| reader.read(line));
        let mut tally = Tally::default();
        tally.count_tests("step", reader.finish(), is_good);
        tally
    }

    #[test]
    fn results_of_several_programs_add_up() {
        let tally = tally(TWO_PROGRAMS, false);
        assert_eq!(tally.last_line(), "13 passed, 1 failed, 1 skipped");
        assert_eq!(tally.failures, ["a::d"]);
        assert_eq!(tally.skips, ["a::c: ignored, later"]);
        assert!(!tally.is_good());
    }

    #[test]
    fn a_failure_that_no_test_told_of_counts() {
        let unbuilt = tally("", false);
        assert_eq!(unbuilt.last_line(), "0 passed, 1 failed, 0 skipped");
        let died = tally(
            "running 2 tests\ntest a ... ok\nrunning 0 tests\ntest result: ok. 0 passed; 0 failed;",
            false,
        );
        assert_eq!(died.last_line(), "0 passed, 1 failed, 0 skipped");
        assert_eq!(tally("running 2 tests", true).failed, 1);
    }

    #[test]
    fn nothing_run_is_no_success() {
        assert!(!tally("running 0 tests\ntest result: ok. 0 passed; 0 failed; 0 ignored", true).is_good());
        assert!(tally("running 1 test\ntest result: ok. 1 passed; 0 failed; 0 ignored", true).is_good());
    }

    #[test]
    fn skips_move_from_the_passed_ones() {
        let mut tally = tally(TWO_PROGRAMS, true);
        tally.count_skips("a::b: needs nginx\n\na::b: needs nginx\ne: long, runs with --long\n");
        assert_eq!(tally.last_line(), "11 passed, 1 failed, 3 skipped");
        tally.fail_unmet_needs();
        assert_eq!(tally.last_line(), "11 passed, 2 failed, 2 skipped");
        assert_eq!(tally.skips, ["a::c: ignored, later", "e: long, runs with --long"]);
    }

    #[test]
    fn checks_count_as_one_test_each() {
        let mut tally = Tally::default();
        tally.count_check("fmt", true);
        tally.count_check("tidy", false);
        assert_eq!(tally.last_line(), "1 passed, 1 failed, 0 skipped");
        assert_eq!(tally.failures, ["tidy"]);
    }
}
