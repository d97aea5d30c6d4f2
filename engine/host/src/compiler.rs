//! Compiling what strangers wrote: in a process of its own, with an end to its time and its memory.
//!
//! wasmtime bounds what a guest does and not what compiling it costs. So the bytes of a component go to
//! a child, and machine code comes back; whatever the child meets is its own misfortune. The code is
//! taken from that child and from the cache alone, never from an upload.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::limits::{
    ARTIFACT_BYTES_MAX, COMPILE_CPU_S, COMPILE_DATA_BYTES, COMPILE_WALL, Limits, UPLOAD_BYTES_MAX,
};
use crate::report::{Finding, NotReady, Report};
use crate::sandbox;

/// How often is looked whether the child has ended.
const LOOK: Duration = Duration::from_millis(2);

/// Bytes of what a child says when it fails.
const COMPLAINT_BYTES_MAX: u64 = 4 * 1024;

/// Where components are compiled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Compiler {
    /// In a child: this program with these arguments and one more, which calls
    /// [`compile_for_parent`] with that.
    Child {
        /// The program.
        program: PathBuf,
        /// Its arguments, before the last one.
        arguments: Vec<String>,
        /// The last one: seconds of a processor that compiling a component may take.
        cpu_s: u64,
    },
    /// In this very process, which a component could keep busy, or bring down. For tests, and for
    /// whoever wrote the component.
    Here,
}

impl Compiler {
    /// A compiler in a child of its own, with the time that a server gives it.
    pub fn child(program: PathBuf, arguments: Vec<String>) -> Self {
        Self::Child {
            program,
            arguments,
            cpu_s: COMPILE_CPU_S,
        }
    }

    /// Machine code for a component, or why there is none.
    pub(crate) fn compile(&self, engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, NotReady> {
        match self {
            Self::Here => Ok(here(engine, bytes)?),
            Self::Child {
                program,
                arguments,
                cpu_s,
            } => in_child(program, arguments, *cpu_s, bytes),
        }
    }
}

fn failed(message: impl Into<String>) -> Report {
    Finding::new("compile_failed", message).into()
}

/// Compilers have had panics on odd input; one of them costs this component.
fn here(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Report> {
    let compiled = catch_unwind(AssertUnwindSafe(|| engine.precompile_component(bytes)));
    match compiled {
        Ok(Ok(artifact)) => Ok(artifact),
        Ok(Err(error)) => Err(failed(format!("{error:#}"))),
        Err(_) => Err(failed("the compiler gave up on it")),
    }
}

/// A component from machine code that this program, or a child of it, has made.
#[allow(unsafe_code, reason = "loading machine code is believing it")]
pub(crate) fn load(engine: &Engine, artifact: &[u8]) -> Result<Component, Report> {
    // SAFETY: the bytes come from `precompile_component` of this very program, here, over a pipe
    // of ours, or out of the cache, which has held them against its key. wasmtime itself checks that version and
    // settings are this engine's.
    let loaded = unsafe { Component::deserialize(engine, artifact) };
    loaded.map_err(|error| failed(format!("{error:#}")))
}

/// A child that does not start says nothing about the component.
fn start(program: &Path, arguments: &[String], cpu_s: u64) -> Result<Child, NotReady> {
    let started = Command::new(program)
        .args(arguments)
        .arg(cpu_s.to_string())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    started.map_err(|error| NotReady::Failed(format!("the compiler does not start: {error}")))
}

fn in_child(
    program: &Path,
    arguments: &[String],
    cpu_s: u64,
    bytes: &[u8],
) -> Result<Vec<u8>, NotReady> {
    let mut child = start(program, arguments, cpu_s)?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let complaints = child.stderr.take();
    let (ended, artifact, complaint) = std::thread::scope(|scope| {
        // A child that does not read or does not write must keep nobody but its own threads.
        scope.spawn(move || {
            if let Some(mut input) = input {
                drop(input.write_all(bytes));
            }
        });
        let artifact = scope.spawn(move || read(output, ARTIFACT_BYTES_MAX.saturating_add(1)));
        let complaint = scope.spawn(move || read(complaints, COMPLAINT_BYTES_MAX));
        let ended = wait(&mut child);
        let artifact = artifact.join().unwrap_or_default();
        (ended, artifact, complaint.join().unwrap_or_default())
    });
    judge(ended, artifact, &String::from_utf8_lossy(&complaint))
}

fn read(from: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        drop(from.take(most).read_to_end(&mut bytes));
    }
    bytes
}

/// How a child ended, or that it was made to.
#[derive(Clone, Copy)]
enum Ended {
    Well,
    /// It says why.
    Badly,
    /// A bound of its memory: an allocation that fails ends the process.
    Killed,
    /// A bound of its time on a processor.
    TooLate,
    /// Somebody wanted it to end, as with Ctrl-C or where memory ran out, or it is lost. The component had
    /// no part in it.
    ByOthers,
    /// It got too little of a processor to use up its time.
    Stalled,
}

fn wait(child: &mut Child) -> Ended {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ended::Well,
            Ok(Some(status)) => {
                return match status.signal().map(Signal::from_named_raw) {
                    None => Ended::Badly,
                    Some(Some(Signal::XCPU)) => Ended::TooLate,
                    Some(Some(Signal::INT | Signal::TERM | Signal::HUP | Signal::KILL)) => {
                        Ended::ByOthers
                    }
                    Some(_) => Ended::Killed,
                };
            }
            Err(_) => return end(child, Ended::ByOthers),
            Ok(None) if started.elapsed() > COMPILE_WALL => return end(child, Ended::Stalled),
            Ok(None) => std::thread::sleep(LOOK),
        }
    }
}

/// Ends a child that would not end by itself.
fn end(child: &mut Child, as_what: Ended) -> Ended {
    drop(child.kill());
    drop(child.wait());
    as_what
}

fn judge(ended: Ended, artifact: Vec<u8>, complaint: &str) -> Result<Vec<u8>, NotReady> {
    let size = u64::try_from(artifact.len()).unwrap_or(u64::MAX);
    match ended {
        Ended::Well if size <= ARTIFACT_BYTES_MAX => Ok(artifact),
        Ended::Well => {
            let message = format!("it compiles to more than {ARTIFACT_BYTES_MAX} bytes of code");
            Err(Finding::new("compiles_too_large", message).into())
        }
        Ended::TooLate => {
            let message = "it takes longer to compile than it may";
            let hint = "functions with many blocks, locals or branches take long: split them";
            Err(Finding::new("compiles_too_long", message).hint(hint).into())
        }
        Ended::Killed => {
            let message =
                format!("compiling it takes more than {COMPILE_DATA_BYTES} bytes of memory");
            Err(Finding::new("compiles_too_large", message).into())
        }
        Ended::Badly if complaint.trim().is_empty() => {
            Err(failed("the compiler does not say why").into())
        }
        Ended::Badly => Err(failed(complaint.trim()).into()),
        Ended::ByOthers => Err(NotReady::Failed("the compiler was ended by others".into())),
        Ended::Stalled => {
            let why = "the compiler came to no end: the machine may be too busy";
            Err(NotReady::Failed(why.into()))
        }
    }
}

/// What the child does: bounds itself, reads a component from standard input, and writes machine code
/// to standard output. It may take so many seconds of a processor.
pub fn compile_for_parent(cpu_s: u64) -> ExitCode {
    let compiled = bound(cpu_s)
        .map_err(|error| error.to_string())
        .and_then(|()| {
            let mut bytes = Vec::new();
            let most = u64::try_from(UPLOAD_BYTES_MAX).unwrap_or(u64::MAX);
            let read = io::stdin().take(most).read_to_end(&mut bytes);
            read.map_err(|error| error.to_string())?;
            let engine = sandbox::engine(&Limits::standard()).map_err(|error| error.to_string())?;
            let artifact = engine.precompile_component(&bytes);
            artifact.map_err(|error| format!("{error:#}"))
        });
    let written = compiled.and_then(|artifact| {
        let written = io::stdout().write_all(&artifact);
        written.map_err(|error| error.to_string())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            drop(writeln!(io::stderr(), "{complaint}"));
            ExitCode::FAILURE
        }
    }
}

/// From here on this process can use up so much and no more. What wasmtime reserves and does not touch
/// does not count.
fn bound(cpu_s: u64) -> io::Result<()> {
    let most = |limit: u64| Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    // The first end of its time has a signal of its own, by which the parent knows; a second later
    // comes the one that nothing survives.
    let time = Rlimit {
        current: Some(cpu_s),
        maximum: Some(cpu_s.saturating_add(1)),
    };
    setrlimit(Resource::Cpu, time)?;
    setrlimit(Resource::Data, most(COMPILE_DATA_BYTES))?;
    setrlimit(Resource::Core, most(0))?;
    setrlimit(Resource::Fsize, most(0))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_compiled_by(program: &str, arguments: &[&str]) -> NotReady {
        let arguments = arguments.iter().map(|argument| (*argument).into());
        let compiler = Compiler::child(program.into(), arguments.collect());
        let engine = sandbox::engine(&Limits::standard()).expect("an engine");
        match compiler.compile(&engine, b"a component") {
            Ok(_) => panic!("that is no compiler"),
            Err(not_ready) => not_ready,
        }
    }

    fn compiled_by(program: &str, arguments: &[&str]) -> Finding {
        match not_compiled_by(program, arguments) {
            NotReady::Refused(mut report) => report.findings.remove(0),
            other => panic!("not about the component: {other}"),
        }
    }

    #[test]
    fn a_compiler_that_does_not_start_says_nothing_about_the_component() {
        for program in ["/nowhere/bursar", "/"] {
            let missing = not_compiled_by(program, &[]);
            let NotReady::Failed(why) = missing else {
                panic!("it is the component's: {missing}");
            };
            assert!(why.contains("does not start"), "{why}");
        }
    }

    #[test]
    fn a_child_that_cannot_or_will_not_is_a_finding_in_plain_words() {
        let complaining = compiled_by("/bin/sh", &["-c", "echo 'at offset 7: no' >&2; exit 1"]);
        assert_eq!(
            (complaining.code, complaining.message.as_str()),
            ("compile_failed", "at offset 7: no")
        );
        let killed = compiled_by("/bin/sh", &["-c", "kill -ABRT $$"]);
        assert_eq!(killed.code, "compiles_too_large");
        let late = compiled_by("/bin/sh", &["-c", "kill -XCPU $$"]);
        assert_eq!(late.code, "compiles_too_long");
        let silent = compiled_by("/bin/sh", &["-c", "exit 1"]);
        assert_eq!(silent.code, "compile_failed");
    }

    #[test]
    fn a_child_that_was_asked_to_end_says_nothing_about_the_component() {
        for signal in ["INT", "TERM", "HUP", "KILL"] {
            let ended = not_compiled_by("/bin/sh", &["-c", &format!("kill -{signal} $$")]);
            assert!(matches!(ended, NotReady::Failed(_)), "{signal}: {ended}");
        }
    }

    #[test]
    fn a_child_inherits_nothing_of_the_environment() {
        let told = compiled_by("/bin/sh", &["-c", "echo \"home is '$HOME'\" >&2; exit 1"]);
        assert_eq!(told.message, "home is ''");
    }

    #[test]
    fn a_child_that_writes_without_end_is_cut_off() {
        let endless = compiled_by("/bin/sh", &["-c", "head -c 400000000 /dev/zero"]);
        assert!(
            matches!(endless.code, "compiles_too_large" | "compile_failed"),
            "{endless:?}"
        );
    }
}
