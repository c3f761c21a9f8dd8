//! Hands arguments and streams to the library; holds no logic.

fn main() -> std::process::ExitCode {
    git_vault::cli::run()
}
