//! Programs that end with whoever started them.

use std::io::Read as _;

/// Ends this process when its standard input ends, as it does when the process that started it has ended in any way.
pub fn end_with_stdin() {
    // Nobody needs to wait for it: it ends with the process.
    let _reading = std::thread::spawn(|| {
        let mut input = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut input);
        std::process::exit(0);
    });
}
