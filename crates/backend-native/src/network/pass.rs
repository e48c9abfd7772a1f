//! Forward and backward pass of the whole model on one sequence.

use mambafleet_kernels::gemm::{MatMut, MatRef, Target};
use mambafleet_kernels::{Buffer, Isa, Real, norm};

use super::Network;
use crate::block::{self, BlockGrads, Saved, TablesGrad};
use crate::dims::Dims;
use crate::linear;

/// Everything that the forward pass of a sequence writes.
#[derive(Debug)]
pub(crate) struct Forward<T> {
    /// The window: (length, features).
    input: Buffer<T>,
    /// The residual stream: (length, width).
    stream: Buffer<T>,
    /// What blocks leave behind: one per block for training; otherwise one for all but the last
    /// block, and one for that.
    saved: Vec<Saved<T>>,
    /// The last norm's factor.
    inv_rms: [T; 1],
    /// The last time step, normalised: (width).
    last: Buffer<T>,
    /// The head's values: (outputs).
    raw: Buffer<T>,
    /// The outputs: (outputs).
    outputs: Buffer<T>,
}

impl<T: Real> Forward<T> {
    /// Room for one sequence. Only with `training` can the backward pass follow.
    pub(crate) fn new(isa: Isa, dims: &Dims, training: bool) -> Self {
        let room = |len: usize| Buffer::zeros(len);
        let blocks = if training { dims.layers } else { dims.layers.min(2) };
        let saved = |index| Saved::new(isa, dims, index + 1 == blocks, training);
        Self {
            input: room(dims.window()),
            stream: room(dims.length * dims.width),
            saved: (0..blocks).map(saved).collect(),
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
        let input = MatRef::new(&*self.input, length, features);
        let bias = layout.input_bias.of(weights);
        network.input.apply_with_bias(input, bias, &mut self.stream);
        let spare = dims.layers - self.saved.len();
        for index in 0..dims.layers {
            let saved = &mut self.saved[index.saturating_sub(spare)];
            block::forward(&network.block(index), &mut self.stream, saved);
        }
        let last = &self.stream[(length - 1) * width..];
        norm::forward(
            network.isa,
            last,
            layout.norm.of(weights),
            &mut self.last,
            &mut self.inv_rms,
        );
        let last = MatRef::new(&*self.last, 1, width);
        network.head.apply_with_bias(last, layout.head_bias.of(weights), &mut self.raw);
        network.criterion.outputs(&self.raw, &mut self.outputs);
        &self.outputs
    }
}

/// Everything that the backward pass writes.
#[derive(Debug)]
pub(crate) struct Backward<T> {
    /// Gradient of all weights, summed over the sequences since it was last cleared; complete
    /// after [`Backward::finish`].
    pub(crate) weights: Buffer<T>,
    /// The targets: (targets).
    targets: Buffer<T>,
    /// Gradient of the head's values: (outputs).
    raw: Buffer<T>,
    /// Gradient of the last time step, normalised: (width).
    last: Buffer<T>,
    /// Gradient of the stream: (length, width).
    stream: Buffer<T>,
    /// What belongs to the gradients of weights that blocks have tables of.
    tables: Vec<TablesGrad<T>>,
    /// Room for gradients inside a block.
    block: BlockGrads<T>,
}

impl<T: Real> Backward<T> {
    /// Room for one sequence.
    pub(crate) fn new(network: &Network<T>) -> Self {
        let dims = &network.dims;
        let room = |len: usize| Buffer::zeros(len);
        Self {
            weights: room(network.layout.len),
            targets: room(dims.targets),
            raw: room(dims.outputs),
            last: room(dims.width),
            stream: room(dims.length * dims.width),
            tables: network.tables.iter().map(TablesGrad::new).collect(),
            block: BlockGrads::new(network.isa, dims),
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
        let Network { dims, layout, .. } = network;
        for (index, saved) in forward.saved.iter().enumerate().rev() {
            let (stream, grad) = (&mut self.stream, &mut self.weights);
            let tables = &mut self.tables[index];
            block::backward(&network.block(index), saved, stream, grad, tables, &mut self.block);
        }
        let stream = MatRef::new(&*self.stream, dims.length, dims.width);
        let input = MatRef::new(&*forward.input, dims.length, dims.features);
        linear::add_weight(
            network.isa,
            stream,
            input,
            layout.input_weight.of_mut(&mut self.weights),
        );
        linear::add_bias(&self.stream, layout.input_bias.of_mut(&mut self.weights));
        loss
    }

    /// From the head's values to the stream: only its last time step has a gradient.
    fn head(&mut self, network: &Network<T>, forward: &Forward<T>) {
        let Network { dims, layout, weights, .. } = network;
        let Dims { length, width, outputs, .. } = *dims;
        let draw = MatRef::new(&*self.raw, 1, outputs);
        let last = MatRef::new(&*forward.last, 1, width);
        linear::add_weight(network.isa, draw, last, layout.head_weight.of_mut(&mut self.weights));
        linear::add_bias(&self.raw, layout.head_bias.of_mut(&mut self.weights));
        let dlast = MatMut::new(&mut *self.last, 1, width);
        network.head.back(Target::Replace, draw, dlast);
        self.stream.fill(T::ZERO);
        let at = (length - 1) * width;
        let inputs = norm::Inputs {
            x: &forward.stream[at..],
            gain: layout.norm.of(weights),
            inv_rms: &forward.inv_rms,
            dy: &self.last,
        };
        let dgain = layout.norm.of_mut(&mut self.weights);
        norm::backward(network.isa, &inputs, &mut self.stream[at..], dgain);
    }

    /// Completes the gradient after the last sequence.
    pub(crate) fn finish(&mut self, network: &Network<T>) {
        for (index, grad) in self.tables.iter_mut().enumerate() {
            let (slots, tables) = (&network.layout.blocks[index], &network.tables[index]);
            grad.drain(&network.dims, slots, tables, &mut self.weights);
        }
    }
}
