//! `weights.safetensors`, little-endian: `weights` (F32, `[entries, labels]`), `scales` (F32,
//! `[entries]`) and for each head `bias.<target>` (F64, `[labels]`).

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{BundleError, HeadEntry};

const WEIGHTS: &str = "weights";
const SCALES: &str = "scales";

fn bias(head: &HeadEntry) -> String {
    format!("bias.{}", head.target)
}

/// What the file holds.
pub(super) struct Read {
    pub scales: Vec<f32>,
    pub weights: Vec<f32>,
    pub biases: Vec<Vec<f64>>,
}

fn refuse(problem: impl std::fmt::Display) -> BundleError {
    BundleError::Weights(problem.to_string())
}

pub(super) fn write(
    heads: &[HeadEntry],
    scales: &[f32],
    weights: &[f32],
    biases: &[Vec<f64>],
) -> Result<Vec<u8>, BundleError> {
    let labels: usize = heads.iter().map(|h| h.labels.len()).sum();
    if labels == 0 || !weights.len().is_multiple_of(labels) || biases.len() != heads.len() {
        return Err(refuse("the shapes do not fit the labels"));
    }
    let shape = vec![weights.len() / labels, labels];
    let little_endian =
        |all: &[f32]| -> Vec<u8> { all.iter().flat_map(|w| w.to_le_bytes()).collect() };
    let (matrix, column) = (little_endian(weights), little_endian(scales));
    let biases: Vec<Vec<u8>> =
        biases.iter().map(|p| p.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let view = |shape, bytes| TensorView::new(Dtype::F32, shape, bytes).map_err(refuse);
    let mut tensors = vec![
        (WEIGHTS.to_owned(), view(shape, &matrix)?),
        (SCALES.to_owned(), view(vec![scales.len()], &column)?),
    ];
    for (head, bytes) in heads.iter().zip(&biases) {
        let view = TensorView::new(Dtype::F64, vec![head.labels.len()], bytes).map_err(refuse)?;
        tensors.push((bias(head), view));
    }
    safetensors::serialize(tensors, None).map_err(refuse)
}

pub(super) fn read(heads: &[HeadEntry], bytes: &[u8]) -> Result<Read, BundleError> {
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
    let floats =
        |bytes: &[u8]| bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let biases = heads.iter().map(|head| {
        let name = bias(head);
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
    Ok(Read {
        scales: floats(tensor(SCALES, Dtype::F32)?.data()),
        weights: floats(matrix.data()),
        biases: biases.collect::<Result<_, _>>()?,
    })
}
