//! Where each weight lies in the flat vector of all weights.

use std::ops::Range;

use crate::dims::Dims;

/// A part of the flat vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    start: usize,
    len: usize,
}

impl Slot {
    /// Its positions.
    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.start + self.len
    }

    /// Its values.
    pub(crate) fn of<T>(self, values: &[T]) -> &[T] {
        &values[self.range()]
    }

    /// Its values, to be changed.
    pub(crate) fn of_mut<T>(self, values: &mut [T]) -> &mut [T] {
        &mut values[self.range()]
    }
}

/// One weight tensor.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    /// Its name, as in the reference implementation.
    pub(crate) name: String,
    /// Its shape, outermost dimension first.
    pub(crate) shape: Vec<usize>,
    /// Where it lies.
    pub(crate) slot: Slot,
    /// Whether it is the weight of a linear or convolution layer, which decays by default.
    pub(crate) decays: bool,
    /// How it starts.
    pub(crate) start: Start,
}

/// How a tensor is initialised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Start {
    /// All elements the same.
    Constant(f64),
    /// Even over plus and minus this.
    Uniform(f64),
    /// Inverse softplus of step sizes that are even on a logarithmic scale.
    StepSizes,
    /// Logarithms of 1, 2, 3 ... in each row.
    LogCounts,
}

/// The tensors of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockSlots {
    /// Gain of the norm: (width).
    pub(crate) norm: Slot,
    /// Projection to the scan's branch and to the gate: (2 inner, width).
    pub(crate) in_proj: Slot,
    /// Convolution: (inner, 1, taps).
    pub(crate) conv_weight: Slot,
    /// Its bias: (inner).
    pub(crate) conv_bias: Slot,
    /// Projection to step size, B and C: (rank + 2 states, inner).
    pub(crate) x_proj: Slot,
    /// Projection of the step size: (inner, rank).
    pub(crate) dt_weight: Slot,
    /// Its bias: (inner).
    pub(crate) dt_bias: Slot,
    /// Logarithm of the negative decay rates: (inner, states).
    pub(crate) a_log: Slot,
    /// Direct path: (inner).
    pub(crate) d: Slot,
    /// Projection back to the residual stream: (width, inner).
    pub(crate) out_proj: Slot,
}

impl BlockSlots {
    /// Projection to the scan's branch: (inner, width).
    pub(crate) fn in_branch(&self) -> Slot {
        Slot { len: self.in_proj.len / 2, ..self.in_proj }
    }

    /// Projection to the gate: (inner, width).
    pub(crate) fn in_gate(&self) -> Slot {
        let len = self.in_proj.len / 2;
        Slot { start: self.in_proj.start + len, len }
    }
}

/// All tensors of a model, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The table of tensors; they lie one behind the other.
    pub(crate) parameters: Vec<Parameter>,
    /// (width, features).
    pub(crate) input_weight: Slot,
    /// (width).
    pub(crate) input_bias: Slot,
    /// The blocks, first to last.
    pub(crate) blocks: Vec<BlockSlots>,
    /// Gain of the last norm: (width).
    pub(crate) norm: Slot,
    /// (outputs, width).
    pub(crate) head_weight: Slot,
    /// (outputs).
    pub(crate) head_bias: Slot,
    /// Number of all values.
    pub(crate) len: usize,
}

/// Lays tensors one behind the other.
#[derive(Default)]
struct Builder {
    parameters: Vec<Parameter>,
    len: usize,
}

impl Builder {
    /// Adds a tensor. Weights of linear and convolution layers decay; `decays` says whether this
    /// is one.
    fn add(&mut self, name: String, shape: &[usize], decays: bool, start: Start) -> Slot {
        let slot = Slot { start: self.len, len: shape.iter().product() };
        self.len += slot.len;
        self.parameters.push(Parameter { name, shape: shape.to_vec(), slot, decays, start });
        slot
    }

    /// Adds the tensors of block `index`. Starts as in the reference implementation, where the
    /// last projection is scaled down by the root of the number of layers that add to the stream.
    fn add_block(&mut self, index: usize, dims: &Dims) -> BlockSlots {
        let Dims { width, inner, states, taps, rank, .. } = *dims;
        let mixer = |part: &str| format!("layers.{index}.mixer.{part}");
        let fan = |inputs: usize| Start::Uniform(1.0 / (inputs as f64).sqrt());
        let out = Start::Uniform(1.0 / ((inner * dims.layers) as f64).sqrt());
        let one = Start::Constant(1.0);
        let norm = self.add(format!("layers.{index}.norm.weight"), &[width], false, one);
        let in_proj = self.add(mixer("in_proj.weight"), &[2 * inner, width], true, fan(width));
        BlockSlots {
            norm,
            in_proj,
            conv_weight: self.add(mixer("conv1d.weight"), &[inner, 1, taps], true, fan(taps)),
            conv_bias: self.add(mixer("conv1d.bias"), &[inner], false, fan(taps)),
            x_proj: self.add(mixer("x_proj.weight"), &[dims.projected(), inner], true, fan(inner)),
            dt_weight: self.add(mixer("dt_proj.weight"), &[inner, rank], true, fan(rank)),
            dt_bias: self.add(mixer("dt_proj.bias"), &[inner], false, Start::StepSizes),
            a_log: self.add(mixer("A_log"), &[inner, states], false, Start::LogCounts),
            d: self.add(mixer("D"), &[inner], false, one),
            out_proj: self.add(mixer("out_proj.weight"), &[width, inner], true, out),
        }
    }
}

impl Layout {
    /// The tensors of a model of these sizes. The head starts small, so that the first forecasts
    /// are close to zero, or to quantiles ln 2 apart.
    pub(crate) fn new(dims: &Dims) -> Self {
        let Dims { features, width, outputs, .. } = *dims;
        let mut all = Builder::default();
        let uniform = |factor: f64, inputs: usize| Start::Uniform(factor / (inputs as f64).sqrt());
        let (zero, one) = (Start::Constant(0.0), Start::Constant(1.0));
        let input = uniform(1.0, features);
        let input_weight = all.add("input_proj.weight".into(), &[width, features], true, input);
        let input_bias = all.add("input_proj.bias".into(), &[width], false, zero);
        let blocks = (0..dims.layers).map(|index| all.add_block(index, dims)).collect();
        let norm = all.add("norm_f.weight".into(), &[width], false, one);
        let head = uniform(0.1, width);
        let head_weight = all.add("head.weight".into(), &[outputs, width], true, head);
        let head_bias = all.add("head.bias".into(), &[outputs], false, zero);
        let Builder { parameters, len } = all;
        Self { parameters, input_weight, input_bias, blocks, norm, head_weight, head_bias, len }
    }
}
