"""EfficientNet-Lite0's features by ONNX Runtime, in float32 and in int8, beside PyTorch's."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from tools.benchmarks.course_side import choose_settings, load_body, open_folder
from utils.features import extract_features, fit_head, select_per_class
from utils.training import collect_logits

BATCH, CALIBRATED, TIMED = 20, 100, 200  # images


class Calibration(CalibrationDataReader):
    """Training photographs, from which the range of each layer's numbers is taken."""

    def __init__(self, loader: DataLoader) -> None:
        self.batches = iter(loader)

    def get_next(self) -> dict | None:
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch[0].numpy()}


def extract(train: str, test: str, kind: str) -> Iterator[dict]:
    """Images a second from decoded batches; and how many test photographs a head on them names.

    `kind` is "PyTorch", "float32" or "int8"; `prepared` are the seconds until the first feature.
    """
    settings = choose_settings()
    folders = [open_folder(folder, settings, augment=False) for folder in (train, test)]
    learned, judged = (DataLoader(folder, BATCH) for folder in folders)

    def choose(count: int) -> DataLoader:
        rows = select_per_class(torch.tensor(folders[0].targets), count // 2, seed=0)
        return DataLoader(Subset(folders[0], rows.tolist()), BATCH)

    start = time.perf_counter()
    body = load_body(settings)
    find_features: Callable = partial(extract_features, body)
    if kind != "PyTorch":
        with tempfile.TemporaryDirectory() as place:
            file = export(body, Path(place), choose(CALIBRATED) if kind == "int8" else None)
            session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        find_features = partial(run, session)
    prepared = time.perf_counter() - start
    head = fit_head(find_features(learned))
    logits, labels = collect_logits(head, DataLoader(find_features(judged), 256))
    right = (logits.argmax(dim=1) == labels).tolist()
    batches = list(choose(TIMED))
    while True:
        start = time.perf_counter()
        find_features(batches)
        rate = TIMED / (time.perf_counter() - start)
        yield {"rate": rate, "right": right, "prepared": prepared}


def run(session: onnxruntime.InferenceSession, batches: Iterable) -> TensorDataset:
    """What `extract_features` does, by ONNX Runtime."""
    found = [(session.run(None, {"images": x.numpy()})[0], labels) for x, labels in batches]
    values, labels = zip(*found, strict=True)
    return TensorDataset(torch.cat([torch.from_numpy(each) for each in values]), torch.cat(labels))


def export(body: nn.Module, place: Path, calibration: DataLoader | None) -> Path:
    """Write the network as ONNX, for batches of BATCH, in int8 where there are images to calibrate.

    Static quantisation, a scale for each channel, ranges from the lowest to the highest number.
    """
    raw, simpler, small = (place / name for name in ("raw.onnx", "simpler.onnx", "int8.onnx"))
    torch.onnx.export(
        body,
        (torch.zeros(BATCH, 3, 224, 224),),
        raw,
        input_names=["images"],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    quant_pre_process(raw, simpler)
    if calibration is None:
        return simpler
    quantize_static(
        simpler,
        small,
        Calibration(calibration),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return small
