//! `split.csv`: which tickets tested the model when the numbers in the manifest were taken, and which
//! of the others were held out before to choose and calibrate it, where not all were in turns.

use super::BundleError;

const HEADER: &str = "id,part\n";
const CALIBRATE: &str = "calibrate";
const TEST: &str = "test";

/// The ids of held-out tickets, in the order of the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldOut {
    pub calibrate: Vec<String>,
    pub test: Vec<String>,
}

impl HeldOut {
    /// The file: those that calibrated, then those that tested.
    pub(super) fn write(&self) -> String {
        let mut out = HEADER.to_owned();
        for (part, ids) in [(CALIBRATE, &self.calibrate), (TEST, &self.test)] {
            for id in ids {
                out.push_str(&format!("\"{}\",{part}\n", id.replace('"', "\"\"")));
            }
        }
        out
    }

    /// Reads what [`Self::write`] wrote.
    pub(super) fn parse(text: &str) -> Result<Self, BundleError> {
        let mut new = Self::default();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        for (i, record) in reader.records().enumerate() {
            let fail = |problem: String| BundleError::Split { record: i + 1, problem };
            let record = record.map_err(|e| fail(e.to_string()))?;
            let id = record.get(0).unwrap_or_default().to_owned();
            match record.get(1) {
                Some(CALIBRATE) => new.calibrate.push(id),
                Some(TEST) => new.test.push(id),
                _ => return Err(fail("the part is neither calibrate nor test".to_owned())),
            }
        }
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_any_kind_come_back() {
        let ids = |list: &[&str]| list.iter().map(|id| (*id).to_owned()).collect();
        let written = HeldOut {
            calibrate: ids(&["1", "a,b", ""]),
            test: ids(&["say \"x\"", "two\nlines", "가"]),
        };
        assert_eq!(HeldOut::parse(&written.write()).unwrap(), written);
        assert_eq!(HeldOut::parse(&HeldOut::default().write()).unwrap(), HeldOut::default());
        let wrong = HeldOut::parse("id,part\n1,test\n2,fit\n");
        assert!(matches!(wrong, Err(BundleError::Split { record: 2, .. })), "{wrong:?}");
    }
}
