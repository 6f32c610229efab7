//! Reads what our own runbooks are written in: headings, paragraphs, lists, indented code; within a
//! line code, stress and links. Pure.
//!
//! It is no reader of Markdown: whatever it does not know it shows as it is written. The template
//! escapes every piece, and a link leads to another runbook or is told as the file it names.

/// Where the runbooks are, from the root of the sources; links are relative to it.
const FOLDER: &str = "docs/runbooks";

/// One block of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A heading below that of the page.
    Heading(String),
    Paragraph(Vec<Span>),
    /// A list, counted or not.
    Items {
        counted: bool,
        items: Vec<Vec<Span>>,
    },
    /// Lines as they are.
    Code(String),
}

/// A piece of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Span {
    Text(String),
    Code(String),
    Stressed(String),
    /// Another runbook, by its name.
    Runbook {
        name: String,
        text: String,
    },
}

/// The blocks of a page below its first heading.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().chain([""]) {
        if !line.trim().is_empty() {
            lines.push(line);
            continue;
        }
        blocks.extend(block(&lines));
        lines.clear();
    }
    blocks
}

/// Lines without an empty one between them.
fn block(lines: &[&str]) -> Option<Block> {
    let first = lines.first()?;
    if first.starts_with("# ") {
        return None;
    }
    if let Some(heading) = first.strip_prefix("## ") {
        return Some(Block::Heading(heading.to_owned()));
    }
    if lines.iter().all(|line| line.starts_with("    ")) {
        let lines: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("    ")).collect();
        return Some(Block::Code(lines.join("\n")));
    }
    let Some((counted, _)) = item(first) else {
        return Some(Block::Paragraph(spans(&lines.join(" "))));
    };
    let mut items: Vec<String> = Vec::new();
    for line in lines {
        match (item(line), items.last_mut()) {
            (Some((_, text)), _) => items.push(text.to_owned()),
            (None, Some(item)) => *item = format!("{item} {}", line.trim_start()),
            (None, None) => {}
        }
    }
    Some(Block::Items { counted, items: items.iter().map(|item| spans(item)).collect() })
}

/// What stands behind the mark of an item, and whether the mark is a number.
fn item(line: &str) -> Option<(bool, &str)> {
    if let Some(text) = line.strip_prefix("- ") {
        return Some((false, text));
    }
    let (number, text) = line.split_once(". ")?;
    let counted = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    counted.then_some((true, text))
}

/// The pieces of a line, in their order; what has a beginning and no end is text.
fn spans(line: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['`', '*', '[']) {
        let (before, marked) = rest.split_at(at);
        text += before;
        if let Some((span, after)) = marked_span(marked) {
            match span {
                Span::Text(more) => text += &more,
                Span::Code(_) | Span::Stressed(_) | Span::Runbook { .. } => {
                    spans.extend(said(&mut text));
                    spans.push(span);
                }
            }
            rest = after;
        } else {
            // The mark itself, one byte long, is text.
            let (mark, after) = marked.split_at(1);
            text += mark;
            rest = after;
        }
    }
    text += rest;
    spans.extend(said(&mut text));
    spans
}

/// The text before a mark, where there is any.
fn said(text: &mut String) -> Option<Span> {
    Some(Span::Text(std::mem::take(text))).filter(|span| *span != Span::Text(String::new()))
}

/// The piece that begins with a mark, and what stands behind it.
fn marked_span(marked: &str) -> Option<(Span, &str)> {
    if let Some(rest) = marked.strip_prefix('`') {
        let (code, after) = rest.split_once('`')?;
        return Some((Span::Code(code.to_owned()), after));
    }
    if let Some(rest) = marked.strip_prefix('*') {
        let (stressed, after) = rest.split_once('*')?;
        let word = !stressed.is_empty() && stressed.trim() == stressed;
        return word.then(|| (Span::Stressed(stressed.to_owned()), after));
    }
    let (text, rest) = marked.strip_prefix('[')?.split_once("](")?;
    let (target, after) = rest.split_once(')')?;
    if text.contains(['[', ']', '`']) {
        return None;
    }
    Some((link(text, target), after))
}

/// A link to another runbook, or the name of the file that a link leads to.
fn link(text: &str, target: &str) -> Span {
    let file = target.split('#').next().unwrap_or_default();
    if let Some(name) = file.strip_suffix(".md").filter(|name| !name.contains('/')) {
        return Span::Runbook { name: name.to_owned(), text: text.to_owned() };
    }
    let mut folder: Vec<&str> = FOLDER.split('/').collect();
    let mut rest = file;
    while let Some(above) = rest.strip_prefix("../") {
        folder.pop();
        rest = above;
    }
    folder.push(rest);
    Span::Text(format!("{text} ({})", folder.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &[Span]) {
        assert_eq!(spans(line), expected, "{line}");
    }

    fn text(text: &str) -> Span {
        Span::Text(text.to_owned())
    }

    #[test]
    fn a_line_is_its_pieces_in_order() {
        let code = |text: &str| Span::Code(text.to_owned());
        check("", &[]);
        check("plain", &[text("plain")]);
        check("`a*b` is", &[code("a*b"), text(" is")]);
        check("*after* it", &[Span::Stressed("after".into()), text(" it")]);
        let (name, shown) = ("A".to_owned(), "that".to_owned());
        check("see [that](A.md)", &[text("see "), Span::Runbook { name, text: shown }]);
        check("[how](../changes.md#x).", &[text("how (docs/changes.md).")]);
        check("[an example](../../rules/a.yml)", &[text("an example (rules/a.yml)")]);
    }

    #[test]
    fn what_has_no_end_is_text() {
        for line in ["a ` b", "5 * 3", "2 * 3 * 4", "[[case_source]]", "[a](b", "*", "x [", "``*"] {
            let told: String = spans(line)
                .into_iter()
                .map(|span| match span {
                    Span::Text(text) => text,
                    Span::Code(text) => format!("`{text}`"),
                    other @ (Span::Stressed(_) | Span::Runbook { .. }) => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(told, line);
        }
    }

    #[test]
    fn lines_become_blocks() {
        let page =
            "# Name\n\n## Meaning\n\nOne\ntwo.\n\n1. a\n   b\n2. c\n\n- d\n\n    e\n      f\n";
        let words = |words: &str| vec![text(words)];
        let expected = [
            Block::Heading("Meaning".into()),
            Block::Paragraph(words("One two.")),
            Block::Items { counted: true, items: vec![words("a b"), words("c")] },
            Block::Items { counted: false, items: vec![words("d")] },
            Block::Code("e\n  f".into()),
        ];
        assert_eq!(blocks(page), expected);
    }
}
