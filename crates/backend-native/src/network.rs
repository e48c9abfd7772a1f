//! The whole model on one sequence, and its weights.

mod pass;

pub(crate) use pass::{Backward, Forward};

use mambafleet_backend::{BackendError, ModelConfig, NamedTensors, Tensor};
use mambafleet_kernels::{Isa, Real};

use crate::block::{Block, Tables};
use crate::criterion::Criterion;
use crate::dims::Dims;
use crate::layout::Layout;
use crate::linear::Linear;

/// A model: sizes, objective and weights.
#[derive(Debug)]
pub(crate) struct Network<T> {
    /// The instruction set to compute with.
    pub(crate) isa: Isa,
    /// Its sizes.
    pub(crate) dims: Dims,
    /// Where each tensor lies.
    pub(crate) layout: Layout,
    /// What its outputs mean.
    pub(crate) criterion: Criterion<T>,
    /// All weights.
    pub(crate) weights: Vec<T>,
    /// The weights of the first and the last layer, and some of the blocks', in other orders.
    pub(crate) input: Linear<T>,
    pub(crate) head: Linear<T>,
    pub(crate) tables: Vec<Tables<T>>,
}

impl<T: Real> Network<T> {
    /// A model with all weights zero.
    pub(crate) fn new(isa: Isa, config: &ModelConfig) -> Result<Self, BackendError> {
        let dims = Dims::new(config)?;
        let layout = Layout::new(&dims);
        let weights = vec![T::ZERO; layout.len];
        let tables = (0..dims.layers).map(|_| Tables::new(isa, &dims)).collect();
        let criterion = Criterion::new(&config.objective);
        let input = Linear::new(isa, dims.width, dims.features);
        let head = Linear::new(isa, dims.outputs, dims.width);
        Ok(Self { isa, dims, criterion, layout, weights, input, head, tables })
    }

    /// Brings the tables up to date with the weights, which passes rely on.
    pub(crate) fn refresh(&mut self) {
        self.input.set(self.layout.input_weight.of(&self.weights));
        self.head.set(self.layout.head_weight.of(&self.weights));
        for (tables, slots) in self.tables.iter_mut().zip(&self.layout.blocks) {
            tables.set(&self.dims, slots, &self.weights);
        }
    }

    /// The block with this index.
    pub(crate) fn block(&self, index: usize) -> Block<'_, T> {
        Block {
            isa: self.isa,
            dims: &self.dims,
            slots: &self.layout.blocks[index],
            weights: &self.weights,
            tables: &self.tables[index],
            last: index + 1 == self.dims.layers,
        }
    }

    /// All weights by name.
    pub(crate) fn tensors(&self) -> NamedTensors {
        self.named(&self.weights)
    }

    /// Weights, or one value for each of them such as its gradient, by name.
    pub(crate) fn named(&self, values: &[T]) -> NamedTensors {
        let mut tensors = NamedTensors::default();
        for parameter in &self.layout.parameters {
            let data = parameter.slot.of(values).iter().map(|w| w.to_f32()).collect();
            tensors.insert(&*parameter.name, Tensor { shape: parameter.shape.clone(), data });
        }
        tensors
    }

    /// Replaces all weights, or none when a tensor is missing, unknown or of another shape.
    pub(crate) fn set_tensors(&mut self, tensors: &NamedTensors) -> Result<(), BackendError> {
        let parameters = &self.layout.parameters;
        for (name, _) in tensors.iter() {
            if !parameters.iter().any(|parameter| parameter.name == name) {
                let problem = "is not part of this model".to_owned();
                return Err(BackendError::Tensor { name: name.to_owned(), problem });
            }
        }
        let found = parameters
            .iter()
            .map(|parameter| tensors.expect_shape(&parameter.name, &parameter.shape))
            .collect::<Result<Vec<_>, _>>()?;
        for (parameter, tensor) in parameters.iter().zip(found) {
            let weights = parameter.slot.of_mut(&mut self.weights);
            for (weight, value) in weights.iter_mut().zip(&tensor.data) {
                *weight = T::from_f32(*value);
            }
        }
        Ok(())
    }
}
