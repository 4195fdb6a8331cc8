//! A planted fault: threads that do nothing but take a core from others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::clock;

/// They give up by themselves, whatever becomes of the test.
const BOUND: Duration = Duration::from_secs(30);

/// Spinning threads on one core. Dropping it ends them.
#[derive(Debug)]
pub struct Hog {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Hog {
    /// # Panics
    /// When a thread cannot be pinned to that core.
    #[must_use]
    pub fn on_core(core: usize, threads: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ready = Arc::new(std::sync::Barrier::new(threads + 1));
        let spin = || {
            let (stop, ready) = (Arc::clone(&stop), Arc::clone(&ready));
            std::thread::spawn(move || {
                let mut cores = CpuSet::new();
                cores.set(core);
                let pinned = sched_setaffinity(None, &cores);
                ready.wait();
                pinned.expect("the core is there and allowed");
                let start = clock::now();
                while !stop.load(Ordering::Relaxed) && start.elapsed() < BOUND {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..threads).map(|_| spin()).collect();
        ready.wait();
        Self { stop, threads }
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
