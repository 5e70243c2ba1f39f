//! Trying methods: each is fitted in every turn on some tickets, and asked about others.

use super::{ASKED, Candidate, POWERS, Question, TRIED_ON, TRIED_ON_BY_LABELS, best, sample};
use crate::train::calibrate::Scored;
use crate::train::head::{Corpus, Labelled};
use crate::train::method::{Fit, Fitter, Method};

/// The tickets of a turn, with nothing of all others.
pub struct Few<'a> {
    corpus: Corpus<'a>,
    fit_on: Vec<Labelled>,
    held_out: Vec<Labelled>,
}

impl<'a> Question<'a> {
    /// Some of the tickets of a round, which are held out, and of the others.
    pub(super) fn few(&self, round: &[usize]) -> Few<'a> {
        let most =
            (TRIED_ON_BY_LABELS / self.labels.len()).clamp(*TRIED_ON.start(), *TRIED_ON.end());
        let (fit_on, held_out) = self.parts(round);
        let (fit_on, held_out) = (sample(&fit_on, most), sample(&held_out, ASKED));
        let corpus = self.corpus.some(fit_on.iter().chain(&held_out).map(|(place, _)| *place));
        let fit_on: Vec<Labelled> = fit_on.iter().map(|t| t.1).enumerate().collect();
        let held_out = held_out.iter().enumerate().map(|(i, t)| (fit_on.len() + i, t.1)).collect();
        Few { corpus, fit_on, held_out }
    }
}

/// A turn in which methods are tried.
pub struct Trial<'t> {
    pub question: Question<'t>,
    pub fitter: Fitter<'t>,
    pub held_out: &'t [Labelled],
}

impl<'t> Trial<'t> {
    pub fn new(question: &Question<'t>, few: &'t Few<'t>) -> Self {
        let question = Question { corpus: &few.corpus, ..*question };
        let fitter = Fitter::new(&few.corpus.documents, question.labels.to_vec(), &few.fit_on);
        Self { question, fitter, held_out: &few.held_out }
    }

    fn scores(&self, fit: &Fit) -> impl Iterator<Item = Scored> {
        self.question.scores(&self.fitter, fit, self.held_out).into_iter().map(|s| s.1)
    }
}

/// A method tried in all turns, with where similar fits may start from in each.
pub fn tried(trials: &[Trial<'_>], method: Method) -> (Candidate, Vec<Fit>) {
    let (mut tickets, mut starts) = (Vec::new(), Vec::new());
    for trial in trials {
        let fit = trial.fitter.fit(method, None);
        tickets.extend(trial.scores(&fit));
        // Fits are large: only their parameters may be needed again.
        starts.push(fit.into_start());
    }
    (Candidate::new(method, tickets), starts)
}

/// Every power of the ratio with the first penalty, and the best of them with all others. `done` is
/// called after each.
pub fn sharpened(trials: &[Trial<'_>], lambdas: &[f64], done: &mut dyn FnMut()) -> Vec<Candidate> {
    let (first, others) = lambdas.split_at(1);
    let mut all = Vec::new();
    let mut start = None;
    for power in POWERS {
        let (candidate, starts) = tried(trials, Method::Sharpened { lambda: first[0], power });
        all.push(candidate);
        if best(&all) == Some(all.len() - 1) {
            start = Some((power, starts));
        }
        done();
    }
    let Some((power, starts)) = start else { return all };
    let mut tickets: Vec<Vec<Scored>> = vec![Vec::new(); others.len()];
    for (i, (trial, start)) in trials.iter().zip(&starts).enumerate() {
        let mut of_lambdas = tickets.iter_mut();
        trial.fitter.sharpened(others, power, Some(start), |_, fit| {
            of_lambdas.next().into_iter().for_each(|all| all.extend(trial.scores(fit)));
            if i + 1 == trials.len() {
                done();
            }
        });
    }
    let methods = others.iter().map(|lambda| Method::Sharpened { lambda: *lambda, power });
    all.extend(methods.zip(tickets).map(|(method, tickets)| Candidate::new(method, tickets)));
    all
}
