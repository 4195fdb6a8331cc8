//! A Poisson process of rate one, of which every core draws the same without drawing all of it.
//!
//! It has no memory, so each block of 64 positions is drawn alone, from a seed of its own.

use super::POSITION_BITS;
use crate::random::Random;

/// Positions in a block.
const BLOCK: u64 = 64;

/// A block of 64 expected arrivals holds more than this with a probability below 1e-80.
const BLOCK_MAX: usize = 320;

/// One block of a Poisson process of rate one: the positions of its arrivals, ascending.
#[derive(Clone, Debug)]
pub(super) struct Block {
    seed: u64,
    phase: u64,
    number: u64,
    /// Arrivals in the blocks before this one.
    before: u64,
    positions: Vec<u64>,
}

impl Block {
    pub(super) fn new(seed: u64) -> Self {
        let mut block =
            Self { seed, phase: 0, number: 0, before: 0, positions: Vec::with_capacity(BLOCK_MAX) };
        block.draw();
        block
    }

    /// The position of arrival `index` of `phase`, drawing blocks as far as needed. Mostly called with rising
    /// indices; a step back starts the phase over.
    pub(super) fn position(&mut self, phase: u64, index: u64) -> u64 {
        if phase != self.phase || index < self.before {
            (self.phase, self.number, self.before) = (phase, 0, 0);
            self.draw();
        }
        loop {
            let at = index - self.before;
            if let Some(&position) = usize::try_from(at).ok().and_then(|at| self.positions.get(at)) {
                return position;
            }
            self.before += self.positions.len() as u64;
            self.number += 1;
            self.draw();
        }
    }

    /// The first arrival of `phase` past its end, looking no further back than a block.
    pub(super) fn first_index_where(&mut self, phase: u64, past_end: impl Fn(u64) -> bool) -> u64 {
        let mut index = self.before;
        while index > 0 && past_end(self.position(phase, index)) {
            index = index.saturating_sub(BLOCK_MAX as u64);
        }
        while !past_end(self.position(phase, index)) {
            index += 1;
        }
        index
    }

    fn draw(&mut self) {
        let mut random = Random::new(self.seed ^ self.phase.wrapping_mul(0xd1b5_4a32_d192_ed03), self.number);
        let start = self.number * BLOCK;
        self.positions.clear();
        let mut offset = exponential(&mut random);
        while offset < BLOCK as f64 && self.positions.len() < BLOCK_MAX {
            self.positions.push((start << POSITION_BITS) + fixed_point(offset));
            offset += exponential(&mut random);
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the offset lies in 0..64")]
fn fixed_point(offset: f64) -> u64 {
    (offset * f64::from(1 << POSITION_BITS)) as u64
}

/// A unit exponential. `libm` is used because the system's logarithm may differ between CPUs.
fn exponential(random: &mut Random) -> f64 {
    -libm::log(random.unit())
}
