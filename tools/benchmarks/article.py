"""The article's code as a competent reader types it in today: PyTorch and torchvision, no more.

Pictures come from `ImageFolder` with torchvision's transforms, every file decoded in every epoch;
float32, the default memory layout, the default allocator. It is correct: gradients are computed for
what learns and nothing else, dropout is off in evaluation, accuracy is correct ÷ seen, and nothing
is slower than it has to be. What the course does differently is what `make bench` measures.
"""

from pathlib import Path

import torch
from torch import nn
from torch.optim import Adam, Optimizer
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def make_loader(
    folder: Path, augment: bool, batch_size: int = 32, mean=IMAGENET_MEAN, std=IMAGENET_STD
) -> DataLoader:
    """Batches of the pictures in `folder/<class>/`: random views to train, one view to test."""
    if augment:
        views = [
            transforms.RandomRotation(15),
            transforms.RandomResizedCrop(224, scale=(0.5, 1.0)),
            transforms.RandomHorizontalFlip(),
        ]
    else:
        views = [transforms.Resize(256), transforms.CenterCrop(224)]
    steps = [*views, transforms.ToTensor(), transforms.Normalize(mean, std)]
    pictures = ImageFolder(str(folder), transforms.Compose(steps))
    return DataLoader(pictures, batch_size, shuffle=augment)


class CustomCNN(nn.Module):
    """Three convolutions and two fully connected layers."""

    def __init__(self, number_of_classes: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.conv3 = nn.Conv2d(64, 128, 3)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(26 * 26 * 128, 128)
        self.dropout = nn.Dropout(0.2)
        self.fc2 = nn.Linear(128, number_of_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = self.pool(torch.relu(self.conv3(x)))
        x = torch.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(self.dropout(x))


def freeze_and_replace_head(model: nn.Module, head: str = "fc", classes: int = 2) -> Optimizer:
    """Freeze all parameters, put a new last layer in, and return the Adam that trains it alone."""
    for parameter in model.parameters():
        parameter.requires_grad = False
    layer = nn.Linear(getattr(model, head).in_features, classes)
    setattr(model, head, layer)
    return Adam(layer.parameters(), lr=0.001)


def keep_batch_norm_in_eval_mode(model: nn.Module) -> None:
    """What the article forgets: in train mode the statistics of a frozen network drift."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def train_step(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, optimizer: Optimizer
) -> tuple[float, int]:
    """One step; the batch's mean loss and how many of its pictures were named right."""
    optimizer.zero_grad()
    logits = model(images)
    loss = nn.functional.cross_entropy(logits, labels)
    loss.backward()
    optimizer.step()
    return loss.item(), (logits.argmax(dim=1) == labels).sum().item()


def train(
    model: nn.Module,
    loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    batch_norm_in_eval_mode: bool = False,
) -> list[tuple[float, float]]:
    """The epoch loop; mean loss and accuracy of each epoch's training pictures."""
    history = []
    for _ in range(epochs):
        model.train()
        if batch_norm_in_eval_mode:
            keep_batch_norm_in_eval_mode(model)
        loss_sum, correct, seen = 0.0, 0, 0
        for images, labels in loader:
            loss, right = train_step(model, images, labels, optimizer)
            loss_sum += loss * len(labels)
            correct += right
            seen += len(labels)
        history.append((loss_sum / seen, correct / seen))
    return history


def predict(model: nn.Module, loader: DataLoader) -> tuple[torch.Tensor, torch.Tensor]:
    """The network's outputs for every picture, and the labels."""
    model.eval()
    outputs, targets = [], []
    with torch.no_grad():
        for images, labels in loader:
            outputs.append(model(images))
            targets.append(labels)
    return torch.cat(outputs), torch.cat(targets)


def measure_accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Correct ÷ seen."""
    return (logits.argmax(dim=1) == labels).float().mean().item()
