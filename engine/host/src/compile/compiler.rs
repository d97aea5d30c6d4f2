//! Compiling what strangers wrote: in a process of its own, with an end to its time and its memory.
//!
//! wasmtime bounds what a guest does and not what compiling it costs. So the bytes of a component go to
//! a child, and machine code comes back; whatever the child meets is its own misfortune. The code is
//! taken from that child and from the cache alone, never from an upload.
//!
//! Manifests take the same way: a child reads one first, compiles its schemas and patterns, and throws them
//! away. Only when it has come to an end within its bounds does this process do the same.
//!
//! A child has its own bounds or the machine's, whichever are lower. Where the machine's are lower and the
//! child does not come to an end, that says nothing about the component.

mod child;
mod work;

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use wasmtime::Engine;
use wasmtime::component::Component;

pub use self::child::compile_for_parent;
use self::work::{Bound, LOWERED, MACHINE_FAILED, Work};
use crate::limits::{ARTIFACT_BYTES_MAX, COMPILE_CPU_S, COMPILE_WALL, MANIFEST_CPU_S};
use crate::report::{Finding, LoadError, Report};

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
    pub(crate) fn compile(&self, engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        match self {
            Self::Here => Ok(here(engine, bytes)?),
            Self::Child {
                program,
                arguments,
                cpu_s,
            } => in_child(program, arguments, *cpu_s, Work::Component, bytes),
        }
    }

    /// Finds out that reading a manifest comes to an end within its bounds, whatever is found in it.
    pub(crate) fn try_manifest(&self, manifest: &str) -> Result<(), LoadError> {
        match self {
            Self::Here => Ok(()),
            Self::Child {
                program,
                arguments,
                cpu_s,
            } => {
                let cpu_s = MANIFEST_CPU_S.min(*cpu_s);
                let bytes = manifest.as_bytes();
                in_child(program, arguments, cpu_s, Work::Manifest, bytes).map(drop)
            }
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
fn start(program: &Path, arguments: &[String], cpu_s: u64) -> Result<Child, LoadError> {
    let started = Command::new(program)
        .args(arguments)
        .arg(cpu_s.to_string())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    started.map_err(|error| LoadError::Failed(format!("the compiler does not start: {error}")))
}

fn in_child(
    program: &Path,
    arguments: &[String],
    cpu_s: u64,
    work: Work,
    bytes: &[u8],
) -> Result<Vec<u8>, LoadError> {
    let mut child = start(program, arguments, cpu_s)?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let complaints = child.stderr.take();
    let served = std::thread::scope(|scope| {
        // A child that does not read or does not write must keep nobody but its own threads.
        let serving = || -> io::Result<_> {
            let feed = move || {
                if let Some(mut input) = input {
                    drop(input.write_all(&[work.tag()]));
                    drop(input.write_all(bytes));
                }
            };
            thread().spawn_scoped(scope, feed)?;
            let artifact = move || read(output, ARTIFACT_BYTES_MAX.saturating_add(1));
            let artifact = thread().spawn_scoped(scope, artifact)?;
            let complaint = move || read(complaints, COMPLAINT_BYTES_MAX);
            Ok((artifact, thread().spawn_scoped(scope, complaint)?))
        };
        match serving() {
            Ok((artifact, complaint)) => {
                let ended = wait(&mut child);
                let artifact = artifact.join().unwrap_or_default();
                Ok((ended, artifact, complaint.join().unwrap_or_default()))
            }
            Err(error) => {
                // Without its threads the child would wait for ever.
                end(&mut child, ChildExit::ByOthers);
                Err(error)
            }
        }
    });
    let (ended, artifact, complaint) = served
        .map_err(|error| LoadError::Failed(format!("no thread to serve the compiler: {error}")))?;
    judge(work, ended, artifact, &String::from_utf8_lossy(&complaint))
}

fn thread() -> std::thread::Builder {
    std::thread::Builder::new().name("compiler".into())
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
enum ChildExit {
    Well,
    /// It says why.
    Badly,
    /// The machine did not let it work, and it says why.
    MachineFailed,
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

fn wait(child: &mut Child) -> ChildExit {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return ChildExit::Well,
            Ok(Some(status)) => {
                return match status.signal().map(Signal::from_named_raw) {
                    None if status.code() == Some(MACHINE_FAILED.into()) => {
                        ChildExit::MachineFailed
                    }
                    None => ChildExit::Badly,
                    Some(Some(Signal::XCPU)) => ChildExit::TooLate,
                    Some(Some(Signal::INT | Signal::TERM | Signal::HUP | Signal::KILL)) => {
                        ChildExit::ByOthers
                    }
                    Some(_) => ChildExit::Killed,
                };
            }
            Err(_) => return end(child, ChildExit::ByOthers),
            Ok(None) if started.elapsed() > COMPILE_WALL => return end(child, ChildExit::Stalled),
            Ok(None) => std::thread::sleep(LOOK),
        }
    }
}

/// Ends a child that would not end by itself.
fn end(child: &mut Child, as_what: ChildExit) -> ChildExit {
    drop(child.kill());
    drop(child.wait());
    as_what
}

fn judge(
    work: Work,
    ended: ChildExit,
    artifact: Vec<u8>,
    complaint: &str,
) -> Result<Vec<u8>, LoadError> {
    let size = u64::try_from(artifact.len()).unwrap_or(u64::MAX);
    let lines = complaint.lines();
    let (lowered, said): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with(LOWERED));
    let said = said.join("\n");
    // Where a limit of the machine's is lower than the child's own, it is not known which one it met.
    let met = |bound| match lowered.first() {
        None => Err(work.met(bound).into()),
        Some(limit) => Err(LoadError::Failed(format!(
            "the compiler ran into a limit of this machine: {}",
            limit.trim_start_matches(LOWERED)
        ))),
    };
    match ended {
        ChildExit::Well if size <= ARTIFACT_BYTES_MAX => Ok(artifact),
        ChildExit::Well => {
            let message = format!("it compiles to more than {ARTIFACT_BYTES_MAX} bytes of code");
            Err(Finding::new("compiles_too_large", message).into())
        }
        ChildExit::TooLate => met(Bound::Time),
        ChildExit::Killed => met(Bound::Memory),
        ChildExit::MachineFailed => {
            let lowered = lowered.join("; ");
            let why = format!("the compiler could not work: {} {lowered}", said.trim());
            Err(LoadError::Failed(why.trim_end().into()))
        }
        ChildExit::Badly if said.trim().is_empty() => {
            Err(failed("the compiler does not say why").into())
        }
        ChildExit::Badly => Err(failed(said.trim()).into()),
        ChildExit::ByOthers => Err(LoadError::Failed("the compiler was ended by others".into())),
        ChildExit::Stalled => {
            let why = "the compiler came to no end: the machine may be too busy";
            Err(LoadError::Failed(why.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::sandbox;

    fn not_compiled_by(program: &str, arguments: &[&str]) -> LoadError {
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
            LoadError::Refused(mut report) => report.findings.remove(0),
            other => panic!("not about the component: {other}"),
        }
    }

    #[test]
    fn a_compiler_that_does_not_start_says_nothing_about_the_component() {
        for program in ["/nowhere/bursar", "/"] {
            let missing = not_compiled_by(program, &[]);
            let LoadError::Failed(why) = missing else {
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
            // A shell cannot end by a signal that was ignored before it began, as under nohup.
            let kill = format!("kill -{signal} $$");
            let ended = not_compiled_by("/usr/bin/env", &["--default-signal", "sh", "-c", &kill]);
            assert!(matches!(ended, LoadError::Failed(_)), "{signal}: {ended}");
        }
    }

    #[test]
    fn a_bound_of_the_machines_own_says_nothing_about_the_component() {
        let lowered = format!("echo '{LOWERED}1048576 (RLIMIT_DATA)' >&2;");
        for ended in ["kill -ABRT $$", "kill -SEGV $$", "kill -XCPU $$", "exit 75"] {
            let failed = not_compiled_by("/bin/sh", &["-c", &format!("{lowered} {ended}")]);
            let LoadError::Failed(why) = failed else {
                panic!("{ended} is the component's: {failed}");
            };
            assert!(why.contains("1048576 (RLIMIT_DATA)"), "{ended}: {why}");
        }
        // What is wrong with the component is said all the same.
        let refused = compiled_by(
            "/bin/sh",
            &["-c", &format!("{lowered} echo no >&2; exit 1")],
        );
        assert_eq!(refused.message, "no");
        let failed = not_compiled_by("/bin/sh", &["-c", "echo 'no memory' >&2; exit 75"]);
        assert!(matches!(failed, LoadError::Failed(why) if why.contains("no memory")));
    }

    #[test]
    fn a_manifest_that_a_child_cannot_read_in_its_bounds_is_refused_in_plain_words() {
        let tried = |script: &str| {
            let arguments = vec!["-c".into(), script.into()];
            Compiler::child("/bin/sh".into(), arguments).try_manifest("{}")
        };
        assert_eq!(tried("exit 0"), Ok(()));
        for (ended, expected) in [("ABRT", "more memory"), ("XCPU", "more time")] {
            let refused = tried(&format!("kill -{ended} $$"));
            let Err(LoadError::Refused(report)) = refused else {
                panic!("{ended}: {refused:?}");
            };
            assert_eq!(report.findings[0].code, "manifest_too_costly");
            assert!(report.findings[0].message.contains(expected), "{report}");
        }
        assert!(matches!(tried("kill -KILL $$"), Err(LoadError::Failed(_))));
        // The child is told what it is to do, and gets the manifest as it is.
        assert_eq!(tried("test \"$(cat)\" = 'm{}' || kill -ABRT $$"), Ok(()));
        assert_eq!(Compiler::Here.try_manifest("{}"), Ok(()));
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
