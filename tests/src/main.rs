//! The command.
fn main() -> std::process::ExitCode {
    vnic::cli::main()
}
