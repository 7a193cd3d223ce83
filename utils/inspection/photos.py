"""One picture of one's own: what it is, where the network looks, and whether it is a stranger."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn

from utils.augmentation import crop_center
from utils.classifier import Classifier, predict_probabilities
from utils.explain import compute_grad_cam
from utils.novelty import measure_distances
from utils.pictures import decode_picture
from utils.training import LAYOUT, autocast
from utils.weights import Preprocessing


@dataclass(frozen=True)
class Judgement:
    """What a classifier says about a picture."""

    image: np.ndarray  # uint8 [crop, crop, 3]: what the network was shown
    probabilities: torch.Tensor  # float32 [classes]
    heat: torch.Tensor  # Grad-CAM of the class it names, float [height, width]
    distance: float  # to the training pictures
    threshold: float  # beyond it, the picture is a stranger

    @property
    def is_strange(self) -> bool:
        """Whether the picture looks like none of the classes."""
        return self.distance > self.threshold


def judge_photo(
    classifier: Classifier,
    backbone: nn.Module,
    training: torch.Tensor,
    threshold: float,
    file,
) -> Judgement:
    """Judge a picture: a path, or an open file with a `name`.

    `backbone` is the pretrained network without its head, `training` its features of the training
    pictures. Raises CourseError, one sentence, for what is no picture.
    """
    preprocessing = classifier.preprocessing
    image = decode_picture(file, preprocessing.resize, preprocessing.interpolation)
    probabilities = predict_probabilities(classifier, image[None])[0]
    batch = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].to(classifier.device)
    inputs = crop_center(batch, preprocessing)
    heat = compute_grad_cam(classifier.model, inputs, int(probabilities.argmax()))[0]
    with torch.inference_mode(), autocast(classifier.device, classifier.precision):
        features = backbone(inputs.contiguous(memory_format=LAYOUT)).float().cpu()
    distance = measure_distances(features, training).item()
    shown = cut_center(image[None], preprocessing)[0]
    return Judgement(shown, probabilities, heat, distance, threshold)


def cut_center(images: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """What a network sees of decoded pictures: uint8 [N, S, S, 3] → [N, crop, crop, 3]."""
    start = (preprocessing.resize - preprocessing.crop) // 2
    return images[:, start : start + preprocessing.crop, start : start + preprocessing.crop]


def describe_judgement(judgement: Judgement, classes: tuple[str, ...]) -> str:
    """One sentence: the class, how sure, and a warning where the picture is a stranger."""
    label = int(judgement.probabilities.argmax())
    probability = judgement.probabilities[label].item()
    sure = f"{probability:.0%}" if probability < 0.995 else "over 99%"
    said = f"{classes[label]}, {sure} sure"
    if not judgement.is_strange:
        return said
    names = "neither" if len(classes) == 2 else "none of the classes"
    return f"looks like {names} (distance {judgement.distance:.2f}); if it must choose: {said}"


def make_odd_files(path: Path) -> dict[str, io.BytesIO]:
    """What people really upload, made from one picture, each as an open file with its name."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file).convert("RGB")
    lying = Image.Exif()
    lying[0x0112] = 6  # the camera was turned: show it rotated by a quarter
    kinds = {
        "rotated.jpg": (image.transpose(Image.Transpose.ROTATE_90), {"exif": lying}),
        "cmyk.jpg": (image.convert("CMYK"), {}),
        "moving.gif": (image, {"save_all": True, "append_images": [ImageOps.invert(image)]}),
        "huge.png": (Image.new("1", (20_000, 20_000)), {}),
    }
    made = {}
    for name, (picture, options) in kinds.items():
        made[name] = io.BytesIO()
        picture.save(made[name], format=Image.registered_extensions()[Path(name).suffix], **options)
    whole = made["cmyk.jpg"].getvalue()
    made["cut.jpg"] = io.BytesIO(whole[: len(whole) // 2])
    made["letter.jpg"] = io.BytesIO(b"Dear cat, this is a letter and no photo.")
    for name, file in made.items():
        file.name = name
        file.seek(0)
    return made
