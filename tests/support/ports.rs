//! Ports that stay ours over restarts of whoever listens on them.

use std::fs::{self, File};
use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A free port on 127.0.0.1, reserved against other test binaries by a locked file.
///
/// It lies below the range from which outgoing connections take theirs: a client that retries a
/// stopped broker would otherwise sooner or later sit on the broker's port itself.
pub struct Port {
    pub number: u16,
    _lock: File,
}

const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

impl Port {
    pub fn reserve() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let locks = std::env::temp_dir().join("triaged-test-ports");
        fs::create_dir_all(&locks).expect("a folder for port locks");
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            // Spread by process, so that test binaries started together do not queue up.
            let start = process::id().wrapping_mul(7919);
            let number = (FIRST + start.wrapping_add(step) % COUNT) as u16;
            let lock = File::create(locks.join(number.to_string())).expect("a port lock");
            let free = lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok();
            if free {
                return Self { number, _lock: lock };
            }
        }
        panic!("no free port between {FIRST} and {}", FIRST + COUNT);
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}
