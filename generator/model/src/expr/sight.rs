//! What an expression can see while it is evaluated; whoever runs it provides these.

use super::value::Value;

/// The world of one iteration, by the numbers that [`super::Names`] gave out.
pub trait Sight {
    fn variable(&self, index: u16) -> &Value;
    /// A field of the row that a feeder gave to this iteration; `None` where the row has none.
    fn column(&self, feeder: u16, column: u16) -> Option<&str>;
    fn secret(&self, index: u16) -> &str;
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    fn wall_ns(&self) -> i64;
    /// The number of the iteration.
    fn counter(&self) -> u64;
    /// The number of the user.
    fn user(&self) -> u64;
    /// The answer that checks and saves look at.
    fn answer(&self) -> Option<&dyn Answer>;
}

/// An answer to a request, as far as [`super::Needs`] asked for it.
pub trait Answer {
    fn status(&self) -> u16;
    /// The content, its codings undone.
    fn body(&self) -> &[u8];
    fn body_size(&self) -> u64;
    /// The value of the first field of this name, which is in lower case.
    fn header(&self, name: &str) -> Option<&[u8]>;
    /// The value that this answer or one before it gave a cookie.
    fn cookie(&self, name: &str) -> Option<&[u8]>;
    fn response_ns(&self) -> u64;
    fn first_byte_ns(&self) -> u64;
    /// The first value at a path of the body, an index into [`super::Needs::json`] of the expression under
    /// evaluation; `Null` where there is none, or where the body is no JSON.
    fn json(&self, path: usize) -> Value;
    /// How many values are at that path; `None` where the body is no JSON.
    fn json_count(&self, path: usize) -> Option<u64>;
}
