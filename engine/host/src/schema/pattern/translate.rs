//! The translation of patterns from ECMA-262 to the linear-time engine.
//!
//! Syntax that the engine reads differently is rejected, or rewritten so that it means the same.

use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSetItem, ClassUnicode,
    ClassUnicodeKind, GroupKind, HexLiteralKind, Literal, LiteralKind, RepetitionKind, Span,
    SpecialLiteralKind, Visitor,
};

use super::error::PatternSyntaxError;
use crate::limits::PATTERN_NESTING_MAX;

/// A hint that lists the syntax of patterns.
pub(super) const DIALECT: &str = "patterns can have characters, ., [classes], \\d \\w \\s \\p{L}, groups, |, \
                                  ?, *, +, {m,n}, ^ and $";

/// The white space of ECMA-262, as the content of a class.
const SPACE: &str = "\\t\\n\\v\\f\\r \\u{a0}\\u{1680}\\u{2000}-\\u{200a}\\u{2028}\\u{2029}\\u{202f}\
                     \\u{205f}\\u{3000}\\u{feff}";

/// The class that `.` means in ECMA-262: all characters except line terminators.
const DOT: &str = "[^\\n\\r\\u{2028}\\u{2029}]";

/// The short names of Unicode's general categories, which `\p{…}` accepts.
const CATEGORIES: [&str; 36] = [
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc",
    "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "C",
    "Cc", "Cf", "Co", "Cn",
];

/// Translates a pattern for the engine.
pub(super) fn translate(pattern: &str) -> Result<String, PatternSyntaxError> {
    let parsed = ParserBuilder::new()
        .nest_limit(PATTERN_NESTING_MAX)
        .build()
        .parse(pattern);
    // The error's kind describes the syntax and does not quote the untrusted pattern.
    let parsed = parsed.map_err(|error| PatternSyntaxError {
        message: format!("this is not a regular expression: {}", error.kind()),
        hint: DIALECT,
    })?;
    let translation = Translation {
        pattern,
        edits: Vec::new(),
    };
    ast::visit(&parsed, translation)
}

/// A visitor that checks a pattern and collects replacements.
struct Translation<'a> {
    pattern: &'a str,
    /// Replacements, each with the start and end of the replaced text.
    edits: Vec<(usize, usize, String)>,
}

fn reject<T>(problem: &str, hint: &'static str) -> Result<T, PatternSyntaxError> {
    let message = format!("the pattern has {problem}");
    Err(PatternSyntaxError { message, hint })
}

impl Translation<'_> {
    fn text(&self, span: &Span) -> &str {
        &self.pattern[span.start.offset..span.end.offset]
    }

    fn edit(&mut self, span: &Span, text: String) {
        self.edits.push((span.start.offset, span.end.offset, text));
    }

    fn perl(&mut self, class: &ClassPerl) {
        let characters = match class.kind {
            ClassPerlKind::Digit => "0-9",
            ClassPerlKind::Space => SPACE,
            ClassPerlKind::Word => "0-9A-Za-z_",
        };
        let not = if class.negated { "^" } else { "" };
        self.edit(&class.span, format!("[{not}{characters}]"));
    }

    fn literal(literal: &Literal) -> Result<(), PatternSyntaxError> {
        const ESCAPES: &str = "escape punctuation with \\, and any character as \\uHHHH or \\u{H}";
        match literal.kind {
            LiteralKind::Verbatim
            | LiteralKind::Meta
            | LiteralKind::HexFixed(HexLiteralKind::X | HexLiteralKind::UnicodeShort)
            | LiteralKind::HexBrace(HexLiteralKind::UnicodeShort)
            | LiteralKind::Special(
                SpecialLiteralKind::FormFeed
                | SpecialLiteralKind::Tab
                | SpecialLiteralKind::LineFeed
                | SpecialLiteralKind::CarriageReturn
                | SpecialLiteralKind::VerticalTab,
            ) => Ok(()),
            LiteralKind::Superfluous if literal.c.is_ascii_punctuation() => Ok(()),
            LiteralKind::Superfluous
            | LiteralKind::Octal
            | LiteralKind::HexFixed(HexLiteralKind::UnicodeLong)
            | LiteralKind::HexBrace(HexLiteralKind::X | HexLiteralKind::UnicodeLong)
            | LiteralKind::Special(SpecialLiteralKind::Bell | SpecialLiteralKind::Space) => {
                reject("an escape that ECMA-262 does not know", ESCAPES)
            }
        }
    }

    fn category(&self, class: &ClassUnicode) -> Result<(), PatternSyntaxError> {
        let known = match &class.kind {
            ClassUnicodeKind::Named(name) => CATEGORIES.contains(&name.as_str()),
            ClassUnicodeKind::OneLetter(_) | ClassUnicodeKind::NamedValue { .. } => false,
        };
        // Only the engine knows `\P{^L}` and spaces within the braces.
        let text = self.text(&class.span);
        if known
            && text
                .bytes()
                .all(|b| b.is_ascii_alphabetic() || b"\\{}".contains(&b))
        {
            return Ok(());
        }
        reject(
            "an unknown class of Unicode",
            "use short names of general categories, such as \\p{L}, \\p{Lu} and \\p{N}",
        )
    }

    fn repetition(&self, repetition: &ast::Repetition) -> Result<(), PatternSyntaxError> {
        match &*repetition.ast {
            Ast::Repetition(_) | Ast::Assertion(_) => reject(
                "a repetition of a repetition or of an anchor",
                "put the repeated part in a group: (?:a+)*",
            )?,
            Ast::Empty(_)
            | Ast::Flags(_)
            | Ast::Literal(_)
            | Ast::Dot(_)
            | Ast::ClassUnicode(_)
            | Ast::ClassPerl(_)
            | Ast::ClassBracketed(_)
            | Ast::Group(_)
            | Ast::Alternation(_)
            | Ast::Concat(_) => {}
        }
        match repetition.op.kind {
            RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => {
                Ok(())
            }
            RepetitionKind::Range(_) => {
                let text = self.text(&repetition.op.span);
                let digits = |b: u8| b.is_ascii_digit() || b"{,}?".contains(&b);
                if text.bytes().all(digits) && !text.starts_with("{,") {
                    return Ok(());
                }
                reject(
                    "a repetition that ECMA-262 does not know",
                    "write {m}, {m,} or {m,n}",
                )
            }
        }
    }
}

impl Visitor for Translation<'_> {
    type Output = String;
    type Err = PatternSyntaxError;

    fn finish(mut self) -> Result<String, PatternSyntaxError> {
        self.edits.sort();
        let mut translated = String::new();
        let mut at = 0;
        for (start, end, text) in &self.edits {
            translated.push_str(&self.pattern[at..*start]);
            translated.push_str(text);
            at = *end;
        }
        translated.push_str(&self.pattern[at..]);
        Ok(translated)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), PatternSyntaxError> {
        match ast {
            Ast::Flags(_) => reject(
                "flags",
                "flags are not supported: write [Aa] for either case",
            ),
            Ast::Literal(literal) => Self::literal(literal),
            Ast::Dot(span) => {
                self.edit(span, DOT.into());
                Ok(())
            }
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::StartLine | AssertionKind::EndLine => Ok(()),
                AssertionKind::StartText
                | AssertionKind::EndText
                | AssertionKind::WordBoundary
                | AssertionKind::NotWordBoundary
                | AssertionKind::WordBoundaryStart
                | AssertionKind::WordBoundaryEnd
                | AssertionKind::WordBoundaryStartAngle
                | AssertionKind::WordBoundaryEndAngle
                | AssertionKind::WordBoundaryStartHalf
                | AssertionKind::WordBoundaryEndHalf => {
                    reject("an anchor that is neither ^ nor $", DIALECT)
                }
            },
            Ast::ClassUnicode(class) => self.category(class),
            Ast::ClassPerl(class) => {
                self.perl(class);
                Ok(())
            }
            Ast::ClassBracketed(class) => {
                let text = self.text(&class.span);
                if text.starts_with("[]") || text.starts_with("[^]") {
                    return reject("a class that begins with ]", "escape it: [\\]]");
                }
                Ok(())
            }
            Ast::Repetition(repetition) => self.repetition(repetition),
            Ast::Group(group) => match &group.kind {
                GroupKind::CaptureIndex(_) => Ok(()),
                GroupKind::CaptureName { starts_with_p, .. } if !starts_with_p => Ok(()),
                GroupKind::CaptureName { .. } => reject(
                    "a group that ECMA-262 does not know",
                    "write (?<name>…) or (…)",
                ),
                GroupKind::NonCapturing(flags) if flags.items.is_empty() => Ok(()),
                GroupKind::NonCapturing(_) => reject(
                    "flags",
                    "flags are not supported: write [Aa] for either case",
                ),
            },
            Ast::Empty(_) | Ast::Alternation(_) | Ast::Concat(_) => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), PatternSyntaxError> {
        match item {
            ClassSetItem::Literal(literal) => Self::literal(literal),
            ClassSetItem::Range(range) => {
                Self::literal(&range.start)?;
                Self::literal(&range.end)
            }
            ClassSetItem::Unicode(class) => self.category(class),
            ClassSetItem::Perl(class) => {
                self.perl(class);
                Ok(())
            }
            ClassSetItem::Ascii(_) | ClassSetItem::Bracketed(_) => {
                reject("a class within a class", "escape [ within a class: [\\[]")
            }
            ClassSetItem::Empty(_) | ClassSetItem::Union(_) => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(
        &mut self,
        _: &ast::ClassSetBinaryOp,
    ) -> Result<(), PatternSyntaxError> {
        reject(
            "&&, -- or ~~ within a class",
            "write such a character once, and - at the end: [&~-]",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_that_the_engine_reads_differently_is_rejected() {
        for pattern in [
            "(?i)a",
            "(?i:a)",
            "(?s:.)",
            "\\Aa",
            "a\\z",
            "\\ba",
            "a\\B",
            "[[:alpha:]]",
            "[a[b]]",
            "[a&&b]",
            "[a--b]",
            "[]a]",
            "[^]a]",
            "(?P<n>a)",
            "a{,3}",
            "a**",
            "a{2}{3}",
            "^*",
            "\\p{Greek}",
            "\\p{sc=Greek}",
            "\\pL",
            "\\p{^L}",
            "\\x{41}",
            "\\U00000041",
            "\\a",
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(a)\\1",
            "\\k<n>",
            "(",
            "a)",
            "[z-a]",
            "\\",
            "\\uD83D",
        ] {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn common_syntax_is_translated() {
        for pattern in [
            "^(?:a|b)+?$",
            "(?<n>a)",
            "[\\w.-]",
            "a{2,}",
            "a{2}",
            "\\u{1F600}",
            "\\/\\-\\@",
        ] {
            assert!(translate(pattern).is_ok(), "{pattern}");
        }
        let translated = translate("^\\d.[\\D]$").expect("a pattern");
        assert_eq!(translated, format!("^[0-9]{DOT}[[^0-9]]$"));
    }

    #[test]
    fn patterns_nest_up_to_a_limit() {
        let nested = |depth: usize| "(".repeat(depth) + "a" + &")".repeat(depth);
        let depth = usize::try_from(PATTERN_NESTING_MAX).expect("a small number");
        assert!(translate(&nested(depth)).is_ok());
        assert!(translate(&nested(depth + 1)).is_err());
    }
}
