//! The `canopy` binary.

use std::process::ExitCode;

#[expect(clippy::disallowed_methods, reason = "the configuration is read here, once")]
fn main() -> ExitCode {
    canopy_server::run(std::env::args_os(), std::env::vars_os())
}
