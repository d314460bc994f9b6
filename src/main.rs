//! The binary: hands the command line to the library and turns its answer into an exit code.

use std::alloc::System;
use std::process::ExitCode;

use kube_state_fleet::intake::wipe::Wiping;

#[global_allocator]
static ALLOCATOR: Wiping<System> = Wiping(System);

fn main() -> ExitCode {
    kube_state_fleet::commands::main()
}
