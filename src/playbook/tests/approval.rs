//! What may be approved, and what an approval holds for.

use super::*;

#[test]
fn an_approval_is_of_one_content_and_ends() {
    let today = day("2026-11-24");
    let approval = |by: &str, until: &str| Approval { approver: by.to_owned(), until: day(until) };
    let text = format!("# kept\n{GOOD}");
    let files = [file("a.toml", &text)];
    let board = approval("board", "2027-12-31");
    let (approved, lock) =
        approve(&files, None, "unlock_account", &board, today).expect("approved");
    assert!(approved.text.starts_with("# kept\n"));
    let standing = |text: &str, day: Date| {
        let library = library(text, Some(&lock)).map_err(|p| p.to_string())?;
        Ok::<_, String>(library.get("unlock_account").expect("it").standing(day))
    };
    let text = &approved.text;
    assert_eq!(standing(text, today), Ok(Standing::Approved));
    assert_eq!(standing(text, day("2027-12-31")), Ok(Standing::Approved));
    assert_eq!(standing(text, day("2028-01-01")), Ok(Standing::Expired));
    // Comments and layout are no change; an approval can be taken back by hand, not given.
    assert_eq!(standing(&text.replace("# kept", "#"), today), Ok(Standing::Approved));
    assert_eq!(standing(GOOD, today), Ok(Standing::Unapproved));
    let later = standing(&text.replace("2027-12-31", "2029-12-31"), today);
    assert!(later.expect_err("edited").contains("approval: is not the one in the lock"));
    let changed = text.replace("/unlock?", "/delete?");
    let problem = standing(&changed, today).expect_err("changed");
    assert!(problem.contains("changed without a new version: give it version 2"), "{problem}");
    let live = text.replace("minutes_saved", "mode = \"live\"\nminutes_saved");
    assert!(standing(&live, today).is_err(), "going live is a change");
    let two = changed.replace("version = 1", "version = 2");
    assert_eq!(standing(&two, today), Ok(Standing::Unapproved));
    // Renewed, refused for another content, approved as a new version, never back.
    let again = |text: &str, lock: &str, approval: &Approval| {
        approve(&[file("a.toml", text)], Some(lock), "unlock_account", approval, today)
    };
    assert!(again(text, &lock, &approval("board", "2028-11-24")).is_ok());
    assert!(matches!(again(&changed, &lock, &board), Err(Refused::SameVersion(_, 1))));
    let (two, lock_two) = again(&two, &lock, &board).expect("version 2");
    assert!(library(&two.text, Some(&lock_two)).is_ok());
    assert!(library(text, Some(&lock_two)).is_err(), "an older version came back");
    assert!(matches!(again(text, &lock_two, &board), Err(Refused::SameVersion(_, 2))));
}

#[test]
fn an_approval_needs_two_people_a_day_to_come_and_examples() {
    let today = day("2026-11-24");
    let give = |text: &str, by: &str, until: &str| {
        let approval = Approval { approver: by.to_owned(), until: day(until) };
        approve(&[file("a.toml", text)], None, "unlock_account", &approval, today).err()
    };
    assert!(give(GOOD, "board", "2026-11-24").is_none());
    assert!(matches!(give(GOOD, " Identity@example.com", "2027-01-01"), Some(Refused::Owner(_))));
    assert!(matches!(give(GOOD, "board", "2026-11-23"), Some(Refused::Over(_))));
    assert!(give(GOOD, "board", "2028-11-24").is_none());
    for until in ["2028-11-25", "9999-12-31"] {
        let refused = give(GOOD, "board", until).expect("refused").to_string();
        assert!(refused.contains("within 2 years, on 2028-11-24 at the latest"), "{refused}");
    }
    let bare = GOOD.split("[[counter_examples]]").next().expect("text");
    assert!(matches!(give(bare, "board", "2027-01-01"), Some(Refused::NoExample(..))));
    let owner =
        format!("{GOOD}\n[approval]\napprover = 'identity@example.com'\nuntil = 2027-01-01");
    let found = library(&owner, None).expect_err("the owner").to_string();
    assert!(found.contains("approval.approver: must not be the owner"), "{found}");
}
