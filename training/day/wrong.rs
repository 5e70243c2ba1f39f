//! The day's wrong actions: what each ticket really says, and why recognition took it for a request.

use std::cmp::Ordering;
use std::fmt::Write as _;

use anyhow::Result;
use triaged::triage::model::{Model, Scratch};
use triaged::triage::text::Text;

use crate::near::Kind;
use crate::{Both, End, Known, Row, is_right};

/// Words named for each action.
const WORDS: usize = 3;

impl Kind {
    const ALL: [Self; 6] = [
        Self::Question,
        Self::Forbidden,
        Self::Settled,
        Self::Done,
        Self::SomebodyElse,
        Self::SomethingElse,
    ];

    /// Ends "near misses that".
    fn title(self) -> &'static str {
        match self {
            Self::Question => "ask about it",
            Self::Forbidden => "say that it must not be done",
            Self::Settled => "say that it is not needed any more",
            Self::Done => "say that it was done, and that something is wrong",
            Self::SomebodyElse => "ask for it for somebody else",
            Self::SomethingElse => "ask for something else about the same thing",
        }
    }

    /// What such a ticket says, and what it has of a request.
    fn says(self) -> &'static str {
        match self {
            Self::Question => {
                "It asks about this, and nothing is to be done: it has the words of a request, and only their order \
                 and their endings make a question of them."
            }
            Self::Forbidden => {
                "It says that this must not be done: the refusal is a word or two, all others name the same thing as \
                 a request does."
            }
            Self::Settled => {
                "It says that this is not needed any more: it names what is not needed in the words of a request, and \
                 the refusal is a word or two."
            }
            Self::Done => {
                "It says that this was done and that something is wrong since: it names what was done in the words of \
                 a request, and little says that this is past."
            }
            Self::SomebodyElse => {
                "It asks for somebody else: all words are those of a request, and only whose account or desktop it is \
                 differs, which the value itself does not tell."
            }
            Self::SomethingElse => {
                "It asks for something else about the same thing: the thing has the same name, and one verb differs."
            }
        }
    }
}

/// The words that weighed most for what the model took a ticket for, the weightiest first.
pub fn weighty(model: &Model, row: &Row) -> Vec<String> {
    let text = Text::new(&row.subject, &row.body);
    let words = model.judge(&mut Scratch::default(), &text).explanation.words;
    words.into_iter().filter(|word| word.weight > 0.0).take(WORDS).map(|word| word.word).collect()
}

/// Wrong actions by kind, then every one, the surest first. `words` gives the weightiest words of a ticket.
pub fn report(both: &Both<'_>, words: impl Fn(&Row) -> Vec<String>) -> Result<String> {
    let wrong = both.iter().filter_map(|(row, end)| match end {
        End::Acted { known, .. } if !is_right(row, known) => Some((*row, known)),
        _ => None,
    });
    let mut wrong: Vec<(&Row, &Known)> = wrong.collect();
    if wrong.is_empty() {
        return Ok(String::from("No action was wrong.\n"));
    }
    wrong.sort_by(|(_, a), (_, b)| {
        b.confidence.partial_cmp(&a.confidence).unwrap_or(Ordering::Equal)
    });
    let near = wrong.iter().filter(|(row, _)| row.label_near.is_some()).count();
    let value = wrong.iter();
    let value =
        value.filter(|(row, known)| row.label_request.as_ref() == Some(&known.playbook)).count();
    let mut text = format!(
        "All {} wrong actions: {near} are near misses that recognition takes for a request and that no word of the \
         playbook's `unless` keeps out; {value} are the request that was asked for, on a wrong value; {} are another \
         request or an ordinary ticket.\n\n\
         | near misses that | in the stream | acted on |\n| --- | ---: | ---: |\n",
        wrong.len(),
        wrong.len() - near - value
    );
    for kind in Kind::ALL {
        let all = both.iter().filter(|(row, _)| row.label_near_kind == Some(kind)).count();
        let acted = wrong.iter().filter(|(row, _)| row.label_near_kind == Some(kind)).count();
        writeln!(text, "| {} | {all} | {acted} |", kind.title())?;
    }
    text.push_str(
        "\nThe words are those that weighed most for the request.\n\n\
         | ticket | playbook | on | confidence | begins | what it says, and why it was taken for a request |\n\
         | --- | --- | --- | ---: | --- | --- |\n",
    );
    for (row, known) in wrong {
        let on: Vec<_> = known.slots.values().map(|v| v.as_str().unwrap_or_default()).collect();
        let begins = format!("{}: {}", row.subject, row.body).replace('|', "/");
        let begins = begins.split_whitespace().collect::<Vec<_>>().join(" ");
        let begins: String = begins.chars().take(110).collect();
        let confidence = known.confidence.map_or(String::new(), |c| format!("{c:.3}"));
        writeln!(
            text,
            "| `{}` | `{}` | {} | {confidence} | {begins} | {} {} |",
            row.ticket_id,
            known.playbook,
            on.join(", "),
            says(row, &known.playbook),
            taken(known, || words(row))
        )?;
    }
    Ok(text)
}

/// What a ticket says that a playbook answered wrongly.
fn says(row: &Row, playbook: &str) -> String {
    match row {
        Row { label_request: Some(request), label_slot, .. } if request == playbook => {
            let slot = label_slot.as_deref().unwrap_or("nothing that it names");
            format!("It asks for this on {slot}: other words fit the slot's pattern.")
        }
        Row { label_request: Some(request), .. } => format!("It asks for `{request}`."),
        Row { label_near: Some(near), label_near_kind: Some(kind), .. } if near == playbook => {
            kind.says().to_owned()
        }
        Row { label_near: Some(near), label_near_kind: Some(kind), .. } => {
            format!("A near miss of `{near}`. {}", kind.says())
        }
        row => format!("An ordinary ticket of {}.", row.label_category),
    }
}

/// By what it was taken for a request: a rule gives no confidence.
fn taken(known: &Known, words: impl Fn() -> Vec<String>) -> String {
    if known.confidence.is_none() {
        return String::from(
            "A rule of the playbook took it: its words are there, and none of its `none_words`.",
        );
    }
    let words: Vec<_> = words().iter().map(|word| format!("“{word}”").replace('|', "/")).collect();
    format!("Words: {}.", words.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn row(near: Option<Kind>) -> Row {
        Row {
            ticket_id: String::from("DAY-1"),
            subject: String::from("VDI"),
            body: String::from("Hands off vdi-0001 | please"),
            label_category: String::from("Desktop/VDI"),
            label_request: None,
            label_slot: None,
            label_near: near.map(|_| String::from("reset")),
            label_near_kind: near,
        }
    }

    fn acted(confidence: Option<f64>) -> End {
        let known = Known {
            playbook: String::from("reset"),
            slots: BTreeMap::new(),
            held_by: None,
            confidence,
        };
        End::Acted { known, after_ms: 1 }
    }

    #[test]
    fn every_kind_has_a_sentence_and_a_line_of_its_own() {
        let rows: Vec<Row> = Kind::ALL.map(|kind| row(Some(kind))).into();
        let (end, held) = (acted(Some(0.9)), End::Held(String::from("below_floor")));
        let mut both: Vec<_> = rows.iter().map(|row| (row, &end)).collect();
        both.push((&rows[1], &held));
        let text = report(&both, |_| vec![String::from("vdi"), String::from("my vdi")]).unwrap();
        for kind in Kind::ALL {
            assert_eq!(text.matches(kind.says()).count(), 1, "{text}");
        }
        assert!(text.contains("| say that it must not be done | 2 | 1 |"), "{text}");
        assert!(text.contains("| ask about it | 1 | 1 |"), "{text}");
        assert!(text.contains("vdi-0001 / please | It "), "{text}");
        assert_eq!(text.matches("Words: “vdi”, “my vdi”. |").count(), 6, "{text}");
    }

    #[test]
    fn what_a_rule_took_names_no_weights_and_an_ordinary_ticket_its_category() {
        let (row, end) = (row(None), acted(None));
        let text = report(&[(&row, &end)], |_| panic!("asked for words")).unwrap();
        assert!(text.contains("0 are near misses"), "{text}");
        assert!(
            text.contains("An ordinary ticket of Desktop/VDI. A rule of the playbook"),
            "{text}"
        );
    }
}
