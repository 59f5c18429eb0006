//! The command `megabin`.

fn main() -> std::process::ExitCode {
    megabin::cli::main()
}
