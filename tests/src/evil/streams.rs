//! Connections that stand, of which one goes on sending.

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::{Scene, say, wait_for_line};
use crate::evil::sockets::CONTENT;

const FLOOD_EVERY: Duration = Duration::from_millis(1);
/// Longer than any test watches it.
const FLOOD_MAX: u32 = 60_000;

/// Connects while that is granted, and sends when it is no more.
pub(super) fn send_when_told(scene: &mut Scene) -> io::Result<()> {
    let mut stream = TcpStream::connect(scene.target)?;
    say("connected");
    wait_for_line()?;
    stream.write_all(CONTENT)
}

/// A thousand packets a second, to what is granted.
pub(super) fn flood(scene: &mut Scene) -> io::Result<()> {
    let mut stream = TcpStream::connect(scene.target)?;
    stream.set_nodelay(true)?;
    stream.write_all(CONTENT)?;
    say("connected");
    for _ in 0..FLOOD_MAX {
        stream.write_all(CONTENT)?;
        // It is a rate, not a condition, that is waited for.
        std::thread::sleep(FLOOD_EVERY);
    }
    Ok(())
}
