"""What ImageNet's own thousand classes say about cats and dogs, before anything is trained."""

import torch

# The class numbers of ImageNet (ILSVRC 2012): tabby to Egyptian cat, Chihuahua to hairless dog.
GROUPS = {"cat": slice(281, 286), "dog": slice(151, 269)}


def list_class_names() -> list[str]:
    """The names of ImageNet's 1,000 classes, in the order of a pretrained network's logits."""
    from torchvision.models import ResNet101_Weights

    return ResNet101_Weights.IMAGENET1K_V2.meta["categories"]


def find_groups(classes: tuple[str, ...]) -> list[slice] | None:
    """ImageNet's class numbers for each class of a dataset of cats and dogs, else None.

    Folders may be called `cat` or `Cats`: case and a plural s do not count.
    """
    names = [name.lower().removesuffix("s") for name in classes]
    return [GROUPS[name] for name in names] if sorted(names) == sorted(GROUPS) else None


def sum_groups(logits: torch.Tensor, groups: list[slice]) -> torch.Tensor:
    """Probability of each group of ImageNet's classes: [N, 1000] → [N, groups].

    Rows do not add up to 1: what is missing went to the classes of no group.
    """
    probabilities = logits.softmax(dim=1)
    return torch.stack([probabilities[:, group].sum(dim=1) for group in groups], dim=1)
