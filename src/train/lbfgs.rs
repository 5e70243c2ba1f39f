//! L-BFGS: the minimum of a smooth convex function of very many variables.
//!
//! Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4 and 7.5, with a line search
//! that goes back until the function falls enough (3.1). Kept here because the solvers that can
//! be had copy the whole state at every step or take dense features only.

/// Steps that are remembered.
const MEMORY: usize = 4;
/// A step must win this share of what the slope promises.
const SUFFICIENT: f64 = 1e-4;
const HALVINGS: usize = 20;
/// Shorter halves are done sooner than a thread is started.
const WORTH_A_THREAD: usize = 100_000;
/// The first steps are short, until the memory knows how the function bends.
const PATIENCE: usize = 2;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub iterations: usize,
    /// Stop when [`PATIENCE`] iterations in a row lower the function by less than this share of it.
    pub tolerance: f64,
}

/// A step and what it did to the gradient.
struct Step {
    moved: Vec<f32>,
    bent: Vec<f32>,
    curvature: f64,
}

/// Moves `x` to the minimum of `f`, which returns its value at a point and writes its gradient.
pub fn minimise(x: &mut Vec<f32>, limits: Limits, mut f: impl FnMut(&[f32], &mut [f32]) -> f64) {
    let mut gradient = vec![0.0; x.len()];
    let mut value = f(x, &mut gradient);
    let mut steps: Vec<Step> = Vec::new();
    let mut next = vec![0.0; x.len()];
    let mut next_gradient = vec![0.0; x.len()];
    let mut idle = 0;
    for _ in 0..limits.iterations {
        let mut direction = direction(&gradient, &steps);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 || !slope.is_finite() {
            // Rounding has spoilt the memory: straight downhill.
            steps.clear();
            direction.clone_from(&gradient);
            direction.iter_mut().for_each(|d| *d = -*d);
            slope = -dot(&gradient, &gradient);
        }
        if slope == 0.0 {
            return;
        }
        // Without memory the length of the gradient says nothing about the distance.
        let mut length = if steps.is_empty() { (-slope).sqrt().recip().min(1.0) } else { 1.0 };
        let mut found = None;
        for _ in 0..HALVINGS {
            for ((n, x), d) in next.iter_mut().zip(x.iter()).zip(&direction) {
                *n = x + length as f32 * d;
            }
            let at = f(&next, &mut next_gradient);
            if at <= value + SUFFICIENT * length * slope {
                found = Some(at);
                break;
            }
            // The minimum of the parabola through what is known, within reason.
            let parabola = -slope * length * length / (2.0 * (at - value - slope * length));
            length = if parabola.is_finite() {
                parabola.clamp(0.1 * length, 0.5 * length)
            } else {
                0.1 * length
            };
        }
        let Some(at) = found else { return };
        // The old point and its gradient become the step, and the oldest step's vectors the next
        // ones: each is as large as the model.
        x.iter_mut().zip(&next).for_each(|(x, n)| *x = n - *x);
        gradient.iter_mut().zip(&next_gradient).for_each(|(g, n)| *g = n - *g);
        std::mem::swap(x, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        let (moved, bent) = (next, next_gradient);
        let curvature = dot(&moved, &bent);
        if curvature > 1e-10 * dot(&bent, &bent) {
            (next, next_gradient) = if steps.len() == MEMORY {
                let oldest = steps.remove(0);
                (oldest.moved, oldest.bent)
            } else {
                (vec![0.0; x.len()], vec![0.0; x.len()])
            };
            steps.push(Step { moved, bent, curvature });
        } else {
            (next, next_gradient) = (moved, bent);
        }
        let gain = value - at;
        value = at;
        idle = if gain <= limits.tolerance * value.abs() { idle + 1 } else { 0 };
        if idle >= PATIENCE {
            return;
        }
    }
}

/// Algorithm 7.4: the gradient, turned around and bent as the remembered steps say.
fn direction(gradient: &[f32], steps: &[Step]) -> Vec<f32> {
    let mut q: Vec<f32> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(steps.len());
    for step in steps.iter().rev() {
        let alpha = dot(&step.moved, &q) / step.curvature;
        add(&mut q, -alpha, &step.bent);
        alphas.push(alpha);
    }
    if let Some(last) = steps.last() {
        let scale = (last.curvature / dot(&last.bent, &last.bent)) as f32;
        q.iter_mut().for_each(|x| *x *= scale);
    }
    for (step, alpha) in steps.iter().zip(alphas.iter().rev()) {
        let beta = dot(&step.bent, &q) / step.curvature;
        add(&mut q, alpha - beta, &step.moved);
    }
    q
}

/// In blocks, so that the sum is both fast and exact enough; in two halves at once.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let middle = a.len() / 2;
    if middle < WORTH_A_THREAD {
        return dot_of(a, b);
    }
    let ((a, more_a), (b, more_b)) = (a.split_at(middle), b.split_at(middle));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| dot_of(a, b));
        let second = dot_of(more_a, more_b);
        // A thread that only adds does not panic.
        first.join().unwrap_or(f64::NAN) + second
    })
}

fn dot_of(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 16;
    let block = |(a, b): (&[f32], &[f32])| {
        let mut lanes = [0.0f32; LANES];
        let (a8, b8) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
        for (a, b) in a8.zip(b8) {
            for i in 0..LANES {
                lanes[i] += a[i] * b[i];
            }
        }
        f64::from(lanes.iter().sum::<f32>() + rest)
    };
    a.chunks(1024).zip(b.chunks(1024)).map(block).sum()
}

/// `to += by * what`.
fn add(to: &mut [f32], by: f64, what: &[f32]) {
    let by = by as f32;
    in_two(to, what, |to, what| {
        for (to, what) in to.iter_mut().zip(what) {
            *to += by * what;
        }
    });
}

/// Does something to both halves of two equally long lists at once.
fn in_two(a: &mut [f32], b: &[f32], work: impl Fn(&mut [f32], &[f32]) + Sync) {
    let middle = a.len() / 2;
    if middle < WORTH_A_THREAD {
        return work(a, b);
    }
    let ((a, more_a), (b, more_b)) = (a.split_at_mut(middle), b.split_at(middle));
    std::thread::scope(|scope| {
        scope.spawn(|| work(a, b));
        work(more_a, more_b);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { iterations: 200, tolerance: 1e-12 };

    #[test]
    fn a_long_narrow_valley() {
        // Curvatures from 1 to 1000; the minimum is at (1, 2, 3, ...).
        let n = 40;
        let curvature = |i: usize| 1.0 + 999.0 * i as f64 / (n - 1) as f64;
        let mut x = vec![0.0f32; n];
        minimise(&mut x, LIMITS, |x, gradient| {
            let mut sum = 0.0;
            for (i, (x, g)) in x.iter().zip(gradient).enumerate() {
                let off = f64::from(*x) - (i + 1) as f64;
                sum += 0.5 * curvature(i) * off * off;
                *g = (curvature(i) * off) as f32;
            }
            sum
        });
        for (i, x) in x.iter().enumerate() {
            assert!((f64::from(*x) - (i + 1) as f64).abs() < 1e-2, "{i}: {x}");
        }
    }

    #[test]
    fn at_the_minimum_it_stays() {
        let mut x = vec![3.0f32];
        minimise(&mut x, LIMITS, |x, g| {
            g[0] = x[0] - 3.0;
            f64::from(g[0] * g[0]) / 2.0
        });
        assert_eq!(x, [3.0]);
    }
}
