//! Patterns: the regular expressions that ECMA-262 and an engine without backtracking read alike.
//!
//! A pattern is compiled to a Thompson NFA of bounded size (K. Thompson, "Regular expression search algorithm", 1968). The
//! NFA is simulated with all states at once, byte by byte, so that matching takes at most states × bytes steps, and each
//! step is counted. The faster engines of the `regex` crate allocate megabytes of cache for each pattern and count no
//! steps.

mod error;
mod translate;

use std::collections::BTreeMap;
use std::sync::Arc;

use regex_automata::nfa::thompson::{Compiler, Config, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;

pub(crate) use self::error::PatternSyntaxError;
use self::translate::translate;
use super::steps::{EvaluationError, Steps};
use crate::limits::{
    PATTERN_BYTES_MAX, PATTERN_NESTING_MAX, PATTERN_PROGRAM_BYTES_MAX, PATTERNS_MAX,
    PATTERNS_PROGRAM_BYTES_MAX,
};

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    text: String,
    program: NFA,
}

/// The patterns of a manifest. A pattern that is used several times is compiled once.
#[derive(Default, Debug)]
pub(crate) struct PatternSet {
    known: BTreeMap<String, Result<Arc<Pattern>, PatternSyntaxError>>,
    program_bytes: usize,
}

impl PatternSet {
    /// Returns the compiled form of a pattern.
    pub(crate) fn compile(&mut self, text: &str) -> Result<Arc<Pattern>, PatternSyntaxError> {
        if let Some(known) = self.known.get(text) {
            return known.clone();
        }
        if self.known.len() >= PATTERNS_MAX {
            return Err(PatternSyntaxError {
                message: format!("a manifest can have at most {PATTERNS_MAX} different patterns"),
                hint: "a pattern that is used several times counts once",
            });
        }
        let compiled = Pattern::compile(text).and_then(|pattern| self.add(pattern));
        // An over-long text is not stored, to save memory.
        if text.len() <= PATTERN_BYTES_MAX {
            self.known.insert(text.into(), compiled.clone());
        }
        compiled
    }

    fn add(&mut self, pattern: Pattern) -> Result<Arc<Pattern>, PatternSyntaxError> {
        let sum = self.program_bytes.saturating_add(pattern.program_bytes());
        if sum > PATTERNS_PROGRAM_BYTES_MAX {
            return Err(PatternSyntaxError {
                message: format!(
                    "the patterns of a manifest compile to at most {PATTERNS_PROGRAM_BYTES_MAX} \
                     bytes together, and this one exceeds them"
                ),
                hint: SMALLER,
            });
        }
        self.program_bytes = sum;
        Ok(Arc::new(pattern))
    }

    /// Returns the bytes of all programs.
    #[cfg(test)]
    pub(crate) fn program_bytes(&self) -> usize {
        self.program_bytes
    }
}

const SMALLER: &str = "counted repetitions such as {1,200} and classes such as \\p{L} are large: use \
                       `minLength` and `maxLength` for lengths";

impl Pattern {
    fn compile(text: &str) -> Result<Self, PatternSyntaxError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternSyntaxError {
                message: format!("a pattern can have at most {PATTERN_BYTES_MAX} bytes"),
                hint: "use an `enum`, or check the rest in the plugin",
            });
        }
        let translated = translate(text)?;
        let program = Compiler::new()
            .syntax(syntax::Config::new().nest_limit(PATTERN_NESTING_MAX))
            .configure(
                Config::new()
                    .nfa_size_limit(Some(PATTERN_PROGRAM_BYTES_MAX))
                    .which_captures(WhichCaptures::None),
            )
            .build(&translated)
            .map_err(|error| match error.size_limit() {
                Some(_) => PatternSyntaxError {
                    message: format!(
                        "the pattern compiles to more than {PATTERN_PROGRAM_BYTES_MAX} bytes"
                    ),
                    hint: SMALLER,
                },
                None => PatternSyntaxError {
                    message: "this is not a regular expression".into(),
                    hint: translate::DIALECT,
                },
            })?;
        let text = text.into();
        Ok(Self { text, program })
    }

    /// Returns the pattern as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn program_bytes(&self) -> usize {
        self.program.memory_usage()
    }

    /// Returns the number of states, which is the most steps for one byte of a text.
    #[cfg(test)]
    pub(crate) fn states(&self) -> usize {
        self.program.states().len()
    }

    /// Returns true if the pattern matches anywhere in a text.
    pub(super) fn is_match(&self, text: &str, steps: &mut Steps) -> Result<bool, EvaluationError> {
        let states = self.program.states().len();
        // These steps are for allocating and clearing two lists and the marks.
        steps.take(1 + states / 32)?;
        let text = text.as_bytes();
        let mut search = Search {
            program: &self.program,
            text,
            marks: vec![0; states],
            stack: Vec::new(),
            matched: false,
        };
        let mut current = Vec::new();
        let mut next = Vec::new();
        let everywhere = !self.program.is_always_start_anchored();
        for at in 0..=text.len() {
            if at == 0 || everywhere {
                search.enter(self.program.start_anchored(), at, &mut current, steps)?;
            }
            if search.matched {
                return Ok(true);
            }
            if current.is_empty() && !everywhere {
                return Ok(false);
            }
            for state in current.drain(..) {
                if let Some(state) = search.follow(state, at, steps)? {
                    search.enter(state, at + 1, &mut next, steps)?;
                }
            }
            std::mem::swap(&mut current, &mut next);
        }
        Ok(search.matched)
    }
}

struct Search<'a> {
    program: &'a NFA,
    text: &'a [u8],
    /// For each state, one more than the position at which it was last entered. A state is entered once at each position.
    marks: Vec<usize>,
    stack: Vec<StateID>,
    matched: bool,
}

impl Search<'_> {
    /// Enters a state and all states that are reachable without reading a byte. Adds those that read a byte to `list`.
    fn enter(
        &mut self,
        state: StateID,
        at: usize,
        list: &mut Vec<StateID>,
        steps: &mut Steps,
    ) -> Result<(), EvaluationError> {
        self.stack.push(state);
        while let Some(id) = self.stack.pop() {
            let mark = &mut self.marks[id.as_usize()];
            if *mark == at + 1 {
                // Counted as well, because a state can have many incoming edges.
                steps.take(1)?;
                continue;
            }
            *mark = at + 1;
            steps.take(1)?;
            match self.program.state(id) {
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => list.push(id),
                State::Look { look, next } => {
                    let matcher = self.program.look_matcher();
                    if matcher.matches(*look, self.text, at) {
                        self.stack.push(*next);
                    }
                }
                State::Union { alternates } => self.stack.extend(alternates),
                State::BinaryUnion { alt1, alt2 } => self.stack.extend([*alt1, *alt2]),
                State::Capture { next, .. } => self.stack.push(*next),
                State::Match { .. } => self.matched = true,
                State::Fail => {}
            }
        }
        Ok(())
    }

    /// Returns the state after the byte at a position.
    fn follow(
        &self,
        state: StateID,
        at: usize,
        steps: &mut Steps,
    ) -> Result<Option<StateID>, EvaluationError> {
        Ok(match self.program.state(state) {
            State::ByteRange { trans } => trans.matches(self.text, at).then_some(trans.next),
            State::Sparse(sparse) => {
                steps.take(sparse.transitions.len() / 16)?;
                sparse.matches(self.text, at)
            }
            State::Dense(dense) => dense.matches(self.text, at),
            // `enter` adds none of these to the list.
            State::Look { .. }
            | State::Union { .. }
            | State::BinaryUnion { .. }
            | State::Capture { .. }
            | State::Match { .. }
            | State::Fail => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let pattern = PatternSet::default().compile(pattern).expect(pattern);
        let mut steps = Steps::new(1_000_000);
        pattern.is_match(text, &mut steps).expect("enough steps")
    }

    #[test]
    fn patterns_match_anywhere_unless_they_are_anchored() {
        for (pattern, text, found) in [
            ("b", "abc", true),
            ("^b", "abc", false),
            ("^a", "abc", true),
            ("c$", "abc", true),
            ("b$", "abc", false),
            ("^$", "", true),
            ("", "abc", true),
            ("^(ab|c){1,2}$", "abc", true),
            ("^(ab|c){1,2}$", "abcc", false),
            ("^[^a-c]+$", "defü", true),
            ("^.$", "ü", true),
            ("^..$", "ü", false),
            ("^\\d+$", "123", true),
            // In ECMA-262 these classes contain only ASCII characters.
            ("^\\d$", "\u{0663}", false),
            ("^\\w$", "ü", false),
            ("^\\p{L}$", "ü", true),
            ("^\\S$", "\u{a0}", false),
            ("^.$", "\u{2028}", false),
            ("^[\\w-]+$", "a-b", true),
            ("^\\u0041\\x42$", "AB", true),
            ("^a\\/b$", "a/b", true),
        ] {
            assert_eq!(matches(pattern, text), found, "{pattern} in {text:?}");
        }
    }

    #[test]
    fn matching_takes_no_more_steps_than_states_times_bytes() {
        let text = "a".repeat(5_000) + "b";
        for slow in ["^(a+)+$", "(a*)*c", "(a|a)*c", "(a?){30}a{30}c", "^(.*)*x"] {
            let pattern = PatternSet::default().compile(slow).expect(slow);
            let most = (text.len() + 2) * (4 * pattern.states() + 1);
            let mut steps = Steps::new(most);
            assert_eq!(pattern.is_match(&text, &mut steps), Ok(false), "{slow}");
        }
    }

    #[test]
    fn a_match_that_takes_too_many_steps_is_stopped() {
        let pattern = PatternSet::default().compile("(a|b)*c").expect("a pattern");
        let text = "ab".repeat(1_000);
        let mut enough = Steps::new(1_000_000);
        assert_eq!(pattern.is_match(&text, &mut enough), Ok(false));
        let used = 1_000_000 - enough.left();
        assert_eq!(pattern.is_match(&text, &mut Steps::new(used)), Ok(false));
        let stopped = pattern.is_match(&text, &mut Steps::new(used - 1));
        assert_eq!(stopped, Err(EvaluationError::OutOfSteps));
    }

    #[test]
    fn patterns_end_at_their_length() {
        let mut patterns = PatternSet::default();
        assert!(patterns.compile(&"a".repeat(PATTERN_BYTES_MAX)).is_ok());
        let long = patterns.compile(&"a".repeat(PATTERN_BYTES_MAX + 1));
        assert!(long.expect_err("too long").message.contains("512 bytes"));
    }

    #[test]
    fn a_manifest_has_few_different_patterns() {
        let mut patterns = PatternSet::default();
        for number in 0..PATTERNS_MAX {
            patterns.compile(&format!("a{number}")).expect("a pattern");
        }
        let one_more = patterns.compile("b").expect_err("too many");
        assert!(one_more.message.contains("64 different"), "{one_more:?}");
        assert!(patterns.compile("a0").is_ok(), "it is known");
    }

    /// Returns the highest repetition count of a pattern that compiles within the limit of one pattern.
    fn longest(of: &str) -> usize {
        let compiles = |count| Pattern::compile(&format!("{of}{{{count}}}")).is_ok();
        (1..1_000)
            .rev()
            .find(|count| compiles(*count))
            .expect("one")
    }

    #[test]
    fn programs_end_at_their_size_alone_and_together() {
        let most = longest("\\p{L}");
        let refused = Pattern::compile(&format!("\\p{{L}}{{{}}}", most + 1));
        let refused = refused.expect_err("too large").message;
        assert!(refused.contains("more than 131072 bytes"), "{refused}");
        let mut patterns = PatternSet::default();
        // Each pattern is nearly as large as the limit of one pattern.
        let large = |number: usize| format!("\\p{{L}}{{{most}}}{}", "a".repeat(number));
        let refused = (0..PATTERNS_MAX).find_map(|number| patterns.compile(&large(number)).err());
        let refused = refused.expect("together they are too large").message;
        assert!(refused.contains("1048576 bytes together"), "{refused}");
        assert!(patterns.program_bytes() <= PATTERNS_PROGRAM_BYTES_MAX);
        assert!(patterns.program_bytes() > PATTERNS_PROGRAM_BYTES_MAX / 2);
        assert!(patterns.compile("a").is_ok(), "a small one still fits");
    }
}
