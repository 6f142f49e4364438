//! From text to one query, or a sentence that says why there is none. What would be too deep for any stack is refused before it is parsed.

use sqlparser::ast::{Query, Statement};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::dialect::Dialect;
use super::{Failure, Status};

/// The longest code that is parsed, in bytes: four times the longest that was seen.
const MOST_CODE: usize = 1_000_000;
/// So deep may brackets, `CASE` and subqueries stand in one another.
const MOST_DEPTH: usize = 400;
/// So many words and signs may follow each other in one expression: a chain of operators is a tree as deep as it is long.
const LONGEST_CHAIN: usize = 40_000;
/// So many queries may be joined by `UNION` and its like.
const MOST_BRANCHES: usize = 10_000;

fn failure(status: Status, reason: impl Into<String>) -> Failure {
    Failure { status, reason: reason.into() }
}

/// The one query that `code` is.
pub(super) fn parse(code: &str, dialect: Dialect) -> Result<Box<Query>, Failure> {
    if code.len() > MOST_CODE {
        return Err(failure(Status::TooLarge, format!("its compiled code has more than {MOST_CODE} bytes")));
    }
    let code = code.trim_start_matches('\u{feff}');
    let tokens = Tokenizer::new(dialect.parsing(), code).tokenize_with_location();
    let mut tokens = tokens.map_err(|error| unparsed(code, &error.to_string()))?;
    leave_out(&mut tokens, dialect);
    if let Some(reason) = too_deep(&tokens) {
        return Err(failure(Status::TooLarge, reason));
    }
    let mut parser = Parser::new(dialect.parsing()).with_recursion_limit(MOST_DEPTH).with_tokens_with_locations(tokens);
    let mut statements = parser.parse_statements().map_err(|error| match error {
        ParserError::RecursionLimitExceeded => {
            failure(Status::TooLarge, format!("its code is nested more than {MOST_DEPTH} deep"))
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => unparsed(code, &text),
    })?;
    match (statements.pop(), statements.len()) {
        (None, _) => Err(failure(Status::NoCode, "its compiled code holds no statement")),
        (Some(Statement::Query(query)), 0) => Ok(query),
        (Some(_), 0) => Err(failure(Status::Unparsed, "its code is a statement, and no query")),
        (Some(_), others) => Err(failure(Status::Unparsed, format!("its code holds {} statements", others + 1))),
    }
}

/// Where the parser stopped, or its own words where they do not tell.
fn unparsed(code: &str, error: &str) -> Failure {
    if ["{{", "{%", "{#"].iter().any(|mark| code.contains(mark)) {
        return failure(Status::Unparsed, "Jinja remains in its compiled code");
    }
    if let Some((what, place)) = error.rsplit_once(" at Line: ")
        && let Some((_, found)) = what.rsplit_once("found: ")
        && let Some((line, column)) = place.split_once(", Column: ")
    {
        let found: String = found.chars().take(40).collect();
        return failure(Status::Unparsed, format!("the parser stopped at `{found}`, line {line}, column {column}"));
    }
    const LONGEST: usize = 200;
    let mut text: String = error.chars().take(LONGEST).collect();
    if text.len() < error.len() {
        text.push('…');
    }
    failure(Status::Unparsed, format!("the parser did not understand it: {text}"))
}

/// Takes away what the parser does not know and which tells nothing of columns: Redshift's APPROXIMATE, and T-SQL's OPTION (…).
fn leave_out(tokens: &mut [TokenWithSpan], dialect: Dialect) {
    let is_word = |token: &TokenWithSpan, words: &[&str]| {
        matches!(&token.token, Token::Word(word) if word.quote_style.is_none()
            && words.iter().any(|text| word.value.eq_ignore_ascii_case(text)))
    };
    let is_said = |place: &usize| !matches!(tokens[*place].token, Token::Whitespace(_));
    let said: Vec<usize> = match dialect {
        Dialect::Redshift | Dialect::TSql => (0..tokens.len()).filter(is_said).collect(),
        _ => return,
    };
    for pair in said.windows(2) {
        let (one, next) = (pair[0], pair[1]);
        if dialect == Dialect::Redshift
            && is_word(&tokens[one], &["approximate"])
            && is_word(&tokens[next], &["count", "percentile_disc"])
        {
            tokens[one].token = Token::Whitespace(Whitespace::Space);
        } else if dialect == Dialect::TSql && is_word(&tokens[one], &["option"]) && tokens[next].token == Token::LParen
        {
            blank_brackets(&mut tokens[one..]);
        }
    }
}

/// Blanks what stands before the first brackets, and them.
fn blank_brackets(tokens: &mut [TokenWithSpan]) {
    let mut depth = 0_usize;
    for TokenWithSpan { token, .. } in tokens {
        let old = std::mem::replace(token, Token::Whitespace(Whitespace::Space));
        match old {
            Token::LParen => depth += 1,
            Token::RParen if depth <= 1 => return,
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
}

/// How many words and signs, and how many branches, follow each other at one level of brackets, or of `CASE`.
#[derive(Default)]
struct Level {
    is_case: bool,
    chain: usize,
    branches: usize,
}

/// What is too long for the tree that it would be. The count is never too low: whatever follows each other without a comma or a word
/// that begins another expression counts as one chain.
fn too_deep(tokens: &[TokenWithSpan]) -> Option<String> {
    let mut levels = vec![Level::default()];
    let mut is_part = false;
    for TokenWithSpan { token, .. } in tokens {
        let was_part = std::mem::replace(&mut is_part, matches!(token, Token::Period));
        let keyword = match token {
            Token::Whitespace(_) => continue,
            Token::Word(word) if !was_part => word.keyword,
            _ => Keyword::NoKeyword,
        };
        close(&mut levels, token, keyword);
        let Some(level) = levels.last_mut() else { break };
        match keyword {
            Keyword::SELECT => level.chain = 0,
            Keyword::WHEN | Keyword::THEN | Keyword::ELSE if level.is_case => level.chain = 0,
            Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS => level.branches += 1,
            _ => level.chain += 1,
        }
        match token {
            Token::SemiColon => *level = Level::default(),
            Token::Comma => level.chain = 0,
            _ => {}
        }
        if level.chain > LONGEST_CHAIN {
            return Some(format!("one expression of its code has more than {LONGEST_CHAIN} words and signs"));
        }
        if level.branches > MOST_BRANCHES {
            return Some(format!("its code joins more than {MOST_BRANCHES} queries by UNION and its like"));
        }
        let is_case = keyword == Keyword::CASE;
        if is_case || matches!(token, Token::LParen | Token::LBracket | Token::LBrace) {
            levels.push(Level { is_case, ..Level::default() });
        }
    }
    None
}

/// Leaves the level that a token closes.
fn close(levels: &mut Vec<Level>, token: &Token, keyword: Keyword) {
    let in_case = |levels: &Vec<Level>| levels.last().is_some_and(|level| level.is_case);
    if keyword == Keyword::END && in_case(levels) {
        levels.pop();
    }
    if matches!(token, Token::RParen | Token::RBracket | Token::RBrace) {
        while in_case(levels) {
            levels.pop();
        }
        if levels.len() > 1 {
            levels.pop();
        }
    }
}
