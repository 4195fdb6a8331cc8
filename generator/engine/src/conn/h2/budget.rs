//! What a server may send beside answers: frames that cost it nothing and us a little each.

use crate::limits::{CONTROL_BURST, CONTROL_PER_SECOND, DATA_PER_CONTROL, UPLOAD_PER_CONTROL};

/// A bucket of control frames that refills with time, with data, and with what was asked for.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    /// When the bucket was last filled by time.
    at: u64,
    /// Data since the last frame earned by it.
    data: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: CONTROL_BURST, at: 0, data: 0 }
    }
}

impl Budget {
    /// Takes one frame out; false when there was none left.
    pub(super) fn charge(&mut self, now: u64) -> bool {
        if self.at == 0 {
            self.at = now;
        }
        if self.left == 0 {
            let nanos = now.saturating_sub(self.at);
            let earned = nanos.saturating_mul(u64::from(CONTROL_PER_SECOND)) / 1_000_000_000;
            self.earn(u32::try_from(earned).unwrap_or(CONTROL_BURST));
            self.at = now;
        }
        let ok = self.left > 0;
        self.left = self.left.saturating_sub(1);
        ok
    }

    /// What was sent gives the server reason to speak.
    #[inline]
    pub(super) fn earn(&mut self, frames: u32) {
        self.left = self.left.saturating_add(frames).min(CONTROL_BURST);
    }

    /// For a frame of our content a server opens two windows. Slivers do not count: it can ask for as many as it likes.
    #[inline]
    pub(super) fn earn_by_upload(&mut self, bytes: u32) {
        self.earn((bytes / UPLOAD_PER_CONTROL).min(2));
    }

    #[inline]
    pub(super) fn earn_by_data(&mut self, bytes: u32) {
        self.data += bytes;
        if self.data >= DATA_PER_CONTROL {
            self.earn(self.data / DATA_PER_CONTROL);
            self.data %= DATA_PER_CONTROL;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_ends_and_a_steady_trickle_does_not() {
        let mut budget = Budget::default();
        let taken = (0..10_000).take_while(|_| budget.charge(1)).count();
        assert_eq!(taken, CONTROL_BURST as usize);
        let mut budget = Budget::default();
        let step = 1_000_000_000 / u64::from(CONTROL_PER_SECOND);
        assert!((0..10_000).all(|frame| budget.charge(frame * step)));
    }

    #[test]
    fn data_and_requests_earn_frames() {
        let mut budget = Budget::default();
        while budget.charge(0) {}
        budget.earn_by_data(DATA_PER_CONTROL - 1);
        assert!(!budget.charge(0));
        budget.earn_by_data(1);
        assert!(budget.charge(0) && !budget.charge(0));
        budget.earn(2);
        assert!(budget.charge(0) && budget.charge(0) && !budget.charge(0));
    }
}
