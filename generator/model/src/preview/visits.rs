//! How often an iteration makes each call.
//!
//! Operations are blocks put one after the other, and only the ends of loops jump backwards. So one pass from
//! the front knows how often each place is come to: what arrives at a place has been added up before it is
//! looked at.

use std::ops::Range;

use super::Estimate;
use crate::expr::Value;
use crate::script::{LOOPS_MAX, Op};

/// The calls in their order, with how often each is made in one run through the operations. Chances of one
/// way or the other that nobody knows count as equal, a loop whose rounds nobody knows as one round.
pub(super) fn of_calls(ops: &[Op]) -> Vec<(u16, Estimate)> {
    let mut pass =
        Pass { ops, arriving: vec![0.0; ops.len() + 1], unsure_until: 0, rounds: [Some(0.0); LOOPS_MAX] };
    pass.arriving[0] = 1.0;
    let steps = (0..ops.len()).filter_map(|at| pass.step(at)).filter(|(_, visits)| visits.value > 0.0);
    steps.flat_map(|(calls, visits)| calls.map(move |call| (call, visits))).collect()
}

struct Pass<'o> {
    ops: &'o [Op],
    /// How often each place is come to.
    arriving: Vec<f64>,
    /// Before this place something undecided is under way.
    unsure_until: usize,
    /// Of each counter; none where nobody knows.
    rounds: [Option<f64>; LOOPS_MAX],
}

impl Pass<'_> {
    /// Passes on what arrives at a place; the calls that are made there.
    fn step(&mut self, at: usize) -> Option<(Range<u16>, Estimate)> {
        let here = self.arriving[at];
        match self.ops[at] {
            Op::Call(first) | Op::Parallel(first, _) => {
                let count = if let Op::Parallel(_, count) = self.ops[at] { count } else { 1 };
                self.arriving[at + 1] += here;
                return Some((first..first + count, Estimate { value: here, about: at < self.unsure_until }));
            }
            ref op => self.pass(at, op, here),
        }
        None
    }

    /// Passes on what arrives at a place where no call is made.
    fn pass(&mut self, at: usize, op: &Op, here: f64) {
        match op {
            Op::Call(_) | Op::Parallel(..) => {}
            Op::Think(_) | Op::Set(..) => self.arriving[at + 1] += here,
            Op::Count(counter, times) => {
                self.rounds[usize::from(*counter) % LOOPS_MAX] = times.constant().map(rounds);
                self.arriving[at + 1] += here;
            }
            Op::Jump(to) => self.forward(at, *to, here),
            Op::Round(counter, done) => {
                let rounds = self.rounds_at(at, *counter, *done);
                self.arriving[at + 1] += here * rounds;
                self.forward(at, *done, here);
            }
            Op::JumpUnless(condition, to) => self.unless(at, condition.constant(), *to),
            Op::Draw(ways) => {
                let sum = ways.last().map_or(0, |(sum, _)| *sum).max(1);
                let mut before = 0;
                for &(until, way) in ways {
                    self.forward(at, way, here * f64::from(until - before) / f64::from(sum));
                    before = until;
                }
                if let [_, (_, second), ..] = ways[..] {
                    self.is_unsure_until(self.end_of_block_before(second));
                }
            }
            Op::Switch(_, cases, other) => {
                let ways = cases.iter().map(|(_, way)| *way).chain([*other]);
                let each = here / (cases.len() + 1) as f64;
                ways.for_each(|way| self.forward(at, way, each));
                self.is_unsure_until(self.end_of_block_before(*other));
            }
        }
    }

    fn forward(&mut self, at: usize, to: u32, visits: f64) {
        // The end of a loop goes back to where its rounds have been counted already.
        if let Some(place) = self.arriving.get_mut(to as usize).filter(|_| to as usize > at) {
            *place += visits;
        }
    }

    fn is_unsure_until(&mut self, place: usize) {
        self.unsure_until = self.unsure_until.max(place);
    }

    /// Rounds of the loop that begins here; one of a `while` goes on only as long as its condition holds.
    fn rounds_at(&mut self, at: usize, counter: u8, done: u32) -> f64 {
        let counted = self.rounds[usize::from(counter) % LOOPS_MAX];
        let condition = match self.ops.get(at + 1) {
            Some(Op::JumpUnless(condition, to)) if *to == done => Some(condition.constant()),
            _ => None,
        };
        match (counted, condition) {
            (_, Some(Some(value))) if *value != Value::Bool(true) => 0.0,
            (Some(rounds), None | Some(Some(_))) => rounds,
            _ => {
                self.is_unsure_until(done as usize);
                1.0
            }
        }
    }

    fn unless(&mut self, at: usize, condition: Option<&Value>, to: u32) {
        let here = self.arriving[at];
        let ends_loop = matches!(self.ops[..at].last(), Some(Op::Round(_, done)) if *done == to);
        let share = match condition {
            _ if ends_loop => 1.0,
            Some(value) => f64::from(u8::from(*value == Value::Bool(true))),
            None => {
                self.is_unsure_until(self.end_of_block_before(to));
                0.5
            }
        };
        self.arriving[at + 1] += here * share;
        self.forward(at, to, here * (1.0 - share));
    }

    /// A way ends with a jump behind the last of the ways.
    fn end_of_block_before(&self, place: u32) -> usize {
        match self.ops[..(place as usize).min(self.ops.len())].last() {
            Some(Op::Jump(end)) => *end as usize,
            _ => place as usize,
        }
    }
}

/// What is no positive integer is no round.
fn rounds(times: &Value) -> f64 {
    match times {
        Value::Int(times) => (*times).max(0) as f64,
        _ => 0.0,
    }
}
