//! Compiles the bundled plugins into components, so that the binary carries them.
//!
//! The same cargo builds them from source for the WebAssembly target. They have a target directory of their own,
//! because cargo locks the outer one while this script runs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const TARGET: &str = "wasm32-unknown-unknown";

/// The bundled plugins, and two guests: `malicious` is for the demo and the tests, `rob` for the tests alone.
const PLUGINS: [&str; 12] = [
    "shop",
    "coinflip",
    "daily",
    "dice",
    "blackjack",
    "lottery",
    "slots",
    "work",
    "trade",
    "auction",
    "rob",
    "malicious",
];

fn main() {
    let variable = |name: &str| env::var_os(name).unwrap_or_else(|| fail(&format!("no {name}")));
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../..");
    let out = PathBuf::from(variable("OUT_DIR"));
    for watched in ["wit", "plugins", "tests/guests", "Cargo.lock", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    check_target(Path::new(&variable("RUSTC")));
    build(&root, &out, Path::new(&variable("CARGO")));
    for plugin in PLUGINS {
        let component = format!("bursar_{plugin}.wasm");
        let built = out
            .join("guests")
            .join(TARGET)
            .join("guest")
            .join(&component);
        if let Err(error) = std::fs::copy(&built, out.join(&component)) {
            fail(&format!("{}: {error}", built.display()));
        }
    }
}

/// Fails with an instruction if the WebAssembly target is not installed. The error of the compiler would not say
/// what to do.
fn check_target(rustc: &Path) {
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    let folder = output
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    if !folder.is_some_and(|folder| Path::new(folder.trim()).is_dir()) {
        fail(&format!(
            "the WebAssembly target is missing: run `rustup target add {TARGET}`"
        ));
    }
}

fn build(root: &Path, out: &Path, cargo: &Path) {
    let mut command = Command::new(cargo);
    command.current_dir(root).args([
        "build",
        "--locked",
        "--profile",
        "guest",
        "--target",
        TARGET,
    ]);
    for plugin in PLUGINS {
        command.args(["--package", &format!("bursar-{plugin}")]);
    }
    // Flags and wrappers of the outer build are for the machine, not for the components. Paths of the machine are
    // remapped, so that a component has the same bytes wherever it is built.
    command
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    let home = env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let flags = [remap(&home, "/cargo"), remap(&root, "/bursar")].join("\u{1f}");
    command.env("CARGO_ENCODED_RUSTFLAGS", flags);
    let linker = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER";
    command
        .env(linker, "wasm-component-ld")
        .env("CARGO_TARGET_DIR", out.join("guests"));
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(_) => fail("the bundled plugins could not be built; see the errors of cargo above"),
        Err(error) => fail(&format!(
            "cannot run cargo to build the bundled plugins: {error}"
        )),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a build script ends with its own message and no backtrace"
)]
fn fail(reason: &str) -> ! {
    println!("cargo::error={reason}");
    exit(1)
}
