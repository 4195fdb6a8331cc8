//! What is to be run and what came out of it.
//!
//! This crate is a language: no I/O, no clock, no randomness but from a seed, no globals. A [`scenario::Scenario`]
//! is compiled with its [`plan::Inputs`] into a [`plan::Plan`]; a plan is split into a [`split::Share`] a core; a
//! share's requests become [`sample::Sample`]s, summed into [`snapshot::Snapshot`]s, merged into one
//! [`snapshot::Stats`], judged and written down as a [`report::Report`].
#![forbid(unsafe_code)]

pub mod auth;
mod calendar;
pub mod codec;
pub mod content;
pub mod cookies;
pub mod exchange;
pub mod expr;
pub mod extract;
pub mod feeder;
pub mod histogram;
pub mod import;
pub mod ledger;
pub mod limit;
pub mod outcome;
pub mod plan;
pub mod preview;
pub mod random;
pub mod redact;
pub mod replay;
pub mod report;
pub mod request;
pub mod sample;
pub mod samples;
pub mod scenario;
pub mod schedule;
pub mod script;
mod slips;
pub mod snapshot;
pub mod split;
pub mod tempo;
pub mod timeline;
pub mod units;
pub mod users;
pub mod verdict;
