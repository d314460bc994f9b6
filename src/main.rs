//! The binary: passes the command line to the library and returns its exit code.

use std::process::ExitCode;

use kube_state_fleet::allocator::{self, Allocator};

#[global_allocator]
static ALLOCATOR: Allocator = allocator::ALLOCATOR;

fn main() -> ExitCode {
    kube_state_fleet::commands::main()
}
