//! Tickets of about 1 KB that read like a service desk's: recurring sentences with names, hosts
//! and numbers that do not recur, so that neither compression nor a cache of words sees more
//! repetition than in life.

use crate::support::storm::Random;

const SUBJECTS: [&str; 10] = [
    "VPN disconnects every few minutes",
    "Cannot log in to SAP",
    "Outlook stopped syncing",
    "Printer jams on the third floor",
    "Request for a new laptop",
    "Shared drive is read-only",
    "Blue screen after the update",
    "Access to the finance folder",
    "Teams calls have no sound",
    "Monitor stays black on the dock",
];

const SENTENCES: [&str; 24] = [
    "Since this morning the connection drops and comes back after about a minute.",
    "I have already restarted the machine twice without any change.",
    "Several colleagues in the same room see the same thing.",
    "The error message says that the server could not be reached.",
    "My manager has approved this request by mail.",
    "It worked without problems until the last update was installed.",
    "The account is locked after three attempts with the new password.",
    "Please call me before you connect to the computer.",
    "We need this before the end of the quarter because the auditors are coming.",
    "The shared mailbox does not show messages that are older than a week.",
    "Printing from the other tray works as expected.",
    "The docking station is found but neither screen shows a picture.",
    "I can open the folder but every change is refused.",
    "The application closes by itself as soon as I export the report.",
    "At home over the mobile network everything is fine.",
    "The certificate in the browser is shown as expired.",
    "A new colleague starts on Monday and needs the same rights as I have.",
    "The battery lasts for less than an hour.",
    "Sound comes from the speakers although the headset is selected.",
    "The phone shows no signal in the whole west wing.",
    "I tried the steps of the article in the knowledge base.",
    "This blocks the whole team from closing the month.",
    "The sync client reports that there is not enough space.",
    "It is not urgent, next week would be fine too.",
];

pub fn value(seq: u64, fed_us: u64) -> String {
    let mut random = Random::new(seq + 1);
    let mut pick = |bound: usize| random.below(bound as u64) as usize;
    let subject = SUBJECTS[pick(SUBJECTS.len())];
    let mut body = String::new();
    while body.len() < 750 {
        body.push_str(SENTENCES[pick(SENTENCES.len())]);
        body.push_str(&format!(
            " Host ws-{:05}, code 0x{:08x}, {}. ",
            pick(100_000),
            pick(1 << 31),
            name(&mut pick)
        ));
    }
    format!(
        r#"{{"ticket_id":"INC{seq:08}","subject":"{subject}","body":"{body}","created_at":"2026-11-02T08:15:00Z","requester":"user{}@example.com","source":"portal","seq":{seq},"fed_us":{fed_us}}}"#,
        pick(5_000)
    )
}

/// A word that no dictionary has.
fn name(pick: &mut impl FnMut(usize) -> usize) -> String {
    const SYLLABLES: [&str; 12] =
        ["ka", "ro", "min", "tel", "sa", "vi", "dor", "lu", "pen", "gra", "shi", "mo"];
    (0..2 + pick(3)).map(|_| SYLLABLES[pick(SYLLABLES.len())]).collect()
}
