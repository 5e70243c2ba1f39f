//! An audit as plain text for a terminal, and as lines of Markdown for the model card.

use std::fmt::Write as _;

use super::Audit;
use super::labels::{Conflicts, Size, Spelling, Use};
use crate::train::render::percent;

/// Spellings and small labels listed at most.
const LISTED: usize = 20;

/// An audit as text. Conflicts are shown with the beginning of the ticket's redacted text.
pub fn text(audit: &Audit) -> String {
    let mut out = String::new();
    let findings = findings(audit);
    let (categories, tickets) = (audit.labels.len(), audit.tickets);
    let rest = if findings.is_empty() { "nothing stands out" } else { "before you trust them" };
    let _ = writeln!(out, "{categories} categories, {tickets} tickets: {rest}");
    for finding in findings {
        let _ = writeln!(out, "  {finding}");
    }
    if !audit.variants.is_empty() {
        let _ = writeln!(out, "  for those that are one label, write under [labels.aliases]");
    }
    for line in audit.variants.iter().take(LISTED).flat_map(|labels| aliases(labels)) {
        let _ = writeln!(out, "    {line}");
    }
    examples(&mut out, "texts with more than one category", &audit.conflicts);
    examples(&mut out, "nearly equal texts with different categories", &audit.near_conflicts);
    let ids = &audit.repeated_ids.shown;
    if !ids.is_empty() {
        let list: Vec<String> =
            ids.iter().map(|id| format!("{} ({})", one_line(&id.id), id.tickets)).collect();
        let _ = writeln!(out, "  ids of several tickets, the most frequent first");
        let _ = writeln!(out, "    {}", list.join(", "));
    }
    out
}

fn examples(out: &mut String, what: &str, conflicts: &Conflicts) {
    if !conflicts.shown.is_empty() {
        let _ = writeln!(out, "  {what}, the most frequent first");
    }
    for conflict in &conflicts.shown {
        let _ = writeln!(out, "    {}", conflict.excerpt);
        for claim in &conflict.labels {
            let ids: Vec<String> = claim.ids.iter().map(|id| one_line(id)).collect();
            let (label, n) = (one_line(&claim.label), claim.tickets);
            let _ = writeln!(out, "      {label}: {n} tickets ({})", ids.join(", "));
        }
    }
}

/// An audit for the model card: one item of a list a line, without a ticket's text or id. Nearly
/// equal texts may rightly have different categories: whoever owns the data is asked about them, not
/// whoever uses the model.
pub fn markdown(audit: &Audit) -> Vec<String> {
    let without = list(audit, &Conflicts::default());
    without.into_iter().map(|finding| format!("- {finding}")).collect()
}

/// What to know before trusting the numbers, one line each, without a ticket's text or id.
pub fn findings(audit: &Audit) -> Vec<String> {
    list(audit, &audit.near_conflicts)
}

fn list(audit: &Audit, near: &Conflicts) -> Vec<String> {
    let mut out = Vec::new();
    let (d, c) = (&audit.duplicates, &audit.conflicts);
    let of_all = |n: u64| percent(n as f64 / audit.tickets.max(1) as f64);
    if audit.broken_labels > 0 {
        out.push(format!(
            "{} rows are not used, as a label of theirs has a line break or another control \
             character in it",
            audit.broken_labels
        ));
    }
    if audit.repeated_ids.ids > 0 {
        out.push(format!(
            "{} ids occur more than once, on {} tickets: lists of tickets by id do not say which \
             of them is meant",
            audit.repeated_ids.ids, audit.repeated_ids.tickets
        ));
    }
    if d.repeated > 0 {
        out.push(format!(
            "{} of {} tickets repeat another: {} with an equal text, {} with a nearly equal one; \
             the largest of {} groups has {}",
            d.equal + d.near,
            audit.tickets,
            d.equal,
            d.near,
            d.repeated,
            d.largest
        ));
    }
    if c.texts > 0 {
        out.push(format!(
            "{} texts have more than one category: {} tickets, of which {} ({} of all) do not have \
             the text's most frequent one",
            c.texts,
            c.tickets,
            c.wrong,
            of_all(c.wrong)
        ));
    }
    if near.texts > 0 {
        out.push(format!(
            "{} groups of nearly equal texts have different categories: {} tickets, of which {} \
             ({} of all) do not have the group's most frequent one",
            near.texts,
            near.tickets,
            near.wrong,
            of_all(near.wrong)
        ));
    }
    for labels in audit.variants.iter().take(LISTED) {
        out.push(format!(
            "one label or several? {}; if one, give them one name in the recipe's [labels.aliases]",
            spellings(labels)
        ));
    }
    if audit.variants.len() > LISTED {
        out.push(format!("and {} labels more that look alike", audit.variants.len() - LISTED));
    }
    for (label, written) in audit.merged.iter().take(LISTED) {
        out.push(format!("read as one, {label:?}: {}", spellings(written)));
    }
    if audit.merged.len() > LISTED {
        out.push(format!("and {} labels more in several spellings", audit.merged.len() - LISTED));
    }
    for (old, tickets) in &audit.aliases {
        out.push(match tickets {
            0 => format!("alias {old:?} matches nothing"),
            n => format!("alias {old:?} renamed {n} tickets"),
        });
    }
    for r in &audit.renames {
        let day = |moment: &str| moment.get(..10).unwrap_or(moment).to_owned();
        out.push(format!(
            "renamed? {:?} ({}) stops on {}, {:?} ({}) begins on {}, and their words are alike \
             ({:.2}); if so, make it an alias: {}",
            r.old,
            r.old_tickets,
            day(&r.until),
            r.new,
            r.new_tickets,
            day(&r.from),
            r.alike,
            alias(&r.old, &r.new)
        ));
    }
    small(&mut out, audit, Use::NotLearnt);
    small(&mut out, audit, Use::Weak);
    for leak in &audit.leaks {
        out.push(format!(
            "{:?} gives {} away: {} of its {} tickets, {} of the label's; it {}",
            leak.word,
            one_line(&leak.label),
            percent(leak.share),
            leak.tickets,
            percent(leak.coverage),
            leak.why.as_str()
        ));
    }
    out
}

fn spellings(list: &[Spelling]) -> String {
    let each = list.iter().map(|s| format!("{:?} ({})", s.label, s.tickets));
    each.collect::<Vec<_>>().join(", ")
}

/// What makes these labels the most frequent one of them: lines of TOML.
fn aliases(labels: &[Spelling]) -> Vec<String> {
    // Of equals the first.
    let most = labels.iter().rev().max_by_key(|label| label.tickets);
    let Some(new) = most else { return Vec::new() };
    let old = labels.iter().filter(|label| label.label != new.label);
    old.map(|old| alias(&old.label, &new.label)).collect()
}

/// A line of TOML, for a recipe's `[labels.aliases]`.
fn alias(old: &str, new: &str) -> String {
    format!("{} = {}", toml_string(old), toml_string(new))
}

/// In quotes; what is not seen, as a space that does not break, is escaped.
pub(crate) fn toml_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\'' => out.push(c),
            c if c.escape_debug().len() == 1 => out.push(c),
            c => {
                let code = u32::from(c);
                let _ = match code {
                    0..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
    out
}

/// Labels of one kind, the smallest first.
fn small(out: &mut Vec<String>, audit: &Audit, is: Use) {
    let mut found: Vec<&Size> = audit.labels.iter().filter(|label| label.is == is).collect();
    if found.is_empty() {
        return;
    }
    found.sort_by_key(|size| size.texts);
    let name = |size: &&Size| {
        let label = one_line(&size.label);
        match size.texts == size.tickets {
            true => format!("{label} ({})", size.tickets),
            false => format!("{label} ({}, {} distinct)", size.tickets, size.texts),
        }
    };
    let mut list: Vec<String> = found.iter().take(LISTED).map(name).collect();
    if found.len() > LISTED {
        list.push(format!("and {} more", found.len() - LISTED));
    }
    out.push(format!(
        "{} of {} labels {}: {}",
        found.len(),
        audit.labels.len(),
        is.as_str(),
        list.join(", ")
    ));
}

/// Without what steers a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
