"""What a step of data-parallel training costs: computing, exchanging gradients, and what overlaps.

The exchange is a ring all-reduce (Patarasuk and Yuan, 2009, "Bandwidth optimal all-reduce
algorithms for clusters of workstations"): of its gradients every GPU sends, and receives, twice all
but its own share. It goes on behind the backward pass, as soon as gradients are there, in buckets
(Li et al., 2020, https://arxiv.org/abs/2006.15704); nothing is left to hide the last one behind.
"""

from dataclasses import dataclass, replace

# Of a step's computing: two products per layer in the backward pass, one in the forward pass.
BACKWARD_SHARE = 2 / 3
BUCKET_BYTES = 25 * 2**20  # DistributedDataParallel's own choice
# Of a link's speed, what gradients get: Goyal et al. (2017) allow 15 Gbit/s where the bytes alone
# would need 12.8.
USABLE_SHARE = 12.8 / 15


@dataclass(frozen=True)
class Job:
    """A network, a GPU and the wires between GPUs."""

    gradient_bytes: float
    images_per_second: float  # of one GPU, alone, forward and back
    batch_size: int  # images per GPU and step
    link: float  # bits per second between machines
    gpus_per_machine: int = 8
    link_inside: float = 160e9  # bits per second between the GPUs of a machine


@dataclass(frozen=True)
class Step:
    """Seconds of a step. The exchange is `hidden` behind the backward pass, or `waited` for."""

    compute: float
    hidden: float
    waited: float

    @property
    def seconds(self) -> float:
        return self.compute + self.waited


def predict_exchange(job: Job, gpus: int) -> float:
    """Seconds in which all gradients are averaged. A ring is as fast as its slowest link."""
    link = job.link_inside if gpus <= job.gpus_per_machine else min(job.link, job.link_inside)
    sent = 2 * (gpus - 1) / gpus * job.gradient_bytes
    return 8 * sent / (USABLE_SHARE * link)


def predict_step(job: Job, gpus: int) -> Step:
    """Seconds of one step of `gpus` GPUs, each with its own `batch_size` images."""
    compute = job.batch_size / job.images_per_second
    exchange = predict_exchange(job, gpus)
    last = exchange * min(1.0, BUCKET_BYTES / job.gradient_bytes)
    hidden = min(exchange - last, BACKWARD_SHARE * compute)
    return Step(compute, hidden, exchange - hidden)


def predict_speed(job: Job, gpus: int) -> float:
    """Images per second of all GPUs together."""
    return gpus * job.batch_size / predict_step(job, gpus).seconds


def predict_efficiency(job: Job, gpus: int, compared_with: int = 1) -> float:
    """Speed of each of `gpus` GPUs ÷ speed of each of `compared_with`."""
    each, before = (predict_speed(job, count) / count for count in (gpus, compared_with))
    return each / before


@dataclass(frozen=True)
class Published:
    """A scaling efficiency that somebody measured, and the job it was measured with."""

    name: str
    job: Job
    gpus: int
    compared_with: int
    efficiency: float
    source: str


GOYAL = "Goyal et al., 2017, https://arxiv.org/abs/1706.02677"
HOROVOD = "Horovod, 2018, https://github.com/horovod/horovod/blob/master/docs/benchmarks.rst"
# One P100 with 64 images a step, in TensorFlow's benchmarks of May 2017
# (https://www.tensorflow.org/performance/benchmarks): ResNet-50 219 images a second, ResNet-152
# 91.8, VGG-16 154. ResNet-101 is not among them: its operations lie halfway between the other two
# (3.8, 7.6 and 11.3 billion; He et al., 2015, https://arxiv.org/abs/1512.03385), so its seconds do.
RESNET_101_ON_P100 = 2 / (1 / 219 + 1 / 91.8)
_BIG_BASIN = Job(
    gradient_bytes=4 * 25_557_032,
    images_per_second=32 * BACKWARD_SHARE / 0.120,  # the paper's 120 ms of the backward pass
    batch_size=32,
    link=50e9,
)
_FOUR_PASCALS = Job(
    gradient_bytes=4 * 44_549_160,
    images_per_second=RESNET_101_ON_P100,
    batch_size=64,
    link=25e9,
    gpus_per_machine=4,
)
_VGG = replace(_FOUR_PASCALS, gradient_bytes=4 * 138_357_544, images_per_second=154)

PUBLISHED = (
    Published("ResNet-50, 256 GPUs against 8", _BIG_BASIN, 256, 8, 0.90, GOYAL),
    Published("ResNet-101, 512 GPUs against 1", _FOUR_PASCALS, 512, 1, 0.90, HOROVOD),
    Published("VGG-16, 512 GPUs against 1", _VGG, 512, 1, 0.68, HOROVOD),
)
