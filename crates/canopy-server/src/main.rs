//! The `canopy` binary.

use mimalloc::MiMalloc;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[expect(clippy::disallowed_methods, reason = "the configuration is read here, once")]
fn main() -> ExitCode {
    canopy_server::run(std::env::args_os(), std::env::vars_os())
}
