//! Each kernel alone on each instruction set, in the shapes of one sequence of the reference sizes.
//! `just bench-kernels` runs it.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use mambafleet_kernels::adamw::{self, Moments, Settings};
use mambafleet_kernels::gemm::{MatMut, MatRef, Packed, Target, gemm};
use mambafleet_kernels::scan::{self, Rates, RatesGrad, Scratch, Sizes, States, last};
use mambafleet_kernels::{Buffer, Isa, activation, conv, norm};

/// The shapes of a sequence.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    length: usize,
    width: usize,
    rank: usize,
}

const SHAPES: [Shape; 2] = [
    Shape { name: "ref-S", length: 64, width: 64, rank: 4 },
    Shape { name: "ref-M", length: 128, width: 128, rank: 8 },
];
const STATES: usize = 16;
const TAPS: usize = 4;

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args();
    for shape in SHAPES {
        scans(&mut criterion, shape);
        parts(&mut criterion, shape);
        products(&mut criterion, shape);
    }
    criterion.final_summary();
}

impl Shape {
    fn inner(self) -> usize {
        2 * self.width
    }

    fn sizes(self) -> Sizes {
        Sizes { length: self.length, channels: self.inner(), states: STATES }
    }
}

/// Numbers between `low` and `high`.
fn wave(len: usize, low: f32, high: f32) -> Buffer<f32> {
    let mut values = Buffer::zeros(len);
    for (i, value) in values.iter_mut().enumerate() {
        *value = low + (high - low) * (0.5 + 0.5 * (i as f32 * 0.37).sin());
    }
    values
}

/// Measures `work` on each instruction set.
fn each(group: &mut Group<'_>, name: &str, mut work: impl FnMut(Isa)) {
    for isa in Isa::available() {
        let id = BenchmarkId::new(name, isa);
        group.bench_function(id, |bencher| bencher.iter(|| work(black_box(isa))));
    }
}

fn scans(criterion: &mut Criterion, shape: Shape) {
    let (sizes, inner, length) = (shape.sizes(), shape.inner(), shape.length);
    let mut group = criterion.benchmark_group(format!("{} scan", shape.name));
    group.throughput(Throughput::Elements((length * inner * STATES) as u64));
    let (u, dt) = (wave(length * inner, -1.0, 1.0), wave(length * inner, 1e-3, 0.1));
    let (bc, d) = (wave(length * 2 * STATES, -1.0, 1.0), wave(inner, 0.9, 1.1));
    let bc = MatRef::new(&bc[..], length, 2 * STATES);
    let inputs = scan::Inputs { u: &u, dt: &dt, bc, d: &d };
    let (dy, a_log) = (wave(length * inner, -1.0, 1.0), wave(inner * STATES, 0.0, 2.77));
    let (mut y, mut du) = (wave(length * inner, 0.0, 0.0), wave(length * inner, 0.0, 0.0));
    let (mut ddt, mut dd) = (du.clone(), d.clone());
    let mut dbc = wave(length * 2 * STATES, 0.0, 0.0);
    for isa in Isa::available() {
        let mut rates = Rates::new(isa, sizes);
        rates.set(&a_log);
        let (mut states, mut state) = (States::new(isa, sizes, true), last::State::new(isa, sizes));
        let (mut drates, mut scratch) = (RatesGrad::new(&rates), Scratch::new(isa, sizes));
        let mut bench = |name: &str, work: &mut dyn FnMut()| {
            group.bench_function(BenchmarkId::new(name, isa), |bencher| bencher.iter(&mut *work));
        };
        bench("forward", &mut || scan::forward(sizes, &inputs, &rates, &mut y, &mut states));
        bench("last forward", &mut || {
            last::forward(sizes, &inputs, &rates, &mut y[..inner], &mut state);
        });
        // A fresh set of borrows for each call.
        macro_rules! grads {
            () => {
                scan::Grads {
                    u: &mut du,
                    dt: &mut ddt,
                    bc: MatMut::new(&mut dbc[..], length, 2 * STATES),
                    rates: &mut drates,
                    d: &mut dd,
                }
            };
        }
        bench("backward", &mut || {
            scan::backward(sizes, &inputs, &rates, &states, &dy, grads!(), &mut scratch);
        });
        bench("last backward", &mut || {
            last::backward(sizes, &inputs, &rates, &state, &dy[..inner], grads!(), &mut scratch);
        });
    }
    group.finish();
}

fn parts(criterion: &mut Criterion, shape: Shape) {
    let (inner, length, width) = (shape.inner(), shape.length, shape.width);
    let mut group = criterion.benchmark_group(format!("{} parts", shape.name));
    let len = length * inner;
    group.throughput(Throughput::Elements(len as u64));
    let (both, mut y) = (wave(2 * len, -3.0, 3.0), wave(len, -1.0, 1.0));
    let (mut kept, mut out, mut other) = (y.clone(), y.clone(), wave(2 * len, 0.0, 0.0));
    let view = MatRef::strided(&both[..], length, inner, 2 * inner);
    each(&mut group, "softplus", |isa| activation::softplus_forward(isa, &mut y, &mut out));
    let mut dbias = wave(inner, 0.0, 1.0);
    each(&mut group, "softplus backward", |isa| {
        activation::softplus_backward(isa, &kept, &mut out, &mut dbias);
    });
    each(&mut group, "gate", |isa| activation::gate_forward(isa, &y, view, &mut kept, &mut out));
    each(&mut group, "gate backward", |isa| {
        let dz = MatMut::strided(&mut other[..], length, inner, 2 * inner);
        activation::gate_backward(isa, &y, view, &kept, &mut out, dz);
    });
    let (weight, bias) = (wave(TAPS * inner, -0.5, 0.5), wave(inner, -0.5, 0.5));
    let inputs = conv::Inputs { x: view, weight: &weight, bias: &bias };
    each(&mut group, "conv", |isa| conv::forward(isa, &inputs, &mut out, &mut kept));
    let mut dweight = weight.clone();
    each(&mut group, "conv backward", |isa| {
        let x = MatMut::strided(&mut other[..], length, inner, 2 * inner);
        let grads = conv::Grads { x, weight: &mut dweight, bias: &mut dbias };
        conv::backward(isa, &inputs, &out, &kept, &mut y, grads);
    });
    let (x, gain) = (wave(length * width, -1.0, 1.0), wave(width, 0.5, 1.5));
    let (mut normed, mut inv_rms) = (x.clone(), wave(length, 0.0, 1.0));
    each(&mut group, "norm", |isa| norm::forward(isa, &x, &gain, &mut normed, &mut inv_rms));
    let (mut dx, mut dgain) = (x.clone(), gain.clone());
    each(&mut group, "norm backward", |isa| {
        let inputs = norm::Inputs { x: &x, gain: &gain, inv_rms: &inv_rms, dy: &x };
        norm::backward(isa, &inputs, &mut dx, &mut dgain);
    });
    let settings = Settings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    let (mut first, mut second) = (y.clone(), kept.clone());
    each(&mut group, "AdamW", |isa| {
        let moments = Moments { first: &mut first, second: &mut second };
        adamw::update(isa, &settings.step(9, 1e-3, 0.01, 1.0), &mut y, &out, moments);
    });
    group.finish();
}

/// The products of a block: name, rows, inner size and columns; of the second operand's transpose
/// where the first is the weight's gradient.
fn products(criterion: &mut Criterion, shape: Shape) {
    let Shape { length, width, rank, .. } = shape;
    let (inner, columns) = (shape.inner(), rank + 2 * STATES);
    let mut group = criterion.benchmark_group(format!("{} products", shape.name));
    for (name, inputs, outputs) in [
        ("in", width, 2 * inner),
        ("x", inner, columns),
        ("dt", rank, inner),
        ("out", inner, width),
    ] {
        group.throughput(Throughput::Elements((2 * length * inputs * outputs) as u64));
        let (x, w) = (wave(length * inputs, -1.0, 1.0), wave(outputs * inputs, -1.0, 1.0));
        let (mut y, mut dx, mut dw) = (wave(length * outputs, -1.0, 1.0), x.clone(), w.clone());
        let x = MatRef::new(&x[..], length, inputs);
        let w = MatRef::new(&w[..], outputs, inputs);
        each(&mut group, &format!("{name} forward"), |isa| {
            let y = MatMut::new(&mut y[..], length, outputs);
            gemm(isa, Target::Replace, y, x, w.t());
        });
        for isa in Isa::available() {
            let mut packed = Packed::new(isa, inputs, outputs);
            packed.set(w.t());
            group.bench_function(
                BenchmarkId::new(format!("{name} forward packed"), isa),
                |bencher| {
                    bencher.iter(|| {
                        let y = MatMut::new(&mut y[..], length, outputs);
                        packed.multiply(Target::Replace, y, x);
                    });
                },
            );
        }
        let dy = MatRef::new(&y[..], length, outputs);
        each(&mut group, &format!("{name} backward"), |isa| {
            gemm(isa, Target::Replace, MatMut::new(&mut dx[..], length, inputs), dy, w);
        });
        each(&mut group, &format!("{name} weight"), |isa| {
            gemm(isa, Target::Add, MatMut::new(&mut dw[..], outputs, inputs), dy.t(), x);
        });
    }
    group.finish();
}
