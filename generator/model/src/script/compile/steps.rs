//! Steps to operations: blocks become jumps.

use std::collections::HashMap;

use super::{Compiler, span_of, value_of};
use crate::expr::{Expr, Stage, Type};
use crate::scenario::file::{self, File, Located, Name, Scalar, Step};
use crate::script::{LOOPS_MAX, Literal, OPS_MAX, Op, PARALLEL_MAX};

/// Rounds of a `while` that says nothing of it.
const ROUNDS: u32 = 1_000;

/// Operations under way.
struct Block<'t> {
    ops: Vec<Op>,
    tags: &'t [String],
    /// Loops around the present place.
    depth: usize,
}

impl Block<'_> {
    fn here(&self) -> u32 {
        u32::try_from(self.ops.len()).unwrap_or(u32::MAX)
    }

    /// Adds a jump whose end is not known yet; its place.
    fn hole(&mut self, op: Op) -> usize {
        self.ops.push(op);
        self.ops.len() - 1
    }

    /// The jump at `hole` leads here.
    fn land(&mut self, hole: usize) {
        let here = self.here();
        match &mut self.ops[hole] {
            Op::Jump(to) | Op::JumpUnless(_, to) | Op::Round(_, to) => *to = here,
            _ => {}
        }
    }
}

impl Compiler<'_> {
    pub(super) fn steps(&mut self, steps: &[Located<Step>], tags: &[String]) -> Vec<Op> {
        let mut block = Block { ops: Vec::new(), tags, depth: 0 };
        self.block(steps, &mut block);
        if block.ops.len() > OPS_MAX
            && let Some(step) = steps.first()
        {
            let what =
                format!("these steps make {} operations, and at most {OPS_MAX} are allowed", block.ops.len());
            self.fault(step.at, what, "use `repeat`, or data");
        }
        block.ops
    }

    fn block(&mut self, steps: &[Located<Step>], block: &mut Block<'_>) {
        for step in steps {
            self.step(step, block);
        }
    }

    fn step(&mut self, step: &Located<Step>, block: &mut Block<'_>) {
        match &step.value {
            Step::Request(request) => {
                if let Some(call) = self.call(request, step.at, block.tags) {
                    block.ops.push(Op::Call(call));
                }
            }
            Step::Think(span) => block.ops.push(Op::Think(span_of(*span))),
            Step::Set(entries) => {
                for (name, source) in entries {
                    let variable = self.names.add_variable(&name.value);
                    if let Some(expr) = self.expr(source, Stage::Request, None) {
                        block.ops.push(Op::Set(variable, expr));
                    }
                }
            }
            Step::Group { name, steps } => {
                let tags: Vec<_> = block.tags.iter().cloned().chain([name.value.clone()]).collect();
                let mut inner =
                    Block { ops: std::mem::take(&mut block.ops), tags: &tags, depth: block.depth };
                self.block(steps, &mut inner);
                block.ops = inner.ops;
            }
            Step::Repeat { times, steps } => {
                let times = self.expr(times, Stage::Request, Some(Type::Int));
                self.rounds(step, times, None, steps, block);
            }
            Step::While { condition, max, steps } => {
                let rounds = max.unwrap_or(ROUNDS).to_string();
                let max = self.expr(&Located::new(rounds, step.at), Stage::Request, None);
                let condition = self.expr(condition, Stage::Request, Some(Type::Bool));
                self.rounds(step, max, condition, steps, block);
            }
            Step::If { condition, then, otherwise } => {
                let Some(condition) = self.expr(condition, Stage::Request, Some(Type::Bool)) else { return };
                let unless = block.hole(Op::JumpUnless(condition, 0));
                self.block(then, block);
                let end = block.hole(Op::Jump(0));
                block.land(unless);
                self.block(otherwise, block);
                block.land(end);
            }
            Step::Random(ways) => self.random(ways, block),
            Step::Switch { on, cases, otherwise } => self.switch(on, cases, otherwise, block),
            Step::Parallel(requests) => self.parallel(step, requests, block),
        }
    }

    /// Requests made at once: of those to the same target each has a connection, or a stream, of its own.
    fn parallel(&mut self, step: &Located<Step>, requests: &[Located<file::Request>], block: &mut Block<'_>) {
        let first = self.calls.len();
        for request in requests {
            self.call(&request.value, request.at, block.tags);
        }
        let mut ways = HashMap::new();
        for call in &mut self.calls[first..] {
            let way = ways.entry(call.target).or_insert(0);
            call.way = *way;
            *way += 1;
        }
        let count = self.calls.len() - first;
        if count > PARALLEL_MAX {
            let what = format!("these are {count} requests at once, and at most {PARALLEL_MAX} are allowed");
            self.fault(step.at, what, "make some of them one after the other");
        }
        if let (Ok(first), Ok(count @ 1..)) = (u16::try_from(first), u16::try_from(count)) {
            block.ops.push(Op::Parallel(first, count));
        }
    }

    /// A loop of so many rounds, each only while a condition holds.
    fn rounds(
        &mut self,
        step: &Located<Step>,
        times: Option<Expr>,
        condition: Option<Expr>,
        steps: &[Located<Step>],
        block: &mut Block<'_>,
    ) {
        if block.depth == LOOPS_MAX {
            self.fault(
                step.at,
                format!("there are more than {LOOPS_MAX} loops within loops"),
                "take some apart",
            );
            return;
        }
        let Some(times) = times else { return };
        let counter = u8::try_from(block.depth).unwrap_or(u8::MAX);
        block.depth += 1;
        block.ops.push(Op::Count(counter, times));
        let again = block.here();
        let done = block.hole(Op::Round(counter, 0));
        let unless = condition.map(|condition| block.hole(Op::JumpUnless(condition, 0)));
        self.block(steps, block);
        block.ops.push(Op::Jump(again));
        block.land(done);
        unless.into_iter().for_each(|hole| block.land(hole));
        block.depth -= 1;
    }

    fn random(&mut self, ways: &[(u32, Vec<Located<Step>>)], block: &mut Block<'_>) {
        let draw = block.hole(Op::Draw(Vec::new()));
        let (mut sum, mut targets, mut ends) = (0u32, Vec::new(), Vec::new());
        for (weight, steps) in ways {
            sum = sum.saturating_add(*weight);
            targets.push((sum, block.here()));
            self.block(steps, block);
            ends.push(block.hole(Op::Jump(0)));
        }
        ends.into_iter().for_each(|hole| block.land(hole));
        block.ops[draw] = Op::Draw(targets);
    }

    fn switch(
        &mut self,
        on: &file::Expr,
        cases: &[(Scalar, Vec<Located<Step>>)],
        otherwise: &[Located<Step>],
        block: &mut Block<'_>,
    ) {
        let Some(on) = self.expr(on, Stage::Request, None) else { return };
        let switch = block.hole(Op::Jump(0));
        let (mut targets, mut ends) = (Vec::new(), Vec::new());
        for (value, steps) in cases {
            targets.push((Literal(value_of(value)), block.here()));
            self.block(steps, block);
            ends.push(block.hole(Op::Jump(0)));
        }
        let other = block.here();
        self.block(otherwise, block);
        ends.into_iter().for_each(|hole| block.land(hole));
        block.ops[switch] = Op::Switch(on, targets, other);
    }

    /// Compiles an expression, which is of a type where one is wanted.
    pub(super) fn expr(&mut self, source: &file::Expr, stage: Stage, wanted: Option<Type>) -> Option<Expr> {
        match Expr::compile(&source.value, &self.names, stage) {
            Err(error) => {
                self.expr_fault(source.at, error);
                None
            }
            Ok(expr) if wanted.is_some_and(|wanted| ![wanted, Type::Any].contains(&expr.type_of())) => {
                let wanted = wanted.unwrap_or(Type::Any);
                let what = format!("this is {}, where {wanted} is wanted", expr.type_of());
                let mend =
                    if wanted == Type::Bool { "compare it with something" } else { "write an integer" };
                self.fault(source.at, what, mend);
                None
            }
            Ok(expr) => Some(expr),
        }
    }
}

/// The names that flows give values to.
pub(super) fn assigned(file: &File) -> Vec<&Name> {
    let mut names = Vec::new();
    file.visit_steps(|step| names.extend(named_by(step)));
    names
}

/// The names that steps give values to.
pub(super) fn assigned_by(steps: &[Located<Step>]) -> Vec<&Name> {
    let mut names = Vec::new();
    file::visit(steps, &mut |step| names.extend(named_by(step)));
    names
}

fn named_by(step: &Step) -> Vec<&Name> {
    let set = if let Step::Set(entries) = step { &entries[..] } else { &[] };
    let saved = step.requests().flat_map(|request| &request.save).map(|(name, _)| name);
    set.iter().map(|(name, _)| name).chain(saved).collect()
}
