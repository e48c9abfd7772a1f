//! Forward and backward pass of the whole model on one sequence.

use mambafleet_kernels::gemm::{MatMut, MatRef, Target};
use mambafleet_kernels::{Real, norm};

use super::Network;
use crate::block::{self, BlockGrads, Saved, ScanRoom};
use crate::dims::Dims;
use crate::linear;

/// Everything that the forward pass of a sequence writes.
#[derive(Debug)]
pub(crate) struct Forward<T> {
    /// The window: (length, features).
    input: Vec<T>,
    /// The residual stream: (length, width).
    stream: Vec<T>,
    /// What blocks leave behind: one per block for training, one for all otherwise.
    saved: Vec<Saved<T>>,
    /// The scan's room.
    room: ScanRoom<T>,
    /// The last norm's factor.
    inv_rms: [T; 1],
    /// The last time step, normalised: (width).
    last: Vec<T>,
    /// The head's values: (outputs).
    raw: Vec<T>,
    /// The outputs: (outputs).
    outputs: Vec<T>,
}

impl<T: Real> Forward<T> {
    /// Room for one sequence. Only with `training` can the backward pass follow.
    pub(crate) fn new(dims: &Dims, training: bool) -> Self {
        let room = |len: usize| vec![T::ZERO; len];
        let blocks = if training { dims.layers } else { 1 };
        Self {
            input: room(dims.window()),
            stream: room(dims.length * dims.width),
            saved: (0..blocks).map(|_| Saved::new(dims, training)).collect(),
            room: ScanRoom::new(dims),
            inv_rms: [T::ZERO],
            last: room(dims.width),
            raw: room(dims.outputs),
            outputs: room(dims.outputs),
        }
    }

    /// The outputs for one window (length, features).
    pub(crate) fn run(&mut self, network: &Network<T>, window: &[f32]) -> &[T] {
        let Network { dims, layout, weights, .. } = network;
        let Dims { length, features, width, .. } = *dims;
        for (value, from) in self.input.iter_mut().zip(window) {
            *value = T::from_f32(*from);
        }
        let input = MatRef::new(&self.input, length, features);
        let (weight, bias) = (layout.input_weight.of(weights), layout.input_bias.of(weights));
        linear::apply_with_bias(input, weight, bias, &mut self.stream);
        let shared = self.saved.len() - 1;
        for (index, slots) in layout.blocks.iter().enumerate() {
            let saved = &mut self.saved[index.min(shared)];
            block::forward(dims, slots, weights, &mut self.stream, saved, &mut self.room);
        }
        let last = &self.stream[(length - 1) * width..];
        norm::forward(last, layout.norm.of(weights), &mut self.last, &mut self.inv_rms);
        let (weight, bias) = (layout.head_weight.of(weights), layout.head_bias.of(weights));
        let last = MatRef::new(&self.last, 1, width);
        linear::apply_with_bias(last, weight, bias, &mut self.raw);
        network.criterion.outputs(&self.raw, &mut self.outputs);
        &self.outputs
    }
}

/// Everything that the backward pass writes.
#[derive(Debug)]
pub(crate) struct Backward<T> {
    /// Gradient of all weights, summed over the sequences since it was last cleared.
    pub(crate) weights: Vec<T>,
    /// The targets: (targets).
    targets: Vec<T>,
    /// Gradient of the head's values: (outputs).
    raw: Vec<T>,
    /// Gradient of the last time step, normalised: (width).
    last: Vec<T>,
    /// Gradient of the stream: (length, width).
    stream: Vec<T>,
    /// Room for gradients inside a block.
    block: BlockGrads<T>,
}

impl<T: Real> Backward<T> {
    /// Room for one sequence.
    pub(crate) fn new(network: &Network<T>) -> Self {
        let dims = &network.dims;
        let room = |len: usize| vec![T::ZERO; len];
        Self {
            weights: room(network.layout.len),
            targets: room(dims.targets),
            raw: room(dims.outputs),
            last: room(dims.width),
            stream: room(dims.length * dims.width),
            block: BlockGrads::new(dims),
        }
    }

    /// The loss of the sequence that `forward` has just run on, summed over its outputs. Adds the
    /// gradient of `scale` times that sum to `self.weights`.
    pub(crate) fn run(
        &mut self,
        network: &Network<T>,
        forward: &Forward<T>,
        targets: &[f32],
        scale: T,
    ) -> f64 {
        for (value, from) in self.targets.iter_mut().zip(targets) {
            *value = T::from_f32(*from);
        }
        let criterion = &network.criterion;
        let loss =
            criterion.loss(&forward.raw, &forward.outputs, &self.targets, scale, &mut self.raw);
        self.head(network, forward);
        let Network { dims, layout, weights, .. } = network;
        for (slots, saved) in layout.blocks.iter().zip(&forward.saved).rev() {
            let (stream, grad) = (&mut self.stream, &mut self.weights);
            block::backward(dims, slots, weights, saved, stream, grad, &mut self.block);
        }
        let stream = MatRef::new(&self.stream, dims.length, dims.width);
        let input = MatRef::new(&forward.input, dims.length, dims.features);
        linear::add_weight(stream, input, layout.input_weight.of_mut(&mut self.weights));
        linear::add_bias(&self.stream, layout.input_bias.of_mut(&mut self.weights));
        loss
    }

    /// From the head's values to the stream: only its last time step has a gradient.
    fn head(&mut self, network: &Network<T>, forward: &Forward<T>) {
        let Network { dims, layout, weights, .. } = network;
        let Dims { length, width, outputs, .. } = *dims;
        let draw = MatRef::new(&self.raw, 1, outputs);
        let last = MatRef::new(&forward.last, 1, width);
        linear::add_weight(draw, last, layout.head_weight.of_mut(&mut self.weights));
        linear::add_bias(&self.raw, layout.head_bias.of_mut(&mut self.weights));
        let dlast = MatMut::new(&mut self.last, 1, width);
        linear::back(Target::Replace, draw, layout.head_weight.of(weights), dlast);
        self.stream.fill(T::ZERO);
        let at = (length - 1) * width;
        norm::backward(
            &forward.stream[at..],
            layout.norm.of(weights),
            &forward.inv_rms,
            &self.last,
            &mut self.stream[at..],
            layout.norm.of_mut(&mut self.weights),
        );
    }
}
