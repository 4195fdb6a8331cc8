//! Keys of the terminal view, read by a thread of their own.
//!
//! Every read has a deadline, so the thread ends soon after the terminal was given back. What stops the run does not
//! pass through the channel: it must work even while nobody looks at that.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::SIGINT;

use super::terminal::Hold;

/// Keys that may wait: more than a person types before the next look. Those past it are lost.
const WAITING_MAX: usize = 16;
/// How long a read may wait.
const READ_AT_MOST: Duration = Duration::from_millis(100);

/// What a key asks for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Key {
    /// What SIGINT does.
    Stop,
    Faster,
    Slower,
    Help,
    /// The terminal has another size.
    Redraw,
}

/// Reads keys for as long as the view has the terminal.
pub(super) fn listen(hold: Hold) -> io::Result<Receiver<Key>> {
    let (sender, keys) = sync_channel(WAITING_MAX);
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || read(&hold, &sender))?;
    Ok(keys)
}

/// A terminal that cannot be read has no keys, and signals still work.
fn read(hold: &Hold, sender: &SyncSender<Key>) {
    while hold.is_taken() {
        let event = match event::poll(READ_AT_MOST) {
            Ok(true) => event::read(),
            Ok(false) => continue,
            Err(_) => return,
        };
        let Ok(event) = event else { return };
        match key_of(&event) {
            None => {}
            // It cannot fail for a signal that there is, and what listens to it is there already.
            Some(Key::Stop) => drop(signal_hook::low_level::raise(SIGINT)),
            Some(key) => {
                if let Err(TrySendError::Disconnected(_)) = sender.try_send(key) {
                    return;
                }
            }
        }
    }
}

fn key_of(event: &Event) -> Option<Key> {
    let &KeyEvent { code, modifiers, kind, .. } = match event {
        Event::Key(key) => key,
        Event::Resize(..) => return Some(Key::Redraw),
        _ => return None,
    };
    if kind == KeyEventKind::Release {
        return None;
    }
    match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Stop),
        _ if modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => None,
        KeyCode::Char('q' | 'Q') => Some(Key::Stop),
        KeyCode::Char('+' | '=') => Some(Key::Faster),
        KeyCode::Char('-' | '_') => Some(Key::Slower),
        KeyCode::Char('?') => Some(Key::Help),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_last_line_says() {
        fn check(code: KeyCode, modifiers: KeyModifiers, want: Option<Key>) {
            let key = KeyEvent::new(code, modifiers);
            assert_eq!(key_of(&Event::Key(key)), want, "{key:?}");
            let released = KeyEvent { kind: KeyEventKind::Release, ..key };
            assert_eq!(key_of(&Event::Key(released)), None, "{key:?}");
        }
        let (none, shift, control) = (KeyModifiers::NONE, KeyModifiers::SHIFT, KeyModifiers::CONTROL);
        check(KeyCode::Char('q'), none, Some(Key::Stop));
        check(KeyCode::Char('Q'), shift, Some(Key::Stop));
        check(KeyCode::Char('c'), control, Some(Key::Stop));
        check(KeyCode::Char('c'), none, None);
        check(KeyCode::Char('q'), control, None);
        check(KeyCode::Char('q'), KeyModifiers::ALT, None);
        check(KeyCode::Char('+'), shift, Some(Key::Faster));
        check(KeyCode::Char('='), none, Some(Key::Faster));
        check(KeyCode::Char('-'), none, Some(Key::Slower));
        check(KeyCode::Char('-'), control, None);
        check(KeyCode::Char('?'), shift, Some(Key::Help));
        check(KeyCode::Char('p'), none, None);
        check(KeyCode::Enter, none, None);
        assert_eq!(key_of(&Event::Resize(80, 24)), Some(Key::Redraw));
        assert_eq!(key_of(&Event::FocusGained), None);
    }
}
