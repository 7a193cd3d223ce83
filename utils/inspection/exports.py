"""A trained network as files that others can use: safetensors, ONNX, and a model card."""

import copy
import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from utils.classifier import Classifier
from utils.data import Dataset
from utils.errors import CourseError
from utils.files import write_atomically
from utils.models import CustomCNN, replace_head
from utils.runs import Run, format_accuracy
from utils.weights import Preprocessing


def describe_classifier(classifier: Classifier) -> dict[str, str]:
    """What somebody who has the weights alone would miss, as text under four names."""
    return {
        "network": classifier.network,
        "classes": json.dumps(classifier.classes, ensure_ascii=False),
        "preprocessing": json.dumps(asdict(classifier.preprocessing)),
        "temperature": repr(classifier.temperature),
    }


def save_safetensors(path: Path, classifier: Classifier) -> None:
    """All weights in one file that holds numbers only, and cannot run code when it is opened.

    Its metadata carry classes, preprocessing and temperature.
    """
    from safetensors.torch import save

    state = {name: t.cpu().contiguous() for name, t in classifier.model.state_dict().items()}
    data = save(state, metadata=describe_classifier(classifier))
    write_atomically(path, lambda file: file.write(data))


def load_safetensors(path: Path) -> Classifier:
    """The classifier that `save_safetensors` wrote; needs neither dataset nor pretrained weights.

    Raises CourseError for a file that is damaged or has not this course's metadata.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            described = file.metadata()
            state = {name: file.get_tensor(name) for name in file.keys()}
        values = json.loads(described["preprocessing"])
        lists = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        classes = tuple(json.loads(described["classes"]))
        model = build_network(described["network"], len(classes))
        model.load_state_dict(state)
        temperature = float(described["temperature"])
        preprocessing = Preprocessing(**lists)
    except Exception as error:  # safetensors has an error type of its own, torch and json others
        raise CourseError(
            f"{path} is no network of this course, or damaged ({type(error).__name__}): "
            "export it again with notebook 05."
        ) from error
    return Classifier(described["network"], model.eval(), classes, preprocessing, temperature)


def build_network(name: str, number_of_classes: int) -> nn.Module:
    """An untrained network of this name: "custom_cnn" or a backbone's, with a head of this size."""
    if name == "custom_cnn":
        return CustomCNN(number_of_classes)
    if name == "resnet101":
        from torchvision.models import resnet101

        model = resnet101()
    else:
        import timm

        model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    replace_head(model, number_of_classes)
    return model


def export_onnx(path: Path, classifier: Classifier) -> None:
    """The network as an ONNX graph: `images`, float32 [batch, 3, crop, crop] → `logits`.

    The batch is free. Inputs are normalised pictures, as the metadata say; the softmax of the
    logits divided by the temperature are the probabilities.
    """
    import onnx

    # On the CPU in plain layout and precision: the graph must not remember this machine.
    model = copy.deepcopy(classifier.model).cpu().float().eval()
    model = model.to(memory_format=torch.contiguous_format)
    side = classifier.preprocessing.crop
    program = torch.onnx.export(
        model,
        (torch.zeros(2, 3, side, side),),
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    graph = program.model_proto
    onnx.helper.set_model_props(graph, describe_classifier(classifier))
    data = graph.SerializeToString()
    write_atomically(path, lambda file: file.write(data))


def format_model_card(
    run: Run, dataset: Dataset, classifier: Classifier, results: list[str], limits: list[str]
) -> str:
    """A model card as Markdown (Mitchell et al., 2019, https://arxiv.org/abs/1810.03993).

    `results` and `limits` are sentences with what was measured besides the accuracy.
    """
    named = ", ".join(classifier.classes)
    parts = {
        "to train on": run.n_train,
        "to choose on": len(dataset.validation),
        "to test with": run.n_test,
    }
    counts = ", ".join(f"{count:,} {purpose}" for purpose, count in parts.items())
    size = classifier.preprocessing
    network = "the course's custom CNN" if classifier.network == "custom_cnn" else run.backbone
    sections = {
        "What it does": [
            f"Names the class of a picture: {named}. It knows no other class.",
            f"Network: {network}, the run `{run.run}` of this course, {run.epochs} "
            f"epoch{'s' if run.epochs > 1 else ''}, {run.trainable_parameters:,} trained "
            "parameters.",
        ],
        "Data": [
            f"{dataset.name}: {dataset.origin}",
            f"Pictures: {counts}. Licence: {dataset.licence}",
        ],
        "Results": [f"Test accuracy {format_accuracy(run.correct, run.n_test)}.", *results],
        "Limits": limits,
        "Use": [
            f"Shorter side to {size.resize} pixels ({size.interpolation}), middle {size.crop} × "
            f"{size.crop}, values in 0 to 1, minus {size.mean}, divided by {size.std}; red first.",
            f"Probabilities: softmax of the logits divided by {classifier.temperature:.3f}.",
        ],
    }
    lines = [f"# Model card: {named}"]
    for heading, sentences in sections.items():
        lines += ["", f"## {heading}", "", *(f"- {sentence}" for sentence in sentences)]
    return "\n".join(lines) + "\n"
