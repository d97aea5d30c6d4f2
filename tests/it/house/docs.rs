//! Counters of documentation comments by their opening, of tuples that are bound at once, and of comments.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{ratchet, source};

/// Words that open a question or a clause. Documentation opens with a noun or a verb instead.
const OPENINGS: [&str; 10] = [
    "What", "Who", "Whose", "Which", "Whether", "How", "Where", "When", "Why", "The same",
];

/// The share of documentation comments that may open with one of `OPENINGS`, in per cent.
const OPENINGS_PERCENT_MAX: usize = 1;

/// The number of lines in which three tuples may be bound at once.
const TUPLES_LINES: usize = 10_000;

/// Finds the first line of each documentation comment, with its line number.
fn documentation(stream: TokenStream, found: &mut Vec<(usize, String)>) {
    // The kind of the last documentation line at this level, to join lines to one comment.
    let mut last = None;
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(hash) if hash.as_char() == '#' => {
                let is_bang = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '!');
                let is_inner = tokens.next_if(is_bang).is_some();
                let Some(TokenTree::Group(attribute)) = tokens.next() else {
                    last = None;
                    continue;
                };
                let Some(text) = doc_text(attribute.stream()) else {
                    last = None;
                    continue;
                };
                if last != Some(is_inner) {
                    found.push((hash.span().start().line, text));
                }
                last = Some(is_inner);
            }
            TokenTree::Group(group) => {
                documentation(group.stream(), found);
                last = None;
            }
            _ => last = None,
        }
    }
}

fn doc_text(attribute: TokenStream) -> Option<String> {
    let syn::Meta::NameValue(pair) = syn::parse2(attribute).ok()? else {
        return None;
    };
    let syn::Expr::Lit(text) = pair.value else {
        return None;
    };
    match text.lit {
        syn::Lit::Str(text) if pair.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}

fn opens_badly(comment: &str) -> bool {
    let comment = comment.trim_start_matches([' ', '*', '`', '_', '"']);
    OPENINGS.iter().any(|opening| {
        let rest = comment.strip_prefix(opening);
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
    })
}

/// Finds the lines of statements that bind a tuple of names to a tuple of values.
fn tuples(stream: TokenStream, found: &mut Vec<usize>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => tuples(group.stream(), found),
            TokenTree::Ident(word) if word == "let" && binds_tuple(&tokens[index + 1..]) => {
                found.push(word.span().start().line);
            }
            _ => {}
        }
    }
}

fn binds_tuple(tokens: &[TokenTree]) -> bool {
    let is = |token: Option<&TokenTree>, sign: char| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign);
    let (Some(pattern), mut rest) = (tokens.first(), tokens.get(1..).unwrap_or_default()) else {
        return false;
    };
    // A type may stand between the pattern and the value.
    if is(rest.first(), ':') {
        rest = rest.get(2..).unwrap_or_default();
    }
    is_tuple(pattern)
        && is(rest.first(), '=')
        && rest.get(1).is_some_and(is_tuple)
        && is(rest.get(2), ';')
}

fn is_tuple(token: &TokenTree) -> bool {
    let TokenTree::Group(group) = token else {
        return false;
    };
    let is_comma =
        |token: TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    group.delimiter() == Delimiter::Parenthesis && group.stream().into_iter().any(is_comma)
}

/// Counts the lines of code in a text, and the lines of comments that are not documentation.
fn lines(text: &str) -> (usize, usize) {
    let mut code = 0;
    let mut comments = 0;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("///") || line.starts_with("//!") || line.is_empty() {
            continue;
        }
        if line.starts_with("//") {
            comments += 1;
        } else {
            code += 1;
        }
    }
    (code, comments)
}

#[test]
fn documentation_opens_with_a_noun_or_a_verb() {
    let mut all = Vec::new();
    let mut bad = Vec::new();
    for source in source::RUST.iter() {
        let mut comments = Vec::new();
        documentation(source::tokens(source), &mut comments);
        let part = source::part_of(&source.path);
        all.push((part, comments.len()));
        let is_bad = |(_, comment): &&(usize, String)| opens_badly(comment);
        for (line, comment) in comments.iter().filter(is_bad) {
            println!("{}:{line}:{comment}", source.path);
            bad.push((part, 1));
        }
    }
    let all = source::sum(all);
    let mut bad = source::sum(bad);
    for (part, comments) in &all {
        let bad = bad.get(part).copied().unwrap_or_default();
        let share = 100.0 * as_f64(bad) / as_f64((*comments).max(1));
        println!("{part}: {bad} of {comments} comments open badly ({share:.1} %)");
    }
    bad.retain(|part, bad| *bad * 100 > all[part] * OPENINGS_PERCENT_MAX);
    ratchet::check("openings", &bad);
}

#[test]
fn values_are_bound_one_by_one() {
    let mut found = Vec::new();
    let mut code = Vec::new();
    for source in source::RUST.iter() {
        let name = source::crate_of(&source.path);
        let mut lets = Vec::new();
        tuples(source::tokens(source), &mut lets);
        for line in &lets {
            println!("{}:{line} binds a tuple", source.path);
        }
        found.push((name, lets.len()));
        code.push((name, source.text.lines().count()));
    }
    let code = source::sum(code);
    let mut found = source::sum(found);
    found.retain(|name, lets| *lets * TUPLES_LINES > 3 * code[name]);
    ratchet::check("tuples", &found);
}

/// Prints the share of comments and judges nothing: a share does not tell a useful comment from a useless one.
#[test]
fn comments_are_counted() {
    let mut code = Vec::new();
    let mut comments = Vec::new();
    for source in source::RUST.iter() {
        let name = source::crate_of(&source.path);
        let figures = lines(&source.text);
        code.push((name, figures.0));
        comments.push((name, figures.1));
    }
    let comments = source::sum(comments);
    for (name, lines) in source::sum(code) {
        let share = 100.0 * as_f64(comments[&name]) / as_f64(lines.max(1));
        println!("{name}: {share:.1} comments per 100 lines of code");
    }
}

fn as_f64(figure: usize) -> f64 {
    f64::from(u32::try_from(figure).unwrap())
}

#[test]
fn openings_are_found_once_for_each_item() {
    let source = "
        //! What this is.
        //! How it works.

        /// A noun.
        /// What it does.
        struct One {
            /// Whether it is.
            field: bool,
            /// Whatever it is.
            other: bool,
        }
        /// The same as `One`.
        #[derive(Debug)]
        enum Two {
            /// *Where* it is.
            Place,
            #[doc = \" Which one.\"]
            Other,
        }
        // What a comment says.
        const TEXT: &str = \"/// What a text says.\";
        macro_rules! some { () => { /** Why it is. */ fn made() {} } }
    ";
    let mut comments = Vec::new();
    documentation(source.parse().unwrap(), &mut comments);
    assert_eq!(comments.len(), 8, "{comments:?}");
    let bad: Vec<usize> = comments
        .iter()
        .filter(|(_, comment)| opens_badly(comment))
        .map(|(line, _)| *line)
        .collect();
    assert_eq!(bad, [2, 8, 13, 16, 18, 23]);
}

#[test]
fn tuples_bound_to_tuples_are_found() {
    let source = "
        fn run() {
            let (one, two) = (1, 2);
            let (mut one, two): (u8, u8) =
                (1, 2);
            check! { let (one, two) = (f(1), 2); }
            let (one, two) = pair();
            let (one, two) = (pair());
            (one, two) = (two, one);
            let (Some(one), Some(two)) = (first, second) else { return };
            if let (1, 2) = (one, two) { let pair = (1, 2); }
            // let (one, two) = (1, 2);
            let text = \"let (one, two) = (1, 2);\";
        }
    ";
    let mut found = Vec::new();
    tuples(source.parse().unwrap(), &mut found);
    assert_eq!(found, [3, 4, 6]);
}

#[test]
fn comments_do_not_count_as_code() {
    let text = "//! Of it.\n\n// Why.\nfn run() {} // here\n    // Why.\n/// Doc.\n}\n";
    assert_eq!(lines(text), (2, 2));
}
