//! The protocol machines against servers that others wrote, on exchanges generated from seeds. A failure names its seed.
//!
//! Each server does what a script says; afterwards the server's view of each request is compared with what was asked
//! for, and the machine's view of each answer with the script. Bytes are cut at random places on their way.

#[path = "differential/h1.rs"]
mod h1;
#[path = "differential/h2.rs"]
mod h2;
#[path = "differential/h2_server.rs"]
mod h2_server;
#[path = "differential/tls.rs"]
mod tls;

use std::future::Future;
use std::time::Duration;

/// Numbers from a seed.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or(0)
    }

    fn chance(&mut self, hundredths: usize) -> bool {
        self.below(100) < hundredths
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Mostly small, now and then up to `most`.
    fn length(&mut self, most: usize) -> usize {
        let most = self.one_of(&[1, 200, 200, 5_000, most]);
        self.below(most)
    }

    /// The pieces that so many octets come in.
    fn pieces(&mut self, mut left: usize) -> Vec<usize> {
        let most = self.one_of(&[100, 5_000, 20_000, 70_000]).max(left / 100);
        let mut pieces = Vec::new();
        while left > 0 {
            let piece = (1 + self.below(most)).min(left);
            pieces.push(piece);
            left -= piece;
        }
        pieces
    }
}

/// Runs a conversation on a thread of its own event loop; it has to end.
fn run<T>(seed: u64, conversation: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let bounded = async { tokio::time::timeout(Duration::from_secs(20), conversation).await };
    runtime.block_on(bounded).unwrap_or_else(|_| panic!("seed {seed}: the conversation does not end"))
}

/// Content whose octets can be told apart.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap_or(0)).collect()
}
