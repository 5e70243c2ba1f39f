//! `weights.safetensors`: `weights` (F32, `[pieces, labels]`) and for each head `prior.<target>`
//! (F64, `[labels]`), little-endian.

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{BundleError, HeadEntry};

const WEIGHTS: &str = "weights";

fn prior(head: &HeadEntry) -> String {
    format!("prior.{}", head.target)
}

fn refuse(problem: impl std::fmt::Display) -> BundleError {
    BundleError::Weights(problem.to_string())
}

pub(super) fn write(
    heads: &[HeadEntry],
    weights: &[f32],
    log_priors: &[Vec<f64>],
) -> Result<Vec<u8>, BundleError> {
    let labels: usize = heads.iter().map(|h| h.labels.len()).sum();
    if labels == 0 || !weights.len().is_multiple_of(labels) || log_priors.len() != heads.len() {
        return Err(refuse("the shapes do not fit the labels"));
    }
    let shape = vec![weights.len() / labels, labels];
    let matrix: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
    let priors: Vec<Vec<u8>> =
        log_priors.iter().map(|p| p.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let mut tensors =
        vec![(WEIGHTS.to_owned(), TensorView::new(Dtype::F32, shape, &matrix).map_err(refuse)?)];
    for (head, bytes) in heads.iter().zip(&priors) {
        let view = TensorView::new(Dtype::F64, vec![head.labels.len()], bytes).map_err(refuse)?;
        tensors.push((prior(head), view));
    }
    safetensors::serialize(tensors, None).map_err(refuse)
}

pub(super) fn read(
    heads: &[HeadEntry],
    bytes: &[u8],
) -> Result<(Vec<f32>, Vec<Vec<f64>>), BundleError> {
    let file = SafeTensors::deserialize(bytes).map_err(refuse)?;
    let labels: usize = heads.iter().map(|h| h.labels.len()).sum();
    let tensor = |name: &str, dtype: Dtype| {
        let tensor = file.tensor(name).map_err(refuse)?;
        if tensor.dtype() == dtype {
            Ok(tensor)
        } else {
            Err(refuse(format!("`{name}` holds {:?} where {dtype:?} was expected", tensor.dtype())))
        }
    };
    let matrix = tensor(WEIGHTS, Dtype::F32)?;
    if !matches!(matrix.shape(), [_, columns] if *columns == labels) {
        return Err(refuse(format!(
            "`{WEIGHTS}` is {:?}, the labels are {labels}",
            matrix.shape()
        )));
    }
    let weights = matrix.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let priors = heads.iter().map(|head| {
        let name = prior(head);
        let tensor = tensor(&name, Dtype::F64)?;
        if tensor.shape() != [head.labels.len()] {
            return Err(refuse(format!(
                "`{name}` is {:?}, not {}",
                tensor.shape(),
                head.labels.len()
            )));
        }
        Ok(tensor.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
    });
    Ok((weights, priors.collect::<Result<_, _>>()?))
}
